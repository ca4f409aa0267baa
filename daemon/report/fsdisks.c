// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "fsdisks.h"
#include "plan/blockdev.h"

#define NESTED_MAX	16	/* files in files; also ends a circle */

struct disks {
	struct json *j;
	const struct mounts *m;
	const char *sysfs;
	dev_t *seen;
	size_t n;
};

static int put_disk(void *arg, dev_t disk)
{
	char path[PATH_MAX], place[PATH_MAX];
	struct disks *d = arg;
	const char *name;
	ssize_t len;
	dev_t *more;

	for (size_t i = 0; i < d->n; i++)
		if (d->seen[i] == disk)
			return 0;
	more = array_resize(d->seen, d->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	d->seen = more;
	d->seen[d->n++] = disk;
	if ((size_t)snprintf(path, sizeof(path), "%s/dev/block/%u:%u", d->sysfs, major(disk),
			     minor(disk)) >= sizeof(path))
		return -ENAMETOOLONG;
	len = readlink(path, place, sizeof(place) - 1);
	if (len <= 0)
		return 0;	/* it has just been removed */
	place[len] = '\0';
	name = strrchr(place, '/');
	json_string(d->j, NULL, name ? name + 1 : place);
	return 0;
}

static int walk_fs(struct disks *d, const struct mounts_fs *fs, int nested)
{
	const struct blockdev_walk walk = { .disk = put_disk, .arg = d };
	int err = order_walk_devices(fs, d->sysfs, &walk);

	if (err == -ENOENT || err == -ENODEV)
		err = 0;
	for (size_t i = 0; i < fs->backings && nested < NESTED_MAX && !err; i++)
		err = walk_fs(d, &d->m->fs[fs->backing[i]], nested + 1);
	return err;
}

/**
 * fsdisks_json() - print the names of the disks that a file system lies on, as an array
 * @j: in an open object
 * @m: the plan
 * @fs: one of its file systems; if it lies in a file, its disks are those of that file
 * @sysfs: where sysfs is mounted
 * Return: 0 or a negative errno: then disks are missing.
 */
int fsdisks_json(struct json *j, const struct mounts *m, const struct mounts_fs *fs,
		 const char *sysfs)
{
	struct disks d = { .j = j, .m = m, .sysfs = sysfs };
	int err = 0;

	json_array(j, "disks");
	if (fs->kind != FSTYPE_PSEUDO && fs->kind != FSTYPE_NETWORK)
		err = walk_fs(&d, fs, 0);
	json_end(j);
	free(d.seen);
	return err;
}
