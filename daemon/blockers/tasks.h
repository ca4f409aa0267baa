/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds tasks that are in a system call which keeps a file system from being frozen.
 *
 * Of each task "syscall" is read; of the few that are in such a call also "fdinfo/FD", "stack" or
 * "wchan", "schedstat", "stat" and "comm". None of these files calls into a file system. Only
 * "syscall" and "stack" take a lock that sleeps: on kernels before 5.8 it waits for an execve() of
 * the same process.
 * "cmdline", "maps" and "exe" are not read: they take the lock of the address space, which the task
 * may hold while it waits for a disk. "fd" is read for files of planned file systems only: it calls
 * into the file system.
 */
#ifndef HV_VSS_TASKS_H
#define HV_VSS_TASKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/procfs.h"

#define TASK_COMM	32	/* the kernel has 16 bytes, but longer names for its own threads */

enum task_wait {
	TASK_WAITS,		/* for something else */
	TASK_WAITS_FREEZE,	/* because a file system is frozen, or being frozen */
	TASK_WAITS_LISTENER,	/* for a process that permits access (fanotify) */
	TASK_LEAVES,		/* stopped on its way out of the call: holds nothing */
};

struct task {
	pid_t pid;
	pid_t tid;
	const char *call;
	int mount;		/* id of the mount through which it writes; -1: unknown */
	bool by_path;		/* the call has a path, so the file system is unknown */
	enum task_wait wait;
	int fd;			/* what it writes to, unless by_path */
	char state;		/* as in /proc/PID/stat; D: it may wait for a disk */
	char comm[TASK_COMM];
	uint64_t call_hash;	/* of call, arguments and stack pointer */
	uint64_t run_hash;	/* of counters that change each time the task runs */
};

/* Buffers for reading /proc. */
struct tasks {
	int proc;
	struct procfs_list processes;
	struct procfs_list threads;
	char text[4096];
};

typedef void (*tasks_callback)(void *arg, const struct task *task);

int tasks_open(struct tasks *t, const char *proc);
void tasks_close(struct tasks *t);
int tasks_each(struct tasks *t, tasks_callback found, void *arg);
bool tasks_writes_file(struct tasks *t, const struct task *task);
bool tasks_is_stuck(struct tasks *t, const struct task *task);

#endif
