// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a VMBus driver's remove() return int?
 *
 * Since the beginning; void from 96ec2939620c "Drivers: hv: Make remove callback of hyperv driver
 * void returned" (6.3). Seen as int: 3.10 to 5.15, Debian 6.1.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct hv_driver *drv);

static int hv_vss_probe_remove(struct hv_device *dev)
{
	return !dev;
}

void hv_vss_probe(struct hv_driver *drv)
{
	drv->remove = hv_vss_probe_remove;
}
