/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries a plan out. A state machine that runs in the main thread and never blocks: calls that may
 * block are jobs of workers, and a worker that does not return is given up.
 *
 *	idle -> plan -> writeback -> sync -> blockers -> freeze -> verify -> frozen -> thaw -> idle
 *
 * Any failure, deadline or abort leads to thaw, in reverse order, and from there to idle.
 */
#ifndef HV_VSS_FREEZER_H
#define HV_VSS_FREEZER_H

#include "freezer_types.h"

int freezer_begin(struct freezer *f, struct guard *guard, uint32_t cookie);
int freezer_thaw(struct freezer *f);
void freezer_abort(struct freezer *f, const char *why);
void freezer_job_done(struct freezer *f, struct job *job);
void freezer_tick(struct freezer *f);
int64_t freezer_deadline(const struct freezer *f);
bool freezer_is_idle(const struct freezer *f);
bool freezer_is_frozen(const struct freezer *f);
const char *freezer_hangs(const struct freezer *f);
int64_t freezer_now_us(const struct freezer *f);

#endif
