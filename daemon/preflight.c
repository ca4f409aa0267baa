// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/log.h"
#include "hooks/hooklist.h"
#include "preflight.h"
#include "report/kernelwarn.h"

#define DELAY_US	1000000LL	/* of a scheduled preflight: FREEZE usually comes sooner */

/* In a worker */

static struct preflight *preflight_of(struct job *job)
{
	return container_of(job, struct preflight, job);
}

/* With --busy=wait blockers are only logged: the freeze will wait for them. */
static int check_blockers(struct preflight *p, const struct fsset *set)
{
	struct busy_config config;
	struct busy *b;
	char text[160];
	int err;

	if (!p->busy)
		return 0;
	config = *p->busy;
	config.wait = false;
	b = busy_new(set, &config);
	if (!b)
		return -ENOMEM;
	busy_check(b);
	p->result_culprits = b->found;
	for (size_t i = 0; i < b->found.n; i++) {
		culprit_words(text, sizeof(text), &b->found.one[i]);
		reason_log(p->result_reason, p->busy->wait ? LOG_NOTICE : LOG_ERR,
			   b->found.one[i].path, "cannot be frozen now: %s", text);
	}
	err = b->result == -EBUSY && !p->busy->wait ? -EBUSY : 0;
	busy_free(b);
	return err;
}

static int check_file_systems(struct preflight *p)
{
	struct fsset *set;
	int err;

	if (!p->full)
		return build_dry_run(p->plan, p->result_reason);
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->ops = p->ops;
	err = build_fsset((void *)p->plan, set);
	memcpy(p->result_reason, set->why, sizeof(p->result_reason));
	if (!err && p->kernel && !p->warned) {
		kernelwarn_log(p->kernel, set);
		p->warned = true;
	}
	if (!err)
		err = check_blockers(p, set);
	fsset_free(set);
	return err;
}

/* Finds errors that would make the backup fail before the first hook is called. */
static int check_hooks(const struct hooks_config *c, char why[REASON_SIZE])
{
	struct hooklist list = { 0 };
	int found = c->where ? hooklist_has_any(c->where) : 0, err = found < 0 ? found : 0;

	if (err == -ENOENT && c->optional)
		return 0;
	if (found > 0)
		err = hooklist_read(&list, c->where, geteuid());
	hooklist_log_refused(&list);
	if (list.refused) {
		snprintf(why, REASON_SIZE, "hook %.150s: %.80s", list.refusal[0].path,
			 list.refusal[0].why);
		err = -EPERM;
	} else if (err) {
		reason_log(why, LOG_ERR, NULL, "hooks: %.150s: %s", c->where, strerror(-err));
	}
	hooklist_free(&list);
	return c->keep_going ? 0 : err;
}

static void run(struct job *job)
{
	struct preflight *p = preflight_of(job);

	p->result_reason[0] = '\0';
	p->result_culprits.n = 0;
	p->result_mountinfo = -1;
	/* Opened before the plan is made, so that poll() reports changes made meanwhile. */
	if (p->full)
		p->result_mountinfo = p->ops->open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	p->result = check_file_systems(p);
	if (!p->result)
		p->result = check_hooks(p->hooks, p->result_reason);
	if (p->result && !p->result_reason[0])
		snprintf(p->result_reason, sizeof(p->result_reason), "%s", strerror(-p->result));
	job_finish(job);
}

/* In the main thread */

static void close_table(struct preflight *p, int *table)
{
	if (*table >= 0)
		p->ops->close(*table);
	*table = -1;
}

/* The kernel reports a change once for each descriptor, as POLLERR, which needs no request. */
static bool mounts_unchanged(struct preflight *p)
{
	int events = p->mountinfo < 0 ? -1 : p->ops->poll_in(p->mountinfo, 0);

	if (events >= 0 && !(events & POLLERR))
		return true;
	preflight_invalidate(p);
	return false;
}

static int begin(struct preflight *p, bool thorough)
{
	int err = pool_reserve(p->pool, 1);

	if (err) {
		snprintf(p->reason, sizeof(p->reason), "cannot start the preflight: %s",
			 strerror(-err));
		return err;
	}
	p->full = thorough;
	p->running = true;
	p->started_early = false;
	p->job.run = run;
	pool_submit(p->pool, &p->job);
	return 0;
}

static bool is_abandoned(const struct preflight *p)
{
	return p->running && atomic_load(&p->job.phase) == JOB_ABANDONED;
}

/**
 * preflight_init() - initialize
 * @p: with ->plan, ->hooks, ->ops, ->pool, ->report and ->ctx
 */
void preflight_init(struct preflight *p)
{
	p->mountinfo = -1;
	p->result_mountinfo = -1;
	p->scheduled = INT64_MAX;
}

/**
 * preflight_invalidate() - forget the result: the next request needs a full preflight
 * @p: the preflight
 */
void preflight_invalidate(struct preflight *p)
{
	p->passed = false;
	close_table(p, &p->mountinfo);
}

/**
 * preflight_request() - can a backup be made?
 * @p: the preflight; no earlier request waits for its answer
 * @limit_us: time limit for the answer
 *
 * Return: 1: yes, and the caller should call preflight_schedule(); 0: ->report will be called; a
 *	negative errno: no, ->reason is set.
 */
