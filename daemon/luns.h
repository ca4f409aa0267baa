/* SPDX-License-Identifier: GPL-2.0-only */
/* The disks that the host is going to snapshot: the list that comes with FREEZE. */
#ifndef HV_VSS_LUNS_H
#define HV_VSS_LUNS_H

#include <stdbool.h>

#include "../include/uapi/hv_vss.h"
#include "fsset.h"

struct luns {
	bool known;		/* the driver passes the list on */
	bool check;		/* no list is expected yet: HOT_BACKUP */
	bool verbose;		/* tell which disks and file systems they are */
	unsigned int n;
	struct hv_vss_lun lun[HV_VSS_LUN_MAX];
};

int luns_select(struct mounts *m, const struct luns *luns, bool only, const char *sysfs,
		char why[FSSET_WHY]);
int luns_find_disk(const char *sysfs, const struct hv_vss_lun *lun, dev_t *disk);

#endif
