// SPDX-License-Identifier: GPL-2.0-only
/*
 * It is thaw_super(sb, holder, owner).
 *
 * Since 6.16 (merge 8dd53535f1e1, "vfs-6.16-rc1.super").
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(&thaw_super, int (*)(struct super_block *, enum freeze_holder, const void *));
IS_OF_TYPE(FREEZE_HOLDER_USERSPACE, __typeof__(FREEZE_HOLDER_KERNEL));
