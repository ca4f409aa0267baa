// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for a thaw waits in the semaphore that writers take, in a queue that percpu_up_write()
 * wakes.
 *
 * Since wait_unfrozen went (6.6). The queue is older: 7f26482a872c "locking/percpu-rwsem: Remove
 * the embedded rwsem" (5.7).
 */
#include <linux/fs.h>
#include "../probe.h"

HAS_NO_MEMBER(struct sb_writers, wait_unfrozen);
IS_OF_TYPE(MEMBER(struct sb_writers, rw_sem[SB_FREEZE_WRITE - 1].waiters), wait_queue_head_t);
