/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds file systems that were mounted since the plan was made. */
#ifndef HV_VSS_RECHECK_H
#define HV_VSS_RECHECK_H

#include "build.h"

int recheck_frozen(void *config, struct fsset *set);
int recheck_thaw(void *config, struct fsset *set);

#endif
