/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a plan from the mount tables: which superblocks are frozen, in which order, and why the
 * others are not. No mounted file system is accessed; the only other source is sysfs.
 */
#ifndef HV_VSS_MOUNTS_H
#define HV_VSS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "fstypes.h"

enum mounts_action {
	MOUNTS_FREEZE,
	MOUNTS_SYNC,		/* can't be frozen: synced, and named in the log */
	MOUNTS_SKIP,		/* not accessed at all */
};

struct mounts_mount {
	int id;
	int parent;
	pid_t pid;		/* a process in the mount namespace; 0: our own; -1: no process */
	int ns;			/* another namespace's descriptor, owned by the view; -1: our own */
	bool deleted;		/* the mount point has been unlinked: it has no path */
	bool remote;		/* a parent mount is a network or fuse file system */
	bool covered;		/* its path leads to another mount (set for our own namespace) */
	ino_t pinned_ns;	/* the mount namespace that it is a bind mount of; 0: none */
	char *path;
};

/* The files that processes that permit access to files (fanotify) have open on a file system. */
enum mounts_listener {
	LISTENER_NONE,
	LISTENER_READS,
	LISTENER_WRITES,
};

struct mounts_fs {
	dev_t dev;
	char *type;
	char *source;
	enum fstype_kind kind;
	enum mounts_action action;
	const char *reason;	/* why it is not MOUNTS_FREEZE, or a remark */
	bool readonly;		/* the superblock, not a mount */
	bool root;		/* mounted on / */
	bool reachable;		/* a path of our own namespace leads to it */
	size_t seq;		/* position of its first mount in the tables */
	struct mounts_mount *mount;
	size_t mounts;
	size_t *backing;	/* indices of the file systems with the files that it lies on */
	size_t backings;
	dev_t *journal;		/* further devices that it writes to: external journals */
	size_t journals;
	bool journal_unknown;	/* it has an external journal on an unknown device */
	enum mounts_listener listener;
	bool disks_only;	/* it lies on nothing but disks of this machine */
	bool beside;		/* may be frozen at the same time as the one before it */
};

/**
 * mounts_fs_path() - the path that names a file system in messages
 * @fs: the file system
 * Return: its first mount point, in our own mount namespace if it has one there.
 */
static inline const char *mounts_fs_path(const struct mounts_fs *fs)
{
	for (size_t i = 0; i < fs->mounts; i++)
		if (!fs->mount[i].pid && !fs->mount[i].deleted)
			return fs->mount[i].path;
	return fs->mount[0].path;
}

struct blockdev_walk;

struct mounts_policy {
	bool strict;		/* a file system that can't be frozen makes the freeze fail */
	char **include;		/* if there are any: freeze only what matches one of them */
	char **exclude;		/* NULL-terminated patterns: a path, type:TYPE or device:PATH */
};

struct mounts {
	struct mounts_fs *fs;
	size_t n;
	size_t *order;		/* all of fs[], in the order in which to freeze */
	size_t next_seq;	/* number of mounts added so far */
	const char *proc;	/* where procfs is mounted; NULL: external journals are not found */
	size_t *index;		/* hash table by device number: index in fs[] plus 1 */
	size_t slots;		/* of the hash table */
};

/* Another mount namespace, and the limits for its table. */
struct mounts_other {
	pid_t pid;		/* as in struct mounts_mount */
	int ns;
	size_t lines_max;	/* 0: no limit */
	int64_t deadline_us;	/* on CLOCK_MONOTONIC; 0: no limit */
};

int mounts_add_table(struct mounts *m, FILE *f, const char *name);
int mounts_add_other(struct mounts *m, int fd, const struct mounts_other *other);
int mounts_plan(struct mounts *m, const struct mounts_policy *policy, const char *sysfs);
void mounts_free(struct mounts *m);
const struct mounts_fs *mounts_find(const struct mounts *m, dev_t dev);

/* journals.c */
int journals_from_options(struct mounts_fs *fs, const char *options);
int journals_from_proc(struct mounts *m, const char *sysfs);
/* policy.c */
void policy_decide(struct mounts_fs *fs, const struct mounts_policy *policy);
bool policy_matches(const struct mounts_fs *fs, const char *pattern);
const char *policy_unmatched(const struct mounts *m, const struct mounts_policy *policy);

/* order.c */
int order_walk_devices(const struct mounts_fs *fs, const char *sysfs,
		       const struct blockdev_walk *walk);
bool order_find_holder(const struct mounts *m, const char *file, size_t *holder);
int order_find_backing(struct mounts *m, const char *sysfs);
int order_sort(struct mounts *m);

#endif
