// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control: the headers that all probes use compile, so a probe that fails does so because of its
 * own statement. Must compile.
 */
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/poll.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_device, channel), struct vmbus_channel *);
IS_OF_TYPE(&MEMBER(struct vmbus_channel, inbound), struct hv_ring_buffer_info *);
HAS_NO_MEMBER(struct vmbus_channel, hv_vss_no_such_member);
IS_NO_FUNCTION(hv_vss_no_such_function);
IS_NO_TYPE(hv_vss_no_such_type);
