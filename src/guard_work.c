// SPDX-License-Identifier: GPL-2.0-only
/* The work of a released entry: it thaws the superblock, and frees the entry at its end. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "guard.h"
#include "guard_entry.h"

#define RETRY_MS	50	/* between attempts to thaw a released superblock */
#define THAW_TRIES	20	/* attempts that fail before the file system is not asked */
#define STALE_TRIES	200	/* attempts to lock a block device that is being frozen or thawed */

/* For all devices, because entries may outlive theirs. Set at load, never changed. */
static struct workqueue_struct *guard_wq;

/**
 * hv_vss_guard_global_init() - once per module
 *
 * Return: 0 or -ENOMEM.
 */
int hv_vss_guard_global_init(void)
{
	/*
	 * Unbound: a thaw that hangs must not delay other works of a processor. With as many
	 * threads as possible: one thaw may have to wait for another one.
	 */
	guard_wq = alloc_workqueue("hv_vss_guard", WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_MAX_ACTIVE);
	return guard_wq ? 0 : -ENOMEM;
}

/**
 * hv_vss_guard_global_exit() - undo hv_vss_guard_global_init()
 *
 * There are no entries any more, because each has a reference to the module. A work may still run
 * its last instructions; this waits for it.
 */
void hv_vss_guard_global_exit(void)
{
	destroy_workqueue(guard_wq);
}

/**
 * hv_vss_guard_work_hurry() - run an entry's work now
 * @e: released
 *
 * Context: the set's lock held; the work may free the entry as soon as that is released.
 */
void hv_vss_guard_work_hurry(struct guard_entry *e)
{
	mod_delayed_work(guard_wq, &e->work, 0);
}

/* Has the thread that armed exited, so that it can't call FIFREEZE any more? */
static bool freezer_gone(struct guard_entry *e)
{
	struct task_struct *task;
	bool gone;

	rcu_read_lock();
	task = pid_task(e->pid, PIDTYPE_PID);
	gone = !task || task->flags & PF_EXITING;
	rcu_read_unlock();
	return gone;
}

/*
 * thaw_super() for a superblock that became read-only while frozen. The flag is cleared for the
 * call, or thaw_super() would not release the locks of the freeze. Nothing is written meanwhile:
 * the file system knows of its error by other means (ext4: the journal is aborted).
 *
 * Returns -EAGAIN if the caller has to retry.
 */
static int thaw_failed(struct super_block *sb)
{
	int ret;

	if (!down_write_trylock(&sb->s_umount))
		return -EAGAIN;
	sb->s_flags &= ~HV_VSS_SB_RDONLY;
	up_write(&sb->s_umount);
	ret = hv_vss_compat_thaw(sb);
	/* Without s_umount, as file systems set it after an error: a sync may hang with that. */
	sb->s_flags |= HV_VSS_SB_RDONLY;
	return ret;
}

/*
 * thaw_super() for a file system that can't end its part of the freeze, because its disk is damaged
 * or gone (jfs reads its log). thaw_super() does not ask one that is read-only, but leaves the
 * locks of the freeze; drop_stale_locks() releases them. No writer hangs: all get EROFS.
 */
static int thaw_unasked(struct super_block *sb)
{
	if (!down_write_trylock(&sb->s_umount))
		return -EAGAIN;
	sb->s_flags |= HV_VSS_SB_RDONLY;
	up_write(&sb->s_umount);
	return hv_vss_compat_thaw(sb);
}

static void watch_rest(struct guard_entry *e)
{
	if (e->rest.sb)
		hv_vss_thawwatch_stop(&e->rest);
	hv_vss_thawwatch_start(&e->rest, e->sb);
	e->given_back = false;
}

/* Is it frozen, and has it been so ever since our latest thaw? Then that freeze is not ours. */
static bool rest_remains(const struct guard_entry *e)
{
	return guard_entry_frozen(e) == SB_FREEZE_COMPLETE && !hv_vss_thawwatch_thawed(&e->rest);
}

/* Did our thaw end no freeze, not even a nested one, because the file system refused? */
static bool still_ours(const struct guard_entry *e, int before)
{
	int now = hv_vss_compat_freezes(e->sb);

	return now && now >= before && rest_remains(e);
}

