// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system can have a thaw_super() operation of its own, which FITHAW prefers.
 *
 * Since "fs: add freeze_super/thaw_super fs hooks" (3.19), for gfs2. Its arguments have always
 * been those of the function thaw_super().
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct super_operations, thaw_super), __typeof__(thaw_super) *);
IS_OF_TYPE(MEMBER(struct super_operations, freeze_super), __typeof__(freeze_super) *);
