// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are interrupts of a channel set to one per signal with set_channel_read_mode()?
 *
 * Since 4.12. Backports: EL 7.9, SLES 12 (4.4.180).
 */
#include <linux/hyperv.h>

void hv_vss_probe(struct vmbus_channel *channel);

void hv_vss_probe(struct vmbus_channel *channel)
{
	set_channel_read_mode(channel, HV_CALL_DIRECT);
}
