// SPDX-License-Identifier: GPL-2.0-only
/*
 * All file systems are thawed with the function thaw_super(). See sop_thaw_super-yes.
 */
#include <linux/fs.h>
#include "../probe.h"

HAS_NO_MEMBER(struct super_operations, thaw_super);
HAS_NO_MEMBER(struct super_operations, freeze_super);
