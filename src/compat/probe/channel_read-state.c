// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel is made to interrupt once per signal with set_channel_read_state().
 *
 * Until set_channel_read_mode() came in 4.12. Seen in EL 7.3, 3.10 to 3.18, 4.4, 4.9.
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(&set_channel_read_state, void (*)(struct vmbus_channel *, bool));
