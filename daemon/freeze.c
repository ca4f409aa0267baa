// SPDX-License-Identifier: GPL-2.0-only
/*
 * Freezing: those that may be frozen at the same time together, one such group after the other.
 * Then a look whether that is all of it.
 */
#include <errno.h>
#include <string.h>

#include "fsjob.h"
#include "log.h"
#include "phases.h"

#define ATTEMPTS	3	/* when file systems keep being mounted while we freeze */

/**
 * freeze_verify() - see whether file systems were mounted meanwhile
 * @job: embedded in a set
 * Context: worker; the set is frozen.
 */
void freeze_verify(struct job *job)
{
	struct fsset *set = freezer_set_of(job);
	const struct freezer *f = set->owner;

	set->result = f->source->verify(f->source->ctx, set);
	job_finish(job);
}

/* The next one, with all those that may be frozen at the same time. */
static void freeze_next(struct freezer *f)
{
	struct fsset *set = f->set;

	for (; f->next < set->n; f->next++) {
		struct target *t = &set->target[f->next];

		if (!t->freezable)
			continue;
		/* However many of them hang, there must be workers left to thaw the others. */
		if (f->freezing && (!t->beside || f->freezing >= PARALLEL_MAX))
			return;
		f->freezing++;
		freezer_submit(f, &t->job, fsjob_freeze);
	}
	if (f->freezing)
		return;
	f->state = FREEZER_VERIFY;
	freezer_submit(f, &set->job, freeze_verify);
}

/**
 * freeze_begin() - freeze, now that all is written out
 * @f: the freezer
 */
void freeze_begin(struct freezer *f)
{
	f->at.synced = f->ops->now_us();
	freezer_hold_until(f, f->at.synced + f->config->hold_us);
	f->state = FREEZER_FREEZE;
	f->next = 0;
	f->freezing = 0;
	f->freeze_error = 0;
	freezer_hold_log(f, true);
	freeze_next(f);
}

/**
 * freeze_done() - take a FIFREEZE's result
 * @f: the freezer, in FREEZER_FREEZE
 * @t: frozen, or not
 */
void freeze_done(struct freezer *f, struct target *t)
{
	int err = t->result;

	if (!err) {
		t->state = TARGET_FROZEN;
	} else if ((err == -EOPNOTSUPP || err == -ENOTTY) && !f->config->strict) {
		t->state = TARGET_UNSUPPORTED;
		t->freezable = false;
		t->note = "the kernel can't freeze it";
		log_mount(LOG_NOTICE, t->path, "can't be frozen: only written out (%s)", t->type);
		err = 0;
	} else if (err == -EBUSY && f->config->skip_foreign) {
		t->state = TARGET_FOREIGN;
		t->freezable = false;
		t->note = "somebody else has frozen it";
		log_mount(LOG_WARNING, t->path, "somebody else has frozen it, and is left alone");
		err = 0;
	} else {
		t->failed = true;
		t->note = err == -EBUSY ? "somebody else has frozen it" :
			  err == -EINPROGRESS ? "the kernel has still to thaw it" : NULL;
		fsset_blame(f->why, LOG_ERR, t->path, "cannot be frozen: %s",
			    t->note ? t->note : strerror(-err));
	}
	if (err && !f->freeze_error) {
		f->freeze_error = err;
		/* The others of those that were begun together won't be long. */
		freezer_hold_until(f, f->ops->now_us() + f->config->patience_us);
	}
	if (--f->freezing)
		return;
	if (f->freeze_error)
		freezer_fail(f, f->freeze_error);
	else
		freeze_next(f);
}

/**
 * freeze_verified() - take the result of freeze_verify()
 * @f: the freezer, in FREEZER_VERIFY
 */
void freeze_verified(struct freezer *f)
{
	if (f->set->result > 0 && ++f->attempt < ATTEMPTS) {
		f->again = true;
		thaw_begin(f, FREEZER_FAILED);
	} else if (f->set->result) {
		fsset_blame(f->why, LOG_ERR, NULL, "the mount table does not come to rest");
		freezer_fail(f, -EAGAIN);
	} else {
		f->state = FREEZER_FROZEN;
		f->at.frozen = f->ops->now_us();
		/* Anew, as the guard does: the host gets all of it, however long freezing took. */
		freezer_hold_until(f, f->at.frozen + f->config->hold_us);
		f->report(f->ctx, FREEZER_FREEZE_OK);
	}
}
