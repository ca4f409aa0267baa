// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMBus driver's remove() returns int.
 *
 * Since the beginning, until remove-void. Seen in 3.10 to 5.15, EL 7 and 8, Debian 6.1.
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_driver, remove), int (*)(struct hv_device *));
