// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guard knows of one superblock, and the work that thaws it once it is released.
 *
 *	ARMED		the daemon freezes it; DISARM frees the entry, here and in the next state
 *	THAWING		the daemon thaws it
 *	RELEASED	from either: its work thaws it, as soon as that can be done, and frees it
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "expedite.h"
#include "guard.h"
#include "guard_entry.h"

/* How often a released superblock is looked at until it can be thawed. */
#define RETRY_MS	50

/* For all devices, because entries outlive theirs. Set at load, never changed. */
static struct workqueue_struct *guard_wq;

/**
 * hv_vss_guard_global_init() - once per module
 *
 * Return: 0 or -ENOMEM.
 */
int hv_vss_guard_global_init(void)
{
	/* Unbound: a superblock whose thaw hangs must not hold up a processor's other works. */
	guard_wq = alloc_workqueue("hv_vss_guard", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!guard_wq)
		return -ENOMEM;
	hv_vss_expedite_global_init();
	return 0;
}

/**
 * hv_vss_guard_global_exit() - undo hv_vss_guard_global_init()
 *
 * There are no entries any more, since each holds a reference to the module; a work may still be
 * on its last instructions, which this waits for.
 */
void hv_vss_guard_global_exit(void)
{
	destroy_workqueue(guard_wq);
	hv_vss_expedite_global_exit();
}

/**
 * hv_vss_guard_entry_free() - the last of an entry
 * @e: off the list, or never on it; its work is not pending
 */
void hv_vss_guard_entry_free(struct guard_entry *e)
{
	if (e->watch.sb)
		hv_vss_thawwatch_stop(&e->watch);
	fput(e->file);
	put_pid(e->pid);
	hv_vss_guard_put(e->set);
	kfree(e);
	/* Last: from here on the module may go, which waits for guard_wq. */
	module_put(THIS_MODULE);
}

/**
 * hv_vss_guard_entry_link() - put an entry on its set's list: FIFREEZE may follow
 * @e: new
 *
 * Context: the set's lock held.
 */
void hv_vss_guard_entry_link(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	e->set->count++;
	list_add_tail(&e->list, &e->set->entries);
	e->expedited = hv_vss_expedite_begin();
}

/* FIFREEZE is over, or no longer our concern. */
static void stop_expediting(struct guard_entry *e)
{
	if (e->expedited)
		hv_vss_expedite_end();
	e->expedited = false;
}

/**
 * hv_vss_guard_entry_unlink() - take an entry off its set's list
 * @e: on the list
 *
 * Context: the set's lock held.
 */
void hv_vss_guard_entry_unlink(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	stop_expediting(e);
	list_del(&e->list);
	if (!--e->set->count)
		wake_up_all(&e->set->empty);
}

/**
 * hv_vss_guard_entry_ended() - FIFREEZE has succeeded; from here on whoever thaws is noticed
 * @e: on the set's list
 *
 * What can be seen to be wrong is not believed: the FIFREEZE may still come.
 *
 * Context: the set's lock held. Return: false, and nothing changes, if it is not frozen.
 */
bool hv_vss_guard_entry_ended(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	if (e->ended)
		return true;
	/* First watch, then look: it must not be thawed between the two. */
	hv_vss_thawwatch_start(&e->watch, e->sb);
	e->ended = guard_entry_frozen(e) == SB_FREEZE_COMPLETE;
	if (e->ended)
		stop_expediting(e);
	else
		hv_vss_thawwatch_stop(&e->watch);
	return e->ended;
}

/**
 * hv_vss_guard_entry_thawing() - the daemon is about to thaw
 * @e: on the set's list
 *
 * Whether it is frozen or not: the daemon knows that FIFREEZE is over.
 *
 * Context: the set's lock held.
 */
void hv_vss_guard_entry_thawing(struct guard_entry *e)
{
	hv_vss_guard_entry_ended(e);
	e->ended = true;
	stop_expediting(e);
}

/* Has the thread that armed gone where it can't call FIFREEZE any more? */
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
 * One attempt. True if nothing of ours is left frozen and nothing can become so.
 *
 * Neither not frozen nor just thawed means done: the FIFREEZE may be under way, or its thread
 * stopped just before it. It is waited for until the daemon says that it has ended or the thread is
 * gone. Whoever freezes the file system in that time in our stead is taken for our own; armed it
 * was while nobody's, and nothing may stay frozen.
 */
