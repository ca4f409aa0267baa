// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "../include/uapi/hv_vss.h"
#include "fsjob.h"

#define BUSY_TRIES	5	/* somebody else may be freezing and thawing just now */
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
	size_t offset = job->run == fsjob_thaw ? offsetof(struct target, undo) :
						 offsetof(struct target, job);

	return (struct target *)((char *)job - offset);
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
 * fsjob_sync() - write a file system out while everybody may still write to it
 * @job: embedded in a target
 * Context: worker.
 */
void fsjob_sync(struct job *job)
{
	struct target *t = fsjob_target(job);
	int64_t start = t->set->ops->now_us();

	t->result = t->set->ops->sync(t->fd);
	t->sync_us += t->set->ops->now_us() - start;
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
	/* Its word on FROZEN changes nothing: ESTALE comes with a CANCEL, EIO with THAWING too. */
	guard(t, err ? HV_VSS_IOC_DISARM : HV_VSS_IOC_FROZEN);
	return err;
}

static int thaw(struct target *t)
{
	int err;

	/* An error here means that the kernel has thawed; one more thaw could hit a stranger's. */
	err = guard(t, HV_VSS_IOC_THAWING);
	if (err) {
		mark(t, MARK_NONE);
		return err;
	}
	for (int i = 0; i < THAW_TRIES; i++) {
		err = t->set->ops->thaw(t->fd);
		if (!err || err == -EINVAL)
			break;
		/* It has not been thawed: this is no second thaw. */
		t->set->ops->sleep_ms(THAW_WAIT_MS);
	}
	if (err && err != -EINVAL)
		return err;	/* left armed: the guard is the last resort */
	mark(t, MARK_NONE);
	guard(t, HV_VSS_IOC_DISARM);
	return err;
}

/**
 * fsjob_freeze() - freeze a file system; thaw it at once if that has come too late
 * @job: embedded in a target
 *
 * EBUSY means that somebody else has frozen it (each superblock is there only once), EINPROGRESS
 * that the kernel has not thawed it yet after an earlier freeze: it is tried again for a while.
 * Context: worker; may hang in the kernel for good.
 */
void fsjob_freeze(struct job *job)
{
	struct target *t = fsjob_target(job);
	const struct sysops *ops = t->set->ops;
	int64_t start = ops->now_us();
	int err = -ECANCELED;

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
 * The result is EINVAL if it was not frozen any more, and the guard's error (ESTALE) if the kernel
 * has thawed it: the freeze was broken in both cases.
 * Context: worker; may hang in the kernel.
 */
void fsjob_thaw(struct job *job)
{
	struct target *t = fsjob_target(job);
	int64_t start = t->set->ops->now_us();

	t->thaw_result = thaw(t);
	t->thaw_us = t->set->ops->now_us() - start;
	job_finish(job);
}
