/* SPDX-License-Identifier: GPL-2.0-only */
/* All block devices of the machine, and which of them lie on which, from sysfs. None is opened. */
#ifndef HV_VSS_DEVTREE_H
#define HV_VSS_DEVTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct devtree_node {
	dev_t dev;
	char *dir;		/* in sysfs, without symbolic links */
	char *name;		/* of the mapping, or else of the device in the kernel */
	char *file;		/* the backing file of a loop device; else NULL */
	char kind[16];		/* disk, part, lvm, crypt, raid1, loop ... */
	bool is_partition;	/* its directory is in that of its disk */
	uint64_t bytes;
	size_t *below;		/* indices of the devices that it lies on */
	size_t belows;
};

struct devtree {
	struct devtree_node *node;	/* sorted by the names of the kernel */
	size_t n;
};

int devtree_read(struct devtree *t, const char *sysfs);
size_t devtree_find(const struct devtree *t, dev_t dev);
void devtree_free(struct devtree *t);

#endif
