// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is the largest packet that a channel takes set with max_pkt_size?
 *
 * Since adae1e931acd "Drivers: hv: vmbus: Copy packets sent by Hyper-V out of the ring buffer"
 * (5.14); the default, 4096 bytes, is less than a FREEZE. Backports: EL 8.7.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct vmbus_channel *channel);

void hv_vss_probe(struct vmbus_channel *channel)
{
	channel->max_pkt_size = 8192;
}
