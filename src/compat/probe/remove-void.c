// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMBus driver's remove() returns void.
 *
 * Since 96ec2939620c "Drivers: hv: Make remove callback of hyperv driver void returned" (6.3).
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_driver, remove), void (*)(struct hv_device *));
