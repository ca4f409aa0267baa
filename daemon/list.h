/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HV_VSS_LIST_H
#define HV_VSS_LIST_H

#include "fsset.h"

int list_plan(const struct fsset_config *config);

#endif
