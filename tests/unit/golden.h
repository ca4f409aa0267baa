/* SPDX-License-Identifier: GPL-2.0-only */
/* Texts that must come out exactly as they are in a file of tests/unit/golden. */
#ifndef HV_VSS_UNIT_GOLDEN_H
#define HV_VSS_UNIT_GOLDEN_H

void golden_is(const char *name, const char *text);

#endif
