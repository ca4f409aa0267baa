// SPDX-License-Identifier: GPL-2.0-only
/*
 * There is no synchronize_sched(): synchronize_rcu() waits for tasklets and interrupts, too.
 *
 * Since 5.1. See sync_sched-yes.
 */
#include <linux/rcupdate.h>
#include "../probe.h"

IS_NO_FUNCTION(synchronize_sched);
