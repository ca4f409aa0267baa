/* SPDX-License-Identifier: GPL-2.0-only */
/* Has a superblock been thawed, be it for a moment? */
#ifndef _HV_VSS_THAWWATCH_H
#define _HV_VSS_THAWWATCH_H

#include <linux/wait.h>
#include "compat.h"

struct hv_vss_thawwatch {
	wait_queue_entry_t wait;
	struct super_block *sb;		/* NULL until it starts */
	bool thawed;
};

void hv_vss_thawwatch_start(struct hv_vss_thawwatch *w, struct super_block *sb);
void hv_vss_thawwatch_stop(struct hv_vss_thawwatch *w);

/**
 * hv_vss_thawwatch_thawed() - has it been thawed since the watch began?
 * @w: zeroed, started or stopped: then no
 *
 * Context: any.
 */
static inline bool hv_vss_thawwatch_thawed(const struct hv_vss_thawwatch *w)
{
	return READ_ONCE(w->thawed);
}

#endif /* _HV_VSS_THAWWATCH_H */
