/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log lines go into a ring buffer in memory; a thread writes them to the journal or to stderr. So
 * the caller never waits for the reader of the log. While file systems are frozen the lines stay
 * in the ring, because the reader may have to write to one of them.
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
void log_trim(void);
void log_stop(int timeout_ms);

#endif