int preflight_request(struct preflight *p, int64_t limit_us)
{
	int err = 0;

	if (p->passed && mounts_unchanged(p))
		return 1;
	preflight_unschedule(p);
	if (is_abandoned(p)) {
		snprintf(p->reason, sizeof(p->reason),
			 "an earlier preflight still hangs in the kernel");
		return -EBUSY;
	}
	p->deadline = p->ops->now_us() + limit_us;
	if (p->running)
		p->started_early = true;
	else
		err = begin(p, true);
	p->requested = !err;
	return err;
}

/**
 * preflight_cancel() - cancel a request: the host no longer waits for the answer
 * @p: the preflight
 * Return: true if there was a request.
 */
bool preflight_cancel(struct preflight *p)
{
	bool asked = p->requested;

	p->requested = false;
	return asked;
}

static void start(struct preflight *p, bool thorough, int64_t limit_us)
{
	if (p->running)
		return;
	p->deadline = p->ops->now_us() + limit_us;
	if (begin(p, thorough))
		preflight_invalidate(p);
}

/**
 * preflight_start() - run a full preflight without a request, so that the result is known later
 * @p: the preflight
 * @limit_us: time limit
 *
 * While it has the file systems open they can't be unmounted.
 */
void preflight_start(struct preflight *p, int64_t limit_us)
{
	preflight_invalidate(p);
	start(p, true, limit_us);
}

/**
 * preflight_schedule() - run a quick preflight in DELAY_US, after an immediate answer
 * @p: the preflight
 * @limit_us: time limit
 */
void preflight_schedule(struct preflight *p, int64_t limit_us)
{
	p->scheduled = p->ops->now_us() + DELAY_US;
	p->limit_us = limit_us;
}

/**
 * preflight_unschedule() - cancel a scheduled preflight: a freeze begins
 * @p: the preflight
 */
void preflight_unschedule(struct preflight *p)
{
	p->scheduled = INT64_MAX;
}

/**
 * preflight_is_scheduled() - is a quick preflight scheduled?
 * @p: the preflight
 * Return: true until it runs, or until a freeze begins.
 */
bool preflight_is_scheduled(const struct preflight *p)
{
	return p->scheduled != INT64_MAX;
}

static void process_result(struct preflight *p)
{
	p->culprits = p->result_culprits;
	if (p->result) {
		preflight_invalidate(p);
		memcpy(p->reason, p->result_reason, sizeof(p->reason));
		if (!p->requested)
			log_msg(LOG_WARNING, "a backup would fail now: %s", p->reason);
	} else if (p->full) {
		close_table(p, &p->mountinfo);
		p->mountinfo = p->result_mountinfo;
		p->result_mountinfo = -1;
		p->passed = true;
	}
	close_table(p, &p->result_mountinfo);
}

static void report(struct preflight *p, bool ok)
{
	p->requested = false;
	p->report(p->ctx, ok);
}

/**
 * preflight_job_done() - process the result of a job
 * @p: the preflight
 * @job: from pool_next_done()
 * Context: main thread.
 * Return: false if the job is not the preflight's.
 */
bool preflight_job_done(struct preflight *p, struct job *job)
{
	bool valid = atomic_load(&job->phase) == JOB_DONE;

	if (job != &p->job)
		return false;
	atomic_store(&job->phase, JOB_IDLE);
	p->running = false;
	if (!valid) {
		close_table(p, &p->result_mountinfo);
		log_msg(LOG_NOTICE, "the preflight that timed out has returned");
		return true;
	}
	process_result(p);
	if (!p->requested)
		return true;
	/* It was started before the request, and does not allow a yes: run another one. */
	if (p->started_early && !(p->passed && mounts_unchanged(p))) {
		if (begin(p, true))
			report(p, false);
		return true;
	}
	report(p, !p->result);
	return true;
}

/**
 * preflight_tick() - start a scheduled preflight, and check the deadline of a running one
 * @p: the preflight
 * Context: main thread, whenever preflight_deadline() is due, or more often.
 */
void preflight_tick(struct preflight *p)
{
	int64_t now = p->ops->now_us();

	if (now >= p->scheduled) {
		p->scheduled = INT64_MAX;
		start(p, false, p->limit_us);
	}
	if (!p->running || now < p->deadline || !job_abandon(&p->job))
		return;
	preflight_invalidate(p);
	p->reason[0] = '\0';
	p->culprits.n = 0;
	reason_log(p->reason, LOG_ERR, NULL,
		   "the preflight was not done within the time allowed");
	if (p->requested)
		report(p, false);
}

/**
 * preflight_deadline() - when preflight_tick() must be called next
 * @p: the preflight
 * Return: a time of ops->now_us(), or INT64_MAX.
 */
int64_t preflight_deadline(const struct preflight *p)
{
	int64_t deadline = p->running && !is_abandoned(p) ? p->deadline : INT64_MAX;

	return p->scheduled < deadline ? p->scheduled : deadline;
}

/**
 * preflight_reason() - why no backup can be made
 * @p: the preflight, which has just failed
 * Return: the reason.
 */
const char *preflight_reason(const struct preflight *p)
{
	return p->reason;
}

/**
 * preflight_culprits() - the blockers that keep file systems from being frozen
 * @p: the preflight, which has just failed
 * Return: the blockers; none if it has failed for another reason.
 */
const struct culprits *preflight_culprits(const struct preflight *p)
{
	return &p->culprits;
}
