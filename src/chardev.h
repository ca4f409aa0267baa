/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/vmbus/hv_vss; the protocol is described in the uapi header. */
#ifndef _HV_VSS_CHARDEV_H
#define _HV_VSS_CHARDEV_H

#include "device.h"

int hv_vss_chardev_register(struct hv_vss_device *hvs);
void hv_vss_chardev_unregister(struct hv_vss_device *hvs);

#endif /* _HV_VSS_CHARDEV_H */
