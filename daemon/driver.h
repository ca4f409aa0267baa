/* SPDX-License-Identifier: GPL-2.0-only */
/* Who serves the host's backup channel in the kernel, from sysfs. */
#ifndef HV_VSS_DRIVER_H
#define HV_VSS_DRIVER_H

#include <stdbool.h>

struct driver {
	bool offered;		/* the host offers the channel */
	char name[32];		/* "hv_vss", "hv_utils" or "hv_util"; "": none */
	char version[32];	/* of the module; "" if not known */
	char framework[16];	/* versions agreed upon with the host; "" if not known */
	char message[16];
	char state[32];		/* of our module; "" with another one */
	char last_error[128];
	char why_not[160];	/* why it is not ours; "" if it is */
};

void driver_look(struct driver *d, const char *sysfs);
int driver_find(const char *sysfs, char *device, char *name);
bool driver_listed(const char *connector);

/* Room that driver_find() needs. */
#define DRIVER_NAME	32
#define DRIVER_DEVICE	64

#endif
