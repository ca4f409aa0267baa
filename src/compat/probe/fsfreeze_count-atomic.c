// SPDX-License-Identifier: GPL-2.0-only
/*
 * A block device counts its freezes, apart from those of its file system; freezes can nest.
 *
 * Since 982c3b305828 "bdev: rename freeze and thaw helpers" and its series (6.8).
 */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct block_device, bd_fsfreeze_count), atomic_t);
IS_OF_TYPE(MEMBER(struct block_device, bd_fsfreeze_mutex), struct mutex);
