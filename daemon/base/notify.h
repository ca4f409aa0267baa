/* SPDX-License-Identifier: GPL-2.0-only */
/* The service manager's notification protocol (sd_notify(3)), without its library. */
#ifndef HV_VSS_NOTIFY_H
#define HV_VSS_NOTIFY_H

#include <stdint.h>

struct notify {
	int fd;			/* -1: no service manager */
	int64_t watchdog_us;	/* 0: no watchdog */
};

void notify_init(struct notify *n);
void notify_send(const struct notify *n, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
