// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasklets and interrupts are waited for with synchronize_sched().
 *
 * Until 5.0. On a preemptible kernel synchronize_rcu() does not wait for code that has only
 * switched preemption off, as tasklets and interrupts have. It does since the flavours of RCU are
 * one (4.20); from then on both do the same.
 */
#include <linux/rcupdate.h>
#include "../probe.h"

IS_OF_TYPE(&synchronize_sched, void (*)(void));
