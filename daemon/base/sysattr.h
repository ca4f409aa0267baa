/* SPDX-License-Identifier: GPL-2.0-only */
/* Attributes in sysfs: files with one line each. */
#ifndef HV_VSS_SYSATTR_H
#define HV_VSS_SYSATTR_H

#include <stddef.h>

int sysattr_read(char *value, size_t size, const char *dir, const char *name);

#endif
