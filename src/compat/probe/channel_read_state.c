// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are interrupts of a channel set to one per signal with set_channel_read_state()?
 *
 * Until 4.11; replaced by set_channel_read_mode() in b71e328297a3 "vmbus: add direct isr callback
 * mode" (4.12).
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct vmbus_channel *channel);

void hv_vss_probe(struct vmbus_channel *channel)
{
	set_channel_read_state(channel, false);
}
