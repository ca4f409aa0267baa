/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host asks, and what it is answered. One request at a time. */
#ifndef HV_VSS_REQUESTS_H
#define HV_VSS_REQUESTS_H

#include "backup.h"

#define REQUESTS_CHECK_US	20000000LL	/* the kernel waits 30 s for the answer */

void requests_init(struct backup *b);
void requests_set_limits(struct backup *b);
int requests_read(struct backup *b);
void requests_go_on(struct backup *b);
void requests_give_up(struct backup *b, const char *why);

#endif
