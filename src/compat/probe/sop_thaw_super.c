// SPDX-License-Identifier: GPL-2.0-only
/*
 * May a file system have a thaw_super() of its own, which FITHAW prefers?
 *
 * Since 3.19, for gfs2. Its arguments have always been those of the function.
 */
#include <linux/fs.h>

int hv_vss_probe(const struct super_operations *op);

int hv_vss_probe(const struct super_operations *op)
{
	return op->freeze_super && op->thaw_super;
}
