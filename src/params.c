// SPDX-License-Identifier: GPL-2.0-only
/* The module's parameters. */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "compat/compat.h"
#include "params.h"

#define TIMEOUT_MIN_MS		10
#define TIMEOUT_MAX_MS		(24 * 60 * 60 * 1000)

unsigned int hv_vss_freeze_timeout_ms = 15 * 60 * 1000;
unsigned int hv_vss_thaw_timeout_ms = 30 * 1000;
unsigned int hv_vss_check_timeout_ms = 30 * 1000;
unsigned int hv_vss_hold_timeout_ms = 60 * 1000;
unsigned int hv_vss_hold_max_ms = 10 * 60 * 1000;

static int timeout_set(const char *val, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(val, 0, &ms);

	if (ret)
		return ret;
	if (ms < TIMEOUT_MIN_MS || ms > TIMEOUT_MAX_MS)
		return -EINVAL;
	WRITE_ONCE(*(unsigned int *)kp->arg, ms);
	return 0;
}

static const struct kernel_param_ops timeout_ops = {
	.set = timeout_set,
	.get = param_get_uint,
};

module_param_cb(freeze_timeout_ms, &timeout_ops, &hv_vss_freeze_timeout_ms, 0644);
MODULE_PARM_DESC(freeze_timeout_ms, "until the host is told that a FREEZE failed (900000)");
module_param_cb(thaw_timeout_ms, &timeout_ops, &hv_vss_thaw_timeout_ms, 0644);
MODULE_PARM_DESC(thaw_timeout_ms, "until the host is told that a THAW failed (30000)");
module_param_cb(check_timeout_ms, &timeout_ops, &hv_vss_check_timeout_ms, 0644);
MODULE_PARM_DESC(check_timeout_ms, "until the host is told that a HOT_BACKUP failed (30000)");
module_param_cb(hold_timeout_ms, &timeout_ops, &hv_vss_hold_timeout_ms, 0644);
MODULE_PARM_DESC(hold_timeout_ms, "until the kernel thaws if the host does not, used if the daemon sets no limit (60000)");
module_param_cb(hold_max_ms, &timeout_ops, &hv_vss_hold_max_ms, 0644);
MODULE_PARM_DESC(hold_max_ms, "the longest hold limit that a daemon can set (600000)");
