/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HV_VSS_EMBED_H
#define HV_VSS_EMBED_H

#include <stddef.h>

/* The struct that @ptr, its member of that name, is embedded in. */
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))

#endif
