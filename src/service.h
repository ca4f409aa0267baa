/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's side: what it registers, answers, arms, and that it may die. */
#ifndef _HV_VSS_SERVICE_H
#define _HV_VSS_SERVICE_H

#include "device.h"

void hv_vss_service_register(struct hv_vss_device *hvs, enum hv_vss_daemon daemon, u32 features);
void hv_vss_service_seen(struct hv_vss_device *hvs);
bool hv_vss_service_gone(const struct hv_vss_device *hvs);
int hv_vss_service_reply(struct hv_vss_device *hvs, const struct hv_vss_reply *reply);
void hv_vss_service_closed(struct hv_vss_device *hvs);

int hv_vss_service_arm(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_frozen(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_thawing(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_disarm(struct hv_vss_device *hvs, const struct hv_vss_guard *req);

#endif /* _HV_VSS_SERVICE_H */
