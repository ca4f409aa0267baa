// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>

#include "fstypes.h"

/*
 * A wrong entry in the first two lists does no harm: FIFREEZE decides, and a file system for which
 * it returns EOPNOTSUPP is only synced. (With --strict the second list decides, so that HOT_BACKUP
 * can be answered with no.) File systems of the other lists are never opened.
 */
static const char * const freezable[] = {
	"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "gfs2", "jfs", "nilfs2", "reiserfs",
	"xfs", NULL
};

static const char * const unfreezable[] = {
	"adfs", "affs", "apfs", "befs", "bfs", "exfat", "hfs", "hfsplus", "hpfs", "jffs2",
	"minix", "msdos", "ntfs", "ntfs3", "ocfs2", "omfs", "qnx4", "qnx6", "sysv", "ubifs",
	"udf", "ufs", "umsdos", "v7", "vboxsf", "vfat", "zfs", "zonefs", NULL
};

static const char * const readonly[] = {
	"cramfs", "erofs", "iso9660", "romfs", "squashfs", NULL
};

static const char * const pseudo[] = {
	"anon_inodefs", "autofs", "bdev", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2",
	"configfs", "cpuset", "dax", "debugfs", "devpts", "devtmpfs", "dmabuf", "drm", "efivarfs",
	"functionfs", "fusectl", "guest_memfd", "hugetlbfs", "mqueue", "nfsd", "nsfs",
	"openpromfs", "pidfs", "pipefs", "proc", "pstore", "ramfs", "resctrl", "rootfs",
	"rpc_pipefs", "securityfs", "secretmem", "selinuxfs", "smackfs", "sockfs", "spufs",
	"sysfs", "tmpfs", "tracefs", "usbdevfs", "usbfs", "xenfs", NULL
};

static const char * const network[] = {
	"9p", "afs", "beegfs", "ceph", "cifs", "coda", "lustre", "ncp", "ncpfs",
	"nfs", "nfs3", "nfs4", "orangefs", "panfs", "pvfs2", "smb2", "smb3", "smbfs",
	"virtiofs", "vmhgfs", NULL
};

/* Like network file systems, but their data may be on disks of this machine. */
static const char * const cluster[] = {
	"acfs", "gpfs", NULL
};

static const char * const stacked[] = {
	"aufs", "ecryptfs", "overlay", "overlayfs", "shiftfs", "unionfs", "wrapfs", NULL
};

static const struct {
	enum fstype_kind kind;
	const char * const *types;
} lists[] = {
	{ FSTYPE_FREEZABLE, freezable },
	{ FSTYPE_UNFREEZABLE, unfreezable },
	{ FSTYPE_READONLY, readonly },
	{ FSTYPE_PSEUDO, pseudo },
	{ FSTYPE_NETWORK, network },
	{ FSTYPE_CLUSTER, cluster },
	{ FSTYPE_STACKED, stacked },
	{ FSTYPE_UNKNOWN, NULL }
};

/**
 * fstype_kind() - classify a file system type
 * @type: as in the mount table; a fuse type may have a subtype after a dot
 * Return: its kind; FSTYPE_UNKNOWN if it is in none of the lists.
 */
enum fstype_kind fstype_kind(const char *type)
{
	if (!strcmp(type, "fuse") || !strncmp(type, "fuse.", 5) ||
	    !strcmp(type, "fuseblk") || !strncmp(type, "fuseblk.", 8))
		return FSTYPE_FUSE;
	for (size_t i = 0; lists[i].types; i++)
		for (const char * const *t = lists[i].types; *t; t++)
			if (!strcmp(type, *t))
				return lists[i].kind;
	return FSTYPE_UNKNOWN;
}

/**
 * fstype_may_hang() - may any access wait for a server, another machine or a process?
 * @kind: of the type
 * Return: true if so.
 */
bool fstype_may_hang(enum fstype_kind kind)
{
	return kind == FSTYPE_NETWORK || kind == FSTYPE_CLUSTER || kind == FSTYPE_FUSE;
}

/**
 * fstype_reason() - why a file system of this type is not frozen
 * @type: as in the mount table
 * @kind: its kind
 * Return: text for the plan; "" for FSTYPE_FREEZABLE and FSTYPE_UNKNOWN.
 */
const char *fstype_reason(const char *type, enum fstype_kind kind)
{
	switch (kind) {
	case FSTYPE_UNFREEZABLE:
		if (!strcmp(type, "zfs"))
			return "zfs can't be frozen; the copies of a pool's disks may not be "
			       "consistent";
		return "this type can't be frozen";
	case FSTYPE_READONLY:
		return "read-only type";
	case FSTYPE_PSEUDO:
		return "not on a disk";
	case FSTYPE_NETWORK:
		return "network file system";
	case FSTYPE_CLUSTER:
		return "cluster file system, which may wait for other machines";
	case FSTYPE_FUSE:
		return "served by a process (fuse)";
	case FSTYPE_STACKED:
		return "lies on other file systems";
	case FSTYPE_FREEZABLE:
	case FSTYPE_UNKNOWN:
		break;
	}
	return "";
}