/* thaw_super() has returned @ret, 0 or -EINVAL; @failed: the superblock had become read-only. */
static void note_thaw(struct guard_entry *e, bool failed, int ret)
{
	const char *type = e->sb->s_type->name, *id = e->sb->s_id;

	e->given_back = rest_remains(e);
	if (ret && !e->given_back) {
		/* Another process thawed first. It does not matter if we have thawed already. */
		if (!e->over)
			e->result = -EIDRM;
		return;
	}
	e->over = true;
	if (failed)
		e->result = -EROFS;
	spin_lock(&e->set->lock);
	e->set->thawed++;
	spin_unlock(&e->set->lock);
	if (failed)
		pr_warn_ratelimited("%s on %s met an error while frozen and became read-only; thawed by the kernel, writers get EROFS\n",
				    type, id);
	else if (e->given_back)
		pr_notice_ratelimited("%s on %s: our freeze was ended by the kernel; another one remains, which is not ours\n",
				      type, id);
	else if (!e->asked)
		pr_notice_ratelimited("%s on %s thawed by the kernel\n", type, id);
}

/*
 * End one freeze. From Linux 6.8 on freezes are counted, and device mapper can freeze a frozen
 * superblock again. If it was frozen before our thaw and all the time until after it, our freeze
 * has ended and the remaining one is not ours, whatever thaw_super() returned (up to 6.12.116:
 * EINVAL).
 *
 * Returns 0 if one was ended, or there was none to end; -EAGAIN if the caller has to retry.
 */
static int thaw_once(struct guard_entry *e)
{
	struct super_block *sb = e->sb;
	bool failed, unasked;
	int before, ret;

	/* A FIFREEZE or umount that hangs holds it for writing; don't wait for that. */
	if (!down_read_trylock(&sb->s_umount))
		return -EAGAIN;
	up_read(&sb->s_umount);

	watch_rest(e);
	if (guard_entry_frozen(e) != SB_FREEZE_COMPLETE)
		return -EAGAIN;
	before = hv_vss_compat_freezes(sb);
	/* Only where it is certain that the freeze is ours: it makes the file system read-only. */
	unasked = before && e->refused >= THAW_TRIES;
	failed = unasked || guard_entry_failed(e);
	if (unasked)
		ret = thaw_unasked(sb);
	else
		ret = failed ? thaw_failed(sb) : hv_vss_compat_thaw(sb);
	if (ret == -EAGAIN)
		return ret;
	if (ret && (ret != -EINVAL || still_ours(e, before))) {
		if (!e->refused++)
			pr_err("%s on %s can't be thawed: error %d; trying again until it can\n",
			       sb->s_type->name, sb->s_id, ret);
		return -EAGAIN;
	}
	note_thaw(e, failed, ret);
	return 0;
}

/* Another process ended our freeze before we could. */
static void found_thawed(struct guard_entry *e)
{
	e->result = -EIDRM;
	if (guard_entry_frozen(e) != SB_UNFROZEN)
		pr_notice_ratelimited("%s on %s is frozen by another process, and not thawed\n",
				      e->sb->s_type->name, e->sb->s_id);
}

/*
 * One attempt. True if our freeze is over, and our FIFREEZE can't freeze it later.
 *
 * Being unfrozen, or just thawed, is not enough: FIFREEZE may still be running, or its thread be
 * stopped just before it. Retry until the daemon reports its end or its thread has exited. If
 * another process freezes the superblock in that time, its freeze can't be told from ours, and is
 * ended: the superblock was not frozen when it was armed, and ours must not stay. But a freeze that
 * remains after our thaw is not ours. It is not ended; after it has ended by itself, a freeze can
 * be that of our FIFREEZE again.
 */
static bool entry_thaw(struct guard_entry *e)
{
	bool ended, dropped, lost;

	spin_lock(&e->set->lock);
	dropped = e->dropped;
	lost = guard_entry_lost(e);
	ended = e->ended;
	spin_unlock(&e->set->lock);
	if (dropped)
		return true;
	if (lost && !e->over) {
		found_thawed(e);
		return true;
	}
	ended = ended || freezer_gone(e);
	smp_rmb(); /* check the thread before the state: it must not freeze between the checks */

	if (e->given_back && rest_remains(e))
		return ended;
	switch (guard_entry_frozen(e)) {
	case SB_UNFROZEN:
		/* We ended it, or another process did before the watch began. */
		if (ended && !e->over)
			e->result = -EIDRM;
		return ended;
	case SB_FREEZE_COMPLETE:
		return !thaw_once(e) && ended;
	default:
		return false;
	}
}

