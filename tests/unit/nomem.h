/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes memory run out: an allocator in front of the real one, for the program and all libraries
 * that it is linked with. In each run another allocation fails. SQLite is tested in the same way.
 */
#ifndef HV_VSS_UNIT_NOMEM_H
#define HV_VSS_UNIT_NOMEM_H

#include <stdbool.h>

struct nomem_scenario {
	const char *name;
	void (*prepare)(void);	/* may be NULL */
	void (*act)(void);	/* its allocations may fail */
	void (*check)(bool failed);	/* true: an allocation has failed in ->act() */
};

void nomem_arm(unsigned int nth, bool all_later);
unsigned int nomem_disarm(void);
void nomem_sweep(const struct nomem_scenario *s);

#endif
