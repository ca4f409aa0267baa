// SPDX-License-Identifier: GPL-2.0-only
/* The dead-man's switch. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "compat.h"
#include "guard.h"
#include "hv_vss.h"

/* How often a released superblock is looked at until it can be thawed. */
#define RETRY_MS	50

enum guard_state {
	GUARD_ARMED,	/* FIFREEZE is about to be, is being or was called; or failed */
	GUARD_HELD,	/* it was frozen when FREEZE was answered with success */
	GUARD_THAWING,	/* FITHAW is about to be or was called */
	GUARD_RELEASED,	/* belongs to its work */
};

struct hv_vss_guard_set {
	struct kref ref;		/* the device's, and one of each entry */
	spinlock_t lock;		/* all below, and state, ended, dropped of the entries */
	struct list_head entries;
	unsigned int count;
	u64 thawed;
	wait_queue_head_t empty;	/* no entry is left */
};

struct guard_entry {
	struct list_head list;
	struct hv_vss_guard_set *set;
	struct file *file;		/* keeps mount and superblock */
	struct super_block *sb;
	struct pid *pid;		/* the thread that armed, and calls FIFREEZE */
	u32 cookie;
	enum guard_state state;
	bool ended;			/* FIFREEZE has returned */
	bool dropped;			/* disarmed: nothing of ours is frozen */
	bool complained;		/* the work's own */
	struct delayed_work work;
};

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
	return guard_wq ? 0 : -ENOMEM;
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
}

/**
 * hv_vss_guard_new() - a set without entries
 *
 * Return: the set, to be given back with hv_vss_guard_put(), or NULL without memory.
 */
struct hv_vss_guard_set *hv_vss_guard_new(void)
{
	struct hv_vss_guard_set *set = kzalloc(sizeof(*set), GFP_KERNEL);

	if (!set)
		return NULL;
	kref_init(&set->ref);
	spin_lock_init(&set->lock);
	INIT_LIST_HEAD(&set->entries);
	init_waitqueue_head(&set->empty);
	return set;
}

static void set_free(struct kref *ref)
{
	kfree(container_of(ref, struct hv_vss_guard_set, ref));
}

/**
 * hv_vss_guard_put() - let go of a set
 * @set: its entries must be released; their works keep it as long as they need it
 */
void hv_vss_guard_put(struct hv_vss_guard_set *set)
{
	kref_put(&set->ref, set_free);
}

static int sb_frozen(const struct super_block *sb)
{
	/* Changes under s_umount, which may be held for long; one look needs no lock. */
	return READ_ONCE(sb->s_writers.frozen);
}

/* Free an entry that is off the list. */
static void entry_free(struct guard_entry *e)
{
	fput(e->file);
	put_pid(e->pid);
	hv_vss_guard_put(e->set);
	kfree(e);
	/* Last: from here on the module may go, which waits for guard_wq. */
	module_put(THIS_MODULE);
}

static void entry_unlink(struct guard_entry *e)
{
	lockdep_assert_held(&e->set->lock);
	list_del(&e->list);
	if (!--e->set->count)
		wake_up_all(&e->set->empty);
}

static struct guard_entry *find(struct hv_vss_guard_set *set, const struct super_block *sb)
{
	struct guard_entry *e;

	lockdep_assert_held(&set->lock);
	list_for_each_entry(e, &set->entries, list)
		if (e->sb == sb)
			return e;
	return NULL;
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
	bool ended, dropped;
	int ret;

	spin_lock(&e->set->lock);
	dropped = e->dropped;
	ended = e->ended;
	spin_unlock(&e->set->lock);
	if (dropped)
		return true;
	ended = ended || freezer_gone(e);
	smp_rmb(); /* first gone, then look: it must not freeze between the two */

