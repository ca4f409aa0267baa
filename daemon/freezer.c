// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "freezer.h"
#include "fsjob.h"
#include "log.h"
#include "phases.h"

/**
 * freezer_hold_log() - keep the log in memory, or no longer
 * @f: the freezer
 * @hold: something is about to be frozen; false: nothing of ours is
 */
void freezer_hold_log(struct freezer *f, bool hold)
{
	if (f->held != hold)
		log_hold(hold);
	f->held = hold;
}

/* Planning */

static void run_build(struct job *job)
{
	struct fsset *set = freezer_set_of(job);
	const struct freezer *f = set->owner;

	set->result = f->source->build(f->source->ctx, set);
	job_finish(job);
}

static int begin_plan(struct freezer *f, struct guard *guard, uint32_t cookie)
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
	f->state = FREEZER_PLAN;
	freezer_submit(f, &f->set->job, run_build);
	return 0;
}

/* After a thaw */

/**
 * freezer_hold_until() - set the hold deadline, also where it outlives us
 * @f: the freezer, with a set
 * @deadline: a time of ops->now_us(); 0: nothing is frozen
 */
void freezer_hold_until(struct freezer *f, int64_t deadline)
{
	f->hold_deadline = deadline;
	if (f->set->until)
		atomic_store(f->set->until, deadline);
}

/* A set with a job that hangs is kept: the worker will come back to it, or never. */
static void drop_set(struct freezer *f)
{
	struct fsset *set = f->set;

	f->set = NULL;
	if (set && set->in_flight) {
		set->next = f->stuck;
		f->stuck = set;
	} else {
		fsset_free(set);
	}
}

static void record(const struct freezer *f)
{
	if (f->record)
		f->record(f->ctx, f);
}

static void start_over(struct freezer *f)
{
	struct guard *guard = guard_get(f->set->guard);
	uint32_t cookie = f->set->cookie;
	int err;

	drop_set(f);
	f->at = (struct freezer_times){ .begun = f->at.begun };
	err = begin_plan(f, guard, cookie);
	guard_put(guard, f->ops);
	if (err) {
		f->state = FREEZER_IDLE;
		f->error = err;
		fsset_blame(f->why, LOG_ERR, NULL, "cannot start over: %s", strerror(-err));
		record(f);
		f->report(f->ctx, FREEZER_FAILED);
	}
}

/**
 * freezer_thawed() - go on after a thaw
 * @f: the freezer; nothing of ours is frozen any more, or what is can't be helped
 */
void freezer_thawed(struct freezer *f)
{
	bool again = f->again && !f->failed;

	f->at.thawed = f->ops->now_us();
	freezer_hold_until(f, 0);
	f->again = false;
	freezer_hold_log(f, false);
	if (again) {
		start_over(f);
		return;
	}
	if (f->goal == FREEZER_THAW_OK && f->failed)
		f->goal = FREEZER_THAW_FAILED;
	f->state = FREEZER_IDLE;
	record(f);
	drop_set(f);
	f->report(f->ctx, f->goal);
}

/* Failing */

/* A FIFREEZE that returns from now on is undone by its worker. */
static void abandon_all(struct freezer *f)
{
	struct fsset *set = f->set;

	if (job_awaited(&set->job))
		job_abandon(&set->job);
	if (f->state == FREEZER_PLAN)
		return;		/* the worker is still filling the set */
	for (size_t i = 0; i < set->n; i++) {
		struct target *t = &set->target[i];

		if (!job_awaited(&t->job))
			continue;
		if (job_abandon(&t->job)) {
			log_mount(LOG_ERR, t->path, "%s has not come back",
				  t->job.run == fsjob_sync ? "writing out" : "FIFREEZE");
			t->state = TARGET_STUCK;
			t->note = "a call has not come back";
		} else if (t->job.run == fsjob_freeze && !t->result) {
			t->state = TARGET_FROZEN;	/* just back */
		}
	}
}

/**
 * freezer_fail() - give up, thaw, and report that it has failed
 * @f: the freezer, neither idle nor frozen nor thawing; ->why says why
 * @err: a negative errno
 */
void freezer_fail(struct freezer *f, int err)
{
	f->error = err;
	f->failed = true;
	abandon_all(f);
	if (f->state == FREEZER_PLAN) {
		f->state = FREEZER_IDLE;
		record(f);
		drop_set(f);
		f->report(f->ctx, FREEZER_FAILED);
		return;
	}
	thaw_begin(f, FREEZER_FAILED);
}

static void plan_done(struct freezer *f)
{
	struct fsset *set = f->set;
	int err = set->result;

	for (size_t i = 0; i < set->n; i++)
		set->target[i].set = set;
	f->at.planned = f->ops->now_us();
	/* Room for one hanging call on each, and one more to work with. */
	if (!err)
		err = pool_reserve(f->pool, (set->n < PARALLEL_MAX ? set->n : PARALLEL_MAX) + 2);
	if (err) {
		if (set->why[0])
			memcpy(f->why, set->why, sizeof(f->why));
		else
			fsset_blame(f->why, LOG_ERR, NULL, "cannot begin: %s", strerror(-err));
		freezer_fail(f, err);
	} else {
		flush_begin(f);
	}
}

/* A set that was given up is freed when its last worker has come back. */
static void stuck_done(struct freezer *f, struct fsset *set)
{
	struct fsset **link = &f->stuck;

	if (set->in_flight)
		return;
	while (*link && *link != set)
		link = &(*link)->next;
	if (*link)
		*link = set->next;
	log_msg(LOG_NOTICE, "the calls that hung have come back");
	fsset_free(set);
}

