/* SPDX-License-Identifier: GPL-2.0-only */
/* The plan and the hooks, in words or as JSON. */
#ifndef HV_VSS_LIST_H
#define HV_VSS_LIST_H

#include <stdbool.h>

#include "fsset.h"
#include "hooks.h"

int list_all(const struct fsset_config *plan, const struct hooks_config *hooks, bool json);

#endif
