/* SPDX-License-Identifier: GPL-2.0-only */
/* Patterns for paths, in the options --include and --exclude. */
#ifndef HV_VSS_PATTERN_H
#define HV_VSS_PATTERN_H

#include <stdbool.h>

bool pattern_matches(const char *pattern, const char *path);

#endif
