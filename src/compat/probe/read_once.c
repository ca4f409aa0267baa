// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there READ_ONCE()?
 *
 * Since 230fa253df63 "kernel: Provide READ_ONCE and ASSIGN_ONCE" (3.19). Backports: 3.18 stable,
 * EL 7.
 */
#include <linux/compiler.h>

int hv_vss_probe(int *p);

int hv_vss_probe(int *p)
{
	return READ_ONCE(*p);
}
