// SPDX-License-Identifier: GPL-2.0-only
/*
 * The freezes of a superblock by FIFREEZE and device mapper are counted, and can nest.
 *
 * With the series of 982c3b305828 "bdev: rename freeze and thaw helpers" (6.8).
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct sb_writers, freeze_ucount), int);
