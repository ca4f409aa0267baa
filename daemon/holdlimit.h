/* SPDX-License-Identifier: GPL-2.0-only */
/* The time limits of a freeze: from the daemon's options and the limits of the driver. */
#ifndef HV_VSS_HOLDLIMIT_H
#define HV_VSS_HOLDLIMIT_H

#include "driver/device.h"
#include "freeze/freezer_types.h"

struct hv_vss_limits limits_wanted(const struct freezer_config *configured);
int64_t limits_within(int64_t us, uint32_t ms, int64_t margin_us);
int64_t limits_hold_us(const struct freezer_config *configured, const struct device *d);
int64_t limits_fifreeze_us(const struct freezer_config *configured, const struct device *d);
int64_t limits_preflight_us(const struct device *d);
void limits_apply(struct freezer_config *limits, const struct freezer_config *configured,
		  const struct device *d);
void limits_log(const struct freezer_config *configured, const struct device *d);

#endif
