// SPDX-License-Identifier: GPL-2.0-only
/* File systems that may be frozen at the same time form a group; one group after the other. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "fsjob.h"
#include "phases.h"

/*
 * Were all that should be frozen skipped, by --foreign=skip or --dead=skip? What the kernel can't
 * freeze was not skipped: it is synced.
 */
static int refuse_all_skipped(struct freezer *f)
{
	bool skipped = false;

	for (size_t i = 0; i < f->set->n; i++) {
		const struct target *t = &f->set->target[i];

		if (t->state == TARGET_FROZEN)
			return PHASE_DONE;
		skipped |= !t->optional && t->state != TARGET_UNSUPPORTED;
	}
	if (!skipped)
		return PHASE_DONE;
	reason_log(f->why, LOG_ERR, NULL, "nothing is frozen: every file system was skipped");
	return -ENODATA;
}

static int freeze_next_group(struct freezer *f)
{
	struct fsset *set = f->set;

	for (; f->next < set->n; f->next++) {
		struct target *t = &set->target[f->next];

		if (!t->freezable)
			continue;
		/* However many FIFREEZEs hang, workers must be left to thaw with. */
		if (f->freezing && (!t->beside || f->freezing >= PARALLEL_MAX))
			return PHASE_RUNS;
		f->freezing++;
		phase_submit(f, &t->job, fsjob_freeze);
	}
	return f->freezing ? PHASE_RUNS : refuse_all_skipped(f);
}

/**
 * freeze_begin() - freeze all file systems, which have been flushed
 * @f: the freezer
 * Return: an outcome.
 */
int freeze_begin(struct freezer *f)
{
	f->at.synced = f->ops->now_us();
	phase_hold_until(f, f->at.synced + f->config->fifreeze_us);
	f->next = 0;
	f->freezing = 0;
	f->freeze_error = 0;
	blockers_identify_later(f);
	phase_hold_log(f, true);
	return freeze_next_group(f);
}

/**
 * freeze_done() - accept a FIFREEZE's result
 * @f: the freezer, in FREEZER_FREEZE
 * @t: frozen, or not
 * Return: an outcome.
 */
int freeze_done(struct freezer *f, struct target *t)
{
	int err = t->result;

	if (!err) {
		t->state = TARGET_FROZEN;
		t->note = NULL;
	} else if ((err == -EOPNOTSUPP || err == -ENOTTY || t->optional) && !f->config->strict) {
		t->state = TARGET_UNSUPPORTED;
		t->freezable = false;
		t->note = t->optional ? t->note : "the kernel can't freeze it";
		log_mount(LOG_NOTICE, t->path, "can't be frozen: synced only (%s)", t->type);
		err = 0;
	} else if (err == -EIO && f->config->skip_dead) {
		phase_skip_dead(t);
		err = 0;
	} else if (err == -EBUSY && f->config->skip_foreign) {
		t->state = TARGET_FOREIGN;
		t->freezable = false;
		t->note = "frozen by another process";
		log_mount(LOG_WARNING, t->path,
			  "frozen by another process; skipped (--foreign=skip)");
		err = 0;
	} else {
		t->failed = true;
		t->note = err == -EBUSY ? "frozen by another process" :
			  err == -EINPROGRESS ?
			  "the kernel has not thawed it yet after an earlier freeze" : NULL;
		reason_log(f->why, LOG_ERR, t->path, "cannot be frozen: %s",
			   t->note ? t->note : strerror(-err));
	}
	if (err && !f->freeze_error) {
		f->freeze_error = err;
		/* The rest of its group gets a short time to return. */
		phase_hold_until(f, f->ops->now_us() + f->config->patience_us);
	}
	if (--f->freezing)
		return PHASE_RUNS;
	return f->freeze_error ? f->freeze_error : freeze_next_group(f);
}
