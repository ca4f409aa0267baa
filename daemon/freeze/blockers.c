// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two checks for what keeps a file system from being frozen: one before any program has to wait,
 * and one that identifies what a slow FIFREEZE waits for. A backup needs neither: a check that
 * hangs is given up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/embed.h"
#include "base/log.h"
#include "phases.h"

#define PATIENCE_US	6000000LL	/* for a check: twice what it takes at most */
#define IDENTIFY_US	1000000LL	/* of a FIFREEZE, before its blocker is identified */

static struct busy *busy_of(struct job *job)
{
	return container_of(job, struct busy, job);
}

static void run_check(struct job *job)
{
	busy_check(busy_of(job));
	job_finish(job);
}

static void run_identify(struct job *job)
{
	busy_name(busy_of(job));
	job_finish(job);
}

static void submit(struct freezer *f, void (*run)(struct job *job))
{
	f->busy->job.run = run;
	pool_submit(f->pool, &f->busy->job);
}

/**
 * blockers_prepare() - allocate what the checks need, while nothing is frozen
 * @f: the freezer, just planned
 */
void blockers_prepare(struct freezer *f)
{
	if (!f->source->busy || f->lost_checks)
		return;
	f->busy = busy_new(f->set, f->source->busy);
	if (!f->busy)
		log_msg(LOG_WARNING,
			"cannot check what keeps file systems from being frozen: no memory");
}

/**
 * blockers_drop() - end the checks
 * @f: the freezer
 *
 * A check that hangs keeps its worker until it returns.
 */
void blockers_drop(struct freezer *f)
{
	struct busy *b = f->busy;

	f->busy = NULL;
	if (b && job_pending(&b->job)) {
		job_abandon(&b->job);
		f->lost_checks++;
	} else {
		busy_free(b);
	}
}

/**
 * blockers_begin() - check whether every file system can be frozen at once
 * @f: the freezer, flushed
 * Return: an outcome; PHASE_AGAIN: much may have become dirty meanwhile.
 */
int blockers_begin(struct freezer *f)
{
	int64_t now = f->ops->now_us();

	if (!f->busy)
		return PHASE_DONE;
	f->busy->until = f->sync_deadline < f->freeze_deadline ? f->sync_deadline :
								 f->freeze_deadline;
	/* Its result has to be there before the deadline. */
	f->busy->until -= 2 * BUSY_DISK_US;
	f->blockers_deadline = f->busy->config->wait ? INT64_MAX : now + PATIENCE_US;
	submit(f, run_check);
	return PHASE_RUNS;
}

/**
 * blockers_late() - go on without a check that has not returned
 * @f: the freezer, in FREEZER_BLOCKERS
 * Return: an outcome.
 */
int blockers_late(struct freezer *f)
{
	log_msg(LOG_WARNING, "the check for what keeps file systems from being frozen "
		"hangs; they are frozen without it");
	blockers_drop(f);
	return PHASE_DONE;
}

static void report_culprits(struct freezer *f)
{
	char text[REASON_SIZE];

	for (size_t i = 0; i < f->culprits.n; i++) {
		const struct culprit *c = &f->culprits.one[i];

		culprit_words(text, sizeof(text), c);
		reason_log(f->why, LOG_ERR, c->path, "cannot be frozen now: %s", text);
	}
	for (size_t i = 0; i < f->set->n; i++)
		for (size_t k = 0; k < f->culprits.n; k++)
			f->set->target[i].failed |= !strcmp(f->set->target[i].path,
							    f->culprits.one[k].path);
}

static int check_done(struct freezer *f)
{
	struct busy *b = f->busy;

	if (b->result == -EBUSY) {
		f->culprits = b->found;
		report_culprits(f);
		return -EBUSY;
	}
	if (b->result)
		log_msg(LOG_WARNING, "cannot check what keeps file systems from being frozen: %s",
			strerror(-b->result));
	return b->waited ? PHASE_AGAIN : PHASE_DONE;
}

/**
 * blockers_owns() - is a job one of these checks?
 * @job: from pool_next_done()
 * Return: true if so.
 */
bool blockers_owns(const struct job *job)
{
	return job->run == run_check || job->run == run_identify;
}

/**
 * blockers_job_done() - accept a job's result
 * @f: the freezer
 * @job: one that blockers_owns() is true of
 * Return: an outcome.
 */
int blockers_job_done(struct freezer *f, struct job *job)
{
	bool counts = atomic_load(&job->phase) == JOB_DONE;

	atomic_store(&job->phase, JOB_IDLE);
	if (busy_of(job) != f->busy) {
		f->lost_checks--;
		busy_free(busy_of(job));
	} else if (counts && job->run == run_identify) {
		f->culprits = f->busy->found;
	} else if (counts && f->state == FREEZER_BLOCKERS) {
		return check_done(f);
	}
	return PHASE_RUNS;
}

/**
 * blockers_identify() - begin to identify what FIFREEZE waits for
 * @f: the freezer, in FREEZER_FREEZE; ->identify_at is due
 */
void blockers_identify(struct freezer *f)
{
	int64_t quarter = f->config->fifreeze_us / 4;

	f->identify_at = f->ops->now_us() + (quarter < IDENTIFY_US ? IDENTIFY_US : quarter);
	if (!f->busy || job_pending(&f->busy->job))
		return;
	for (size_t i = 0; i < f->set->n && i < f->busy->n; i++)
		f->busy->fs[i].wanted = job_awaited(&f->set->target[i].job);
	submit(f, run_identify);
}

/**
 * blockers_identify_later() - identify what FIFREEZE waits for if it does not return soon
 * @f: the freezer, about to freeze
 */
void blockers_identify_later(struct freezer *f)
{
	int64_t quarter = f->config->fifreeze_us / 4;

	f->culprits.n = 0;
	f->culprits.more = 0;
	f->identify_at = f->ops->now_us() + (quarter < IDENTIFY_US ? quarter : IDENTIFY_US);
}
