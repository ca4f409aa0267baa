/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries a plan out. A state machine that runs in the main thread and never blocks: whatever
 * might is done by workers, and a worker that doesn't come back is given up.
 *
 *	idle -> plan -> flush -> sync -> freeze -> verify -> frozen -> thaw -> idle
 *
 * Any failure, deadline or abort leads to thaw, in reverse order, and from there to idle.
 */
#ifndef HV_VSS_FREEZER_H
#define HV_VSS_FREEZER_H

#include "fsset.h"

enum freezer_state {
	FREEZER_IDLE,
	FREEZER_PLAN,
	FREEZER_FLUSH,
	FREEZER_SYNC,
	FREEZER_FREEZE,
	FREEZER_VERIFY,
	FREEZER_FROZEN,
	FREEZER_THAW,
};

enum freezer_event {
	FREEZER_FREEZE_OK,
	FREEZER_FAILED,		/* nothing of ours is frozen any more */
	FREEZER_THAW_OK,	/* all of it had stayed frozen until the request */
	FREEZER_THAW_FAILED,
	FREEZER_BROKEN,		/* thawed without a request */
};

struct freezer_config {
	int64_t freeze_us;	/* time from the request to the answer */
	int64_t sync_us;	/* of that, time for writing out; 0: all of it */
	int64_t hold_us;	/* time for all FIFREEZEs, and anew from the answer to THAW */
	int64_t thaw_us;	/* time for a thaw */
	int64_t patience_us;	/* for one FITHAW, before the next one runs beside it */
	bool strict;
	bool skip_foreign;	/* what somebody else has frozen is left to him */
};

/* Where the plan comes from; called in a worker. */
struct freezer_source {
	int (*build)(void *ctx, struct fsset *set);
	int (*verify)(void *ctx, struct fsset *set);	/* 1: not all of it is in the set */
	void *ctx;
};

struct freezer_times {
	int64_t begun;
	int64_t planned;
	int64_t synced;
	int64_t frozen;
	int64_t thawing;
	int64_t thawed;
};

struct freezer {
	const struct freezer_config *config;
	const struct freezer_source *source;
	const struct sysops *ops;
	struct pool *pool;
	void (*record)(void *ctx, const struct freezer *f);	/* may be NULL */
	void (*report)(void *ctx, enum freezer_event event);
	void *ctx;

	enum freezer_state state;
	struct fsset *set;
	struct fsset *stuck;		/* sets with a job that hasn't come back */
	enum freezer_event goal;	/* what to report when all is thawed */
	bool failed;			/* the answer to the thaw, too */
	bool again;			/* start over when all is thawed */
	int attempt;
	int error;
	char why[FSSET_WHY];		/* the first thing that went wrong */
	bool held;			/* the log is */
	size_t next;			/* file system to freeze */
	size_t freezing;		/* how many are being frozen */
	int freeze_error;		/* the first one of those */
	struct {
		int64_t first;		/* KiB to write at its begin */
		int64_t dirty;		/* at the begin of the present span */
		int64_t span;		/* its end */
		int64_t look;		/* when to look next */
		int64_t limit;
	} flush;
	size_t syncing;			/* how many are being written out */
	unsigned int round;		/* of writing out */
	int64_t round_begun;
	int64_t round_took;		/* the one before */
	int64_t round_dirty;		/* KiB at its begin; negative: not known */
	int64_t sync_deadline;
	int64_t freeze_deadline;
	int64_t thaw_deadline;
	int64_t hold_deadline;
	int64_t patience;		/* of the latest FITHAW */
	struct freezer_times at;
};

int freezer_begin(struct freezer *f, struct guard *guard, uint32_t cookie);
int freezer_thaw(struct freezer *f);
void freezer_abort(struct freezer *f, const char *why);
void freezer_job_done(struct freezer *f, struct job *job);
void freezer_tick(struct freezer *f);
int64_t freezer_deadline(const struct freezer *f);

#endif