/* Release locks that a thaw left behind, see compat.h. True if none are left. */
static bool drop_stale_locks(struct guard_entry *e)
{
	int ret = hv_vss_compat_drop_stale_locks(e->sb);

	if (ret > 0)
		pr_warn_ratelimited("%s on %s met an error while frozen and became read-only, and its thaw left its writers waiting (a fault of this kernel): they get EROFS now\n",
				    e->sb->s_type->name, e->sb->s_id);
	return ret != -EAGAIN;
}

/*
 * Remove the mark that a snapshot of device mapper left behind, see compat.h. True if there is
 * nothing more to do.
 */
static bool drop_stale_count(struct guard_entry *e)
{
	int ret = hv_vss_compat_drop_stale_count(e->sb);

	if (ret > 0)
		pr_notice("%s on %s: a snapshot during the backup would have left its device marked as frozen (a fault of this kernel): mark removed\n",
			  e->sb->s_type->name, e->sb->s_id);
	if (ret != -EAGAIN)
		return true;
	if (++e->stale_tries < STALE_TRIES)
		return false;
	pr_warn("%s on %s: its device may be left marked as frozen (a fault of this kernel); if it can't be mounted any more, reboot\n",
		e->sb->s_type->name, e->sb->s_id);
	return true;
}

/* Tell the thread that asked for the thaw how our freeze ended. */
static void tell_end(struct guard_entry *e)
{
	/* No lock needed: for a released entry no other thaw can be asked for. */
	struct hv_vss_guard_thaw *thaw = e->thaw;

	if (!thaw)
		return;
	thaw->result = e->result;
	complete(&thaw->done);
	hv_vss_guard_thaw_put(thaw);
	e->thaw = NULL;
}

/**
 * hv_vss_guard_work() - thaw a released superblock if possible, else retry later
 * @work: of an entry
 */
void hv_vss_guard_work(struct work_struct *work)
{
	struct guard_entry *e = container_of(to_delayed_work(work), struct guard_entry, work);

	if (!entry_thaw(e)) {
		queue_delayed_work(guard_wq, &e->work, msecs_to_jiffies(RETRY_MS));
		return;
	}
	spin_lock(&e->set->lock);
	e->dropped = true;	/* our freeze is over; only cleaning up is left */
	spin_unlock(&e->set->lock);
	/* First the locks: the thread that waits for the thaw expects that writers can continue. */
	if (!drop_stale_locks(e)) {
		queue_delayed_work(guard_wq, &e->work, msecs_to_jiffies(RETRY_MS));
		return;
	}
	tell_end(e);
	if (!drop_stale_count(e)) {
		queue_delayed_work(guard_wq, &e->work, msecs_to_jiffies(RETRY_MS));
		return;
	}
	spin_lock(&e->set->lock);
	hv_vss_guard_entry_unlink(e);
	spin_unlock(&e->set->lock);
	/* It may have been queued again meanwhile; off the list this can't happen any more. */
	cancel_delayed_work(&e->work);
	hv_vss_guard_entry_free(e);
}

static void thaw_free(struct kref *ref)
{
	kfree(container_of(ref, struct hv_vss_guard_thaw, ref));
}

/**
 * hv_vss_guard_thaw_new() - allocate what a thread needs to wait for a thaw
 *
 * Context: process; file systems may be frozen. Return: with one reference; NULL without memory.
 */
struct hv_vss_guard_thaw *hv_vss_guard_thaw_new(void)
{
	struct hv_vss_guard_thaw *thaw = kzalloc(sizeof(*thaw), GFP_NOIO);

	if (thaw) {
		kref_init(&thaw->ref);
		init_completion(&thaw->done);
	}
	return thaw;
}

/**
 * hv_vss_guard_thaw_get() - get a reference
 * @thaw: from hv_vss_guard_thaw_new()
 *
 * Return: @thaw.
 */
struct hv_vss_guard_thaw *hv_vss_guard_thaw_get(struct hv_vss_guard_thaw *thaw)
{
	kref_get(&thaw->ref);
	return thaw;
}

/**
 * hv_vss_guard_thaw_put() - drop a reference
 * @thaw: from hv_vss_guard_thaw_new(), or NULL
 */
void hv_vss_guard_thaw_put(struct hv_vss_guard_thaw *thaw)
{
	if (thaw)
		kref_put(&thaw->ref, thaw_free);
}
