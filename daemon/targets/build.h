/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the plan from the mount tables, and opens its file systems. */
#ifndef HV_VSS_BUILD_H
#define HV_VSS_BUILD_H

#include "fsset.h"

struct luns;

struct build_config {
	struct mounts_policy policy;
	const struct luns *luns;	/* the disks that the host names; NULL: it names none */
	bool own_namespace_only;
	bool probe;		/* close each file system again: while it is open umount fails */
	bool skip_unread;	/* a mount namespace that can't be read to its end is no failure */
	bool skip_dead;		/* skip file systems that can't be opened because of I/O errors */
	bool only_luns;		/* only file systems on the disks that the host names */
	const char *sysfs;
};

int build_fsset(void *config, struct fsset *set);
int build_dry_run(const struct build_config *config, char why[REASON_SIZE]);
int build_check_unread(const struct build_config *config, const struct mountview *view, size_t from,
		       char why[REASON_SIZE]);

#endif
