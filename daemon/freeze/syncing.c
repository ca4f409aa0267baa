// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flushing before the freeze. What is dirty when a file system is frozen is written while its
 * writers wait, so little should be left. During a long round of syncfs() much becomes dirty again.
 * Another round follows if this one has left less than half of the dirty amount. If it has not, a
 * program dirties as much as the disk takes, and one more round would not help.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "fsjob.h"
#include "phases.h"

#define ROUNDS_MAX	5
#define SHORT_US	100000LL	/* after a round of this length little is dirty */
#define OPTIONAL_US	10000000LL	/* for optional file systems, when all else is flushed */

static void submit_syncs(struct freezer *f, bool optional)
{
	for (size_t i = 0; i < f->set->n; i++) {
		struct target *t = &f->set->target[i];

		if (t->state != TARGET_STUCK && t->optional == optional)
			phase_submit(f, &t->job, fsjob_sync);
	}
}

static int begin_round(struct freezer *f)
{
	struct fsset *set = f->set;

	f->round_begun = f->ops->now_us();
	f->optional_deadline = INT64_MAX;
	f->syncing = 0;
	for (size_t i = 0; i < set->n; i++)
		f->syncing += set->target[i].state != TARGET_STUCK;
	f->round_dirty = f->ops->dirty_kib();
	/* Also the quick ones: they were written to while the slow ones were flushed. */
	submit_syncs(f, false);
	/* After the others: if they hang, they may occupy all workers. */
	submit_syncs(f, true);
	return f->syncing ? PHASE_RUNS : PHASE_DONE;
}

static bool was_useful(const struct freezer *f, int64_t took)
{
	int64_t dirty = f->ops->dirty_kib();

	log_msg(LOG_DEBUG,
		"sync round %u took %d ms: %lld KiB dirty before, %lld KiB after",
		f->round + 1, (int)(took / 1000), (long long)f->round_dirty, (long long)dirty);
	if (dirty < 0 || f->round_dirty < 0)
		return !f->round || took <= f->round_took / 4 * 3;
	return dirty > SYNC_LITTLE_KIB && dirty <= f->round_dirty / 2;
}

static bool is_worth_another(const struct freezer *f, int64_t took, int64_t now)
{
	if (f->round + 1 >= ROUNDS_MAX || took <= SHORT_US)
		return false;
	return now + took < f->freeze_deadline && now + took < f->sync_deadline &&
	       was_useful(f, took);
}

/**
 * sync_begin() - flush all file systems, which programs may still write to
 * @f: the freezer, with its ->sync_deadline
 * Return: an outcome.
 */
int sync_begin(struct freezer *f)
{
	f->round = 0;
	return begin_round(f);
}

static int end_round(struct freezer *f, int64_t now)
{
	int64_t took = now - f->round_begun;

	if (!is_worth_another(f, took, now))
		return PHASE_DONE;
	f->round_took = took;
	f->round++;
	return begin_round(f);
}

/* When only optional file systems are left, their time is limited. */
static void limit_optional(struct freezer *f, int64_t now)
{
	for (size_t i = 0; i < f->set->n; i++) {
		const struct target *t = &f->set->target[i];

		if (job_awaited(&t->job) && !t->optional)
			return;
	}
	if (f->optional_deadline == INT64_MAX)
		f->optional_deadline = now + OPTIONAL_US;
}

/**
 * sync_give_up() - go on without the optional file systems that hang
 * @f: the freezer, in FREEZER_SYNC, ->optional_deadline passed
 * Return: an outcome.
 */
int sync_give_up(struct freezer *f)
{
	for (size_t i = 0; i < f->set->n; i++) {
		struct target *t = &f->set->target[i];

		if (!t->optional || !job_awaited(&t->job) || !job_abandon(&t->job))
			continue;
		t->state = TARGET_STUCK;
		t->freezable = false;
		t->note = "syncing it takes too long";
		log_mount(LOG_WARNING, t->path, "skipped: %s", t->note);
		f->syncing--;
	}
	f->optional_deadline = INT64_MAX;
	return f->syncing ? PHASE_RUNS : end_round(f, f->ops->now_us());
}

/**
 * sync_done() - accept the result of a flush
 * @f: the freezer, in FREEZER_SYNC
 * @t: flushed, or not
 * Return: an outcome.
 */
int sync_done(struct freezer *f, struct target *t)
{
	int64_t now = f->ops->now_us();

	if (t->result == -EIO && t->freezable && f->config->skip_dead) {
		phase_skip_dead(t);
	} else if (t->result && t->freezable && !t->optional) {
		t->failed = true;
		reason_log(f->why, LOG_ERR, t->path, "cannot be synced: %s",
			   strerror(-t->result));
		return t->result;
	} else if (t->result) {
		t->note = "cannot be synced";
		log_mount(LOG_WARNING, t->path, "cannot be synced: %s", strerror(-t->result));
	}
	if (!--f->syncing)
		return end_round(f, now);
	limit_optional(f, now);
	return PHASE_RUNS;
}
