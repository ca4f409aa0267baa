// SPDX-License-Identifier: GPL-2.0-only
/*
 * To look whether a superblock is frozen says nothing about the time since the last look: thawed
 * and frozen again it looks the same, and writers got through. But thaw_super() wakes those who
 * wait for it, and we are among them: no task that sleeps, only an entry in that queue.
 *
 * From 6.6 on it does not for a superblock that is read-only; then looking is all there is.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include "thawwatch.h"

/*
 * Called by thaw_super() with the superblock's s_umount, the queue locked and interrupts off. A
 * freeze that comes next waits for s_umount, so it can't hide the thaw from us. Others wake the
 * queue too; what counts is what they have done.
 */
static int woken(wait_queue_entry_t *wait, unsigned int mode, int flags, void *key)
{
	struct hv_vss_thawwatch *w = container_of(wait, struct hv_vss_thawwatch, wait);

	if (READ_ONCE(w->sb->s_writers.frozen) == SB_UNFROZEN)
		WRITE_ONCE(w->thawed, true);
	return 0;
}

/**
 * hv_vss_thawwatch_start() - notice every thaw from now on
 * @w: zeroed or stopped; must stay where it is until hv_vss_thawwatch_stop()
 * @sb: stays until then
 *
 * Context: any.
 */
void hv_vss_thawwatch_start(struct hv_vss_thawwatch *w, struct super_block *sb)
{
	w->sb = sb;
	init_waitqueue_func_entry(&w->wait, woken);
	/* Not exclusive, so it never takes the place of one who waits to write. */
	add_wait_queue(hv_vss_compat_thaw_queue(sb), &w->wait);
}

/**
 * hv_vss_thawwatch_stop() - notice no more, and forget what was noticed
 * @w: started
 *
 * Context: any.
 */
void hv_vss_thawwatch_stop(struct hv_vss_thawwatch *w)
{
	remove_wait_queue(hv_vss_compat_thaw_queue(w->sb), &w->wait);
	w->sb = NULL;
	WRITE_ONCE(w->thawed, false);
}
