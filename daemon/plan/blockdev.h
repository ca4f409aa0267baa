/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds in sysfs what a block device lies on. No device is opened. */
#ifndef HV_VSS_BLOCKDEV_H
#define HV_VSS_BLOCKDEV_H

#include <sys/types.h>

/* For files and disks at the bottom; each may be NULL. A negative errno from one ends the walk. */
struct blockdev_walk {
	int (*file)(void *arg, const char *file);	/* backing file of a loop device */
	int (*disk)(void *arg, dev_t disk);
	void *arg;
};

int blockdev_walk(const char *sysfs, dev_t dev, const struct blockdev_walk *walk);
int blockdev_walk_btrfs(const char *sysfs, const char *source, const struct blockdev_walk *walk);
int blockdev_find_btrfs(const char *sysfs, dev_t dev, char *devices, size_t size);
int blockdev_read_number(const char *dir, dev_t *dev);

#endif
