/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's main loop: requests in, answers out, deadlines kept. */
#ifndef HV_VSS_SERVE_H
#define HV_VSS_SERVE_H

#include "leftover.h"
#include "notify.h"
#include "options.h"

int serve(const struct options *o, struct notify *notify, struct leftover *leftover, int signals);

#endif
