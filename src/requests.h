/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's side: what it sends is received, sorted and answered at once or handed on. */
#ifndef _HV_VSS_REQUESTS_H
#define _HV_VSS_REQUESTS_H

#include <linux/workqueue.h>

void hv_vss_requests_pump(struct work_struct *work);

#endif /* _HV_VSS_REQUESTS_H */
