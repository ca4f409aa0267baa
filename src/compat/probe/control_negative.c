// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control: a wrong pointer type is an error, so a probe that compiles means something. Must not
 * compile.
 */
#include <linux/hyperv.h>

int hv_vss_probe(struct hv_device *dev);

int hv_vss_probe(struct hv_device *dev)
{
	struct hv_driver *drv = dev;

	return !!drv;
}
