/* SPDX-License-Identifier: GPL-2.0-only */
/* File systems that are in memory only, and so never frozen: tmpfs, ramfs. */
#ifndef HV_VSS_MEMFS_H
#define HV_VSS_MEMFS_H

#include <stdbool.h>

bool memfs_contains(int fd);

#endif