	switch (sb_frozen(sb)) {
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
	entry_unlink(e);
	spin_unlock(&e->set->lock);
	/* Somebody may have hurried us meanwhile; off the list nobody can any more. */
	cancel_delayed_work(&e->work);
	entry_free(e);
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

static int entry_add(struct hv_vss_guard_set *set, struct guard_entry *e)
{
	struct guard_entry *old;
	int ret = 0;

	spin_lock(&set->lock);
	old = find(set, e->sb);
	if (old)
		ret = old->state == GUARD_RELEASED ? -EBUSY : -EEXIST;
	else if (set->count >= HV_VSS_GUARD_MAX)
		ret = -ENOSPC;
	else if (sb_frozen(e->sb) != SB_UNFROZEN)
		/* If it is frozen by others only from now on, FIFREEZE says so. */
		ret = -EBUSY;
	if (!ret) {
		set->count++;
		list_add_tail(&e->list, &set->entries);
	}
	spin_unlock(&set->lock);
	return ret;
}

/**
 * hv_vss_guard_arm() - the calling thread is about to freeze a superblock
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: of the FREEZE request
 *
 * Context: process, of the thread that will call FIFREEZE. File systems may be frozen: allocates
 * without reclaim that could wait for them.
 * Return: 0 or an error as listed in the uapi header.
 */
int hv_vss_guard_arm(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	struct guard_entry *e;
	int ret;

	e = kzalloc(sizeof(*e), GFP_NOIO);
	if (!e)
		return -ENOMEM;
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
	ret = entry_add(set, e);
	if (ret)
		goto err_put_all;
	return 0;

err_put_all:
	entry_free(e);
	return ret;
err_put_file:
	fput(e->file);
err_free:
	kfree(e);
	return ret;
}

/**
 * hv_vss_guard_thawing() - the daemon is about to thaw a superblock
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 *
 * Return: 0, -EBADF, or -ESTALE if the daemon must not: the guard has thawed it or will.
 */
int hv_vss_guard_thawing(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	struct file *file = fget(fd);
	struct guard_entry *e;
	int ret = -ESTALE;

	if (!file)
		return -EBADF;
	spin_lock(&set->lock);
	e = find(set, file_inode(file)->i_sb);
	if (e && e->cookie == cookie) {
		if (e->state == GUARD_RELEASED) {
			e->ended = true;
			mod_delayed_work(guard_wq, &e->work, 0);
		} else {
			e->state = GUARD_THAWING;
			ret = 0;
		}
	}
	spin_unlock(&set->lock);
	fput(file);
	return ret;
}

/**
 * hv_vss_guard_disarm() - the daemon has nothing frozen on a superblock (any more)
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 *
 * Return: 0, -EBADF, or -ESTALE if it is not armed with this cookie.
 */
int hv_vss_guard_disarm(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	struct file *file = fget(fd);
	struct guard_entry *e, *gone = NULL;
	int ret = -ESTALE;

	if (!file)
		return -EBADF;
	spin_lock(&set->lock);
	e = find(set, file_inode(file)->i_sb);
	if (e && e->cookie == cookie) {
		if (e->state != GUARD_RELEASED) {
			entry_unlink(e);
			gone = e;
			ret = 0;
		} else if (!e->ended) {
			e->dropped = true;
			mod_delayed_work(guard_wq, &e->work, 0);
			ret = 0;
		}
		/* Else it was frozen, and whoever released it wants it thawed. */
	}
	spin_unlock(&set->lock);
	if (gone)
		entry_free(gone);
	fput(file);
	return ret;
}

/* The first entry that is not frozen, or whose state is not @state; NULL if there is none. */
static struct guard_entry *first_loose(struct hv_vss_guard_set *set, enum guard_state state)
{
	struct guard_entry *e;

	lockdep_assert_held(&set->lock);
	list_for_each_entry(e, &set->entries, list) {
		if (e->state == GUARD_RELEASED)
			continue;
		if (e->state != state || sb_frozen(e->sb) != SB_FREEZE_COMPLETE)
			return e;
	}
	return NULL;
}

static void name_entry(const struct guard_entry *e, char *who, size_t size)
{
	snprintf(who, size, "%s on %s", e->sb->s_type->name, e->sb->s_id);
}

/**
 * hv_vss_guard_hold() - FREEZE is about to be answered with success: is all that is armed frozen?
 * @set: the set; if so, its entries count as held
 * @who: receives the name of one that is not
 * @size: of @who
 */
bool hv_vss_guard_hold(struct hv_vss_guard_set *set, char *who, size_t size)
{
	struct guard_entry *e, *loose;

	spin_lock(&set->lock);
	loose = first_loose(set, GUARD_ARMED);
	if (loose)
		name_entry(loose, who, size);
	else
		list_for_each_entry(e, &set->entries, list)
			if (e->state == GUARD_ARMED)
				e->state = GUARD_HELD;
	spin_unlock(&set->lock);
	return !loose;
}

/**
 * hv_vss_guard_intact() - are all held superblocks still frozen?
 * @set: the set
 * @who: receives the name of one that is not
 * @size: of @who
 */
bool hv_vss_guard_intact(struct hv_vss_guard_set *set, char *who, size_t size)
{
	struct guard_entry *loose;

	spin_lock(&set->lock);
	loose = first_loose(set, GUARD_HELD);
	if (loose)
		name_entry(loose, who, size);
	spin_unlock(&set->lock);
	return !loose;
}

/**
 * hv_vss_guard_none() - is nothing armed, nor released and still to be thawed?
 * @set: the set
 *
 * Context: any.
 */
bool hv_vss_guard_none(const struct hv_vss_guard_set *set)
{
	return !READ_ONCE(set->count);
}

/**
 * hv_vss_guard_release() - thaw all that is armed, now or as soon as it can be
 * @set: the set
 *
 * Context: any but interrupt; waits for nothing.
 */
void hv_vss_guard_release(struct hv_vss_guard_set *set)
{
	struct guard_entry *e;

	spin_lock(&set->lock);
	list_for_each_entry(e, &set->entries, list) {
		if (e->state == GUARD_RELEASED)
			continue;
		/* Held or being thawed: the FIFREEZE was over long ago. */
		e->ended = e->state != GUARD_ARMED;
		e->state = GUARD_RELEASED;
		mod_delayed_work(guard_wq, &e->work, 0);
	}
	spin_unlock(&set->lock);
}

/**
 * hv_vss_guard_wait() - give the released superblocks time to be thawed
 * @set: the set
 * @ms: at most
 *
 * Context: process. Return: true if no entry is left.
 */
bool hv_vss_guard_wait(struct hv_vss_guard_set *set, unsigned int ms)
{
	return wait_event_timeout(set->empty, !READ_ONCE(set->count), msecs_to_jiffies(ms)) > 0;
}

/**
 * hv_vss_guard_info() - figures for sysfs
 * @set: the set
 * @info: filled in
 */
void hv_vss_guard_info(struct hv_vss_guard_set *set, struct hv_vss_guard_info *info)
{
	struct guard_entry *e;

	memset(info, 0, sizeof(*info));
	spin_lock(&set->lock);
	info->thawed = set->thawed;
	list_for_each_entry(e, &set->entries, list) {
		if (e->state == GUARD_RELEASED) {
			info->releasing++;
			continue;
		}
		info->armed++;
		if (sb_frozen(e->sb) == SB_FREEZE_COMPLETE)
			info->frozen++;
	}
	spin_unlock(&set->lock);
}
