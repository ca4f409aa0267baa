// SPDX-License-Identifier: GPL-2.0-only
/* References to a device. */
#include <linux/slab.h>
#include "device.h"

/**
 * hv_vss_device_get() - get a reference
 * @hvs: to which the caller has a reference
 *
 * Return: @hvs.
 */
struct hv_vss_device *hv_vss_device_get(struct hv_vss_device *hvs)
{
	kref_get(&hvs->ref);
	return hvs;
}

static void device_free(struct kref *ref)
{
	struct hv_vss_device *hvs = container_of(ref, struct hv_vss_device, ref);

	hv_vss_guard_put(hvs->guard);
	kfree(hvs);
}

/**
 * hv_vss_device_put() - drop a reference
 * @hvs: not to be used by the caller any more
 */
void hv_vss_device_put(struct hv_vss_device *hvs)
{
	kref_put(&hvs->ref, device_free);
}
