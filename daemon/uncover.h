/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening a file system over whose only mount point another one is mounted. */
#ifndef HV_VSS_UNCOVER_H
#define HV_VSS_UNCOVER_H

#include "mounts.h"
#include "sysops.h"

int uncover_open(const struct sysops *ops, const struct mounts_fs *fs);

/* fsset.c */
int fsset_mount_id(int fd);
int fsset_reopen(const struct sysops *ops, int path_fd);

#endif
