/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's main loop: reads requests, processes events, keeps deadlines. */
#ifndef HV_VSS_SERVE_H
#define HV_VSS_SERVE_H

#include "base/notify.h"
#include "options.h"
#include "unguarded/leftover.h"

int serve(const struct options *o, struct notify *notify, struct leftover *leftover, int signals);

#endif
