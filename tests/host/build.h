/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets built from commands. */
#ifndef HW_HVHOST_BUILD_H
#define HW_HVHOST_BUILD_H

#include "args.h"

void hv_kvp_body(struct hv_args *a, struct _GByteArray *body);
unsigned int hv_vss_body(struct hv_args *a, struct _GByteArray *body);

#endif
