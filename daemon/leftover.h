/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a daemon that was killed has left frozen. Needed where the kernel has no guard (hv_utils).
 *
 * The notes are a file in /run, mapped into memory that every FIFREEZE and FITHAW is noted in: a
 * store of one byte, which survives the process and needs no system call while all is frozen.
 */
#ifndef HV_VSS_LEFTOVER_H
#define HV_VSS_LEFTOVER_H

#include "fsset.h"

struct rescue;

struct leftover {
	const char *dir;	/* "/run/hv-vss" */
	int fd;			/* of the notes, locked as long as we live; -1 */
	char *map;
	size_t size;
	pid_t guardian;		/* to be told of notes, if any */
	struct rescue *rescue;	/* belongs to workers that hang, if not NULL */
};

/* leftover_until(): something is about to be frozen */
#define LEFTOVER_SOON	(-1)

int leftover_lock(struct leftover *l, const char *dir);
int leftover_thaw(struct leftover *l, const struct fsset_config *config,
		  const struct sysops *ops);
pid_t leftover_owner(const struct leftover *l);
bool leftover_owner_lives(pid_t pid);
int64_t leftover_until(const struct leftover *l);
int leftover_note(struct leftover *l, struct fsset *set);

#endif
