// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file system that has nothing to write is frozen in the time of three grace periods of RCU (one
 * for each lock of sb_wait_write()), some 15 ms each, and whoever wants to write waits for them.
 * The kernel shortens them for all its users while it suspends the machine, to well below one
 * millisecond, and counts how many want that (rcu_expedite_gp(), commit 0d39482c3db1). So do we,
 * from ARM until FIFREEZE has returned. Who can't have processors interrupted for it says so with
 * rcupdate.rcu_normal=1 or in /sys/kernel/rcu_normal: that counts for more.
 *
 * The functions are exported, but no longer declared for modules. They are looked up by name, so
 * that a kernel without them (before 4.1, or some day again) just takes longer.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include "expedite.h"

#define BEGIN	"rcu_expedite_gp"
#define END	"rcu_unexpedite_gp"

/* Both or neither. Set at load, never changed. */
static void (*rcu_begin)(void);
static void (*rcu_end)(void);

/**
 * hv_vss_expedite_global_init() - once per module
 *
 * Context: process.
 */
void hv_vss_expedite_global_init(void)
{
	rcu_begin = __symbol_get(BEGIN);
	rcu_end = __symbol_get(END);
	if (!rcu_begin != !rcu_end)
		hv_vss_expedite_global_exit();
}

/**
 * hv_vss_expedite_global_exit() - undo hv_vss_expedite_global_init()
 *
 * Each hv_vss_expedite_begin() has been undone.
 */
void hv_vss_expedite_global_exit(void)
{
	if (rcu_begin)
		__symbol_put(BEGIN);
	if (rcu_end)
		__symbol_put(END);
	rcu_begin = NULL;
	rcu_end = NULL;
}

/**
 * hv_vss_expedite_begin() - let grace periods that begin from now on be short
 *
 * Context: any. Return: true if hv_vss_expedite_end() has to follow.
 */
bool hv_vss_expedite_begin(void)
{
	if (rcu_begin)
		rcu_begin();
	return !!rcu_begin;
}

/**
 * hv_vss_expedite_end() - undo one hv_vss_expedite_begin() that has returned true
 *
 * Context: any.
 */
void hv_vss_expedite_end(void)
{
	rcu_end();
}
