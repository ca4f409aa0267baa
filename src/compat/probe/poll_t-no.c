// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll() returns an unsigned int. See poll_t-yes.
 */
#include <linux/fs.h>
#include <linux/poll.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(const struct file_operations, poll),
	   unsigned int (*)(struct file *, struct poll_table_struct *));
IS_NO_TYPE(__poll_t);
