// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring has a cached_read_index: vmbus_recvpacket() uses the index that the host sees.
 *
 * From 4.9 (or its stable series) to 4.13. Since 4.14 vmbus_recvpacket() uses the iterator, and
 * with it priv_read_index; the same series dropped this member. Backports took both: not in EL 7,
 * EL 8 and SLES 12 (4.4.180).
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_ring_buffer_info, cached_read_index), u32);
