/* SPDX-License-Identifier: GPL-2.0-only */
/* What lies below a block device, from sysfs. No device is opened. */
#ifndef HV_VSS_BLOCKDEV_H
#define HV_VSS_BLOCKDEV_H

#include <sys/types.h>

/* @file is the path of a loop device's backing file, as the kernel spells it. */
typedef int (*blockdev_file_fn)(void *arg, const char *file);

int blockdev_files(const char *sysfs, dev_t dev, blockdev_file_fn fn, void *arg);
int blockdev_btrfs_files(const char *sysfs, const char *source, blockdev_file_fn fn, void *arg);

#endif
