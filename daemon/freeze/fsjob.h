/* SPDX-License-Identifier: GPL-2.0-only */
/* The calls that may block, as jobs for workers. */
#ifndef HV_VSS_FSJOB_H
#define HV_VSS_FSJOB_H

#include "targets/fsset.h"

void fsjob_sync(struct job *job);
void fsjob_freeze(struct job *job);
void fsjob_thaw(struct job *job);
int fsjob_confirm(struct target *t);
void fsjob_unconfirm(struct target *t);
struct target *fsjob_target(struct job *job);

#endif
