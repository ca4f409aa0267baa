/* SPDX-License-Identifier: GPL-2.0-only */
/* The longest freeze that the limits allow, compared with the kernel's hung task timeout. */
#ifndef HV_VSS_STANDSTILL_H
#define HV_VSS_STANDSTILL_H

#include "freezer_types.h"

void standstill_check(const char *proc, const struct freezer_config *limits);

#endif
