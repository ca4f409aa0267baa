// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writers wait for a thaw in the semaphore that they take, in a queue that percpu_up_write() wakes.
 *
 * Since wait_unfrozen was removed (6.6). The queue is older: 7f26482a872c "locking/percpu-rwsem:
 * Remove the embedded rwsem" (5.7).
 */
#include <linux/fs.h>
#include "../probe.h"

HAS_NO_MEMBER(struct sb_writers, wait_unfrozen);
IS_OF_TYPE(MEMBER(struct sb_writers, rw_sem[SB_FREEZE_WRITE - 1].waiters), wait_queue_head_t);
