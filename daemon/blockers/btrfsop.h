/* SPDX-License-Identifier: GPL-2.0-only */
/* Operations of btrfs that run for hours, during which it can't be frozen: balance, scrub ... */
#ifndef HV_VSS_BTRFSOP_H
#define HV_VSS_BTRFSOP_H

#include <stddef.h>

int btrfsop_running(int fd, const char *sysfs, char *what, size_t size);

#endif
