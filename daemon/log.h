/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log goes to the journal or to stderr through a ring in memory and a thread of its own:
 * whoever logs can't be blocked by the reader at the other end, and while file systems are frozen
 * nothing leaves the ring at all, because the reader may need a frozen one.
 */
#ifndef HV_VSS_LOG_H
#define HV_VSS_LOG_H

#include <stdbool.h>
#include <syslog.h>

struct journal_fields;

int log_start(int fd, bool prefix, int max_priority);
void log_journal(int fd);
void log_backup(unsigned long id);
void log_msg(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_mount(int priority, const char *mount, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void log_event(int priority, const struct journal_fields *fields, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void log_hold(bool hold);
void log_stop(int timeout_ms);

#endif
