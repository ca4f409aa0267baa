/* SPDX-License-Identifier: GPL-2.0-only */
/* The disks that a backup copies: nothing may be written to them while file systems are frozen. */
#ifndef HV_VSS_DISKS_H
#define HV_VSS_DISKS_H

#include "fsset.h"
#include "plan/luns.h"

void disks_watch(struct fsset *set, const struct mounts *m, const char *sysfs,
		 const struct luns *luns);

#endif
