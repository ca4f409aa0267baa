/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints the plan and the hooks: as lines, as a tree, or as JSON. */
#ifndef HV_VSS_LIST_H
#define HV_VSS_LIST_H

#include <stdbool.h>
#include <stdio.h>

#include "hooks/hooks.h"
#include "targets/build.h"

struct list_format {
	bool json;
	bool tree;		/* also if the output is not a terminal */
	bool ignore_kernel_faults;	/* don't print known faults of the running kernel */
};

int list_all(const struct build_config *plan, const struct hooks_config *hooks,
	     const struct list_format *how);
int list_json(FILE *f, const struct build_config *plan, const struct hooks_config *hooks);

#endif
