// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is it thaw_super(sb, holder, owner)?
 *
 * Since 1afe9e7da8c0 "fs: add owner of freeze/thaw" (6.16).
 */
#include <linux/fs.h>

int hv_vss_probe(struct super_block *sb);

int hv_vss_probe(struct super_block *sb)
{
	return thaw_super(sb, FREEZE_HOLDER_USERSPACE, NULL);
}
