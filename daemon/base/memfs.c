// SPDX-License-Identifier: GPL-2.0-only
#include <linux/magic.h>
#include <linux/types.h>
#include <sys/vfs.h>

#include "memfs.h"

/**
 * memfs_contains() - is a file on a file system that is in memory only?
 * @fd: the file
 *
 * Any other file system may be frozen: a store to a mapping of the file would block then. The
 * device number can't answer this: for a file on btrfs or overlay it differs from that in the
 * mount table.
 * Return: true if so.
 */
bool memfs_contains(int fd)
{
	struct statfs fs;

	/* f_type is a signed long: with 32 bits a magic number may be negative. */
	return !fstatfs(fd, &fs) && ((__u32)fs.f_type == TMPFS_MAGIC ||
				     (__u32)fs.f_type == RAMFS_MAGIC);
}
