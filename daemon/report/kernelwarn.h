/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds out about the running kernel, and warns of its known faults in the log. */
#ifndef HV_VSS_KERNELWARN_H
#define HV_VSS_KERNELWARN_H

#include "plan/kernelfaults.h"
#include "targets/fsset.h"

int kernelwarn_read_kernel(struct kernel *k, const char *proc);
void kernelwarn_log(const struct kernel *k, const struct fsset *set);

#endif
