/* SPDX-License-Identifier: GPL-2.0-only */
/* Notices that a superblock was thawed, even for a moment. */
#ifndef _HV_VSS_THAWWATCH_H
#define _HV_VSS_THAWWATCH_H

#include <linux/wait.h>
#include "compat/compat.h"

struct hv_vss_thawwatch {
	wait_queue_entry_t writers;	/* in the queue where writers wait for a thaw */
	wait_queue_entry_t freezers;	/* in that where the next freeze waits, if it is another */
	struct super_block *sb;		/* NULL if not started */
	bool thawed;
};

void hv_vss_thawwatch_start(struct hv_vss_thawwatch *w, struct super_block *sb);
void hv_vss_thawwatch_stop(struct hv_vss_thawwatch *w);

/**
 * hv_vss_thawwatch_thawed() - has it been thawed since the watch began?
 * @w: zeroed, started or stopped
 *
 * Context: any. Return: false also if it is not started.
 */
static inline bool hv_vss_thawwatch_thawed(const struct hv_vss_thawwatch *w)
{
	return READ_ONCE(w->thawed);
}

#endif /* _HV_VSS_THAWWATCH_H */
