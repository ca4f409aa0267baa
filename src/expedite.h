/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Freezing a file system that has nothing to write takes three grace periods of RCU, one for each
 * lock of sb_wait_write(), about 15 ms each. Writers wait meanwhile. While the kernel suspends the
 * machine, it shortens grace periods for all users to well below one millisecond; it counts the
 * callers that want this (rcu_expedite_gp(), commit 0d39482c3db1). We do the same from ARM until
 * FIFREEZE has returned. We do it only where symbol versions prove that the functions have the
 * declaration that we use (see Kbuild; CONFIG_MODVERSIONS: EL, SLES, Ubuntu, Debian up to 13). On
 * other kernels a freeze takes longer.
 *
 * An admin who can't have processors interrupted for this sets rcupdate.rcu_normal=1 or
 * /sys/kernel/rcu_normal: both override it.
 */
#ifndef _HV_VSS_EXPEDITE_H
#define _HV_VSS_EXPEDITE_H

#include "compat/compat.h"

/**
 * hv_vss_expedite_begin() - shorten grace periods that begin from now on
 *
 * Context: any. Return: true if hv_vss_expedite_end() must follow.
 */
static inline bool hv_vss_expedite_begin(void)
{
	return hv_vss_compat_expedite();
}

/**
 * hv_vss_expedite_end() - undo one hv_vss_expedite_begin() that returned true
 *
 * Context: any.
 */
static inline void hv_vss_expedite_end(void)
{
	hv_vss_compat_unexpedite();
}

#endif /* _HV_VSS_EXPEDITE_H */
