/* SPDX-License-Identifier: GPL-2.0-only */
/* Lists known faults of the running kernel, for --list. */
#ifndef HV_VSS_FAULTLIST_H
#define HV_VSS_FAULTLIST_H

#include "json.h"
#include "plan/kernelfaults.h"
#include "plan/mounts.h"

void faultlist_find(struct kernelfaults *found, const struct mounts *m, const char *sysfs);
void faultlist_print(struct json *j, const struct kernelfaults *found);

#endif
