/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host gets to read: the result of the last backup, and what the daemon does. */
#ifndef HV_VSS_KVPVERDICT_H
#define HV_VSS_KVPVERDICT_H

#include "kvppool.h"
#include "report/history.h"

#define KVPVERDICT_KEYS		10

extern const char * const kvpverdict_key[KVPVERDICT_KEYS];

struct kvpverdict {
	struct kvppool_item item[KVPVERDICT_KEYS];
	size_t n;
};

void kvpverdict_fill(struct kvpverdict *v, const struct history *h, const char *state);

#endif
