// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is it thaw_super(sb, holder, owner)?
 *
 * Since 6.16 (merge 8dd53535f1e1, "vfs-6.16-rc1.super").
 */
#include <linux/fs.h>

int hv_vss_probe(struct super_block *sb);

int hv_vss_probe(struct super_block *sb)
{
	return thaw_super(sb, FREEZE_HOLDER_USERSPACE, NULL);
}
