// SPDX-License-Identifier: GPL-2.0-only
/* After the last FIFREEZE: is every file system in the set, and still frozen? */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "fsjob.h"
#include "phases.h"

#define ATTEMPTS	3	/* when file systems keep being mounted while we freeze */

/* The guard would notice a thaw by another process. Without it a second FIFREEZE does. */
static int confirm_all(struct fsset *set)
{
	int err, first = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct target *t = &set->target[i];

		if (t->state != TARGET_FROZEN || atomic_load(&set->job.phase) != JOB_RUNNING)
			continue;
		err = fsjob_confirm(t);
		if (!err)
			continue;
		t->failed = true;
		first = err;
	}
	return first;
}

/**
 * verify_run() - check whether file systems were mounted meanwhile, or thawed
 * @job: embedded in a set
 * Context: worker; the set is frozen.
 */
void verify_run(struct job *job)
{
	struct fsset *set = phase_set(job);
	const struct freezer *f = set->owner;

	set->result = f->source->verify(f->source->ctx, set);
	if (!set->result && !set->guard)
		set->result = confirm_all(set);
	if (job_finish(job))
		return;
	for (size_t i = 0; i < set->n; i++)
		fsjob_unconfirm(&set->target[i]);
}

/**
 * verify_begin() - have the set verified
 * @f: the freezer, all frozen
 * Return: an outcome.
 */
int verify_begin(struct freezer *f)
{
	phase_submit(f, &f->set->job, verify_run);
	return PHASE_RUNS;
}

/* Return: true if a file system has not stayed frozen until now. */
static bool report_gaps(struct freezer *f)
{
	bool found = false;

	for (size_t i = 0; i < f->set->n; i++) {
		struct target *t = &f->set->target[i];

		if (!t->failed)
			continue;
		found = true;
		t->note = "another process has thawed it";
		reason_log(f->why, LOG_ERR, t->path,
			   "%s while other file systems were being frozen", t->note);
	}
	return found;
}

/**
 * verify_done() - accept the result of verify_run()
 * @f: the freezer, in FREEZER_VERIFY
 * Return: an outcome.
 */
int verify_done(struct freezer *f)
{
	int result = f->set->result;

	if (result > 0 && ++f->attempt < ATTEMPTS) {
		f->again = true;
		f->goal = FREEZER_FAILED;
		return PHASE_AGAIN;
	}
	if (report_gaps(f))
		return result < 0 ? result : -ESTALE;
	if (!result)
		return PHASE_DONE;
	if (result < 0 && !f->why[0])
		memcpy(f->why, f->set->why, sizeof(f->why));
	else
		reason_log(f->why, LOG_ERR, NULL, "the mount table keeps changing");
	return -EAGAIN;
}
