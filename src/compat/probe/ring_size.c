// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there VMBUS_RING_SIZE(), which adds the header to the payload?
 *
 * Since 5.10, with the support of guest pages larger than the host's. Backports: EL 8.7.
 */
#include <linux/hyperv.h>

unsigned long hv_vss_probe(void);

unsigned long hv_vss_probe(void)
{
	return VMBUS_RING_SIZE(4096);
}
