/* SPDX-License-Identifier: GPL-2.0-only */
/* Classifies file systems by their type, before any of them is accessed. */
#ifndef HV_VSS_FSTYPES_H
#define HV_VSS_FSTYPES_H

#include <stdbool.h>

enum fstype_kind {
	FSTYPE_FREEZABLE,	/* on a block device, the kernel can freeze it */
	FSTYPE_UNFREEZABLE,	/* on a block device, the kernel can't freeze it */
	FSTYPE_READONLY,	/* never written to */
	FSTYPE_PSEUDO,		/* no data on a disk */
	FSTYPE_NETWORK,		/* the data are on a server, which may not respond */
	FSTYPE_CLUSTER,		/* the data may be on own disks, but other machines have a say */
	FSTYPE_FUSE,		/* served by a process, which may not respond */
	FSTYPE_STACKED,		/* a view of other file systems, which are in the mount table too */
	FSTYPE_UNKNOWN,
};

enum fstype_kind fstype_kind(const char *type);
bool fstype_may_hang(enum fstype_kind kind);
const char *fstype_reason(const char *type, enum fstype_kind kind);

#endif
