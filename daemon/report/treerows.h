/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of a tree: disks, what lies on them in several layers, and the file systems of a plan.
 * What several devices carry has its rows below the first one, and one row below each other.
 */
#ifndef HV_VSS_TREEROWS_H
#define HV_VSS_TREEROWS_H

#include <stdbool.h>

#include "plan/devtree.h"
#include "plan/mounts.h"

#define TREEROWS_TOP	SIZE_MAX

struct treerow {
	size_t node;		/* index of a device, or their number plus that of a file system */
	size_t up;		/* the row above in the tree; TREEROWS_TOP: none */
	unsigned int depth;
	bool last;		/* of the rows below @up */
	bool again;		/* an earlier row has it, and all that lies on it */
	bool carries;		/* something lies on it */
};

struct treerows_edge {
	size_t from, to;
};

struct treerows {
	const struct mounts *m;
	struct devtree devices;
	struct treerows_edge *edge;	/* @to lies on @from; sorted */
	size_t edges;
	bool *shown;		/* by node */
	struct treerow *row;
	size_t n;
};

int treerows_make(struct treerows *t, const struct mounts *m, const char *sysfs);
const struct mounts_fs *treerows_fs(const struct treerows *t, size_t node);
bool treerows_has_fs(const struct treerows *t, size_t fs);
void treerows_free(struct treerows *t);

#endif
