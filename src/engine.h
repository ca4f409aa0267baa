/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries out what the state table says. Every event goes through hv_vss_do().
 *
 * Callers are requests.c, with the host's requests, and service.c, with what the daemon does. The
 * timers are here, except the watch, which is in service.c. All functions need the device's lock
 * held, unless they say otherwise.
 */
#ifndef _HV_VSS_ENGINE_H
#define _HV_VSS_ENGINE_H

#include "device.h"

/* How often to check daemon and freeze while a request is with the daemon or a freeze is held. */
#define HV_VSS_WATCH_MS		100

void hv_vss_engine_init(struct hv_vss_device *hvs);
void hv_vss_engine_stop(struct hv_vss_device *hvs);

unsigned int hv_vss_do(struct hv_vss_device *hvs, enum hv_vss_event ev,
		       const struct hv_vss_ic_request *req, enum hv_vss_cancel reason);
void hv_vss_end_freeze(struct hv_vss_device *hvs, enum hv_vss_event ev,
		       enum hv_vss_cancel reason);
void hv_vss_check_freeze(struct hv_vss_device *hvs);
void hv_vss_reset(struct hv_vss_device *hvs, enum hv_vss_cancel reason);
void hv_vss_hold_start(struct hv_vss_device *hvs, u32 ms);

void hv_vss_answer(struct hv_vss_device *hvs, struct hv_vss_buffer *b, u8 op, u32 status);
void hv_vss_delivered(struct hv_vss_device *hvs);
void hv_vss_mail(struct hv_vss_device *hvs, unsigned int add, unsigned int remove);
enum hv_vss_count hv_vss_op_index(u8 op);
bool hv_vss_guarded(const struct hv_vss_device *hvs);
enum hv_vss_event hv_vss_event(const struct hv_vss_device *hvs, enum hv_vss_event bare);
__printf(2, 3) void hv_vss_complain(struct hv_vss_device *hvs, const char *fmt, ...);

#endif /* _HV_VSS_ENGINE_H */
