// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "guardfd.h"

/**
 * guard_new() - share the device's descriptor
 * @fd: the device; closed with the last reference
 * @features: HV_VSS_FEAT_*, negotiated with its driver
 * Return: one reference, or NULL.
 */
struct guard *guard_new(int fd, uint32_t features)
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (guard) {
		guard->fd = fd;
		guard->features = features;
		atomic_init(&guard->refs, 1);
	}
	return guard;
}

/**
 * guard_get() - get another reference
 * @guard: may be NULL
 * Return: @guard.
 */
struct guard *guard_get(struct guard *guard)
{
	if (guard)
		atomic_fetch_add(&guard->refs, 1);
	return guard;
}

/**
 * guard_put() - drop a reference
 * @guard: may be NULL
 * @ops: system calls
 */
void guard_put(struct guard *guard, const struct sysops *ops)
{
	if (guard && atomic_fetch_sub(&guard->refs, 1) == 1) {
		ops->close(guard->fd);
		free(guard);
	}
}
