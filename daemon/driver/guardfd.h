/* SPDX-License-Identifier: GPL-2.0-only */
/* The open device, shared between main thread and workers. */
#ifndef HV_VSS_GUARDFD_H
#define HV_VSS_GUARDFD_H

#include <stdint.h>

#include "base/atomics.h"
#include "base/sysops.h"

/* The module's device. A worker that hangs in the kernel holds a reference, and keeps it open. */
struct guard {
	int fd;
	uint32_t features;	/* HV_VSS_FEAT_*, of daemon and driver */
	atomic_uint refs;
};

struct guard *guard_new(int fd, uint32_t features);
struct guard *guard_get(struct guard *guard);
void guard_put(struct guard *guard, const struct sysops *ops);

#endif
