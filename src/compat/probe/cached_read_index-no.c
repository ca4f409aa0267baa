// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring has no cached_read_index. See cached_read_index-yes.
 */
#include <linux/hyperv.h>
#include "../probe.h"

HAS_NO_MEMBER(struct hv_ring_buffer_info, cached_read_index);
