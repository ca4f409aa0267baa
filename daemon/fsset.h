/* SPDX-License-Identifier: GPL-2.0-only */
/* What one backup freezes: the file systems of the plan, each with an open descriptor. */
#ifndef HV_VSS_FSSET_H
#define HV_VSS_FSSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mountview.h"
#include "pool.h"
#include "sysops.h"

enum target_state {
	TARGET_OPEN,
	TARGET_FROZEN,
	TARGET_THAWED,
	TARGET_UNSUPPORTED,	/* the kernel can't freeze this one: synced only */
	TARGET_FOREIGN,		/* frozen by somebody else, and left to him */
	TARGET_STUCK,		/* a call for it has not returned in time */
};

/* Notes for whoever cleans up after a killed daemon; see leftover.h. */
enum target_mark {
	MARK_NONE = '-',
	MARK_INTENT = 'i',
	MARK_FROZEN = 'f',
};

#define FSSET_WHY	256	/* room for the reason of a failure */

struct fsset;

struct target {
	struct job job;		/* sync, then freeze */
	struct job undo;	/* thaw; may be needed before @job has been taken back */
	struct fsset *set;
	char *path;
	char *type;
	char *source;
	dev_t dev;
	int fd;
	bool freezable;
	bool beside;		/* may be frozen at the same time as the one before it */
	bool failed;		/* it is why the freeze has failed */
	const char *note;	/* what there is to say about it; or NULL */
	enum target_state state;
	int result;		/* of @job */
	int thaw_result;	/* of @undo */
	int64_t sync_us;	/* all rounds */
	int64_t freeze_us;
	int64_t thaw_us;
	atomic_char *mark;	/* one of enum target_mark, in memory that outlives us; or NULL */
};

/* The module's device as the guard sees it; a worker in the kernel keeps it open. */
struct guard {
	int fd;
	atomic_uint refs;
};

/* A file system that is not touched, for the record. */
struct fsset_skip {
	char *path;
	char *type;
	char *source;
	const char *reason;
};

struct fsset {
	struct job job;		/* build, verify */
	int result;
	struct target *target;	/* in the order of freezing */
	size_t n;
	size_t freezable;
	struct fsset_skip *skip;
	size_t skips;
	char why[FSSET_WHY];	/* the first thing that went wrong in a worker */
	unsigned int in_flight;
	const struct sysops *ops;
	struct guard *guard;	/* NULL without one */
	uint32_t cookie;
	struct mountview view;
	atomic_llong *until;	/* hold deadline, in memory that outlives us; or NULL */
	struct fsset *next;	/* in the list of those with a stuck job */
	void *owner;		/* the freezer */
};

struct luns;

struct fsset_config {
	struct mounts_policy policy;
	const struct luns *luns;	/* the disks that the host has named; NULL: it has not */
	bool own_namespace_only;
	bool only_luns;		/* only what is on the disks that the host has named */
	const char *sysfs;
};

struct guard *guard_new(int fd);
struct guard *guard_get(struct guard *guard);
void guard_put(struct guard *guard, const struct sysops *ops);

int fsset_build(void *config, struct fsset *set);
int fsset_look(const struct fsset_config *config, char why[FSSET_WHY]);
int fsset_verify(void *config, struct fsset *set);
int fsset_add(struct fsset *set, const struct mounts_fs *fs, int fd);
void fsset_free(struct fsset *set);
void fsset_blame(char why[FSSET_WHY], int priority, const char *mount, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int fsset_open_mount(const struct sysops *ops, const struct mounts_fs *fs);

#endif
