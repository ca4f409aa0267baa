// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "covered.h"
#include "openfs.h"
#include "plan/mountinfo.h"

/*
 * Is the descriptor open on the superblock of the mount table? Another file system may be mounted
 * over the mount point by now. Comparing device numbers is not enough: a btrfs subvolume has a
 * device number of its own, so mount ids are compared first.
 */
static bool is_same_fs(int fd, const struct mounts_fs *fs, const struct stat *st)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), id = -1;

	if (proc >= 0) {
		id = mountinfo_mount_id(proc, fd);
		close(proc);
	}
	for (size_t i = 0; i < fs->mounts; i++)
		if (id >= 0 && fs->mount[i].id == id)
			return true;
	return st->st_dev == fs->dev;
}

/* Turn an O_PATH descriptor into one for FIFREEZE. */
static int reopen(const struct sysops *ops, int path_fd)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = ops->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	if (fd == -EPERM)	/* O_NOATIME needs to be the owner */
		fd = ops->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ops->close(path_fd);
	return fd;
}

static int open_path(const struct sysops *ops, const struct mounts_fs *fs, const char *path)
{
	int fd = ops->open(path, O_PATH | O_CLOEXEC), err = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	/* Opening a device node has side effects, and a mount point can be one. */
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		err = -ENOTDIR;
	else if (!is_same_fs(fd, fs, &st))
		err = -EXDEV;
	if (err)
		ops->close(fd);
	return err ? err : fd;
}

/* How a mount can be opened, in the order of the attempts. */
enum access { ACCESS_PATH, ACCESS_COVERED, ACCESS_NAMESPACE, ACCESS_COUNT };

static enum access access_of(const struct mounts_mount *mount)
{
	return mount->pid ? ACCESS_NAMESPACE : mount->covered ? ACCESS_COVERED : ACCESS_PATH;
}

/**
 * openfs_open() - open a file system through any of its mounts
 * @ops: system calls
 * @fs: from a plan; the descriptors of its view are still open
 *
 * Mount points in our own namespace come first. Those on a network or fuse file system are skipped:
 * a look-up there may never return. A mount that others cover is opened underneath them.
 * Context: worker; may block.
 * Return: a descriptor, or the negative errno of the first attempt.
 */
int openfs_open(const struct sysops *ops, const struct mounts_fs *fs)
{
	int first = 0, fd;

	for (int access = ACCESS_PATH; access < ACCESS_COUNT; access++)
		for (size_t i = 0; i < fs->mounts; i++) {
			const struct mounts_mount *mount = &fs->mount[i];

			if (mount->deleted || mount->remote || (int)access_of(mount) != access)
				continue;
			fd = access == ACCESS_PATH ? open_path(ops, fs, mount->path) :
					      covered_open(ops, fs, mount);
			if (fd >= 0)
				fd = reopen(ops, fd);
			if (fd >= 0)
				return fd;
			if (!first)
				first = fd;
		}
	return first ? first : -EHOSTUNREACH;
}
