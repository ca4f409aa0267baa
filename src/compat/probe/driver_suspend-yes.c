// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct hv_driver has suspend() and resume().
 *
 * Since 271b2224d42f "Drivers: hv: vmbus: Implement suspend/resume for VSC drivers for
 * hibernation" (5.4). Backports: EL 8.3. On these kernels a driver without them makes hibernation
 * impossible.
 */
#include <linux/hyperv.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct hv_driver, suspend), int (*)(struct hv_device *));
IS_OF_TYPE(MEMBER(struct hv_driver, resume), int (*)(struct hv_device *));
