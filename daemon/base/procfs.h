/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading /proc without allocating memory, which must not be done while file systems are frozen.
 * All paths are relative to a descriptor of /proc, so that no look-up touches another file system.
 */
#ifndef HV_VSS_PROCFS_H
#define HV_VSS_PROCFS_H

#include <stdbool.h>
#include <stddef.h>

#define PROCFS_PATH	64	/* longer than all paths used here */

/* Reads the entries of a directory whose names are numbers. */
struct procfs_list {
	int fd;
	size_t at;
	size_t len;
	char buf[4096] __attribute__((aligned(8)));
};

int procfs_list_open(struct procfs_list *list, int dir, const char *path);
int procfs_list_next(struct procfs_list *list);
void procfs_list_close(struct procfs_list *list);
int procfs_read(int dir, const char *path, char *buf, size_t size);
int procfs_mount_id(int dir, const char *fdinfo, char *buf, size_t size);

#endif
