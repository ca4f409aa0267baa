// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has struct hv_driver suspend() and resume()?
 *
 * Since 271b2224d42f "Drivers: hv: vmbus: Implement suspend/resume for VSC drivers for
 * hibernation" (5.4). Backports: EL 8.3. Where it exists a driver without it forbids hibernation.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct hv_driver *drv);

static int hv_vss_probe_pm(struct hv_device *dev)
{
	return !dev;
}

void hv_vss_probe(struct hv_driver *drv)
{
	drv->suspend = hv_vss_probe_pm;
	drv->resume = hv_vss_probe_pm;
}
