/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Thaws file systems that a killed daemon has left frozen. Needed for kernels without our guard
 * (hv_utils).
 *
 * The notes are a file in /run, mapped into memory. Each FIFREEZE and FITHAW changes one byte in
 * it: that needs no system call while file systems are frozen, and survives the process.
 */
#ifndef HV_VSS_LEFTOVER_H
#define HV_VSS_LEFTOVER_H

#include "base/procstate.h"
#include "targets/build.h"

struct rescue;
struct standby;

struct leftover {
	const char *dir;	/* "/run/hv-vss" */
	int fd;			/* the notes, locked as long as the process lives; -1 */
	char *map;
	size_t size;
	struct rescue *rescue;	/* not NULL: used by workers that hang */
	uint32_t number;	/* of the latest notes or command */
	/* In the daemon: */
	pid_t guardian;		/* 0: none */
	int link;		/* socket to the guardian; -1 */
	bool watching;		/* the guardian watches the freeze */
	/* In the guardian: */
	const struct procstate *daemon;
	struct standby *standby;
};

/* Result of leftover_deadline(): file systems are being frozen, and there is no deadline yet. */
#define LEFTOVER_FREEZING	(-1)

int leftover_lock(struct leftover *l, const char *dir);
int leftover_thaw(struct leftover *l, const struct build_config *config,
		  const struct sysops *ops);
pid_t leftover_owner(const struct leftover *l);
int64_t leftover_deadline(const struct leftover *l);
int leftover_prepare(struct leftover *l, int *fd, size_t n, uint32_t number);
void leftover_release(struct leftover *l);
int leftover_write_notes(struct leftover *l, struct fsset *set);

#endif
