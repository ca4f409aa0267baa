/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mount tables of the machine: our own and those of the other mount namespaces. They stay open,
 * because poll() on a table tells whether it has changed since it was read.
 *
 * A table shows only mounts below the root directory of the process that it was opened for. So a
 * thread of ours enters each other namespace and opens the table there: its root directory is that
 * of the namespace then, wherever the processes in the namespace have theirs.
 */
#ifndef HV_VSS_MOUNTVIEW_H
#define HV_VSS_MOUNTVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mounts.h"
#include "namespaces.h"

struct mountview_table {
	int fd;			/* -1: not opened */
	int ns;			/* descriptor of the namespace; -1: not needed any more */
	ino_t inode;		/* of the namespace */
	pid_t pid;		/* as in struct mounts_mount */
	bool trusted;		/* its owner is root's user namespace: read without limits */
	bool needs_read;	/* new, or changed since it was read */
};

/* A mount namespace whose table could not be read, or not to its end. */
struct mountview_unread {
	pid_t pid;
	ino_t inode;
	const char *why;
};

#define MOUNTVIEW_UNREAD_MAX	8	/* so many are described; the others are only counted */
#define MOUNTVIEW_NAME		64	/* bytes for the name of a namespace */

struct mountview {
	struct mountview_table *table;
	size_t n;
	struct namespaces known;	/* all in table[] and in unread[] */
	bool own_only;
	struct mountview_unread unread[MOUNTVIEW_UNREAD_MAX];
	size_t unread_count;	/* also those that are not in unread[] */
};

int mountview_open(struct mountview *v, bool own_only);
int mountview_read(struct mountview *v, struct mounts *m);
int mountview_poll(struct mountview *v);
int mountview_update(struct mountview *v, struct mounts *m, int64_t budget_us);
void mountview_unread_name(const struct mountview_unread *unread, char name[MOUNTVIEW_NAME]);
void mountview_close_namespaces(struct mountview *v);
void mountview_close(struct mountview *v);

#endif
