/* SPDX-License-Identifier: GPL-2.0-only */
/* One superblock of the guard's, for guard.c alone. */
#ifndef _HV_VSS_GUARD_ENTRY_H
#define _HV_VSS_GUARD_ENTRY_H

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "compat.h"
#include "thawwatch.h"

enum guard_state {
	GUARD_ARMED,	/* FIFREEZE is about to be, is being or was called; see also ended */
	GUARD_THAWING,	/* FITHAW is about to be or was called */
	GUARD_RELEASED,	/* belongs to its work */
};

struct hv_vss_guard_set {
	struct kref ref;		/* the device's, and one of each entry */
	spinlock_t lock;		/* all below; state, ended, expedited, dropped of entries */
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
	struct hv_vss_thawwatch watch;	/* since it was known to be frozen by us */
	bool ended;			/* FIFREEZE has returned ... */
	bool expedited;			/* ... until when grace periods are short */
	bool dropped;			/* disarmed: nothing of ours is frozen */
	bool complained;		/* the work's own */
	struct delayed_work work;
};

struct guard_entry *hv_vss_guard_entry_new(struct hv_vss_guard_set *set, int fd, u32 cookie);
void hv_vss_guard_entry_free(struct guard_entry *e);
void hv_vss_guard_entry_link(struct guard_entry *e);
void hv_vss_guard_entry_unlink(struct guard_entry *e);
bool hv_vss_guard_entry_ended(struct guard_entry *e);
void hv_vss_guard_entry_thawing(struct guard_entry *e);
void hv_vss_guard_entry_release(struct guard_entry *e);

static inline int guard_entry_frozen(const struct guard_entry *e)
{
	/* Changes under s_umount, which may be held for long; one look needs no lock. */
	return READ_ONCE(e->sb->s_writers.frozen);
}

/*
 * Is our freeze over, by somebody else's doing? What is frozen now, if it is, is not ours.
 * Unlike a look at the superblock, which tells nothing of what was between two looks.
 */
static inline bool guard_entry_lost(const struct guard_entry *e)
{
	return hv_vss_thawwatch_thawed(&e->watch);
}

#endif /* _HV_VSS_GUARD_ENTRY_H */
