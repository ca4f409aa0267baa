/* SPDX-License-Identifier: GPL-2.0-only */
/* What --help prints: one entry for each option of options.c that is for users. */
#ifndef HV_VSS_HELP_H
#define HV_VSS_HELP_H

extern const char help_text[];

#endif
