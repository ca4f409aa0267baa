// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing out before the freeze. Whatever is dirty when a file system is frozen is written while
 * its writers stand still, so it pays to begin with little. During a long round much becomes dirty
 * again, and another one follows if this one has left less than half of what there was. If not,
 * somebody dirties as much as the disk takes, and the next round would come to the same.
 */
#include <string.h>

#include "fsjob.h"
#include "log.h"
#include "phases.h"

#define ROUNDS_MAX	5
#define SHORT_US	100000LL	/* after a round like this one there is little to write */

static void begin_round(struct freezer *f)
{
	struct fsset *set = f->set;

	f->round_begun = f->ops->now_us();
	f->syncing = set->n;
	f->round_dirty = f->ops->dirty_kib();
	/* All of them, also the quick ones: while others took their time they were written to. */
	for (size_t i = 0; i < set->n; i++)
		freezer_submit(f, &set->target[i].job, fsjob_sync);
	if (!set->n)
		freeze_begin(f);
}

static bool has_helped(const struct freezer *f, int64_t took)
{
	int64_t dirty = f->ops->dirty_kib();

	log_msg(LOG_DEBUG,
		"round %u of writing out took %d ms: %lld KiB to write before, %lld after",
		f->round + 1, (int)(took / 1000), (long long)f->round_dirty, (long long)dirty);
	if (dirty < 0 || f->round_dirty < 0)
		return !f->round || took <= f->round_took / 4 * 3;
	return dirty > SYNC_LITTLE_KIB && dirty <= f->round_dirty / 2;
}

static bool pays(const struct freezer *f, int64_t took, int64_t now)
{
	if (f->round + 1 >= ROUNDS_MAX || took <= SHORT_US)
		return false;
	return now + took < f->freeze_deadline && now + took < f->sync_deadline &&
	       has_helped(f, took);
}

/**
 * sync_begin() - write all file systems out, while everybody may still write to them
 * @f: the freezer, with its ->sync_deadline
 */
void sync_begin(struct freezer *f)
{
	f->state = FREEZER_SYNC;
	f->round = 0;
	begin_round(f);
}

/**
 * sync_done() - take the result of writing out
 * @f: the freezer, in FREEZER_SYNC
 * @t: written out, or not
 */
void sync_done(struct freezer *f, struct target *t)
{
	int64_t now = f->ops->now_us(), took = now - f->round_begun;

	if (t->result && t->freezable) {
		t->failed = true;
		fsset_blame(f->why, LOG_ERR, t->path, "cannot be written out: %s",
			    strerror(-t->result));
		freezer_fail(f, t->result);
		return;
	}
	if (t->result) {
		t->note = "cannot be written out";
		log_mount(LOG_WARNING, t->path, "cannot be written out: %s", strerror(-t->result));
	}
	if (--f->syncing)
		return;
	if (!pays(f, took, now)) {
		freeze_begin(f);
		return;
	}
	f->round_took = took;
	f->round++;
	begin_round(f);
}
