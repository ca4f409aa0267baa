// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "base/sysattr.h"
#include "disks.h"
#include "plan/blockdev.h"

struct adding {
	struct evidence *e;
	const char *sysfs;
};

static int add_disk(void *arg, dev_t disk)
{
	struct adding *adding = arg;

	return evidence_add_disk(adding->e, adding->sysfs, disk);
}

/* What lies in a file has the disks of the file system with that file. */
static int add_below(struct adding *adding, const struct mounts_fs *fs)
{
	const struct blockdev_walk walk = { .disk = add_disk, .arg = adding };
	int err = order_walk_devices(fs, adding->sysfs, &walk);

	/* A device has gone since: what is left of the others is evidence as well. */
	return err == -ENOENT || err == -ENODEV ? 0 : err;
}

/* The synthetic SCSI controller, and an IDE disk. The host does not copy Fibre Channel disks. */
static bool is_disk_controller(const char *dir)
{
	char class[64];

	return !sysattr_read(class, sizeof(class), dir, "class_id") &&
	       (!strcasecmp(class, "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}") ||
		!strcasecmp(class, "{32412632-86cb-44a2-9b5c-50d1417354f5}"));
}

/* Is one of the devices that this one is behind a disk controller of the host's? */
static bool is_of_host(const char *sysfs, dev_t disk)
{
	char path[PATH_MAX], *dir;
	bool found = false;

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sysfs, major(disk), minor(disk));
	dir = realpath(path, NULL);
	while (dir && !found && strrchr(dir, '/') && strrchr(dir, '/') != dir) {
		*strrchr(dir, '/') = '\0';
		found = is_disk_controller(dir);
	}
	free(dir);
	return found;
}

/* A disk of the host's; not a DVD, which nothing is written to. */
static bool is_host_disk(const char *sysfs, const char *name, dev_t *disk)
{
	char dir[PATH_MAX], value[16];

	if (name[0] == '.' || (size_t)snprintf(dir, sizeof(dir), "%s/block/%s", sysfs, name) >=
			      sizeof(dir))
		return false;
	if (!sysattr_read(value, sizeof(value), dir, "removable") && !strcmp(value, "1"))
		return false;
	return !blockdev_read_number(dir, disk) && is_of_host(sysfs, *disk);
}

/* The host's disks, mounted or not: a database on a raw disk, a member of a ZFS pool. */
static int add_of_host(struct adding *adding)
{
	char path[PATH_MAX];
	struct dirent *d;
	int err = 0;
	dev_t disk;
	DIR *list;

	if ((size_t)snprintf(path, sizeof(path), "%s/block", adding->sysfs) >= sizeof(path))
		return -ENAMETOOLONG;
	list = opendir(path);
	while (list && !err && (d = readdir(list))) {
		if (is_host_disk(adding->sysfs, d->d_name, &disk))
			err = evidence_add_disk(adding->e, adding->sysfs, disk);
	}
	if (list)
		closedir(list);
	return err;
}

/* The disks that the host has named, as far as they are found. */
static int add_named(struct adding *adding, const struct luns *luns)
{
	int err = 0;

	for (unsigned int i = 0; i < luns->n && !err; i++) {
		dev_t disk;

		if (!luns_find_disk(adding->sysfs, &luns->lun[i], &disk))
			err = evidence_add_disk(adding->e, adding->sysfs, disk);
	}
	return err;
}

static bool has_data(const struct mounts_fs *fs)
{
	return !fs->readonly && (fs->action != MOUNTS_SKIP || fs->kind == FSTYPE_FUSE);
}

static int add_of_plan(struct adding *adding, const struct mounts *m)
{
	int err = 0;

	for (size_t i = 0; i < m->n && !err; i++)
		if (has_data(&m->fs[i]))
			err = add_below(adding, &m->fs[i]);
	return err;
}

/**
 * disks_watch() - prepare the evidence that nothing is written to the disks of a backup
 * @set: ->evidence is prepared
 * @m: the plan
 * @sysfs: where sysfs is mounted
 * @luns: the disks that the host has named; NULL: it has not
 *
 * The disks are those that the host has named. If it has named none that is here, they are all that
 * are the host's; and if there are no such disks (another hypervisor), those below all file systems
 * that are written to. A backup does not fail for want of evidence.
 * Context: worker; nothing is frozen.
 */
void disks_watch(struct fsset *set, const struct mounts *m, const char *sysfs,
		 const struct luns *luns)
{
	struct evidence *e = &set->evidence;
	struct adding adding = { .e = e, .sysfs = sysfs };
	int err = evidence_prepare(e, m->proc);

	if (!err && luns)
		err = add_named(&adding, luns);
	if (!err && !e->n)
		err = add_of_host(&adding);
	if (!err && !e->n)
		err = add_of_plan(&adding, m);
	if (!err)
		return;
	log_msg(LOG_WARNING, "cannot watch the disks for writes during the freeze: %s",
		strerror(-err));
	evidence_free(e);
}
