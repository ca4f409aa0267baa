/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds what keeps file systems from being frozen (blockers). FIFREEZE waits, uninterruptibly, for
 * all tasks that are in the middle of a write, and no other task can write meanwhile. So the daemon
 * searches for such tasks before FIFREEZE.
 *
 * One object serves one freeze. It shares no data with the freezer, because the search may hang in
 * the kernel: then it is abandoned, and the freeze goes on without its result.
 */
#ifndef HV_VSS_BUSY_H
#define HV_VSS_BUSY_H

#include "culprit.h"
#include "targets/fsset.h"
#include "tasks.h"

/*
 * A task is stuck if it is in one call for so long without running; longer if it may wait for a
 * disk.
 */
#define BUSY_STUCK_US	1000000LL
#define BUSY_DISK_US	3000000LL
#define BUSY_TASKS	64		/* candidates to check again; further ones are missed */

struct busy_fs {
	char *path;
	int *mount;		/* ids of its mounts */
	size_t mounts;
	int fd;			/* of a btrfs; -1 */
	bool wanted;		/* its FIFREEZE has not returned: find what it waits for */
};

struct busy_config {
	const char *proc;
	const char *sysfs;
	bool wait;		/* wait for blockers to end, until busy->until; false: fail */
};

struct busy {
	struct job job;
	const struct busy_config *config;
	const struct sysops *ops;
	struct busy_fs *fs;
	size_t n;
	int64_t until;
	int result;			/* of a check: 0, -EBUSY, or another negative errno */
	bool waited;			/* the check had to wait for a blocker */
	struct culprits found;
	/* Used by the worker only. */
	struct tasks tasks;
	struct task candidate[BUSY_TASKS];
	size_t candidate_fs[BUSY_TASKS];
	size_t candidates;
};

struct busy *busy_new(const struct fsset *set, const struct busy_config *config);
void busy_free(struct busy *b);
void busy_check(struct busy *b);
void busy_name(struct busy *b);

#endif
