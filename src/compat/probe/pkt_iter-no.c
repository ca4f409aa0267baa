// SPDX-License-Identifier: GPL-2.0-only
/*
 * There is no hv_pkt_iter_close(). See pkt_iter-yes. A priv_read_index without it (4.7 to 4.11) is
 * only for drivers that read in place.
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_NO_FUNCTION(hv_pkt_iter_close);
