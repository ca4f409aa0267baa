/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon does at this moment, for --status: a file of one page in /run. The daemon maps
 * it. To publish a state is a store to locked memory, and so possible while everything is frozen.
 */
#ifndef HV_VSS_LIVESTATE_H
#define HV_VSS_LIVESTATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomics.h"

#define LIVESTATE_FILE	"now"

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

struct livestate_page {
	char magic[8];
	int32_t pid;
	atomic_int state;	/* enum live_state */
	uint64_t start_time;	/* of the process, as in /proc/PID/stat */
	atomic_llong since;	/* monotonic clock, in us */
	atomic_int left;	/* file systems still to be flushed or frozen; -1: unknown */
	int32_t reserved;
};

struct livestate {
	struct livestate_page *page;	/* NULL: no state is published */
};

/* What another process reads. */
struct livestate_view {
	bool running;
	bool stopped;		/* by a signal or a debugger */
	pid_t pid;
	enum live_state state;
	int64_t since;
	int left;		/* as in the page; -1 also for a daemon of an older version */
};

/* The last moment of a daemon that has not ended by itself. */
struct livestate_end {
	enum live_state state;
	int64_t since;
};

int livestate_start(struct livestate *live, const char *dir);
void livestate_set(struct livestate *live, enum live_state state, int64_t now);
void livestate_set_left(struct livestate *live, int left);
void livestate_stop(struct livestate *live);
bool livestate_was_interrupted(struct livestate_end *end, const char *dir);
int livestate_read(struct livestate_view *view, const char *dir);
const char *livestate_name(enum live_state state);
const char *livestate_token(enum live_state state);

#endif
