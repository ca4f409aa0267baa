// SPDX-License-Identifier: GPL-2.0-only
/* The log, for tests that don't listen to it. */
#include "log.h"

void log_msg(int priority, const char *fmt, ...)
{
	(void)priority;
	(void)fmt;
}

void log_mount(int priority, const char *mount, const char *fmt, ...)
{
	(void)priority;
	(void)mount;
	(void)fmt;
}
