/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries out what the state table says; everything that can happen goes through hv_vss_do().
 *
 * Above it are requests.c, which brings the host's requests, and service.c, which brings what the
 * daemon does. Clocks are its own. All functions want the device's lock held, unless they say
 * otherwise.
 */
#ifndef _HV_VSS_ENGINE_H
#define _HV_VSS_ENGINE_H

#include "device.h"

/* Time-outs in milliseconds, module parameters. */
extern unsigned int hv_vss_freeze_timeout_ms;
extern unsigned int hv_vss_thaw_timeout_ms;
extern unsigned int hv_vss_check_timeout_ms;
extern unsigned int hv_vss_hold_timeout_ms;

void hv_vss_engine_init(struct hv_vss_device *hvs);
void hv_vss_engine_stop(struct hv_vss_device *hvs);

unsigned int hv_vss_do(struct hv_vss_device *hvs, enum hv_vss_event ev,
		       const struct hv_vss_ic_request *req, enum hv_vss_cancel reason);
void hv_vss_end_freeze(struct hv_vss_device *hvs, enum hv_vss_event ev,
		       enum hv_vss_cancel reason);
void hv_vss_check_freeze(struct hv_vss_device *hvs);
void hv_vss_reset(struct hv_vss_device *hvs, enum hv_vss_cancel reason);
void hv_vss_hold_start(struct hv_vss_device *hvs);

void hv_vss_answer(struct hv_vss_device *hvs, struct hv_vss_buffer *b, u8 op, u32 status);
void hv_vss_mail(struct hv_vss_device *hvs, unsigned int add, unsigned int remove);
enum hv_vss_count hv_vss_op_index(u8 op);
bool hv_vss_guarded(const struct hv_vss_device *hvs);
__printf(2, 3) void hv_vss_complain(struct hv_vss_device *hvs, const char *fmt, ...);

#endif /* _HV_VSS_ENGINE_H */
