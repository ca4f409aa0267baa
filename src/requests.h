/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host sends: it is received, sorted, and answered at once or handed to the engine. */
#ifndef _HV_VSS_REQUESTS_H
#define _HV_VSS_REQUESTS_H

#include <linux/workqueue.h>

void hv_vss_requests_pump(struct work_struct *work);

#endif /* _HV_VSS_REQUESTS_H */
