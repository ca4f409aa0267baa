/* SPDX-License-Identifier: GPL-2.0-only */
/* What lies below a block device, from sysfs. No device is opened. */
#ifndef HV_VSS_BLOCKDEV_H
#define HV_VSS_BLOCKDEV_H

#include <sys/types.h>

/* What to do at the bottom; a negative errno from one of them ends the walk. */
struct blockdev_walk {
	int (*file)(void *arg, const char *file);	/* a loop device's, in the kernel's words */
	int (*disk)(void *arg, dev_t disk);		/* may be NULL */
	void *arg;
};

int blockdev_walk(const char *sysfs, dev_t dev, const struct blockdev_walk *walk);
int blockdev_walk_btrfs(const char *sysfs, const char *source, const struct blockdev_walk *walk);
int blockdev_read_number(const char *dir, dev_t *dev);

#endif
