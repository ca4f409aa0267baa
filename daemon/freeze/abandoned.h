/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of freezes that were given up, with jobs that have not returned yet. */
#ifndef HV_VSS_ABANDONED_H
#define HV_VSS_ABANDONED_H

#include "freezer_types.h"

void abandoned_keep(struct freezer *f, struct fsset *set);
void abandoned_done(struct freezer *f, struct fsset *set);
bool abandoned_syncs(const struct freezer *f, dev_t dev);
bool abandoned_too_many(const struct freezer *f);

#endif
