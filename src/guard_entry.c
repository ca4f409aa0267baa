// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guard's data about one superblock.
 *
 *	ARMED		the daemon freezes the superblock
 *	THAWING		the daemon thaws it
 *	RELEASED	the entry's work thaws it as soon as possible, and frees the entry
 *
 * DISARM frees an entry that is ARMED or THAWING. Both can become RELEASED.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "expedite.h"
#include "guard_entry.h"

static void set_free(struct kref *ref)
{
	kfree(container_of(ref, struct hv_vss_guard_set, ref));
}

/**
 * hv_vss_guard_set_put() - drop a reference to a set
 * @set: of the device, or of an entry
 */
void hv_vss_guard_set_put(struct hv_vss_guard_set *set)
{
	kref_put(&set->ref, set_free);
}

/**
 * hv_vss_guard_entry_free() - free an entry
 * @e: off the list, or never on it; its work is not pending
 */
void hv_vss_guard_entry_free(struct guard_entry *e)
{
	if (e->watch.sb)
		hv_vss_thawwatch_stop(&e->watch);
	if (e->rest.sb)
		hv_vss_thawwatch_stop(&e->rest);
	fput(e->file);
	put_pid(e->pid);
	hv_vss_guard_thaw_put(e->thaw);
	hv_vss_guard_set_put(e->set);
	kfree(e);
	/* Last: from here on the module can be unloaded; that waits for the works. */
	module_put(THIS_MODULE);
}

/**
 * hv_vss_guard_entry_link() - put a new entry on its set's list; FIFREEZE may follow
 * @e: the entry
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

/* FIFREEZE has returned, or the entry no longer waits for it. */
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
 * hv_vss_guard_entry_ended() - FIFREEZE is said to have succeeded; notice every thaw from now on
 * @e: on the set's list
 *
 * Checks that it is frozen: a daemon that is wrong may still call FIFREEZE.
 *
 * Context: the set's lock held. Return: false, and nothing changes, if it is not frozen.
 */
bool hv_vss_guard_entry_ended(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	if (e->ended)
		return true;
	/* Start the watch, then read the state, so that no thaw between them is missed. */
	hv_vss_thawwatch_start(&e->watch, e->sb);
	e->readonly = e->sb->s_flags & HV_VSS_SB_RDONLY;
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
 * FIFREEZE is over for the daemon, whether the superblock is frozen or not.
 *
 * Context: the set's lock held.
 */
void hv_vss_guard_entry_thawing(struct guard_entry *e)
{
	hv_vss_guard_entry_ended(e);
	e->ended = true;
	stop_expediting(e);
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
 * hv_vss_guard_entry_new() - allocate an entry for what the calling thread is about to freeze
 * @set: the set of the entry, which is not put on its list yet
 * @fd: of the caller, on a superblock
 * @cookie: of the FREEZE request
 *
 * Context: process. File systems may be frozen, so memory is not reclaimed from them.
 * Return: the entry, or -ENOMEM, -EBADF, -ENOTTY, -EOPNOTSUPP as an ERR_PTR().
 */
struct guard_entry *hv_vss_guard_entry_new(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	struct guard_entry *e;
	int ret;

	e = kzalloc(sizeof(*e), GFP_NOIO);
	if (!e)
		return ERR_PTR(-ENOMEM);
	/* Allocated now, because a thaw must not need memory. */
	e->thaw = hv_vss_guard_thaw_new();
	ret = -ENOMEM;
	if (!e->thaw)
		goto err_free;
	e->file = fget(fd);
	ret = -EBADF;
	if (!e->file)
		goto err_put_thaw;
	ret = file_check(e->file);
	if (ret)
		goto err_put_file;
	e->set = set;
	e->sb = file_inode(e->file)->i_sb;
	e->pid = get_task_pid(current, PIDTYPE_PID);
	e->cookie = cookie;
	e->readonly = true;	/* until we know */
	INIT_DELAYED_WORK(&e->work, hv_vss_guard_work);
	/* The caller has the device open, so the module can't be unloading. */
	__module_get(THIS_MODULE);
	kref_get(&set->ref);
	return e;

err_put_file:
	fput(e->file);
err_put_thaw:
	hv_vss_guard_thaw_put(e->thaw);
err_free:
	kfree(e);
	return ERR_PTR(ret);
}

/**
 * hv_vss_guard_entry_release() - leave an entry to its work, and start that at once
 * @e: on the set's list, released or not; the work may free it as soon as the lock is released
 *
 * Context: the set's lock held.
 */
void hv_vss_guard_entry_release(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	stop_expediting(e);
	e->state = GUARD_RELEASED;
	hv_vss_guard_work_hurry(e);
}

/**
 * hv_vss_guard_entry_drop() - the daemon has nothing frozen on a superblock (any more)
 * @e: on the set's list, not released
 *
 * Context: the set's lock held. Return: true if the entry is off the list, and the caller has to
 * free it; false if its work still has to clean up and will free it.
 */
bool hv_vss_guard_entry_drop(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	if (hv_vss_compat_has_stale_count(e->sb) || hv_vss_compat_has_stale_locks(e->sb)) {
		e->dropped = true;
		hv_vss_guard_entry_release(e);
		return false;
	}
	hv_vss_guard_entry_unlink(e);
	return true;
}
