// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds the further devices of a file system: an external log or journal, a realtime device.
 * Freezing the file system writes to them, and to what they lie on.
 *
 * For XFS and reiserfs the mount options name them. Ext4 has the device of its journal in its
 * superblock, which would have to be read from the disk. But the kernel lists all journals in
 * /proc/fs/jbd2: "sdb1-8" is inode 8 of the file system on sdb1 (an internal journal), "sdc" is a
 * device (an external one). An ext4 that has no internal journal in the list has an external one or
 * none. If the list has several external journals, each of them may be its own: all are added.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "blockdev.h"
#include "mounts.h"

static int add_journal(struct mounts_fs *fs, dev_t dev)
{
	dev_t *more;

	for (size_t i = 0; i < fs->journals; i++)
		if (fs->journal[i] == dev)
			return 0;
	more = array_resize(fs->journal, fs->journals + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	fs->journal = more;
	fs->journal[fs->journals++] = dev;
	return 0;
}

/* The path is looked up in our own namespace. For a mount of another one it may be wrong. */
static int add_option(struct mounts_fs *fs, const char *options, const char *name)
{
	size_t len = strlen(name);
	char path[256];
	struct stat st;

	for (; options; options = strchr(options, ',')) {
		options += *options == ',';
		if (strncmp(options, name, len) != 0)
			continue;
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(options + len, ","),
			 options + len);
		if (strncmp(path, "/dev/", 5) != 0 || stat(path, &st) || !S_ISBLK(st.st_mode)) {
			fs->journal_unknown = true;
			return 0;
		}
		return add_journal(fs, st.st_rdev);
	}
	return 0;
}

/**
 * journals_from_options() - add the journal devices that the mount options name
 * @fs: the file system; ->journal is added to
 * @options: those of the superblock; may be NULL
 * Return: 0 or -ENOMEM.
 */
int journals_from_options(struct mounts_fs *fs, const char *options)
{
	static const char * const names[] = {
		"logdev=", "rtdev=", "jdev=", "journal_path=", NULL
	};
	int err = 0;

	for (size_t i = 0; names[i] && !err; i++)
		err = add_option(fs, options, names[i]);
	return err;
}

/* The kernel's name of a block device, or "". */
static void device_name(const char *sysfs, dev_t dev, char *name, size_t size)
{
	char link[128], target[PATH_MAX];
	ssize_t n = -1;

	if ((size_t)snprintf(link, sizeof(link), "%s/dev/block/%u:%u", sysfs, major(dev),
			     minor(dev)) < sizeof(link))
		n = readlink(link, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	snprintf(name, size, "%.63s", strrchr(target, '/') ? strrchr(target, '/') + 1 : "");
}

static bool has_internal(DIR *journals, const char *name)
{
	size_t len = strlen(name);
	struct dirent *d;

	rewinddir(journals);
	while ((d = readdir(journals)))
		if (!strncmp(d->d_name, name, len) && d->d_name[len] == '-' &&
		    d->d_name[len + 1 + strspn(d->d_name + len + 1, "0123456789")] == '\0')
			return true;
	return false;
}

/* Adds all external journals. */
static int add_external(struct mounts_fs *fs, DIR *journals, const char *sysfs)
{
	struct dirent *d;
	char dir[PATH_MAX];
	dev_t dev;
	int err = 0;

	rewinddir(journals);
	while (!err && (d = readdir(journals)))
		if (d->d_name[0] != '.' &&
		    (size_t)snprintf(dir, sizeof(dir), "%s/class/block/%s", sysfs, d->d_name) <
		    sizeof(dir) && !blockdev_read_number(dir, &dev))
			err = add_journal(fs, dev);
	return err;
}

/**
 * journals_from_proc() - add the devices that may hold the external journal of an ext3 or ext4
 * @m: the mounts; ->journal of the file systems is added to
 * @sysfs: where sysfs is mounted
 * Return: 0 or a negative errno.
 */
int journals_from_proc(struct mounts *m, const char *sysfs)
{
	char path[PATH_MAX] = "", name[64];
	DIR *journals = NULL;
	int err = 0;

	if (m->proc && (size_t)snprintf(path, sizeof(path), "%s/fs/jbd2", m->proc) < sizeof(path))
		journals = opendir(path);
	/* The directory does not exist without an ext4, and on some kernels never. */
	if (!journals && path[0] && errno != ENOENT && errno != ENOTDIR && errno != EACCES)
		err = -errno;
	for (size_t i = 0; journals && i < m->n && !err; i++) {
		struct mounts_fs *fs = &m->fs[i];

		if (strcmp(fs->type, "ext4") != 0 && strcmp(fs->type, "ext3") != 0)
			continue;
		device_name(sysfs, fs->dev, name, sizeof(name));
		if (name[0] && !has_internal(journals, name))
			err = add_external(fs, journals, sysfs);
	}
	if (journals)
		closedir(journals);
	return err;
}
