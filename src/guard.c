// SPDX-License-Identifier: GPL-2.0-only
/* The dead man's switch. See guard.h. */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "guard.h"
#include "guard_entry.h"
#include "hv_vss.h"

/**
 * hv_vss_guard_new() - allocate a set without entries
 *
 * Return: the set, to be released with hv_vss_guard_put(), or NULL without memory.
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

/**
 * hv_vss_guard_put() - drop the device's reference to a set
 * @set: its entries must be released; their works keep references to it
 */
void hv_vss_guard_put(struct hv_vss_guard_set *set)
{
	hv_vss_guard_set_put(set);
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

/* The superblock that @fd is on, only to be compared; NULL if there is no such file. */
static const struct super_block *fd_super(int fd)
{
	const struct super_block *sb;
	struct file *file;

	file = fget(fd);
	if (!file)
		return NULL;
	sb = file_inode(file)->i_sb;
	fput(file);
	return sb;
}

/* The entry of this superblock, if it was armed with this cookie. It keeps the superblock. */
static struct guard_entry *find_armed(struct hv_vss_guard_set *set, const struct super_block *sb,
				      u32 cookie)
{
	struct guard_entry *e = find(set, sb);

	return e && e->cookie == cookie ? e : NULL;
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
		/* If another process freezes it after this check, FIFREEZE fails. */
		ret = -EBUSY;
	if (!ret)
		hv_vss_guard_entry_link(e);
	spin_unlock(&set->lock);
	return ret;
}

/**
 * hv_vss_guard_prepare() - allocate what is needed to guard a superblock
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: of the FREEZE request
 *
 * Context: process, the thread that will call FIFREEZE, without locks. File systems may be frozen,
 * so memory is not reclaimed from them; the allocation may take long.
 * Return: an entry for hv_vss_guard_arm() or hv_vss_guard_unprepare(); or an error of the uapi
 * header as an ERR_PTR().
 */
struct guard_entry *hv_vss_guard_prepare(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	return hv_vss_guard_entry_new(set, fd, cookie);
}

/**
 * hv_vss_guard_unprepare() - undo hv_vss_guard_prepare()
 * @e: the entry, an ERR_PTR() or NULL
 *
 * Context: process.
 */
void hv_vss_guard_unprepare(struct guard_entry *e)
{
	if (!IS_ERR_OR_NULL(e))
		hv_vss_guard_entry_free(e);
}

/**
 * hv_vss_guard_arm() - guard a superblock that the calling thread is about to freeze
 * @set: the set
 * @e: from hv_vss_guard_prepare(); set to NULL if it is armed now
 *
 * Context: process; waits for nothing.
 * Return: 0 or an error as listed in the uapi header.
 */
int hv_vss_guard_arm(struct hv_vss_guard_set *set, struct guard_entry **e)
{
	int ret = IS_ERR(*e) ? PTR_ERR(*e) : entry_add(set, *e);

	if (!ret)
		*e = NULL;
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
	const struct super_block *sb = fd_super(fd);
	struct guard_entry *e;
	int ret = -ESTALE;

	if (!sb)
		return -EBADF;
	spin_lock(&set->lock);
	e = find_armed(set, sb, cookie);
	if (e) {
		bool ended = hv_vss_guard_entry_ended(e);

		if (e->state == GUARD_RELEASED)
			hv_vss_guard_entry_release(e);
		else
			ret = ended ? 0 : -EIO;
	}
	spin_unlock(&set->lock);
	return ret;
}

/*
 * Is the daemon's freeze still whole, so that its thaw counts as success? If not, the entry is left
 * to its work, and the error says why, as in the uapi header.
 */
static int entry_may_thaw(struct guard_entry *e)
{
	int ret = 0;

	hv_vss_guard_entry_thawing(e);
	if (e->state == GUARD_RELEASED)
		ret = -ESTALE;
	else if (guard_entry_lost(e))
		ret = -EIDRM;
	else if (guard_entry_failed(e))
		ret = -EROFS;
	if (ret)
		hv_vss_guard_entry_release(e);
	return ret;
}

/**
 * hv_vss_guard_thawing() - the daemon is about to thaw a superblock
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 *
 * Return: 0, -EBADF, or an error as listed in the uapi header: then the daemon must not thaw.
 */
int hv_vss_guard_thawing(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	const struct super_block *sb = fd_super(fd);
	struct guard_entry *e;
	int ret = -ESTALE;

	if (!sb)
		return -EBADF;
	spin_lock(&set->lock);
	e = find_armed(set, sb, cookie);
	if (e)
		ret = entry_may_thaw(e);
	if (!ret)
		e->state = GUARD_THAWING;
	spin_unlock(&set->lock);
	return ret;
}

/**
 * hv_vss_guard_thaw_begin() - end the daemon's freeze of a superblock
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 * @thaw: set to the argument of hv_vss_guard_thaw_wait(); NULL if this returns an error
 *
 * Context: process; waits for nothing. File systems may be frozen.
 * Return: 0, -EBADF, or an error as listed in the uapi header: there is nothing to wait for.
 */
int hv_vss_guard_thaw_begin(struct hv_vss_guard_set *set, int fd, u32 cookie,
			    struct hv_vss_guard_thaw **thaw)
{
	const struct super_block *sb = fd_super(fd);
	struct guard_entry *e;
	int ret = -ESTALE;

	*thaw = NULL;
	if (!sb)
		return -EBADF;
	spin_lock(&set->lock);
	e = find_armed(set, sb, cookie);
	if (e)
		ret = entry_may_thaw(e);
	if (!ret) {
		e->asked = true;
		*thaw = hv_vss_guard_thaw_get(e->thaw);
		hv_vss_guard_entry_release(e);
	}
	spin_unlock(&set->lock);
	return ret;
}

/**
 * hv_vss_guard_thaw_wait() - wait for the end of a freeze
 * @thaw: from hv_vss_guard_thaw_begin(); freed
 *
 * Context: process, without locks. Killing the process ends the wait for a thaw that hangs.
 * Return: as for HV_VSS_IOC_THAW in the uapi header.
 */
int hv_vss_guard_thaw_wait(struct hv_vss_guard_thaw *thaw)
{
	int ret = wait_for_completion_killable(&thaw->done);

	ret = ret ? -EINPROGRESS : thaw->result;
	hv_vss_guard_thaw_put(thaw);
	return ret;
}

/**
 * hv_vss_guard_disarm() - the daemon has nothing frozen on a superblock (any more)
 * @set: the set
 * @fd: of the caller, on that superblock
 * @cookie: it was armed with
 *
 * Return: 0; 1 if THAWING was called, our freeze was whole, and another freeze remains; -EBADF;
 * -ESTALE if it is not armed with this cookie.
 */
int hv_vss_guard_disarm(struct hv_vss_guard_set *set, int fd, u32 cookie)
{
	const struct super_block *sb = fd_super(fd);
	struct guard_entry *e, *gone = NULL;
	int ret = -ESTALE;

	if (!sb)
		return -EBADF;
	spin_lock(&set->lock);
	e = find_armed(set, sb, cookie);
	if (e && e->state != GUARD_RELEASED) {
		ret = e->state == GUARD_THAWING && !guard_entry_lost(e) &&
		      guard_entry_frozen(e) == SB_FREEZE_COMPLETE;
		if (hv_vss_guard_entry_drop(e))
			gone = e;
	} else if (e && !e->ended) {
		e->dropped = true;
		hv_vss_guard_entry_release(e);
		ret = 0;
	}
	/* Else it was frozen, and the guard is thawing it. */
	spin_unlock(&set->lock);
	if (gone)
		hv_vss_guard_entry_free(gone);
	return ret;
}

/* The first entry that is not frozen as a backup needs it, and why; NULL if there is none. */
static struct guard_entry *first_loose(struct hv_vss_guard_set *set, enum hv_vss_guard_break *why)
{
	struct guard_entry *e;

	lockdep_assert_held(&set->lock);
	*why = HV_VSS_GUARD_THAWED;
	list_for_each_entry(e, &set->entries, list) {
		if (e->state == GUARD_RELEASED)
			continue;
		if (e->state == GUARD_THAWING || guard_entry_lost(e))
			return e;
		if (guard_entry_frozen(e) != SB_FREEZE_COMPLETE)
			return e;
		if (guard_entry_failed(e)) {
			*why = HV_VSS_GUARD_FAILED;
			return e;
		}
	}
	*why = HV_VSS_GUARD_WHOLE;
	return NULL;
}

static void name_entry(const struct guard_entry *e, char *who, size_t size)
{
	snprintf(who, size, "%s on %s", e->sb->s_type->name, e->sb->s_id);
}

/**
 * hv_vss_guard_hold() - check that all armed superblocks are frozen, before FREEZE is answered
 * @set: the set
 * @who: receives the name of one that is not frozen
 * @size: of @who
 *
 * Return: true if all are frozen.
 */
bool hv_vss_guard_hold(struct hv_vss_guard_set *set, char *who, size_t size)
{
	struct guard_entry *e, *loose = NULL;
	enum hv_vss_guard_break why;

	spin_lock(&set->lock);
	list_for_each_entry(e, &set->entries, list) {
		if (e->state != GUARD_ARMED || hv_vss_guard_entry_ended(e))
			continue;
		loose = e;
		break;
	}
	/* Each is watched for thaws now: if none was thawed, all are frozen at this moment. */
	loose = loose ? loose : first_loose(set, &why);
	if (loose)
		name_entry(loose, who, size);
	spin_unlock(&set->lock);
	return !loose;
}

/**
 * hv_vss_guard_broken() - check that all held superblocks stayed frozen and met no error
 * @set: the set
 * @who: receives the name of the first one for which this is not so
 * @size: of @who
 *
 * Return: HV_VSS_GUARD_WHOLE (0), or what happened to that one.
 */
enum hv_vss_guard_break hv_vss_guard_broken(struct hv_vss_guard_set *set, char *who, size_t size)
{
	enum hv_vss_guard_break why;
	struct guard_entry *loose;

	spin_lock(&set->lock);
	loose = first_loose(set, &why);
	if (loose)
		name_entry(loose, who, size);
	spin_unlock(&set->lock);
	return why;
}

/**
 * hv_vss_guard_none() - is nothing armed?
 * @set: the set
 *
 * Released entries don't count: the FIFREEZE of a dead daemon may hang there for long.
 *
 * Context: any but interrupt.
 */
bool hv_vss_guard_none(struct hv_vss_guard_set *set)
{
	struct guard_entry *e;
	bool none = true;

	spin_lock(&set->lock);
	list_for_each_entry(e, &set->entries, list)
		if (e->state != GUARD_RELEASED)
			none = false;
	spin_unlock(&set->lock);
	return none;
}

/**
 * hv_vss_guard_release() - thaw all that is armed, now or as soon as possible
 * @set: the set
 *
 * In reverse order of ARM. A file system that lies in a file of another one was armed first, and
 * its thaw may have to write to the other one. With little memory a single thread runs all thaws.
 *
 * Context: any but interrupt; waits for nothing.
 */
void hv_vss_guard_release(struct hv_vss_guard_set *set)
{
	struct guard_entry *e;

	spin_lock(&set->lock);
	list_for_each_entry_reverse(e, &set->entries, list) {
		if (e->state == GUARD_RELEASED)
			continue;
		hv_vss_guard_entry_release(e);
	}
	spin_unlock(&set->lock);
}

/**
 * hv_vss_guard_wait() - wait until the released superblocks are thawed
 * @set: the set
 * @ms: how long to wait at most
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
