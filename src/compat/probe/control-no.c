// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control: a wrong statement does not compile, so a probe that compiles means something. Must not
 * compile. (If another kind of statement never failed, several answers of a question would compile,
 * which is an error.)
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_device, channel), struct hv_device *);
