/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints the plan and the hooks, as text or as JSON. */
#ifndef HV_VSS_LIST_H
#define HV_VSS_LIST_H

#include <stdbool.h>

#include "hooks/hooks.h"
#include "targets/build.h"

int list_all(const struct build_config *plan, const struct hooks_config *hooks, bool json,
	     bool ignore_kernel_faults);

#endif
