/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds in sysfs which driver is bound to the host's backup channel, and why. */
#ifndef HV_VSS_OWNER_H
#define HV_VSS_OWNER_H

#include <stdbool.h>

struct owner {
	bool offered;		/* the host offers the channel */
	char name[32];		/* "hv_vss", "hv_utils" or "hv_util"; "": none */
	char version[32];	/* of the module; "" if unknown */
	char framework[16];	/* versions negotiated with the host; "" if unknown */
	char message[16];
	char state[32];		/* of our module; "" for another one */
	char last_error[128];
	char why_not[160];	/* why it is not our module; "" if it is */
	char closed[160];	/* why our module does not serve; "" if it does */
};

void owner_read(struct owner *d, const char *sysfs);
int owner_find(const char *sysfs, char *device, char *name);
bool owner_listed(const char *connector);

/* Sizes of the buffers for owner_find(). */
#define OWNER_NAME	32
#define OWNER_DEVICE	64

#endif
