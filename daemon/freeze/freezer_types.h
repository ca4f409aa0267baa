/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of a freeze, which the freezer and its phases share, and its limits. */
#ifndef HV_VSS_FREEZER_TYPES_H
#define HV_VSS_FREEZER_TYPES_H

#include "blockers/busy.h"
#include "targets/fsset.h"

enum freezer_state {
	FREEZER_IDLE,
	FREEZER_PLAN,
	FREEZER_WRITEBACK,
	FREEZER_SYNC,
	FREEZER_BLOCKERS,
	FREEZER_FREEZE,
	FREEZER_VERIFY,
	FREEZER_FROZEN,
	FREEZER_THAW,
};

enum freezer_event {
	FREEZER_FREEZE_OK,
	FREEZER_FAILED,		/* nothing of ours is frozen any more */
	FREEZER_THAW_OK,	/* every file system had stayed frozen until the request */
	FREEZER_THAW_FAILED,
	FREEZER_BROKEN,		/* thawed without a request */
};

struct freezer_config {
	int64_t freeze_us;	/* time from the request to the answer */
	int64_t sync_us;	/* of that, time for flushing; 0: no limit of its own */
	int64_t fifreeze_us;	/* from the first FIFREEZE until all is frozen and verified */
	int64_t hold_us;	/* from the answer to the request to thaw */
	int64_t thaw_us;	/* time for a thaw */
	int64_t patience_us;	/* for one FITHAW; then the next one begins beside it */
	bool strict;
	bool wait_busy;		/* wait up to @sync_us for what keeps a FIFREEZE from succeeding */
	bool skip_foreign;	/* a file system frozen by another process is skipped */
	bool skip_dead;		/* a file system that returns I/O errors is skipped */
};

/* Where the plan comes from. Its functions are called by a worker. */
struct freezer_source {
	int (*build)(void *ctx, struct fsset *set);
	int (*verify)(void *ctx, struct fsset *set);	/* 1: a file system is not in the set */
	int (*appeared)(void *ctx, struct fsset *set);	/* at the thaw: the same; may be NULL */
	void (*judge)(void *ctx, struct fsset *set);	/* the evidence, after that; may be NULL */
	void *ctx;
	const struct busy_config *busy;	/* NULL: no check for blockers */
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
	void *record_ctx;
	void (*report)(void *ctx, enum freezer_event event);
	void *ctx;

	enum freezer_state state;
	struct fsset *set;
	struct fsset *stuck;		/* sets with a job that has not returned */
	struct fsset *late;		/* sets of which only a syncfs() has not returned */
	enum freezer_event goal;	/* what to report when all is thawed */
	bool failed;			/* THAW is answered with failure, too */
	bool again;			/* make a new plan when all is thawed */
	int attempt;
	int error;
	char why[REASON_SIZE];		/* the first thing that went wrong */
	bool log_held;			/* in memory */
	size_t next;			/* file system to freeze */
	size_t freezing;		/* how many are being frozen */
	int freeze_error;		/* the first one of those */
	struct {
		int64_t first;		/* KiB that were dirty at first */
		int64_t dirty;		/* KiB at the begin of the present span */
		int64_t span;		/* its end */
		int64_t poll;		/* when to check next */
		int64_t limit;
	} writeback;
	size_t syncing;			/* how many are being flushed */
	unsigned int round;		/* of flushing */
	int64_t round_begun;
	int64_t round_took;		/* the one before */
	int64_t round_dirty;		/* KiB at its begin; negative: not known */
	int64_t sync_deadline;
	int64_t optional_deadline;	/* for file systems that need not be flushed */
	int64_t freeze_deadline;
	int64_t thaw_deadline;
	int64_t hold_deadline;
	int64_t patience;		/* end of that for the latest FITHAW; 0: over */
	struct busy *busy;		/* checks for blockers; NULL: can't */
	unsigned int lost_checks;	/* those that have not returned */
	int64_t blockers_deadline;
	int64_t identify_at;		/* when to identify what FIFREEZE waits for */
	struct culprits culprits;
	char stuck_why[REASON_SIZE];	/* what hangs in ->stuck */
	struct freezer_times at;
};

#endif
