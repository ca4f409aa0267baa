/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is a process alive, according to the kernel? A process that was killed or dumps core will not
 * run its program again, but may exist for minutes: while its core is written, or while one of its
 * threads hangs in the kernel.
 */
#ifndef HV_VSS_PROCSTATE_H
#define HV_VSS_PROCSTATE_H

#include <stdbool.h>
#include <sys/types.h>

/* Open files of /proc/PID. They stay those of this process when its pid is reused. */
struct procstate {
	int stat;
	int status;
};

void procstate_open(struct procstate *p, pid_t pid);
void procstate_close(struct procstate *p);
bool procstate_alive(const struct procstate *p);
int procstate_threads(const struct procstate *p);
bool procstate_pid_alive(pid_t pid);

#endif
