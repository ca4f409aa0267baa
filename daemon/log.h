/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log goes to stderr through a ring in memory and a thread of its own: whoever logs can't be
 * blocked by the reader at the other end, and while file systems are frozen nothing leaves the
 * ring at all, because the reader may need a frozen one.
 */
#ifndef HV_VSS_LOG_H
#define HV_VSS_LOG_H

#include <stdbool.h>
#include <syslog.h>

int log_start(int fd, bool prefix, int max_priority);
void log_msg(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_hold(bool hold);
void log_stop(int timeout_ms);

#endif
