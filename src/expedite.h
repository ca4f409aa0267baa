/* SPDX-License-Identifier: GPL-2.0-only */
/* Short grace periods of RCU while something is being frozen. */
#ifndef _HV_VSS_EXPEDITE_H
#define _HV_VSS_EXPEDITE_H

#include <linux/types.h>

void hv_vss_expedite_global_init(void);
void hv_vss_expedite_global_exit(void);

bool hv_vss_expedite_begin(void);
void hv_vss_expedite_end(void);

#endif /* _HV_VSS_EXPEDITE_H */
