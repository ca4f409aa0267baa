/* SPDX-License-Identifier: GPL-2.0-only */
/* The freezer's parts, for each other only: freezer.c has the state machine. */
#ifndef HV_VSS_PHASES_H
#define HV_VSS_PHASES_H

#include "freezer.h"

#define PARALLEL_MAX	32	/* file systems written out, or hanging, at the same time */

/* flush.c */
void flush_begin(struct freezer *f);
void flush_look(struct freezer *f);

/* sync.c */
#define SYNC_LITTLE_KIB	8192	/* not worth writing out first: a disk takes about 0.1 s */

void sync_begin(struct freezer *f);
void sync_done(struct freezer *f, struct target *t);

/* thaw.c */
void thaw_begin(struct freezer *f, enum freezer_event goal);
void thaw_next(struct freezer *f);
void thaw_done(struct freezer *f, struct target *t);
void thaw_give_up(struct freezer *f);

/* freeze.c */
void freeze_begin(struct freezer *f);
void freeze_done(struct freezer *f, struct target *t);
void freeze_verify(struct job *job);
void freeze_verified(struct freezer *f);

/* freezer.c */
void freezer_fail(struct freezer *f, int err);
void freezer_thawed(struct freezer *f);
void freezer_hold_log(struct freezer *f, bool hold);
void freezer_hold_until(struct freezer *f, int64_t deadline);

static inline struct fsset *freezer_set_of(struct job *job)
{
	return (struct fsset *)((char *)job - offsetof(struct fsset, job));
}

static inline bool job_pending(const struct job *job)
{
	return atomic_load(&job->phase) != JOB_IDLE;
}

static inline bool job_awaited(const struct job *job)
{
	return job_pending(job) && atomic_load(&job->phase) != JOB_ABANDONED;
}

static inline void freezer_submit(struct freezer *f, struct job *job,
				  void (*run)(struct job *job))
{
	job->run = run;
	f->set->in_flight++;
	pool_submit(f->pool, job);
}

#endif
