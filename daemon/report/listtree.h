/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints the plan as a tree of disks, layers and file systems. */
#ifndef HV_VSS_LISTTREE_H
#define HV_VSS_LISTTREE_H

#include "base/term.h"
#include "plan/mounts.h"

int listtree_print(FILE *f, const struct mounts *m, const char *sysfs, const struct term *term);

#endif
