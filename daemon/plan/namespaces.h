/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds the mount namespaces of the machine. */
#ifndef HV_VSS_NAMESPACES_H
#define HV_VSS_NAMESPACES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The namespaces that are known, by inode number, sorted. */
struct namespaces {
	ino_t *inode;
	size_t n;
	size_t room;
	size_t opened;		/* how many of them namespaces_find() has opened */
	size_t untrusted;	/* of these: any user can have made them */
};

/*
 * Called with each new namespace. @pid is a process or thread in it, or -1 if a bind mount pins it.
 * @ns is a descriptor, to be closed by the callee; -EMFILE if too many are open; or -EACCES if the
 * namespace can't be read: then @inode is not known, and only the first of those is reported.
 */
typedef int (*namespaces_callback)(void *arg, pid_t pid, ino_t inode, int ns);

bool namespaces_is_known(const struct namespaces *known, ino_t inode);
int namespaces_add(struct namespaces *known, ino_t inode);
int namespaces_find(struct namespaces *known, namespaces_callback found, void *arg);
int namespaces_add_path(const char *path, ino_t inode, namespaces_callback found, void *arg);
bool namespaces_is_trusted(int ns);
void namespaces_free(struct namespaces *known);

#endif
