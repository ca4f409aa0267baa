// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct hv_driver has neither suspend() nor resume(). See driver_suspend-yes.
 */
#include <linux/hyperv.h>
#include "../probe.h"

HAS_NO_MEMBER(struct hv_driver, suspend);
HAS_NO_MEMBER(struct hv_driver, resume);
