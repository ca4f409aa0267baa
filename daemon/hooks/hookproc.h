/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs one hook until it ends, or until its timeout. */
#ifndef HV_VSS_HOOKPROC_H
#define HV_VSS_HOOKPROC_H

#include <stdint.h>

struct hook_call {
	const char *path;
	const char *argument;	/* "freeze" or "thaw" */
	char * const *environment;
	int64_t timeout_us;
	int cancel[2];		/* descriptors that end it when they become readable; or -1 */
};

int hookproc_run(const struct hook_call *call);

#endif
