// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll() returns a type of its own, which sparse tells from integers.
 *
 * Since 8ced390c2b18 "define __poll_t, annotate constants" (4.16). Backports: EL 8.
 */
#include <linux/fs.h>
#include <linux/poll.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(const struct file_operations, poll),
	   __poll_t (*)(struct file *, struct poll_table_struct *));
