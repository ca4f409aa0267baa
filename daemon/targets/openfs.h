/* SPDX-License-Identifier: GPL-2.0-only */
/* Opens a file system of the plan for FIFREEZE. */
#ifndef HV_VSS_OPENFS_H
#define HV_VSS_OPENFS_H

#include "base/sysops.h"
#include "plan/mounts.h"

int openfs_open(const struct sysops *ops, const struct mounts_fs *fs);

#endif
