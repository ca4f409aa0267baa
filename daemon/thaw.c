// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "fsjob.h"
#include "log.h"
#include "phases.h"

/**
 * thaw_next() - submit the next thaw
 * @f: the freezer, thawing
 *
 * In reverse order, one after the other unless one hangs.
 */
void thaw_next(struct freezer *f)
{
	bool waiting = false;

	for (size_t i = f->set->n; i-- > 0;) {
		struct target *t = &f->set->target[i];

		if (job_awaited(&t->undo)) {
			if (f->patience)
				return;
			waiting = true;
		} else if (t->state == TARGET_FROZEN && !job_pending(&t->undo)) {
			f->patience = f->ops->now_us() + f->config->patience_us;
			freezer_submit(f, &t->undo, fsjob_thaw);
			return;
		}
	}
	if (!waiting)
		freezer_thawed(f);
}

/**
 * thaw_begin() - thaw all that is frozen
 * @f: the freezer
 * @goal: what to report afterwards
 */
void thaw_begin(struct freezer *f, enum freezer_event goal)
{
	f->state = FREEZER_THAW;
	f->goal = goal;
	f->at.thawing = f->ops->now_us();
	f->thaw_deadline = f->at.thawing + f->config->thaw_us;
	f->patience = 0;
	thaw_next(f);
}

/**
 * thaw_done() - take a thaw's result
 * @f: the freezer
 * @t: thawed, or not
 */
void thaw_done(struct freezer *f, struct target *t)
{
	t->state = TARGET_THAWED;
	if (t->thaw_result) {
		f->failed = true;
		t->note = t->thaw_result == -EINVAL ? "was thawed by somebody else" :
			  f->set->guard ? "was thawed by the kernel" : "cannot be thawed";
		fsset_blame(f->why, LOG_ERR, t->path, "%s (%s)", t->note,
			    strerror(-t->thaw_result));
	}
	f->patience = 0;
	if (f->state == FREEZER_THAW)
		thaw_next(f);
}

/**
 * thaw_give_up() - don't wait for the thaws any longer
 * @f: the freezer, thawing
 */
void thaw_give_up(struct freezer *f)
{
	for (size_t i = 0; i < f->set->n; i++) {
		struct target *t = &f->set->target[i];

		if (t->state != TARGET_FROZEN)
			continue;
		if (!job_pending(&t->undo))
			freezer_submit(f, &t->undo, fsjob_thaw);	/* better late than never */
		if (job_abandon(&t->undo)) {
			t->note = "the thaw has not come back";
			fsset_blame(f->why, LOG_CRIT, t->path, "%s", t->note);
			t->state = TARGET_STUCK;
		} else {
			t->state = TARGET_THAWED;
		}
		f->failed = true;
	}
	freezer_thawed(f);
}

