// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control: the headers that all probes use compile, so a probe that fails does so for its own
 * reason. Must compile.
 */
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/poll.h>

int hv_vss_probe(struct hv_device *dev, struct super_block *sb);

int hv_vss_probe(struct hv_device *dev, struct super_block *sb)
{
	return dev && sb && sb->s_writers.frozen == SB_UNFROZEN;
}
