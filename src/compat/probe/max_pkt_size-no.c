// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets are copied straight from the ring, whatever their size. See max_pkt_size-yes.
 */
#include <linux/hyperv.h>
#include "../probe.h"

HAS_NO_MEMBER(struct vmbus_channel, max_pkt_size);
