// SPDX-License-Identifier: GPL-2.0-only
/*
 * There is hv_pkt_iter_close(), which publishes the guest's own read index and signals the host.
 *
 * Since "vmbus: introduce in-place packet iterator" (4.12). Backports: EL 7.7, SLES 12.
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(&hv_pkt_iter_close, void (*)(struct vmbus_channel *));
IS_OF_TYPE(MEMBER(struct hv_ring_buffer_info, priv_read_index), u32);
