// SPDX-License-Identifier: GPL-2.0-only
/*
 * The largest packet that a channel accepts is set with max_pkt_size.
 *
 * Since adae1e931acd "Drivers: hv: vmbus: Copy packets sent by Hyper-V out of the ring buffer"
 * (5.14); the default, 4096 bytes, is less than a FREEZE. Backports: EL 8.7, Debian 6.1.
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct vmbus_channel, max_pkt_size), u32);
