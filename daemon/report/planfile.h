/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes what a backup is about to freeze into a file for the hooks, as --list --json prints it. */
#ifndef HV_VSS_PLANFILE_H
#define HV_VSS_PLANFILE_H

#include "hooks/hooks.h"
#include "targets/build.h"

int planfile_write(const struct build_config *plan, const struct hooks_config *hooks);

#endif
