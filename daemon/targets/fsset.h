/* SPDX-License-Identifier: GPL-2.0-only */
/* The set of file systems that one backup freezes, each with an open descriptor. */
#ifndef HV_VSS_FSSET_H
#define HV_VSS_FSSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/pool.h"
#include "base/reason.h"
#include "base/sysops.h"
#include "driver/guardfd.h"
#include "evidence/evidence.h"
#include "plan/mountview.h"

enum target_state {
	TARGET_OPEN,
	TARGET_FROZEN,
	TARGET_THAWED,
	TARGET_UNSUPPORTED,	/* the kernel can't freeze it: only synced */
	TARGET_FOREIGN,		/* frozen by another process; skipped */
	TARGET_STUCK,		/* a system call for it has not returned in time */
};

/* Read by the process that thaws after the daemon was killed; see leftover.h. */
enum target_mark {
	MARK_NONE = '-',
	MARK_INTENT = 'i',
	MARK_FROZEN = 'f',
};

struct fsset;

struct target {
	struct job job;		/* sync, then freeze */
	struct job undo;	/* thaw; may be needed before @job has returned */
	struct fsset *set;
	char *path;
	char *type;
	char *source;
	dev_t dev;
	int *mount;		/* ids of its mounts */
	size_t mounts;
	int fd;
	bool freezable;
	bool optional;		/* the freeze succeeds without it; syncing it is enough */
	bool beside;		/* may be frozen at the same time as the one before it */
	bool readonly;		/* it was read-only when it was frozen, or that is unknown */
	bool broke;		/* became read-only while frozen, and no guard repairs its thaw */
	bool again;		/* the second FIFREEZE found it thawed, and has frozen it again */
	bool failed;		/* it is the reason why the freeze has failed */
	const char *note;	/* remark for log and record; or NULL */
	enum target_state state;
	int result;		/* of @job */
	int thaw_result;	/* of @undo */
	int64_t sync_us;	/* of all rounds */
	int64_t freeze_us;
	int64_t thaw_us;
	atomic_char *mark;	/* enum target_mark, in a mapping that survives us; or NULL */
};

/* A file system that is skipped, for the record. */
struct fsset_skip {
	char *path;
	char *type;
	char *source;
	const char *reason;
	bool unsafe;		/* its data on the disks may change while they are copied */
};

/* A file system in the mount tables when the plan was made. Any other one was mounted later. */
struct fsset_planned {
	dev_t dev;
	bool readonly;
	char type[16];
};

struct fsset {
	struct job job;		/* build, verify */
	int result;
	struct target *target;	/* in the order of freezing */
	size_t n;
	size_t freezable;
	struct fsset_skip *skip;
	size_t skips;
	struct fsset_planned *planned;	/* sorted by device number */
	size_t planned_count;
	char why[REASON_SIZE];	/* the first error in a worker */
	unsigned int in_flight;
	const struct sysops *ops;
	struct guard *guard;	/* NULL without one */
	uint32_t cookie;
	struct mountview view;
	struct evidence evidence;
	struct evidence_verdict verdict;
	atomic_llong *until;	/* hold deadline, in a mapping that survives us; or NULL */
	struct fsset *next;	/* in the list of sets with a stuck job */
	void *owner;		/* the freezer */
};

int fsset_add(struct fsset *set, const struct mounts_fs *fs, int fd);
struct fsset_skip *fsset_skip(struct fsset *set, const char *path, const char *type,
			      const char *source, const char *reason);
int fsset_remember(struct fsset *set, const struct mounts *m);
bool fsset_was_planned(const struct fsset *set, const struct mounts_fs *fs);
void fsset_clear(struct fsset *set);
void fsset_free(struct fsset *set);
#endif
