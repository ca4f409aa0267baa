// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a VMBus driver's remove() return void?
 *
 * Since 96ec2939620c "Drivers: hv: Make remove callback of hyperv driver void returned" (6.3);
 * int before.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct hv_driver *drv);

static void hv_vss_probe_remove(struct hv_device *dev)
{
	dev->channel = NULL;
}

void hv_vss_probe(struct hv_driver *drv)
{
	drv->remove = hv_vss_probe_remove;
}
