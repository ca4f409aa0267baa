// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a ring have a read index of the guest's own, published later?
 *
 * Since ab028db41ca9 "Drivers: hv: vmbus: Implement APIs to support in place consumption of vmbus
 * packets" (4.7).
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct hv_ring_buffer_info *ring);

void hv_vss_probe(struct hv_ring_buffer_info *ring)
{
	ring->priv_read_index = 0;
}
