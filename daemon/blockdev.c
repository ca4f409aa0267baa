// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "blockdev.h"
#include "sysattr.h"

#define DEPTH_MAX	16	/* dm over md over loop over ...: a cycle ends here */

static int walk_dir(const char *dir, int depth, const struct blockdev_walk *walk);

/* Every entry of <dir>/<sub> is a block device's directory, or a link to one: their number. */
static int walk_each(const char *dir, const char *sub, int depth,
		     const struct blockdev_walk *walk)
{
	char path[PATH_MAX];
	struct dirent *d;
	int err = 0, n = 0;
	DIR *list;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, sub) >= sizeof(path))
		return -ENAMETOOLONG;
	list = opendir(path);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (d = readdir(list))) {
		char entry[PATH_MAX];

		if (d->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(entry, sizeof(entry), "%s/%s", path, d->d_name) >=
		    sizeof(entry))
			err = -ENAMETOOLONG;
		else
			err = walk_dir(entry, depth + 1, walk);
		n++;
	}
	closedir(list);
	return err ? err : n;
}

static int walk_dir(const char *dir, int depth, const struct blockdev_walk *walk)
{
	char path[PATH_MAX], file[PATH_MAX];
	struct stat st;
	dev_t disk;
	int err;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	/* A partition says nothing of what the disk is; the disk is the directory above. */
	if ((size_t)snprintf(path, sizeof(path), "%s/partition", dir) >= sizeof(path) - 16)
		return -ENAMETOOLONG;
	if (!stat(path, &st)) {
		char *above;

		snprintf(path, sizeof(path), "%s/..", dir);
		/* Not "<link>/..": that would be right for the kernel, but long and unreadable. */
		above = realpath(path, NULL);
		if (!above)
			return -errno;
		err = walk_dir(above, depth + 1, walk);
		free(above);
		return err;
	}
	err = sysattr_read(file, sizeof(file), dir, "loop/backing_file");
	if (!err)
		return walk->file(walk->arg, file);
	if (err != -ENOENT && err != -ENOTDIR)
		return err;
	err = walk_each(dir, "slaves", depth, walk);
	if (err || !walk->disk)
		return err < 0 ? err : 0;
	err = blockdev_read_number(dir, &disk);
	return err ? err : walk->disk(walk->arg, disk);
}

/**
 * blockdev_read_number() - the number of a block device
 * @dir: its directory in sysfs
 * @dev: set
 * Return: 0 or a negative errno.
 */
int blockdev_read_number(const char *dir, dev_t *dev)
{
	unsigned int maj, min;
	char line[32];
	int err;

	err = sysattr_read(line, sizeof(line), dir, "dev");
	if (err)
		return err;
	if (sscanf(line, "%u:%u", &maj, &min) != 2)
		return -EPROTO;
	*dev = makedev(maj, min);
	return 0;
}

/**
 * blockdev_walk() - find the files and disks that a block device is made of
 * @sysfs: where sysfs is mounted
 * @dev: the device
 * @walk: called with the backing file of each loop device and with each disk at the bottom
 *
 * Follows partitions to their disk, and device mapper and MD devices to their members.
 * Return: 0 (also if the device is unknown to sysfs), what one of @walk returned, or a negative
 *	errno.
 */
int blockdev_walk(const char *sysfs, dev_t dev, const struct blockdev_walk *walk)
{
	char dir[PATH_MAX];
	struct stat st;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", sysfs, major(dev),
			     minor(dev)) >= sizeof(dir))
		return -ENAMETOOLONG;
	if (stat(dir, &st))
		return errno == ENOENT ? 0 : -errno;
	return walk_dir(dir, 0, walk);
}

static int has_device(const char *devices, const char *number)
{
	struct dirent *d;
	char line[32];
	int found = 0;
	DIR *list;

	list = opendir(devices);
	if (!list)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (!found && (d = readdir(list))) {
		char entry[PATH_MAX];

		if (d->d_name[0] == '.')
			continue;
		if ((size_t)snprintf(entry, sizeof(entry), "%s/%s", devices, d->d_name) >=
		    sizeof(entry))
			continue;
		found = !sysattr_read(line, sizeof(line), entry, "dev") && !strcmp(line, number);
	}
	closedir(list);
	return found;
}

/**
 * blockdev_walk_btrfs() - find the files and disks below all devices of a btrfs
 * @sysfs: where sysfs is mounted
 * @source: path of one of its devices, from the mount table
 * @walk: as for blockdev_walk()
 *
 * A btrfs has an anonymous device number; its members are listed in sysfs by the file system's
 * UUID (kernel 3.14), in which the one named by the mount table is looked up.
 * Return: as for blockdev_walk().
 */
int blockdev_walk_btrfs(const char *sysfs, const char *source, const struct blockdev_walk *walk)
{
	char top[PATH_MAX], number[32];
	struct dirent *d;
	struct stat st;
	int err = 0, found = 0;
	DIR *list;

	if (strncmp(source, "/dev/", 5) != 0 || stat(source, &st) || !S_ISBLK(st.st_mode))
		return 0;
	snprintf(number, sizeof(number), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if ((size_t)snprintf(top, sizeof(top), "%s/fs/btrfs", sysfs) >= sizeof(top))
		return -ENAMETOOLONG;
	list = opendir(top);
	while (list && !err && !found && (d = readdir(list))) {
		char devices[PATH_MAX];

		if (d->d_name[0] == '.' ||
		    (size_t)snprintf(devices, sizeof(devices), "%s/%s/devices", top,
				     d->d_name) >= sizeof(devices))
			continue;
		found = has_device(devices, number);
		if (found < 0)
			err = found;
		else if (found)
			err = walk_each(devices, ".", 0, walk);
	}
	if (list)
		closedir(list);
	if (err || found)
		return err < 0 ? err : 0;
	return blockdev_walk(sysfs, st.st_rdev, walk);
}
