/* SPDX-License-Identifier: GPL-2.0-only */
/* The guard's data about one superblock; private to guard*.c. */
#ifndef _HV_VSS_GUARD_ENTRY_H
#define _HV_VSS_GUARD_ENTRY_H

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "compat/compat.h"
#include "thawwatch.h"

enum guard_state {
	GUARD_ARMED,	/* FIFREEZE may have been called or be running; see also ended */
	GUARD_THAWING,	/* FITHAW may have been called */
	GUARD_RELEASED,	/* its work thaws it */
};

struct hv_vss_guard_set {
	struct kref ref;		/* the device's, and one of each entry */
	spinlock_t lock;		/* all below, and entries but for what is the work's own */
	struct list_head entries;
	unsigned int count;
	u64 thawed;
	wait_queue_head_t empty;	/* woken when no entry is left */
};

/* For a thread that waits for a thaw. May outlive both the entry and the thread. */
struct hv_vss_guard_thaw {
	struct kref ref;		/* one of the thread, one of the entry */
	struct completion done;
	int result;			/* valid once done */
};

struct guard_entry {
	struct list_head list;
	struct hv_vss_guard_set *set;
	struct file *file;		/* keeps mount and superblock */
	struct super_block *sb;
	struct pid *pid;		/* the thread that armed, and calls FIFREEZE */
	u32 cookie;
	enum guard_state state;
	struct hv_vss_thawwatch watch;	/* runs since it was known to be frozen by us */
	bool readonly;			/* was it read-only at that time? */
	bool ended;			/* FIFREEZE has returned */
	bool expedited;			/* grace periods are short; until FIFREEZE has returned */
	bool dropped;			/* disarmed: our freeze is over */
	bool asked;			/* the daemon has asked for the thaw */
	struct hv_vss_guard_thaw *thaw;	/* to tell that thread; NULL when it was told */

	/* only for the work */
	struct hv_vss_thawwatch rest;	/* runs since our latest thaw */
	bool given_back;		/* that thaw has left another freeze in place */
	bool over;			/* one of our thaws has ended a freeze */
	unsigned int refused;		/* attempts that the file system made fail */
	unsigned int stale_tries;
	int result;			/* for @thaw */
	struct delayed_work work;
};

void hv_vss_guard_set_put(struct hv_vss_guard_set *set);

struct guard_entry *hv_vss_guard_entry_new(struct hv_vss_guard_set *set, int fd, u32 cookie);
void hv_vss_guard_entry_free(struct guard_entry *e);
void hv_vss_guard_entry_link(struct guard_entry *e);
void hv_vss_guard_entry_unlink(struct guard_entry *e);
bool hv_vss_guard_entry_ended(struct guard_entry *e);
void hv_vss_guard_entry_thawing(struct guard_entry *e);
void hv_vss_guard_entry_release(struct guard_entry *e);
bool hv_vss_guard_entry_drop(struct guard_entry *e);

/* guard_work.c */
void hv_vss_guard_work(struct work_struct *work);
void hv_vss_guard_work_hurry(struct guard_entry *e);

struct hv_vss_guard_thaw *hv_vss_guard_thaw_new(void);
struct hv_vss_guard_thaw *hv_vss_guard_thaw_get(struct hv_vss_guard_thaw *thaw);
void hv_vss_guard_thaw_put(struct hv_vss_guard_thaw *thaw);

static inline int guard_entry_frozen(const struct guard_entry *e)
{
	/* It changes under s_umount, which may be held for long; reading needs no lock. */
	return READ_ONCE(e->sb->s_writers.frozen);
}

/*
 * Has another process ended our freeze? Then a freeze that is there now is not ours. The state of
 * the superblock can't tell: it may have been thawed and frozen again between two checks.
 */
static inline bool guard_entry_lost(const struct guard_entry *e)
{
	return hv_vss_thawwatch_thawed(&e->watch);
}

/* Has it become read-only because of an error since we froze it? */
static inline bool guard_entry_failed(const struct guard_entry *e)
{
	return hv_vss_compat_failed_while_frozen(e->sb, e->readonly);
}

#endif /* _HV_VSS_GUARD_ENTRY_H */
