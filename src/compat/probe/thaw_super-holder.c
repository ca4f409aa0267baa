// SPDX-License-Identifier: GPL-2.0-only
/*
 * It is thaw_super(sb, holder).
 *
 * Since 880b9577855e "fs: distinguish between user initiated freeze and kernel initiated freeze"
 * (6.6), until thaw_super-owner.
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(&thaw_super, int (*)(struct super_block *, enum freeze_holder));
IS_OF_TYPE(FREEZE_HOLDER_USERSPACE, __typeof__(FREEZE_HOLDER_KERNEL));
