// SPDX-License-Identifier: GPL-2.0-only
#include "base/log.h"
#include "fsjob.h"
#include "phases.h"

/**
 * phase_hold_log() - keep the log in memory while file systems are frozen
 * @f: the freezer
 * @hold: true before the first FIFREEZE, false after the last FITHAW
 */
void phase_hold_log(struct freezer *f, bool hold)
{
	if (f->log_held != hold)
		log_hold(hold);
	f->log_held = hold;
}

/**
 * phase_hold_until() - set the hold deadline, also for the guardian
 * @f: the freezer, with a set
 * @deadline: a time of ops->now_us(); 0: nothing is frozen
 */
void phase_hold_until(struct freezer *f, int64_t deadline)
{
	f->hold_deadline = deadline;
	if (f->set->until)
		atomic_store(f->set->until, deadline);
}

/**
 * phase_skip_dead() - go on without a file system that returns I/O errors
 * @t: the file system
 */
void phase_skip_dead(struct target *t)
{
	t->state = TARGET_STUCK;
	t->freezable = false;
	t->note = "is dead (input/output error)";
	log_mount(LOG_WARNING, t->path, "skipped: dead (input/output error)");
}

static void abandon_target(struct target *t)
{
	bool syncs = t->job.run == fsjob_sync;

	if (job_abandon(&t->job)) {
		t->state = TARGET_STUCK;
		t->note = syncs ? "was still being synced" : "a system call has not returned";
		log_mount(syncs ? LOG_WARNING : LOG_ERR, t->path, "%s",
			  syncs ? t->note : "FIFREEZE has not returned");
	} else if (t->job.run == fsjob_freeze && !t->result) {
		t->state = TARGET_FROZEN;	/* has returned just now */
	}
}

/**
 * phase_abandon_jobs() - wait for no job of the freeze any longer
 * @f: the freezer, in a phase before FREEZER_FROZEN
 *
 * A worker whose FIFREEZE returns from now on thaws that file system itself.
 */
void phase_abandon_jobs(struct freezer *f)
{
	struct fsset *set = f->set;

	if (job_awaited(&set->job))
		job_abandon(&set->job);
	if (f->state == FREEZER_PLAN)
		return;		/* the worker is still filling the set */
	for (size_t i = 0; i < set->n; i++)
		if (job_awaited(&set->target[i].job))
			abandon_target(&set->target[i]);
}
