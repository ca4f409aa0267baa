/* SPDX-License-Identifier: GPL-2.0-only */
/* The disks that the host is going to snapshot: the list that comes with FREEZE. */
#ifndef HV_VSS_LUNS_H
#define HV_VSS_LUNS_H

#include <stdbool.h>

#include "base/reason.h"
#include "hv_vss.h"
#include "mounts.h"

struct luns {
	bool known;		/* the driver passes the list on */
	bool preflight;		/* HOT_BACKUP: the host sends the list with FREEZE only */
	bool verbose;		/* log which disks and file systems they are */
	unsigned int n;
	struct hv_vss_lun lun[HV_VSS_LUN_MAX];
};

int luns_select(struct mounts *m, const struct luns *luns, bool only, const char *sysfs,
		char why[REASON_SIZE]);
int luns_find_disk(const char *sysfs, const struct hv_vss_lun *lun, dev_t *disk);

#endif
