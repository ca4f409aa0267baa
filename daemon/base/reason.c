// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "reason.h"

/**
 * reason_log() - log an error, and keep it as the reason of the failure if it is the first
 * @why: set to the text, unless it has one already
 * @priority: as for log_msg()
 * @mount: mount point of the file system that had the error, or NULL
 * @fmt: printf format
 */
void reason_log(char why[REASON_SIZE], int priority, const char *mount, const char *fmt, ...)
{
	char text[REASON_SIZE];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	if (mount)
		log_mount(priority, mount, "%s", text);
	else
		log_msg(priority, "%s", text);
	if (!why[0] && mount)
		snprintf(why, REASON_SIZE, "%.120s: %.120s", mount, text);
	else if (!why[0])
		memcpy(why, text, sizeof(text));
}
