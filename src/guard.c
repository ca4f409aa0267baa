// SPDX-License-Identifier: GPL-2.0-only
/* The dead-man's switch. */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "guard.h"
#include "guard_entry.h"
#include "hv_vss.h"

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

static struct guard_entry *find(struct hv_vss_guard_set *set, const struct super_block *sb)
{
	struct guard_entry *e;

	lockdep_assert_held(&set->lock);
	list_for_each_entry(e, &set->entries, list)
		if (e->sb == sb)
			return e;
	return NULL;
}

static int entry_add(struct hv_vss_guard_set *set, struct guard_entry *e)
{
	struct guard_entry *old;
	int ret = 0;

	spin_lock(&set->lock);
	old = find(set, e->sb);
	if (old)
		ret = old->state == GUARD_RELEASED ? -EINPROGRESS : -EEXIST;
	else if (set->count >= HV_VSS_GUARD_MAX)
		ret = -ENOSPC;
	else if (guard_entry_frozen(e) != SB_UNFROZEN)
		/* If it is frozen by others only from now on, FIFREEZE says so. */
		ret = -EBUSY;
	if (!ret)
		hv_vss_guard_entry_link(e);
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
	struct guard_entry *e = hv_vss_guard_entry_new(set, fd, cookie);
	int ret;

	if (IS_ERR(e))
		return PTR_ERR(e);
	ret = entry_add(set, e);
	if (ret)
		hv_vss_guard_entry_free(e);
	return ret;
}

/**
 * hv_vss_guard_frozen() - the daemon's FIFREEZE has succeeded
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 *
 * Return: 0, -EBADF; -EIO if the superblock is not frozen; -ESTALE if it is not armed with this
 * cookie: the guard has thawed it or will.
 */
int hv_vss_guard_frozen(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	struct file *file = fget(fd);
	struct guard_entry *e;
	int ret = -ESTALE;

	if (!file)
		return -EBADF;
	spin_lock(&set->lock);
	e = find(set, file_inode(file)->i_sb);
	if (!e || e->cookie != cookie)
		goto out;
	if (!hv_vss_guard_entry_ended(e))
		ret = -EIO;
	else if (e->state == GUARD_RELEASED)
		hv_vss_guard_entry_release(e);
	else
		ret = 0;
out:
	spin_unlock(&set->lock);
	fput(file);
	return ret;
}

/**
 * hv_vss_guard_thawing() - the daemon is about to thaw a superblock
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 *
 * Return: 0, -EBADF, or -ESTALE if the daemon must not: the guard has thawed it or will, or our
 * freeze is over and what may be frozen now is a stranger's.
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
		hv_vss_guard_entry_thawing(e);
		if (e->state == GUARD_RELEASED || guard_entry_lost(e)) {
			hv_vss_guard_entry_release(e);
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
			hv_vss_guard_entry_unlink(e);
			gone = e;
			ret = 0;
		} else if (!e->ended) {
			e->dropped = true;
			hv_vss_guard_entry_release(e);
			ret = 0;
		}
		/* Else it was frozen, and whoever released it wants it thawed. */
	}
	spin_unlock(&set->lock);
	if (gone)
		hv_vss_guard_entry_free(gone);
	fput(file);
	return ret;
}

/* The first entry that is not frozen as a backup needs it; NULL if there is none. */
static struct guard_entry *first_loose(struct hv_vss_guard_set *set)
{
	struct guard_entry *e;

	lockdep_assert_held(&set->lock);
	list_for_each_entry(e, &set->entries, list) {
		if (e->state == GUARD_RELEASED)
			continue;
		if (e->state == GUARD_THAWING || guard_entry_lost(e))
			return e;
		if (guard_entry_frozen(e) != SB_FREEZE_COMPLETE)
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
 * @set: the set
 * @who: receives the name of one that is not
 * @size: of @who
 */
bool hv_vss_guard_hold(struct hv_vss_guard_set *set, char *who, size_t size)
{
	struct guard_entry *e, *loose = NULL;

	spin_lock(&set->lock);
	list_for_each_entry(e, &set->entries, list) {
		if (e->state != GUARD_ARMED || hv_vss_guard_entry_ended(e))
			continue;
		loose = e;
		break;
	}
	/* All of them at one moment: when each was watched already. */
	loose = loose ? loose : first_loose(set);
	if (loose)
		name_entry(loose, who, size);
	spin_unlock(&set->lock);
	return !loose;
}

/**
 * hv_vss_guard_intact() - have all held superblocks been frozen without a break?
 * @set: the set
 * @who: receives the name of one that is not
 * @size: of @who
 */
bool hv_vss_guard_intact(struct hv_vss_guard_set *set, char *who, size_t size)
{
	struct guard_entry *loose;

	spin_lock(&set->lock);
	loose = first_loose(set);
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
		hv_vss_guard_entry_release(e);
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
		if (guard_entry_frozen(e) == SB_FREEZE_COMPLETE)
			info->frozen++;
	}
	spin_unlock(&set->lock);
}
