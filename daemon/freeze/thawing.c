// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "fsjob.h"
#include "phases.h"

/**
 * thaw_next() - submit the next FITHAW
 * @f: the freezer, thawing
 *
 * In reverse order. The next one does not wait for one that hangs.
 * Return: an outcome.
 */
int thaw_next(struct freezer *f)
{
	bool waiting = false;

	for (size_t i = f->set->n; i-- > 0;) {
		struct target *t = &f->set->target[i];

		if (job_awaited(&t->undo)) {
			if (f->patience)
				return PHASE_RUNS;
			waiting = true;
		} else if (t->state == TARGET_FROZEN && !job_pending(&t->undo)) {
			f->patience = f->ops->now_us() + f->config->patience_us;
			phase_submit(f, &t->undo, fsjob_thaw);
			return PHASE_RUNS;
		}
	}
	return waiting || job_awaited(&f->set->job) ? PHASE_RUNS : PHASE_DONE;
}

/**
 * thaw_check_mounts() - check whether file systems were mounted during the freeze
 * @job: embedded in a set
 * Context: worker, while the set is being thawed.
 */
void thaw_check_mounts(struct job *job)
{
	struct fsset *set = phase_set(job);
	const struct freezer *f = set->owner;

	set->result = f->source->appeared(f->source->ctx, set);
	if (f->source->judge)
		f->source->judge(f->source->ctx, set);
	job_finish(job);
}

/* With --strict a backup of disks that were written to is no good one. */
static void report_writes(struct freezer *f)
{
	char text[REASON_SIZE / 2];

	/* The first one is one with data. */
	evidence_describe_disk(&f->set->verdict.one[0], text, sizeof(text));
	f->failed = true;
	reason_log(f->why, LOG_ERR, NULL,
		   "written to while file systems were frozen: %s, and --strict is set", text);
}

/**
 * thaw_mounts_checked() - accept the result of thaw_check_mounts()
 * @f: the freezer, thawing
 * Return: an outcome.
 */
int thaw_mounts_checked(struct freezer *f)
{
	if (f->config->strict && f->set->verdict.written)
		report_writes(f);
	if (f->set->result) {
		f->failed = true;
		if (!f->why[0])
			memcpy(f->why, f->set->why, sizeof(f->why));
	}
	return thaw_next(f);
}

/**
 * thaw_begin() - thaw all that is frozen
 * @f: the freezer; ->goal is what will be reported afterwards
 * Return: an outcome.
 */
int thaw_begin(struct freezer *f)
{
	f->at.thawing = f->ops->now_us();
	f->thaw_deadline = f->at.thawing + f->config->thaw_us;
	f->patience = 0;
	/* Runs beside the thaws. */
	if (f->goal == FREEZER_THAW_OK && f->source->appeared)
		phase_submit(f, &f->set->job, thaw_check_mounts);
	return thaw_next(f);
}

static const char *why_broken(const struct freezer *f, int err)
{
	switch (err) {
	case -EINVAL:
	case -EIDRM:
		return "was thawed by another process";
	case -EROFS:
		return "met an error while frozen and became read-only";
	case -EINPROGRESS:
		return "cannot be thawed yet, and the kernel goes on trying";
	default:
		return f->set->guard ? "was thawed by the kernel" : "cannot be thawed";
	}
}

/**
 * thaw_done() - accept a FITHAW's result
 * @f: the freezer
 * @t: thawed, or not
 *
 * ->broke: for example ext4 with errors=remount-ro. Kernels without the fix for CVE-2024-50191
 * treat the thaw as one of a file system that was read-only when it was frozen, and keep its
 * locks taken.
 * Return: an outcome.
 */
int thaw_done(struct freezer *f, struct target *t)
{
	if (t->broke)
		reason_log(f->why, LOG_CRIT, t->path,
			   "has met an error while it was frozen and become read-only; if programs "
			   "that write to it hang, only a reboot helps");
	t->state = TARGET_THAWED;
	if (t->thaw_result) {
		f->failed = true;
		t->note = why_broken(f, t->thaw_result);
		reason_log(f->why, LOG_ERR, t->path, "%s (%s)", t->note,
			   strerror(-t->thaw_result));
	}
	f->patience = 0;
	return f->state == FREEZER_THAW ? thaw_next(f) : PHASE_RUNS;
}

/**
 * thaw_give_up() - stop waiting for FITHAWs that hang
 * @f: the freezer, thawing
 * Return: an outcome.
 */
int thaw_give_up(struct freezer *f)
{
	for (size_t i = 0; i < f->set->n; i++) {
		struct target *t = &f->set->target[i];

		if (t->state != TARGET_FROZEN)
			continue;
		if (!job_pending(&t->undo))
			phase_submit(f, &t->undo, fsjob_thaw);	/* may still succeed later */
		if (job_abandon(&t->undo)) {
			t->note = "FITHAW has not returned";
			reason_log(f->why, LOG_CRIT, t->path, "%s", t->note);
			t->state = TARGET_STUCK;
		} else {
			t->state = TARGET_THAWED;
		}
		f->failed = true;
	}
	if (job_awaited(&f->set->job) && job_abandon(&f->set->job)) {
		reason_log(f->why, LOG_ERR, NULL,
			   "the check for new mounts was not done within the time allowed");
		f->failed = true;
	}
	return PHASE_DONE;
}
