/* SPDX-License-Identifier: GPL-2.0-only */
/* Files below /sys/bus/vmbus/devices/.../hv_vss/, for admins. */
#ifndef _HV_VSS_SYSFS_H
#define _HV_VSS_SYSFS_H

#include <linux/sysfs.h>

extern const struct attribute_group hv_vss_sysfs_group;

#endif /* _HV_VSS_SYSFS_H */
