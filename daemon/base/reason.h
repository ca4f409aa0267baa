/* SPDX-License-Identifier: GPL-2.0-only */
/* Why a preflight, a freeze or a thaw has failed: the first error. */
#ifndef HV_VSS_REASON_H
#define HV_VSS_REASON_H

#define REASON_SIZE	256	/* bytes, with the NUL */

void reason_log(char why[REASON_SIZE], int priority, const char *mount, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
