/* SPDX-License-Identifier: GPL-2.0-only */
/* Simulates the kernel's look-up of a path with the mount table; no file system is accessed. */
#ifndef HV_VSS_LOOKUP_H
#define HV_VSS_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

struct lookup_mount {
	int id;
	int parent;
	const char *path;
	bool remote;		/* a network or fuse file system: it may never answer */
};

struct lookup {
	struct lookup_mount *mount;	/* of one namespace, without deleted mount points */
	size_t n;
	size_t *by_id;
};

struct lookup_result {
	bool in_table;		/* the mount is in the table */
	bool on_remote;		/* one of its parents is remote: unmounting others can't help */
	bool meets_remote;	/* the look-up goes through a remote mount */
	const char *covered_at;	/* where the look-up first enters a mount that is not a parent */
};

int lookup_init(struct lookup *l);
struct lookup_result lookup_path(const struct lookup *l, int id);
void lookup_free(struct lookup *l);

#endif