static bool entry_thaw(struct guard_entry *e)
{
	struct super_block *sb = e->sb;
	bool ended, done;
	int ret;

	spin_lock(&e->set->lock);
	done = e->dropped || guard_entry_lost(e);
	ended = e->ended;
	spin_unlock(&e->set->lock);
	if (done) {
		if (guard_entry_lost(e) && guard_entry_frozen(e) != SB_UNFROZEN)
			pr_notice_ratelimited("%s on %s is frozen, but not by us: left alone\n",
					      sb->s_type->name, sb->s_id);
		return true;
	}
	ended = ended || freezer_gone(e);
	smp_rmb(); /* first gone, then look: it must not freeze between the two */

	switch (guard_entry_frozen(e)) {
	case SB_UNFROZEN:
		return ended;
	case SB_FREEZE_COMPLETE:
		break;
	default:
		return false;
	}
	/* A hung FIFREEZE or umount holds it for writing; don't queue up behind that. */
	if (!down_read_trylock(&sb->s_umount))
		return false;
	up_read(&sb->s_umount);

	ret = hv_vss_compat_thaw(sb);
	if (!ret) {
		spin_lock(&e->set->lock);
		e->set->thawed++;
		spin_unlock(&e->set->lock);
		pr_notice_ratelimited("%s on %s thawed by the kernel\n", sb->s_type->name,
				      sb->s_id);
		return ended;
	}
	/* Thawed by somebody else, or others hold on to theirs: the kernel, to suspend. */
	if (ret == -EINVAL)
		return ended;
	if (!e->complained)
		pr_err("%s on %s can't be thawed: error %d; trying on\n", sb->s_type->name,
		       sb->s_id, ret);
	e->complained = true;
	return false;
}

static void entry_work(struct work_struct *work)
{
	struct guard_entry *e = container_of(to_delayed_work(work), struct guard_entry, work);

	if (!entry_thaw(e)) {
		queue_delayed_work(guard_wq, &e->work, msecs_to_jiffies(RETRY_MS));
		return;
	}
	spin_lock(&e->set->lock);
	hv_vss_guard_entry_unlink(e);
	spin_unlock(&e->set->lock);
	/* Somebody may have hurried us meanwhile; off the list nobody can any more. */
	cancel_delayed_work(&e->work);
	hv_vss_guard_entry_free(e);
}

static int file_check(struct file *file)
{
	struct inode *inode = file_inode(file);

	if (!S_ISDIR(inode->i_mode) && !S_ISREG(inode->i_mode))
		return -ENOTTY;
	if (!hv_vss_compat_can_freeze(inode->i_sb))
		return -EOPNOTSUPP;
	return 0;
}

/**
 * hv_vss_guard_entry_new() - an entry for what the calling thread is about to freeze
 * @set: it is to belong to; not on its list yet
 * @fd: of the caller, on a superblock
 * @cookie: of the FREEZE request
 *
 * Context: process. File systems may be frozen: allocates without reclaim that could wait for them.
 * Return: the entry, or -ENOMEM, -EBADF, -ENOTTY, -EOPNOTSUPP as an ERR_PTR().
 */
struct guard_entry *hv_vss_guard_entry_new(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	struct guard_entry *e;
	int ret;

	e = kzalloc(sizeof(*e), GFP_NOIO);
	if (!e)
		return ERR_PTR(-ENOMEM);
	e->file = fget(fd);
	if (!e->file) {
		ret = -EBADF;
		goto err_free;
	}
	ret = file_check(e->file);
	if (ret)
		goto err_put_file;
	e->set = set;
	e->sb = file_inode(e->file)->i_sb;
	e->pid = get_task_pid(current, PIDTYPE_PID);
	e->cookie = cookie;
	INIT_DELAYED_WORK(&e->work, entry_work);
	/* The caller has the device open, so the module can't be on its way out. */
	__module_get(THIS_MODULE);
	kref_get(&set->ref);
	return e;

err_put_file:
	fput(e->file);
err_free:
	kfree(e);
	return ERR_PTR(ret);
}

/**
 * hv_vss_guard_entry_release() - leave an entry to its work, which is not to wait
 * @e: on the set's list, released or not; the work may free it as soon as the lock is given up
 *
 * Context: the set's lock held.
 */
void hv_vss_guard_entry_release(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	stop_expediting(e);
	e->state = GUARD_RELEASED;
	mod_delayed_work(guard_wq, &e->work, 0);
}
