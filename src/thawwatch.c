// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading whether a superblock is frozen is not enough: it may have been thawed, written to and
 * frozen again since the last check. But thaw_super() wakes a wait queue. So we have an entry in
 * that queue, without a task that sleeps.
 *
 * From 6.6 on there are two queues: writers wait in one, freezers in the other. The thaw of a
 * read-only superblock wakes only the second one. So there is an entry in both.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include "thawwatch.h"

/*
 * Called by thaw_super(), which holds s_umount, with the queue locked and interrupts off. The next
 * freeze waits for s_umount, so it can't hide the thaw from us. Other code wakes the queue, too, so
 * the state is checked.
 */
static int woken(struct hv_vss_thawwatch *w)
{
	if (READ_ONCE(w->sb->s_writers.frozen) == SB_UNFROZEN)
		WRITE_ONCE(w->thawed, true);
	return 0;
}

static int woken_with_writers(wait_queue_entry_t *wait, unsigned int mode, int flags, void *key)
{
	return woken(container_of(wait, struct hv_vss_thawwatch, writers));
}

static int woken_with_freezers(wait_queue_entry_t *wait, unsigned int mode, int flags, void *key)
{
	return woken(container_of(wait, struct hv_vss_thawwatch, freezers));
}

/**
 * hv_vss_thawwatch_start() - notice every thaw from now on
 * @w: zeroed or stopped; must not move until hv_vss_thawwatch_stop()
 * @sb: must exist until then
 *
 * Context: any.
 */
void hv_vss_thawwatch_start(struct hv_vss_thawwatch *w, struct super_block *sb)
{
	wait_queue_head_t *freezers = hv_vss_compat_freezers_queue(sb);

	w->sb = sb;
	/* Not exclusive, so a waiting task is woken all the same. */
	init_waitqueue_func_entry(&w->writers, woken_with_writers);
	add_wait_queue(hv_vss_compat_thaw_queue(sb), &w->writers);
	if (!freezers)
		return;
	init_waitqueue_func_entry(&w->freezers, woken_with_freezers);
	add_wait_queue(freezers, &w->freezers);
	/* The caller reads the state next. A thaw changes it, then checks for us without a lock. */
	smp_mb();
}

/**
 * hv_vss_thawwatch_stop() - stop watching, and forget what was noticed
 * @w: started
 *
 * Context: any.
 */
void hv_vss_thawwatch_stop(struct hv_vss_thawwatch *w)
{
	wait_queue_head_t *freezers = hv_vss_compat_freezers_queue(w->sb);

	remove_wait_queue(hv_vss_compat_thaw_queue(w->sb), &w->writers);
	if (freezers)
		remove_wait_queue(freezers, &w->freezers);
	w->sb = NULL;
	WRITE_ONCE(w->thawed, false);
}
