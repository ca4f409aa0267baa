// SPDX-License-Identifier: GPL-2.0-only
/*
 * An entry of a wait queue is a wait_queue_t. See wait_queue_entry-yes.
 */
#include <linux/wait.h>
#include "../probe.h"

IS_OF_TYPE(&init_waitqueue_func_entry, void (*)(wait_queue_t *, wait_queue_func_t));
