/* SPDX-License-Identifier: GPL-2.0-only */
/* Thaws file systems that a dead or stopped daemon has left frozen, in workers. */
#ifndef HV_VSS_RESCUE_H
#define HV_VSS_RESCUE_H

#include "base/pool.h"
#include "base/sysops.h"
#include "plan/mounts.h"

struct rescue {
	struct job job;
	const struct sysops *ops;
	const struct mounts_fs *fs;	/* used if @fd is negative: opened by path */
	int fd;
	const char *path;		/* for the log */
	size_t record;			/* index of its record in the notes */
	int result;
};

/* Allocated before the freeze, so that the thaw needs no look-up, no memory and no new thread. */
struct standby {
	struct pool *pool;
	struct rescue *rescue;		/* array with room for all */
	int *fd;			/* in the order of the notes */
	size_t n;
	char *notes;			/* buffer for reading them */
};

int rescue_all(struct pool *pool, struct rescue *all, size_t n);
struct standby *standby_new(int *fd, size_t n, size_t notes);
void standby_free(struct standby *s);

#endif
