/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the kernel has no guard: a second process that does nothing but wait for the death of the
 * first one, or for its failure to thaw in time, and then thaws what the notes say is frozen.
 */
#ifndef HV_VSS_GUARDIAN_H
#define HV_VSS_GUARDIAN_H

#include "leftover.h"

int guardian_start(struct leftover *l, const struct fsset_config *config);
void guardian_stop(struct leftover *l);
int guardian_run(pid_t parent, const struct fsset_config *config);

#endif
