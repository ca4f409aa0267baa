// SPDX-License-Identifier: GPL-2.0-only
/* The plan is made by a worker: reading the mount tables and opening file systems may block. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abandoned.h"
#include "base/log.h"
#include "phases.h"

/* Workers beside those that may hang: one to name what FIFREEZE waits for, two to thaw with. */
#define SPARE_WORKERS	3

/**
 * plan_run() - make the plan
 * @job: embedded in a set
 * Context: worker.
 */
void plan_run(struct job *job)
{
	struct fsset *set = phase_set(job);
	const struct freezer *f = set->owner;

	set->result = f->source->build(f->source->ctx, set);
	job_finish(job);
}

/**
 * plan_begin() - have the plan made
 * @f: the freezer, without a set
 * @guard: the module's guard, or NULL
 * @cookie: of the request, for the guard
 * Return: an outcome.
 */
int plan_begin(struct freezer *f, struct guard *guard, uint32_t cookie)
{
	int err = pool_reserve(f->pool, 2);

	if (err)
		return err;
	f->set = calloc(1, sizeof(*f->set));
	if (!f->set)
		return -ENOMEM;
	f->set->ops = f->ops;
	f->set->owner = f;
	f->set->guard = guard_get(guard);
	f->set->cookie = cookie;
	phase_submit(f, &f->set->job, plan_run);
	return PHASE_RUNS;
}

/* A syncfs() that does not return is not called once more: it would cost one more worker. */
static void skip_if_still_syncing(const struct freezer *f, struct target *t)
{
	if (!t->optional || !abandoned_syncs(f, t->dev))
		return;
	t->state = TARGET_STUCK;
	t->freezable = false;
	t->note = "syncing it for an earlier backup has not ended";
	log_mount(LOG_WARNING, t->path, "skipped: %s", t->note);
}

/**
 * plan_done() - accept the plan, and reserve what carrying it out needs
 * @f: the freezer, in FREEZER_PLAN
 * Return: an outcome.
 */
int plan_done(struct freezer *f)
{
	struct fsset *set = f->set;
	int err = set->result;

	for (size_t i = 0; i < set->n; i++) {
		set->target[i].set = set;
		skip_if_still_syncing(f, &set->target[i]);
	}
	f->at.planned = f->ops->now_us();
	if (!err)
		err = pool_reserve(f->pool, (set->n < PARALLEL_MAX ? set->n : PARALLEL_MAX) +
				   SPARE_WORKERS);
	if (!err)
		blockers_prepare(f);
	else if (set->why[0])
		memcpy(f->why, set->why, sizeof(f->why));
	else
		reason_log(f->why, LOG_ERR, NULL, "cannot begin: %s", strerror(-err));
	return err ? err : PHASE_DONE;
}
