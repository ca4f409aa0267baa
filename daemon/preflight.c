// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooklist.h"
#include "log.h"
#include "preflight.h"

#define LATER_US	1000000LL	/* long enough for the FREEZE that follows at once */

/* Looking: in a worker */

static struct preflight *preflight_of(struct job *job)
{
	return (struct preflight *)((char *)job - offsetof(struct preflight, job));
}

static int look_at_mounts(struct preflight *p)
{
	struct fsset *set;
	int err;

	if (!p->thorough)
		return fsset_look(p->plan, p->found_why);
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->ops = p->ops;
	err = fsset_build((void *)p->plan, set);
	memcpy(p->found_why, set->why, sizeof(p->found_why));
	fsset_free(set);
	return err;
}

/* What would make the calling of hooks fail before the first one is called. */
static int look_at_hooks(const struct hooks_config *c, char why[FSSET_WHY])
{
	struct hooklist list = { 0 };
	int found = c->where ? hooklist_any(c->where) : 0, err = found < 0 ? found : 0;

	if (err == -ENOENT && c->optional)
		return 0;
	if (found > 0)
		err = hooklist_read(&list, c->where, geteuid());
	hooklist_log_refused(&list);
	if (list.refused) {
		snprintf(why, FSSET_WHY, "hook %.150s: %.80s", list.refusal[0].path,
			 list.refusal[0].why);
		err = -EPERM;
	} else if (err) {
		fsset_blame(why, LOG_ERR, NULL, "hooks: %.150s: %s", c->where, strerror(-err));
	}
	hooklist_free(&list);
	return c->keep_going ? 0 : err;
}

static void run_look(struct job *job)
{
	struct preflight *p = preflight_of(job);

	p->found_why[0] = '\0';
	p->found_table = -1;
	/* Before the look: what changes during it has changed since. */
	if (p->thorough)
		p->found_table = p->ops->open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	p->found = look_at_mounts(p);
	if (!p->found)
		p->found = look_at_hooks(p->hooks, p->found_why);
	if (p->found && !p->found_why[0])
		snprintf(p->found_why, sizeof(p->found_why), "%s", strerror(-p->found));
	job_finish(job);
}

/* Deciding: in the main thread */

static void close_table(struct preflight *p, int *table)
{
	if (*table >= 0)
		p->ops->close(*table);
	*table = -1;
}

/* The kernel tells it once for each descriptor; as an error, so also to who only wants to read. */
static bool unchanged(struct preflight *p)
{
	int events = p->table < 0 ? -1 : p->ops->poll_in(p->table, 0);

	if (events >= 0 && !(events & POLLERR))
		return true;
	preflight_forget(p);
	return false;
}

static int begin(struct preflight *p, bool thorough)
{
	int err = pool_reserve(p->pool, 1);

	if (err) {
		snprintf(p->why, sizeof(p->why), "cannot look: %s", strerror(-err));
		return err;
	}
	p->thorough = thorough;
	p->running = true;
	p->early = false;
	p->job.run = run_look;
	pool_submit(p->pool, &p->job);
	return 0;
}

static bool given_up(const struct preflight *p)
{
	return p->running && atomic_load(&p->job.phase) == JOB_ABANDONED;
}

/**
 * preflight_init() - know nothing
 * @p: with ->plan, ->hooks, ->ops, ->pool, ->report and ->ctx
 */
void preflight_init(struct preflight *p)
{
	p->table = -1;
	p->found_table = -1;
	p->due = INT64_MAX;
}

/**
 * preflight_forget() - let the next question be answered by a look
 * @p: the preflight
 */
void preflight_forget(struct preflight *p)
{
	p->ready = false;
	close_table(p, &p->table);
}

/**
 * preflight_ask() - can a backup be made?
 * @p: the preflight; nobody waits for an earlier question's answer
 * @limit_us: time for the answer
 *
 * Return: 1: yes, and somebody should look afterwards; 0: a report will follow; a negative errno:
 *	no, ->why says why.
 */
int preflight_ask(struct preflight *p, int64_t limit_us)
{
	int err = 0;

	if (p->ready && unchanged(p))
		return 1;
	preflight_stand_by(p);
	if (given_up(p)) {
		snprintf(p->why, sizeof(p->why), "an earlier look still hangs in the kernel");
		return -EBUSY;
	}
	p->deadline = p->ops->now_us() + limit_us;
	if (p->running)
		p->early = true;
	else
		err = begin(p, true);
	p->asked = !err;
	return err;
}

