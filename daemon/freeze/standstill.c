// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/procfs.h"
#include "standstill.h"

/**
 * standstill_check() - warn if the limits allow a freeze that the kernel reports as a hang
 * @proc: where procfs is mounted
 * @limits: of the options
 *
 * After kernel.hung_task_timeout_secs khungtaskd reports each task that waits for the thaw, and
 * panics if kernel.hung_task_panic is set.
 */
void standstill_check(const char *proc, const struct freezer_config *limits)
{
	int64_t most = (limits->fifreeze_us + limits->hold_us + SECOND - 1) / SECOND;
	int dir = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	char text[32];
	long hung;

	if (dir < 0)
		return;
	err = procfs_read(dir, "sys/kernel/hung_task_timeout_secs", text, sizeof(text));
	close(dir);
	hung = err > 0 ? atol(text) : 0;
	if (hung > 0 && most >= hung)
		log_msg(LOG_WARNING, "--fifreeze-timeout and --hold allow a standstill of %lld s; "
			"from %ld s on (kernel.hung_task_timeout_secs) the kernel reports tasks "
			"that wait for the thaw as hung, or panics if kernel.hung_task_panic is set",
			(long long)most, hung);
}
