// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "base/embed.h"
#include "fsjob.h"
#include "hv_vss.h"

#define BUSY_TRIES	5	/* another process may be freezing and thawing just now */
#define BUSY_WAIT_MS	100
#define THAW_TRIES	5
#define THAW_WAIT_MS	100

/**
 * fsjob_target() - the file system that a job is about
 * @job: one of fsjob_sync(), fsjob_freeze(), fsjob_thaw()
 * Return: its target.
 */
struct target *fsjob_target(struct job *job)
{
	return job->run == fsjob_thaw ? container_of(job, struct target, undo) :
					container_of(job, struct target, job);
}

static void mark(struct target *t, enum target_mark mark)
{
	if (t->mark)
		atomic_store(t->mark, mark);
}

static int guard(const struct target *t, unsigned long cmd)
{
	const struct fsset *set = t->set;

	return set->guard ? set->ops->guard(set->guard->fd, cmd, t->fd, set->cookie) : 0;
}

/**
 * fsjob_sync() - flush a file system, while programs may still write to it
 * @job: embedded in a target
 * Context: worker.
 */
void fsjob_sync(struct job *job)
{
	struct target *t = fsjob_target(job);
	int64_t start = t->set->ops->now_us();

	/* Given up while it was queued: it must not hang as those before it do. */
	if (atomic_load(&job->phase) != JOB_ABANDONED) {
		t->result = t->set->ops->sync(t->fd);
		t->sync_us += t->set->ops->now_us() - start;
	}
	job_finish(job);
}

static int freeze_once(struct target *t)
{
	int err;

	err = guard(t, HV_VSS_IOC_ARM);
	if (err)
		return err;
	mark(t, MARK_INTENT);
	err = t->set->ops->freeze(t->fd);
	mark(t, err ? MARK_NONE : MARK_FROZEN);
	/* An error of FROZEN is not needed here: ESTALE comes with a CANCEL, EIO with THAW too. */
	guard(t, err ? HV_VSS_IOC_DISARM : HV_VSS_IOC_FROZEN);
	return err;
}

/* With a module that does not know HV_VSS_IOC_THAW yet, or without a guard. */
static int thaw_by_fithaw(struct target *t)
{
	int err;

	/* An error means that our freeze is over; a FITHAW could end that of another process. */
	err = guard(t, HV_VSS_IOC_THAWING);
	if (err) {
		mark(t, MARK_NONE);
		return err;
	}
	for (int i = 0; i < THAW_TRIES; i++) {
		err = t->set->ops->thaw(t->fd);
		if (!err || err == -EINVAL)
			break;
		/* It is still frozen, so that one more FITHAW ends no other freeze. */
		t->set->ops->sleep_ms(THAW_WAIT_MS);
	}
	if (err && err != -EINVAL)
		return err;	/* still armed: the guard thaws it in the end */
	mark(t, MARK_NONE);
	/* EINVAL is also what Linux 6.8 to 6.12 says if the freeze of a snapshot remains. */
	return guard(t, HV_VSS_IOC_DISARM) > 0 ? 0 : err;
}

static int thaw(struct target *t)
{
	const struct guard *g = t->set->guard;

	if (g && g->features & HV_VSS_FEAT_THAW)
		return guard(t, HV_VSS_IOC_THAW);
	return thaw_by_fithaw(t);
}

/* With a cluster's file systems the question may wait for other machines. */
static bool can_ask_readonly(const struct target *t)
{
	return t->set->ops->readonly && strcmp(t->type, "gfs2") != 0 &&
	       strcmp(t->type, "ocfs2") != 0;
}

/**
 * fsjob_confirm() - is a file system that we have frozen still frozen?
 * @t: frozen
 *
 * While it is, a second FIFREEZE fails. If it succeeds, another process had thawed the file
 * system, and we have frozen it again: the thaw that follows undoes that, or fsjob_unconfirm().
 * Context: worker; may hang in the kernel if it was thawed.
 * Return: 0 if it is; -ESTALE if not, or another negative errno if that can't be told.
 */
int fsjob_confirm(struct target *t)
{
	int err = t->set->ops->freeze(t->fd);

	if (err == -EBUSY)
		return 0;
	t->again = !err;
	return err ? err : -ESTALE;
}

/**
 * fsjob_unconfirm() - undo the freeze of fsjob_confirm(), whose result came too late
 * @t: the same target
 * Context: worker; may hang in the kernel.
 */
void fsjob_unconfirm(struct target *t)
{
	if (t->again)
		thaw(t);
}

/**
 * fsjob_freeze() - freeze a file system; thaw it at once if FIFREEZE returns too late
 * @job: embedded in a target
 *
 * EBUSY: another process has frozen it (a set holds each superblock once). EINPROGRESS: the kernel
 * has not thawed it yet after an earlier freeze. Both are retried for a while.
 * Context: worker; may hang in the kernel for good.
 */
void fsjob_freeze(struct job *job)
{
	struct target *t = fsjob_target(job);
	const struct sysops *ops = t->set->ops;
	int64_t start = ops->now_us();
	int err = -ECANCELED;

	t->readonly = !can_ask_readonly(t) || ops->readonly(t->fd) != 0;
	for (int i = 0; i < BUSY_TRIES; i++) {
		if (atomic_load(&job->phase) != JOB_RUNNING)
			break;
		err = freeze_once(t);
		if (err != -EBUSY && err != -EINPROGRESS)
			break;
		ops->sleep_ms(BUSY_WAIT_MS);
	}
	t->result = err;
	t->freeze_us = ops->now_us() - start;
	if (!job_finish(job) && !err)
		thaw(t);
}

/**
 * fsjob_thaw() - thaw a file system that is frozen by us
 * @job: a target's undo
 *
 * The result is EINVAL if it was not frozen any more, or the guard's error (see the uapi header) if
 * it was thawed in between: the backup is broken in both cases. It is EROFS if the file system has
 * met an error while it was frozen, and become read-only; without the guard that is checked after
 * FITHAW, so that FITHAW does not wait for the check.
 * Context: worker; may hang in the kernel.
 */
void fsjob_thaw(struct job *job)
{
	struct target *t = fsjob_target(job);
	int64_t start = t->set->ops->now_us();

	t->thaw_result = thaw(t);
	if (!t->thaw_result && !t->readonly && t->set->ops->readonly(t->fd) > 0) {
		t->broke = true;
		t->thaw_result = -EROFS;
	}
	t->thaw_us = t->set->ops->now_us() - start;
	job_finish(job);
}