/**
 * preflight_drop() - nobody waits for the answer any more
 * @p: the preflight
 * Return: true if somebody had.
 */
bool preflight_drop(struct preflight *p)
{
	bool asked = p->asked;

	p->asked = false;
	return asked;
}

static void look(struct preflight *p, bool thorough, int64_t limit_us)
{
	if (p->running)
		return;
	p->deadline = p->ops->now_us() + limit_us;
	if (begin(p, thorough))
		preflight_forget(p);
}

/**
 * preflight_look() - look without being asked, so that there is an answer when somebody asks
 * @p: the preflight
 * @limit_us: time for it
 *
 * For a moment, the file systems can't be unmounted.
 */
void preflight_look(struct preflight *p, int64_t limit_us)
{
	preflight_forget(p);
	look(p, true, limit_us);
}

/**
 * preflight_look_later() - look soon after an answer from memory; open nothing
 * @p: the preflight
 * @limit_us: time for it
 */
void preflight_look_later(struct preflight *p, int64_t limit_us)
{
	p->due = p->ops->now_us() + LATER_US;
	p->limit_us = limit_us;
}

/**
 * preflight_stand_by() - don't look unless asked: a freeze begins
 * @p: the preflight
 */
void preflight_stand_by(struct preflight *p)
{
	p->due = INT64_MAX;
}

/**
 * preflight_is_due() - was an answer given from memory just now?
 * @p: the preflight
 * Return: true until somebody looks, or a freeze begins.
 */
bool preflight_is_due(const struct preflight *p)
{
	return p->due != INT64_MAX;
}

static void take_result(struct preflight *p)
{
	if (p->found) {
		preflight_forget(p);
		memcpy(p->why, p->found_why, sizeof(p->why));
		if (!p->asked)
			log_msg(LOG_WARNING, "a backup would fail now: %s", p->why);
	} else if (p->thorough) {
		close_table(p, &p->table);
		p->table = p->found_table;
		p->found_table = -1;
		p->ready = true;
	}
	close_table(p, &p->found_table);
}

static void tell(struct preflight *p, bool ok)
{
	p->asked = false;
	p->report(p->ctx, ok);
}

/**
 * preflight_job_done() - take a job's result
 * @p: the preflight
 * @job: from pool_next_done()
 * Context: main thread.
 * Return: false if the job is somebody else's.
 */
bool preflight_job_done(struct preflight *p, struct job *job)
{
	bool counts = atomic_load(&job->phase) == JOB_DONE;

	if (job != &p->job)
		return false;
	atomic_store(&job->phase, JOB_IDLE);
	p->running = false;
	if (!counts) {
		close_table(p, &p->found_table);
		log_msg(LOG_NOTICE, "the look for what stands in a backup's way has come back");
		return true;
	}
	take_result(p);
	if (!p->asked)
		return true;
	/* Begun before the question, and not good enough for it. */
	if (p->early && !(p->ready && unchanged(p))) {
		if (begin(p, true))
			tell(p, false);
		return true;
	}
	tell(p, !p->found);
	return true;
}

/**
 * preflight_tick() - see whether it is time to look, or the deadline has passed
 * @p: the preflight
 * Context: main thread, whenever preflight_deadline() is due, or more often.
 */
void preflight_tick(struct preflight *p)
{
	int64_t now = p->ops->now_us();

	if (now >= p->due) {
		p->due = INT64_MAX;
		look(p, false, p->limit_us);
	}
	if (!p->running || now < p->deadline || !job_abandon(&p->job))
		return;
	preflight_forget(p);
	p->why[0] = '\0';
	fsset_blame(p->why, LOG_ERR, NULL,
		    "looking for what is to be frozen was not done within the time allowed");
	if (p->asked)
		tell(p, false);
}

/**
 * preflight_deadline() - when preflight_tick() must be called next
 * @p: the preflight
 * Return: a time of ops->now_us(), or INT64_MAX.
 */
int64_t preflight_deadline(const struct preflight *p)
{
	int64_t deadline = p->running && !given_up(p) ? p->deadline : INT64_MAX;

	return p->due < deadline ? p->due : deadline;
}
