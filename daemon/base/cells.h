/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text in the columns of a terminal. Names of files and of FUSE file systems may contain anything:
 * what a terminal would act upon, or show at another place, is printed as octal numbers.
 */
#ifndef HV_VSS_CELLS_H
#define HV_VSS_CELLS_H

#include <stddef.h>
#include <stdio.h>

#include "term.h"

size_t cells_width(const struct term *t, const char *text);
size_t cells_print(FILE *f, const struct term *t, const char *text, size_t max);
void cells_pad(FILE *f, size_t columns);

#endif
