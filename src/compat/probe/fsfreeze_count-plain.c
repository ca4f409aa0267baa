// SPDX-License-Identifier: GPL-2.0-only
/* The count is a plain integer, and a second freeze is refused with EBUSY. Until 6.7. */
#include <linux/blkdev.h>
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct block_device, bd_fsfreeze_count), int);
