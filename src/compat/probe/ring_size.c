// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there VMBUS_RING_SIZE(), which adds the header to the payload?
 *
 * Since 8c3e44bde7fd "hv: hyperv.h: Introduce some hvpfn helper functions" and its neighbours
 * (5.10). Backports: EL 8.7.
 */
#include <linux/hyperv.h>

unsigned long hv_vss_probe(void);

unsigned long hv_vss_probe(void)
{
	return VMBUS_RING_SIZE(4096);
}
