/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of the process. While something is frozen, all of it is locked and there is a reserve, so
 * that the process never waits for a disk; and there is no core dump, so that it ends at once when
 * it is killed. At all other times the process uses little memory.
 */
#ifndef HV_VSS_MEMLOCK_H
#define HV_VSS_MEMLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "atomics.h"

struct memlock {
	atomic_int locked;	/* from memlock_begin() to memlock_end() */
	bool warned;		/* logged that memory can't be locked */
	bool never_dumps;	/* no core dump, also when memory is not locked */
};

/*
 * Mount tables may have to be read again while file systems are frozen. The heap still has the
 * memory of the first reading; this reserve is for mounts that are new since then. A mount needs
 * 0.6 KiB, more with a long path; the reserve is for 3,000 (tests/system/test_memory.py).
 */
#define MEMLOCK_RESERVE_TABLES	(3UL << 20)
#define MEMLOCK_RESERVE_SMALL	(256UL << 10)

void memlock_begin(struct memlock *r, size_t reserve);
void memlock_end(struct memlock *r);
void memlock_trim(void);

#endif