static void set_job_done(struct freezer *f, const struct job *job)
{
	if (job->run == run_build && f->state == FREEZER_PLAN)
		plan_done(f);
	else if (job->run == freeze_verify && f->state == FREEZER_VERIFY)
		freeze_verified(f);
}

static void target_job_done(struct freezer *f, const struct job *job, struct target *t)
{
	if (job->run == fsjob_thaw)
		thaw_done(f, t);
	else if (job->run == fsjob_sync && f->state == FREEZER_SYNC)
		sync_done(f, t);
	else if (job->run == fsjob_freeze && f->state == FREEZER_FREEZE)
		freeze_done(f, t);
}

/**
 * freezer_job_done() - take a job's result
 * @f: the freezer
 * @job: from pool_next_done(); one that @f has submitted
 * Context: main thread.
 */
void freezer_job_done(struct freezer *f, struct job *job)
{
	bool on_set = job->run == run_build || job->run == freeze_verify;
	struct fsset *set = on_set ? freezer_set_of(job) : fsjob_target(job)->set;
	bool counts = atomic_load(&job->phase) == JOB_DONE;

	set->in_flight--;
	atomic_store(&job->phase, JOB_IDLE);
	if (set != f->set)
		stuck_done(f, set);
	else if (counts && on_set)
		set_job_done(f, job);
	else if (counts)
		target_job_done(f, job, fsjob_target(job));
}

/**
 * freezer_begin() - begin a freeze
 * @f: the freezer, idle
 * @guard: the module's guard, or NULL
 * @cookie: of the request, for the guard
 *
 * Return: 0, and a report will follow; or a negative errno: -EBUSY if a call of an earlier freeze
 * still hangs in the kernel.
 */
int freezer_begin(struct freezer *f, struct guard *guard, uint32_t cookie)
{
	int64_t now = f->ops->now_us();

	if (f->state != FREEZER_IDLE || f->stuck)
		return -EBUSY;
	f->failed = false;
	f->again = false;
	f->error = 0;
	f->why[0] = '\0';
	f->attempt = 0;
	f->at = (struct freezer_times){ .begun = now };
	f->freeze_deadline = now + f->config->freeze_us;
	return begin_plan(f, guard, cookie);
}

/**
 * freezer_thaw() - thaw on request
 * @f: the freezer
 * Return: 0, and a report will follow; or -EINVAL if nothing is frozen.
 */
int freezer_thaw(struct freezer *f)
{
	if (f->state != FREEZER_FROZEN)
		return -EINVAL;
	thaw_begin(f, FREEZER_THAW_OK);
	return 0;
}

/**
 * freezer_abort() - end whatever is going on
 * @f: the freezer
 * @why: for the log
 *
 * A report follows unless the freezer is idle; it may come before the return.
 */
void freezer_abort(struct freezer *f, const char *why)
{
	if (f->state == FREEZER_IDLE)
		return;
	f->failed = true;
	if (f->state == FREEZER_THAW)
		return;
	fsset_blame(f->why, LOG_WARNING, NULL, "%s: %s",
		    f->state == FREEZER_FROZEN ? "thawing" : "stopping", why);
	if (f->state == FREEZER_FROZEN)
		thaw_begin(f, FREEZER_BROKEN);
	else
		freezer_fail(f, -ECANCELED);
}

static void blame_late(struct freezer *f)
{
	const char *what = f->state == FREEZER_PLAN ? "making the plan" :
			   f->state == FREEZER_FLUSH || f->state == FREEZER_SYNC ? "writing out" :
			   f->state == FREEZER_FREEZE ? "FIFREEZE" : "looking for new mounts";
	const char *path = NULL;

	for (size_t i = 0; f->state != FREEZER_PLAN && i < f->set->n && !path; i++)
		if (job_awaited(&f->set->target[i].job))
			path = f->set->target[i].path;
	fsset_blame(f->why, LOG_ERR, path, "%s was not done within the time allowed", what);
}

/**
 * freezer_tick() - see whether a deadline has passed
 * @f: the freezer
 * Context: main thread, whenever freezer_deadline() is due, or more often.
 */
void freezer_tick(struct freezer *f)
{
	int64_t now = f->ops->now_us();

	if (f->state == FREEZER_IDLE || now < freezer_deadline(f))
		return;
	if (f->state == FREEZER_THAW && now >= f->thaw_deadline) {
		thaw_give_up(f);
	} else if (f->state == FREEZER_THAW) {
		f->patience = 0;
		thaw_next(f);
	} else if (f->state == FREEZER_FROZEN) {
		freezer_abort(f, "frozen for as long as is allowed");
	} else if (f->state == FREEZER_FLUSH) {
		flush_look(f);
	} else {
		blame_late(f);
		freezer_fail(f, -ETIMEDOUT);
	}
}

/**
 * freezer_deadline() - when freezer_tick() must be called next
 * @f: the freezer
 * Return: a time of ops->now_us(), or INT64_MAX.
 */
int64_t freezer_deadline(const struct freezer *f)
{
	int64_t first = INT64_MAX;

	switch (f->state) {
	case FREEZER_IDLE:
		return INT64_MAX;
	case FREEZER_FROZEN:
		return f->hold_deadline;
	case FREEZER_FLUSH:
		return f->flush.look;	/* comes to an end well before any deadline */
	case FREEZER_THAW:
		if (f->patience)
			first = f->patience;
		return first < f->thaw_deadline ? first : f->thaw_deadline;
	default:
		if (f->hold_deadline)
			first = f->hold_deadline;
		if (f->state == FREEZER_SYNC && f->sync_deadline < first)
			first = f->sync_deadline;
		return first < f->freeze_deadline ? first : f->freeze_deadline;
	}
}
