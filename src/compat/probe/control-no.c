// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control: what is not so does not compile, so a probe that compiles means something. Must not
 * compile. (That the other forms can fail shows where both answers of a question compile.)
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_device, channel), struct hv_device *);
