// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there hv_pkt_iter_close(), which publishes the read index and signals the host?
 *
 * Since 4.12 ("vmbus: introduce in-place packet iterator"). Backports: SLES 12.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct vmbus_channel *channel);

void hv_vss_probe(struct vmbus_channel *channel)
{
	hv_pkt_iter_close(channel);
}
