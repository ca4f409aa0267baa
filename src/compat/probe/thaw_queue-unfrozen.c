// SPDX-License-Identifier: GPL-2.0-only
/*
 * thaw_super() wakes sb->s_writers.wait_unfrozen.
 *
 * Until 6.5. Since 3.6 (5accdf82ba25 "fs: Improve filesystem freezing handling"), so always here.
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct sb_writers, wait_unfrozen), wait_queue_head_t);
