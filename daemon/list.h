/* SPDX-License-Identifier: GPL-2.0-only */
/* The plan in words, or as JSON. */
#ifndef HV_VSS_LIST_H
#define HV_VSS_LIST_H

#include <stdbool.h>
#include <stdio.h>

#include "fsset.h"

int list_plan(const struct fsset_config *config, bool json);
void list_print(FILE *f, const struct mounts *m, bool json);
void list_text(FILE *f, const char *text);

#endif
