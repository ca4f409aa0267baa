/* SPDX-License-Identifier: GPL-2.0-only */
/* System calls that keep the kernel from freezing a file system until they return. */
#ifndef HV_VSS_SYSCALLS_H
#define HV_VSS_SYSCALLS_H

struct syscall_line {
	long nr;		/* -1: not in a system call */
	unsigned long long arg[6];
	unsigned long long sp;
};

struct syscall_write {
	const char *name;
	int fd;			/* the descriptor that is written to; -1: the call has a path */
};

int syscalls_parse(struct syscall_line *line, const char *text);
int syscalls_writes(struct syscall_write *w, const struct syscall_line *line);

#endif
