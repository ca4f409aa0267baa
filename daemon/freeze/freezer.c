// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "abandoned.h"
#include "base/log.h"
#include "freezer.h"
#include "fsjob.h"
#include "phases.h"

/* Ending */

static void drop_set(struct freezer *f)
{
	struct fsset *set = f->set;

	blockers_drop(f);
	f->set = NULL;
	if (set && set->in_flight)
		abandoned_keep(f, set);
	else
		fsset_free(set);
}

static void record(const struct freezer *f)
{
	if (f->record)
		f->record(f->record_ctx, f);
}

/* File systems were mounted during the freeze: make a new plan. */
static int start_over(struct freezer *f)
{
	struct guard *guard = guard_get(f->set->guard);
	uint32_t cookie = f->set->cookie;
	int outcome;

	drop_set(f);
	f->at = (struct freezer_times){ .begun = f->at.begun };
	f->culprits.n = 0;
	f->culprits.more = 0;
	f->state = FREEZER_PLAN;
	outcome = plan_begin(f, guard, cookie);
	guard_put(guard, f->ops);
	if (outcome < 0)
		reason_log(f->why, LOG_ERR, NULL, "cannot start over: %s", strerror(-outcome));
	return outcome;
}

/* After a thaw: nothing of ours is frozen any more, or it can't be thawed by us. */
static int end(struct freezer *f)
{
	bool again = f->again && !f->failed;

	f->at.thawed = f->ops->now_us();
	phase_hold_until(f, 0);
	f->again = false;
	phase_hold_log(f, false);
	if (again)
		return start_over(f);
	if (f->goal == FREEZER_THAW_OK && f->failed)
		f->goal = FREEZER_THAW_FAILED;
	record(f);
	drop_set(f);
	f->report(f->ctx, f->goal);
	return PHASE_RUNS;
}

/* The course */

/* Every file system is frozen, and verified to be. */
static int hold(struct freezer *f)
{
	evidence_begin(&f->set->evidence, f->ops->sleep_ms);
	f->at.frozen = f->ops->now_us();
	/* However long freezing took, the host gets the whole of its time. */
	phase_hold_until(f, f->at.frozen + f->config->hold_us);
	f->report(f->ctx, FREEZER_FREEZE_OK);
	return PHASE_RUNS;
}

/*
 * What each phase begins with, and what follows it when it is done, or when an earlier one has to
 * be repeated. A thaw ends in FREEZER_IDLE, where ->goal is reported, or ->again makes a new plan.
 */
static const struct {
	int (*begin)(struct freezer *f);
	enum freezer_state done;
	enum freezer_state again;
} course[] = {
	[FREEZER_IDLE]	    = { .begin = end },
	[FREEZER_PLAN]	    = { .done = FREEZER_WRITEBACK },
	[FREEZER_WRITEBACK] = { .begin = writeback_begin, .done = FREEZER_SYNC },
	[FREEZER_SYNC]	    = { .begin = sync_begin, .done = FREEZER_BLOCKERS },
	[FREEZER_BLOCKERS]  = { .begin = blockers_begin, .done = FREEZER_FREEZE,
				.again = FREEZER_SYNC },
	[FREEZER_FREEZE]    = { .begin = freeze_begin, .done = FREEZER_VERIFY },
	[FREEZER_VERIFY]    = { .begin = verify_begin, .done = FREEZER_FROZEN,
				.again = FREEZER_THAW },
	[FREEZER_FROZEN]    = { .begin = hold },
	[FREEZER_THAW]	    = { .begin = thaw_begin, .done = FREEZER_IDLE },
};

static void fail(struct freezer *f, int err);

/* Act on a phase's outcome: begin what follows, until a job or a deadline has to be awaited. */
static void go_on(struct freezer *f, int outcome)
{
	while (outcome == PHASE_DONE || outcome == PHASE_AGAIN) {
		f->state = outcome == PHASE_DONE ? course[f->state].done : course[f->state].again;
		outcome = course[f->state].begin(f);
	}
	if (outcome < 0)
		fail(f, outcome);
}

/* Thaw what is frozen, then report @goal. */
static void thaw(struct freezer *f, enum freezer_event goal)
{
	f->goal = goal;
	f->state = FREEZER_THAW;
	go_on(f, thaw_begin(f));
}

/* End a freeze that has not succeeded; ->why says why. Thaw, then report the failure. */
static void fail(struct freezer *f, int err)
{
	f->error = err;
	f->failed = true;
	if (f->set)
		phase_abandon_jobs(f);
	if (f->state == FREEZER_PLAN) {
		f->state = FREEZER_IDLE;
		record(f);
		drop_set(f);
		f->report(f->ctx, FREEZER_FAILED);
		return;
	}
	thaw(f, FREEZER_FAILED);
}

/* Results of jobs. One that belongs to a phase that is over changes nothing. */

static bool is_job_of_set(const struct job *job)
{
	return job->run == plan_run || job->run == verify_run || job->run == thaw_check_mounts;
}

static int set_job_done(struct freezer *f, const struct job *job)
{
	if (job->run == plan_run && f->state == FREEZER_PLAN)
		return plan_done(f);
	if (job->run == verify_run && f->state == FREEZER_VERIFY)
		return verify_done(f);
	if (job->run == thaw_check_mounts && f->state == FREEZER_THAW)
		return thaw_mounts_checked(f);
	return PHASE_RUNS;
}

