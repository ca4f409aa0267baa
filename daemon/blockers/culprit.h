/* SPDX-License-Identifier: GPL-2.0-only */
/* A blocker: what keeps a file system from being frozen, for log, record and status. */
#ifndef HV_VSS_CULPRIT_H
#define HV_VSS_CULPRIT_H

#include <stddef.h>
#include <stdint.h>

#define CULPRITS_MAX	8

struct culprit {
	int32_t pid;		/* 0: the file system itself, or unknown */
	char comm[32];
	char call[32];		/* system call, or the operation of a btrfs */
	char waits[16];		/* what the process waits for, if that is known: "fanotify" */
	char path[128];		/* mount point of the file system; empty: unknown */
};

struct culprits {
	struct culprit one[CULPRITS_MAX];
	size_t n;
	size_t more;		/* number of further ones, not in one[] */
};

void culprit_words(char *text, size_t size, const struct culprit *c);

#endif
