/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For kernels without our guard: a second process that waits for the death of the daemon, or for
 * its failure to thaw in time. Then it thaws the file systems that are frozen according to the
 * notes.
 */
#ifndef HV_VSS_GUARDIAN_H
#define HV_VSS_GUARDIAN_H

#include "leftover.h"

int guardian_start(struct leftover *l, const struct build_config *config);
int guardian_watch(struct leftover *l, const struct fsset *set);
void guardian_release(struct leftover *l);
void guardian_stop(struct leftover *l);
int guardian_run(pid_t parent, const struct build_config *config);

#endif