static int target_job_done(struct freezer *f, const struct job *job, struct target *t)
{
	if (job->run == fsjob_thaw)
		return thaw_done(f, t);
	if (job->run == fsjob_sync && f->state == FREEZER_SYNC)
		return sync_done(f, t);
	if (job->run == fsjob_freeze && f->state == FREEZER_FREEZE)
		return freeze_done(f, t);
	return PHASE_RUNS;
}

/**
 * freezer_job_done() - accept a job's result
 * @f: the freezer
 * @job: from pool_next_done(); one that @f has submitted
 * Context: main thread.
 */
void freezer_job_done(struct freezer *f, struct job *job)
{
	bool counts = atomic_load(&job->phase) == JOB_DONE;
	bool of_set = is_job_of_set(job);
	struct fsset *set;

	if (blockers_owns(job)) {
		go_on(f, blockers_job_done(f, job));
		return;
	}
	set = of_set ? phase_set(job) : fsjob_target(job)->set;
	set->in_flight--;
	atomic_store(&job->phase, JOB_IDLE);
	if (set != f->set)
		abandoned_done(f, set);
	else if (counts && of_set)
		go_on(f, set_job_done(f, job));
	else if (counts)
		go_on(f, target_job_done(f, job, fsjob_target(job)));
}

/* Requests */

/**
 * freezer_begin() - begin a freeze
 * @f: the freezer, idle
 * @guard: the module's guard, or NULL
 * @cookie: of the request, for the guard
 *
 * A syncfs() of an earlier freeze that has not returned does not matter: this freeze's own syncfs()
 * waits for the same data.
 * Return: 0, and a report will follow; or a negative errno: -EBUSY if another call of an earlier
 *	freeze still hangs in the kernel.
 */
int freezer_begin(struct freezer *f, struct guard *guard, uint32_t cookie)
{
	int64_t now = f->ops->now_us();
	int outcome;

	if (f->state != FREEZER_IDLE || f->stuck || abandoned_too_many(f))
		return -EBUSY;
	f->failed = false;
	f->again = false;
	f->error = 0;
	f->why[0] = '\0';
	f->stuck_why[0] = '\0';
	f->culprits.n = 0;
	f->culprits.more = 0;
	f->attempt = 0;
	f->at = (struct freezer_times){ .begun = now };
	f->freeze_deadline = now + f->config->freeze_us;
	outcome = plan_begin(f, guard, cookie);
	if (outcome < 0)
		return outcome;
	f->state = FREEZER_PLAN;
	return 0;
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
	evidence_end(&f->set->evidence);
	thaw(f, FREEZER_THAW_OK);
	return 0;
}

/**
 * freezer_abort() - end a freeze, in whatever phase it is
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
	reason_log(f->why, LOG_WARNING, NULL, "%s: %s",
		   f->state == FREEZER_FROZEN ? "thawing" : "stopping", why);
	if (f->state == FREEZER_FROZEN)
		thaw(f, FREEZER_BROKEN);
	else
		fail(f, -ECANCELED);
}

/**
 * freezer_tick() - act on a deadline that has passed
 * @f: the freezer
 * Context: main thread, whenever freezer_deadline() is due, or more often.
 */
void freezer_tick(struct freezer *f)
{
	int64_t now = f->ops->now_us();

	if (f->state == FREEZER_IDLE || now < freezer_deadline(f))
		return;
	if (f->state == FREEZER_THAW && now >= f->thaw_deadline) {
		go_on(f, thaw_give_up(f));
	} else if (f->state == FREEZER_THAW) {
		f->patience = 0;
		go_on(f, thaw_next(f));
	} else if (f->state == FREEZER_FROZEN) {
		freezer_abort(f, "frozen for as long as is allowed");
	} else if (f->state == FREEZER_WRITEBACK) {
		go_on(f, writeback_poll(f));
	} else if (now < phase_limit(f) && f->state == FREEZER_BLOCKERS) {
		go_on(f, blockers_late(f));
	} else if (now < phase_limit(f) && f->state == FREEZER_FREEZE) {
		blockers_identify(f);
	} else if (f->state == FREEZER_SYNC && now >= f->optional_deadline) {
		go_on(f, sync_give_up(f));
	} else {
		phase_report_timeout(f);
		fail(f, -ETIMEDOUT);
	}
}

/**
 * freezer_is_idle() - is nothing frozen, nor about to be?
 * @f: the freezer
 * Return: true if so; a call of an earlier freeze may still hang.
 */
bool freezer_is_idle(const struct freezer *f)
{
	return f->state == FREEZER_IDLE;
}

/**
 * freezer_is_frozen() - is every file system frozen, until a thaw is requested?
 * @f: the freezer
 * Return: true if so.
 */
bool freezer_is_frozen(const struct freezer *f)
{
	return f->state == FREEZER_FROZEN;
}

/**
 * freezer_hangs() - does a call of an earlier freeze still hang in the kernel?
 * @f: the freezer
 * Return: NULL if not; else what that freeze has failed with, maybe an empty string.
 */
const char *freezer_hangs(const struct freezer *f)
{
	return f->stuck ? f->stuck_why : NULL;
}

/**
 * freezer_now_us() - the clock of its deadlines
 * @f: the freezer
 * Return: in us.
 */
int64_t freezer_now_us(const struct freezer *f)
{
	return f->ops->now_us();
}
