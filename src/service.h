/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's side: registration, answers, the guard, and the daemon's death. */
#ifndef _HV_VSS_SERVICE_H
#define _HV_VSS_SERVICE_H

#include "device.h"

void hv_vss_service_init(struct hv_vss_device *hvs);
void hv_vss_service_register(struct hv_vss_device *hvs, enum hv_vss_daemon daemon, u32 features);
void hv_vss_service_seen(struct hv_vss_device *hvs);
bool hv_vss_service_gone(const struct hv_vss_device *hvs);
int hv_vss_service_reply(struct hv_vss_device *hvs, const struct hv_vss_reply *reply);
void hv_vss_service_closed(struct hv_vss_device *hvs);

int hv_vss_service_arm(struct hv_vss_device *hvs, const struct hv_vss_guard *req,
		       struct guard_entry **e);
int hv_vss_service_frozen(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_thawing(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_disarm(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_thaw(struct hv_vss_device *hvs, const struct hv_vss_guard *req,
			struct hv_vss_guard_thaw **thaw);
int hv_vss_service_late(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_limits(struct hv_vss_device *hvs, struct hv_vss_limits *limits);

#endif /* _HV_VSS_SERVICE_H */
