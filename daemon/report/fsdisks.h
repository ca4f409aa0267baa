/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints the disks at the bottom of a file system, as JSON. */
#ifndef HV_VSS_FSDISKS_H
#define HV_VSS_FSDISKS_H

#include "json.h"
#include "plan/mounts.h"

int fsdisks_json(struct json *j, const struct mounts *m, const struct mounts_fs *fs,
		 const char *sysfs);

#endif
