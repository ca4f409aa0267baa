// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is it thaw_super(sb, holder)?
 *
 * Since 880b9577855e "fs: distinguish between user initiated freeze and kernel initiated freeze"
 * (6.6), until an owner was added in 6.16.
 */
#include <linux/fs.h>

int hv_vss_probe(struct super_block *sb);

int hv_vss_probe(struct super_block *sb)
{
	return thaw_super(sb, FREEZE_HOLDER_USERSPACE);
}
