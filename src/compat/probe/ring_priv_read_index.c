// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a ring have a read index of the guest's own, published later?
 *
 * Since packets can be read in place (4.7). Seen in 5.10 and later.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct hv_ring_buffer_info *ring);

void hv_vss_probe(struct hv_ring_buffer_info *ring)
{
	ring->priv_read_index = 0;
}
