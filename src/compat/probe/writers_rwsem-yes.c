// SPDX-License-Identifier: GPL-2.0-only
/*
 * A freeze takes a semaphore for each level, which writers take for reading.
 *
 * Since 8129ed29644b "change sb_writers to use percpu_rw_semaphore" (4.4).
 */
#include <linux/fs.h>
#include "../probe.h"

IS_OF_TYPE(MEMBER(struct sb_writers, rw_sem[0]), struct percpu_rw_semaphore);
