/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From mount tables to a plan: which superblocks are frozen, in which order, and why the others
 * are not. Nothing that is mounted is touched here; the only other source of facts is sysfs.
 */
#ifndef HV_VSS_MOUNTS_H
#define HV_VSS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "fstypes.h"

enum mounts_action {
	MOUNTS_FREEZE,
	MOUNTS_SYNC,		/* can't be frozen: written out, and named */
	MOUNTS_SKIP,		/* never touched */
};

struct mounts_mount {
	int id;
	int parent;
	pid_t pid;		/* a process in the mount namespace; 0: our own */
	bool deleted;		/* the mount point has been unlinked: no path leads there */
	bool remote;		/* the path leads through a network or fuse file system */
	char *path;
};

struct mounts_fs {
	dev_t dev;
	char *type;
	char *source;
	enum fstype_kind kind;
	enum mounts_action action;
	const char *reason;	/* why not MOUNTS_FREEZE, or a remark */
	bool readonly;		/* the superblock, not a mount */
	bool root;		/* mounted on / */
	size_t place;		/* of its first mount in the tables */
	struct mounts_mount *mount;
	size_t mounts;
	size_t *below;		/* indices of the file systems that hold files this one lies on */
	size_t belows;
	bool hardware;		/* nothing but this machine's disks lies below it */
	bool beside;		/* may be frozen at the same time as the one before it */
};

struct mounts_policy {
	bool strict;		/* what can't be frozen makes the freeze fail */
	char **include;		/* if any: freeze only what matches one of them */
	char **exclude;		/* NULL-terminated patterns: a path, type:TYPE or device:PATH */
};

struct mounts {
	struct mounts_fs *fs;
	size_t n;
	size_t *order;		/* all of fs[], in the order in which to freeze */
	size_t places;
};

int mounts_add_table(struct mounts *m, FILE *f, const char *name, pid_t pid);
int mounts_plan(struct mounts *m, const struct mounts_policy *policy, const char *sysfs);
void mounts_free(struct mounts *m);
const struct mounts_fs *mounts_find(const struct mounts *m, dev_t dev);
const char *mounts_fs_path(const struct mounts_fs *fs);

/* order.c */
int order_find_below(struct mounts *m, const char *sysfs);
int order_sort(struct mounts *m);

#endif
