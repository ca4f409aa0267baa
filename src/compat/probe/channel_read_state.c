// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are interrupts of a channel set to one per signal with set_channel_read_state()?
 *
 * Until set_channel_read_mode() came in 4.12. Seen in EL 7.3, 3.13, 3.16, 3.18, 4.4, 4.9.
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct vmbus_channel *channel);

void hv_vss_probe(struct vmbus_channel *channel)
{
	set_channel_read_state(channel, false);
}
