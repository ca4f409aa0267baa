/* SPDX-License-Identifier: GPL-2.0-only */
/* Opens file systems that no path of our own mount namespace leads to. */
#ifndef HV_VSS_COVERED_H
#define HV_VSS_COVERED_H

#include "base/sysops.h"
#include "plan/mounts.h"

int covered_open(const struct sysops *ops, const struct mounts_fs *fs,
		 const struct mounts_mount *mount);

#endif
