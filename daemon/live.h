/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon does at this moment, for --status: one page in /run, mapped by both. To tell is a
 * store to locked memory, and so possible also while everything is frozen.
 */
#ifndef HV_VSS_LIVE_H
#define HV_VSS_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"

#define LIVE_FILE	"now"

enum live_state {
	LIVE_WAITING,		/* for the device */
	LIVE_IDLE,
	LIVE_PREPARING,		/* hooks, plan */
	LIVE_SYNCING,
	LIVE_FREEZING,
	LIVE_FROZEN,
	LIVE_THAWING,
	LIVE_STATES
};

struct live_page {
	char magic[8];
	int32_t pid;
	atomic_int state;	/* enum live_state */
	uint64_t birth;		/* of the process, as in /proc/PID/stat */
	atomic_llong since;	/* monotonic clock, in us */
};

struct live {
	struct live_page *page;	/* NULL: nobody can be told */
};

/* What another process sees. */
struct live_view {
	bool running;
	pid_t pid;
	enum live_state state;
	int64_t since;
};

int live_start(struct live *live, const char *dir);
void live_set(struct live *live, enum live_state state, int64_t now);
void live_stop(struct live *live);
int live_look(struct live_view *view, const char *dir);
const char *live_state_name(enum live_state state);

#endif
