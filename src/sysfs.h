/* SPDX-License-Identifier: GPL-2.0-only */
/* What an admin can read below /sys/bus/vmbus/devices/.../hv_vss/. */
#ifndef _HV_VSS_SYSFS_H
#define _HV_VSS_SYSFS_H

#include <linux/sysfs.h>

extern const struct attribute_group hv_vss_sysfs_group;

#endif /* _HV_VSS_SYSFS_H */
