/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's parameters: time-outs in milliseconds. They can change at any moment. */
#ifndef _HV_VSS_PARAMS_H
#define _HV_VSS_PARAMS_H

extern unsigned int hv_vss_freeze_timeout_ms;
extern unsigned int hv_vss_thaw_timeout_ms;
extern unsigned int hv_vss_check_timeout_ms;
extern unsigned int hv_vss_hold_timeout_ms;
extern unsigned int hv_vss_hold_max_ms;

#endif /* _HV_VSS_PARAMS_H */
