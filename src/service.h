/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done about packets, answers, deadlines: carries out what the state table says. */
#ifndef _HV_VSS_SERVICE_H
#define _HV_VSS_SERVICE_H

#include "device.h"

/* Time-outs in milliseconds, module parameters. */
extern unsigned int hv_vss_freeze_timeout_ms;
extern unsigned int hv_vss_thaw_timeout_ms;
extern unsigned int hv_vss_check_timeout_ms;
extern unsigned int hv_vss_hold_timeout_ms;

void hv_vss_service_init(struct hv_vss_device *hvs);
void hv_vss_service_stop(struct hv_vss_device *hvs);
void hv_vss_service_pump(struct work_struct *work);

void hv_vss_service_register(struct hv_vss_device *hvs, enum hv_vss_daemon daemon, u32 features);
int hv_vss_service_reply(struct hv_vss_device *hvs, const struct hv_vss_reply *reply);
void hv_vss_service_closed(struct hv_vss_device *hvs);
void hv_vss_service_reset(struct hv_vss_device *hvs, enum hv_vss_cancel reason);

int hv_vss_service_arm(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_thawing(struct hv_vss_device *hvs, const struct hv_vss_guard *req);
int hv_vss_service_disarm(struct hv_vss_device *hvs, const struct hv_vss_guard *req);

#endif /* _HV_VSS_SERVICE_H */
