/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of a file system by its type alone, before anything is touched. */
#ifndef HV_VSS_FSTYPES_H
#define HV_VSS_FSTYPES_H

enum fstype_kind {
	FSTYPE_FREEZABLE,	/* on a block device, the kernel can freeze it */
	FSTYPE_UNFREEZABLE,	/* on a block device, it can't */
	FSTYPE_READONLY,	/* never written to */
	FSTYPE_PSEUDO,		/* nothing on a disk */
	FSTYPE_NETWORK,		/* the data are elsewhere; its server may be dead */
	FSTYPE_FUSE,		/* served by a process, which may be dead */
	FSTYPE_STACKED,		/* a view of other file systems, which are in the table too */
	FSTYPE_UNKNOWN,
};

enum fstype_kind fstype_kind(const char *type);
const char *fstype_kind_reason(enum fstype_kind kind);

#endif
