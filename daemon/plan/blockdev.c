// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/array.h"
#include "base/sysattr.h"
#include "blockdev.h"

/*
 * The directories of devices to visit, each once: several devices may lie on the same one, and a
 * cycle must end. A list instead of recursion: the thread's stack is small.
 */
struct todo {
	char **dir;		/* without symbolic links */
	size_t n;
};

static int add_dir(struct todo *todo, const char *link)
{
	char *dir = realpath(link, NULL), **more;

	if (!dir)
		return -errno;
	for (size_t i = 0; i < todo->n; i++)
		if (!strcmp(todo->dir[i], dir)) {
			free(dir);
			return 0;
		}
	more = array_resize(todo->dir, todo->n + 1, sizeof(*more));
	if (!more) {
		free(dir);
		return -ENOMEM;
	}
	todo->dir = more;
	todo->dir[todo->n++] = dir;
	return 0;
}

static void free_todo(struct todo *todo)
{
	for (size_t i = 0; i < todo->n; i++)
		free(todo->dir[i]);
	free(todo->dir);
}

/*
 * Adds all entries of <dir>/<sub>: directories of block devices, or links to them. Returns how
 * many.
 */
static int add_entries(struct todo *todo, const char *dir, const char *sub)
{
	char path[PATH_MAX];
	int err = 0, n = 0;
	struct dirent *d;
	size_t len;
	DIR *list;

	len = snprintf(path, sizeof(path), "%s/%s", dir, sub);
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	list = opendir(path);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (d = readdir(list))) {
		if (d->d_name[0] == '.')
			continue;
		n++;
		if (len + 1 + strlen(d->d_name) >= sizeof(path)) {
			err = -ENAMETOOLONG;
			break;
		}
		sprintf(path + len, "/%s", d->d_name);
		err = add_dir(todo, path);
	}
	closedir(list);
	return err ? err : n;
}

/* 1, 0 or a negative errno. */
static int is_partition(const char *dir)
{
	char number[16];
	int err = sysattr_read(number, sizeof(number), dir, "partition");

	return err == -ENOENT || err == -ENOTDIR ? 0 : err ? err : 1;
}

static int visit_loop_file(const char *dir, const struct blockdev_walk *walk)
{
	char file[PATH_MAX];
	int err = sysattr_read(file, sizeof(file), dir, "loop/backing_file");

	if (!err && walk->file)
		err = walk->file(walk->arg, file);
	return err;
}

/*
 * A bcache without a cache has no entries in "slaves", only a link into the directory of its
 * backing device. Returns 1 if there is such a link.
 */
static int add_bcache(struct todo *todo, const char *dir)
{
	char path[PATH_MAX];
	struct stat st;
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/bcache/..", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	path[strlen(path) - 3] = '\0';
	/* The backing device has a directory of the same name, not a link. */
	if (lstat(path, &st) || !S_ISLNK(st.st_mode))
		return 0;
	path[strlen(path)] = '/';
	err = add_dir(todo, path);
	return err ? err : 1;
}

static int visit(struct todo *todo, const char *dir, const struct blockdev_walk *walk)
{
	char above[PATH_MAX];
	dev_t disk;
	int err;

	/* The attributes are those of the disk; its directory is the parent. */
	err = is_partition(dir);
	if (err < 0)
		return err;
	if (err) {
		snprintf(above, sizeof(above), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
		return add_dir(todo, above);
	}
	err = visit_loop_file(dir, walk);
	if (err != -ENOENT && err != -ENOTDIR)
		return err;
	err = add_entries(todo, dir, "slaves");
	if (!err)
		err = add_bcache(todo, dir);
	if (err || !walk->disk)
		return err < 0 ? err : 0;
	err = blockdev_read_number(dir, &disk);
	return err ? err : walk->disk(walk->arg, disk);
}

static int visit_all(struct todo *todo, const struct blockdev_walk *walk)
{
	int err = 0;

	for (size_t i = 0; i < todo->n && !err; i++)
		err = visit(todo, todo->dir[i], walk);
	return err;
}

/**
 * blockdev_read_number() - read the device number of a block device
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
 * blockdev_walk() - find the files and disks that a block device lies on
 * @sysfs: where sysfs is mounted
 * @dev: the device
 * @walk: called with the backing file of each loop device and with each disk at the bottom
 *
 * Follows partitions to their disk, and device mapper, MD and bcache devices to their members, in
 * any number of layers. No device is visited twice.
 * Return: 0 (also if sysfs does not have the device), what one of @walk returned, or a negative
 *	errno.
 */
int blockdev_walk(const char *sysfs, dev_t dev, const struct blockdev_walk *walk)
{
	struct todo todo = { 0 };
	char dir[PATH_MAX];
	int err;

	if ((size_t)snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", sysfs, major(dev),
			     minor(dev)) >= sizeof(dir))
		return -ENAMETOOLONG;
	err = add_dir(&todo, dir);
	if (err == -ENOENT)
		return 0;
	if (!err)
		err = visit_all(&todo, walk);
	free_todo(&todo);
	return err;
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
 * blockdev_find_btrfs() - find the directory in sysfs that lists all devices of a btrfs
 * @sysfs: where sysfs is mounted
 * @dev: one of its devices
 * @devices: set to the path of the directory
 * @size: of @devices, in bytes
 *
 * The directory is named by the file system's UUID (kernel 3.14): that with @dev is searched for.
 * Return: 1; 0 if there is none; or a negative errno.
 */
int blockdev_find_btrfs(const char *sysfs, dev_t dev, char *devices, size_t size)
{
	char top[PATH_MAX], number[32];
	struct dirent *d;
	int found = 0;
	DIR *list;

	snprintf(number, sizeof(number), "%u:%u", major(dev), minor(dev));
	if ((size_t)snprintf(top, sizeof(top), "%s/fs/btrfs", sysfs) >= sizeof(top))
		return -ENAMETOOLONG;
	list = opendir(top);
	if (!list)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (!found && (d = readdir(list))) {
		if (d->d_name[0] == '.' ||
		    (size_t)snprintf(devices, size, "%s/%s/devices", top, d->d_name) >= size)
			continue;
		found = has_device(devices, number);
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
 * A btrfs has an anonymous device number.
 * Return: as for blockdev_walk().
 */
int blockdev_walk_btrfs(const char *sysfs, const char *source, const struct blockdev_walk *walk)
{
	struct todo todo = { 0 };
	char devices[PATH_MAX];
	struct stat st;
	int err;

	if (strncmp(source, "/dev/", 5) != 0 || stat(source, &st) || !S_ISBLK(st.st_mode))
		return 0;
	err = blockdev_find_btrfs(sysfs, st.st_rdev, devices, sizeof(devices));
	if (!err)
		return blockdev_walk(sysfs, st.st_rdev, walk);
	if (err > 0)
		err = add_entries(&todo, devices, ".");
	if (err >= 0)
		err = visit_all(&todo, walk);
	free_todo(&todo);
	return err;
}
