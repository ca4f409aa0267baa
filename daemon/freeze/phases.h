/* SPDX-License-Identifier: GPL-2.0-only */
/* The phases of a freeze, and what they share. No phase calls another: freezer.c orders them. */
#ifndef HV_VSS_PHASES_H
#define HV_VSS_PHASES_H

#include "base/embed.h"
#include "freezer_types.h"

#define PARALLEL_MAX	32	/* file systems being frozen at the same time */

/* What a phase returns; or a negative errno: it has failed, and freezer->why says why. */
enum phase_outcome {
	PHASE_DONE,
	PHASE_RUNS,	/* a job is in flight, or a deadline is awaited */
	PHASE_AGAIN,	/* done, but an earlier phase has to be repeated */
};

/* planning.c */
int plan_begin(struct freezer *f, struct guard *guard, uint32_t cookie);
void plan_run(struct job *job);
int plan_done(struct freezer *f);

/* writeback.c */
#define SYNC_LITTLE_KIB	8192	/* not worth a wait: a disk takes about 0.1 s */

int writeback_begin(struct freezer *f);
int writeback_poll(struct freezer *f);

/* syncing.c */
int sync_begin(struct freezer *f);
int sync_done(struct freezer *f, struct target *t);
int sync_give_up(struct freezer *f);

/* blockers.c */
void blockers_prepare(struct freezer *f);
void blockers_drop(struct freezer *f);
int blockers_begin(struct freezer *f);
int blockers_late(struct freezer *f);
bool blockers_owns(const struct job *job);
int blockers_job_done(struct freezer *f, struct job *job);
void blockers_identify(struct freezer *f);
void blockers_identify_later(struct freezer *f);

/* freezing.c */
int freeze_begin(struct freezer *f);
int freeze_done(struct freezer *f, struct target *t);

/* verifying.c */
int verify_begin(struct freezer *f);
void verify_run(struct job *job);
int verify_done(struct freezer *f);

/* thawing.c */
int thaw_begin(struct freezer *f);
int thaw_next(struct freezer *f);
int thaw_done(struct freezer *f, struct target *t);
int thaw_give_up(struct freezer *f);
void thaw_check_mounts(struct job *job);
int thaw_mounts_checked(struct freezer *f);

/* deadlines.c */
int64_t phase_limit(const struct freezer *f);
void phase_report_timeout(struct freezer *f);

/* phases.c */
void phase_skip_dead(struct target *t);
void phase_hold_log(struct freezer *f, bool hold);
void phase_hold_until(struct freezer *f, int64_t deadline);
void phase_abandon_jobs(struct freezer *f);

static inline struct fsset *phase_set(struct job *job)
{
	return container_of(job, struct fsset, job);
}

static inline bool job_pending(const struct job *job)
{
	return atomic_load(&job->phase) != JOB_IDLE;
}

static inline bool job_awaited(const struct job *job)
{
	return job_pending(job) && atomic_load(&job->phase) != JOB_ABANDONED;
}

static inline void phase_submit(struct freezer *f, struct job *job,
				void (*run)(struct job *job))
{
	job->run = run;
	f->set->in_flight++;
	pool_submit(f->pool, job);
}

#endif
