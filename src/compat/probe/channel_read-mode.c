// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel is made to interrupt once per signal with set_channel_read_mode().
 *
 * Since 4.12. Backports: EL 7.7, SLES 12 (4.4.180).
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(HV_CALL_DIRECT, __typeof__(HV_CALL_ISR));
IS_OF_TYPE(&set_channel_read_mode, void (*)(struct vmbus_channel *, enum hv_callback_mode));
