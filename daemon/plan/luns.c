// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list names disks by the host's addresses. A SCSI controller's GUID is the instance id of its
 * VMBus device; target and LUN are those of the SCSI address in the guest; the port is the host's
 * own number. An IDE disk has a VMBus device of its own, whose instance id contains channel and
 * position; storvsc reads them there (drivers/scsi/storvsc_drv.c).
 */
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
#include "base/format.h"
#include "blockdev.h"
#include "luns.h"

#define IDE_CLASS	"{32412632-86cb-44a2-9b5c-50d1417354f5}"
#define BUS_IDE		2

/* Is this VMBus device the controller of the LUN? */
static bool is_controller(const char *dir, const struct hv_vss_lun *lun)
{
	char id[64], class[64], guid[40];
	unsigned int path, target;

	if (sysattr_read(id, sizeof(id), dir, "device_id") || id[0] != '{')
		return false;
	format_guid(guid, sizeof(guid), lun->controller);
	if (!strncasecmp(id + 1, guid, strlen(guid)))
		return true;
	return lun->bus_type == BUS_IDE && !sysattr_read(class, sizeof(class), dir, "class_id") &&
	       !strcasecmp(class, IDE_CLASS) && sscanf(id, "{%8x-%4x-", &path, &target) == 2 &&
	       path == lun->port && target == lun->target;
}

/* Finds the next entry whose name begins with @prefix, and sets @path. */
static bool next_entry(DIR *list, const char *dir, const char *prefix, char *path)
{
	struct dirent *d;

	while (list && (d = readdir(list)))
		if (d->d_name[0] != '.' && !strncmp(d->d_name, prefix, strlen(prefix)) &&
		    (size_t)snprintf(path, PATH_MAX, "%s/%s", dir, d->d_name) < PATH_MAX)
			return true;
	return false;
}

static bool is_address(const char *path, const struct hv_vss_lun *lun)
{
	unsigned int host, channel, target, number;
	const char *name = strrchr(path, '/') + 1;

	if (sscanf(name, "%u:%u:%u:%u", &host, &channel, &target, &number) != 4)
		return false;
	/* The VMBus device of an IDE disk has only this disk. */
	return lun->bus_type == BUS_IDE || (target == lun->target && number == lun->lun);
}

/* Below a controller: host2/target2:0:0/2:0:0:1/block/sdb */
static int find_below(const char *dir, unsigned int level, const struct hv_vss_lun *lun,
		      dev_t *disk)
{
	static const char * const prefix[] = { "host", "target", "", "block", "" };
	char path[PATH_MAX];
	DIR *list = opendir(dir);
	int err = list || errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;

	while (err == -ENODEV && next_entry(list, dir, prefix[level], path)) {
		if (level == 2 && !is_address(path, lun))
			continue;
		err = level == 4 ? blockdev_read_number(path, disk) :
		      find_below(path, level + 1, lun, disk);
	}
	if (list)
		closedir(list);
	return err;
}

/**
 * luns_find_disk() - find the disk that the host names
 * @sysfs: where sysfs is mounted
 * @lun: the host's address of it
 * @disk: its device number
 * Return: 0; -ENODEV if this guest has no such disk; another negative errno.
 */
int luns_find_disk(const char *sysfs, const struct hv_vss_lun *lun, dev_t *disk)
{
	char devices[PATH_MAX], path[PATH_MAX];
	DIR *list;
	int err;

	if ((size_t)snprintf(devices, sizeof(devices), "%s/bus/vmbus/devices", sysfs) >=
	    sizeof(devices))
		return -ENAMETOOLONG;
	list = opendir(devices);
	err = list || errno == ENOENT ? -ENODEV : -errno;
	while (err == -ENODEV && next_entry(list, devices, "", path))
		if (is_controller(path, lun))
			err = find_below(path, 0, lun, disk);
	if (list)
		closedir(list);
	return err;
}

/* The relation of a file system to the disks that the host names. */
struct location {
	const dev_t *disk;
	unsigned int disks;
	bool known;		/* at least one of its disks is known */
	bool listed;		/* the host names at least one of its disks */
};

static int note_disk(void *arg, dev_t disk)
{
	struct location *location = arg;

	location->known = true;
	for (unsigned int i = 0; i < location->disks; i++)
		location->listed |= location->disk[i] == disk;
	return 0;
}

/* File system and external journal are useful only together. */
static int find_location(const struct mounts_fs *fs, const char *sysfs, struct location *location)
{
	const struct blockdev_walk walk = { .disk = note_disk, .arg = location };

	return order_walk_devices(fs, sysfs, &walk);
}

/* A file system in a file of another one is on the disks of that one. */
static void inherit(const struct mounts *m, struct location *location)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < m->n; i++)
			for (size_t j = 0; j < m->fs[i].backings; j++) {
				const struct location *below = &location[m->fs[i].backing[j]];

				changed |= (below->known && !location[i].known) ||
					   (below->listed && !location[i].listed);
				location[i].known |= below->known;
				location[i].listed |= below->listed;
			}
	}
}

static int find_disks(const struct luns *luns, bool only, const char *sysfs, dev_t *disk,
		      char why[REASON_SIZE])
{
	int err, first = 0;

	for (unsigned int i = 0; i < luns->n; i++) {
		const struct hv_vss_lun *lun = &luns->lun[i];
		char name[96];

		format_lun(name, sizeof(name), lun);
		disk[i] = 0;
		err = luns_find_disk(sysfs, lun, &disk[i]);
		if (!err)
			log_msg(LOG_DEBUG, "disk %u, %s: is %u:%u", i, name, major(disk[i]),
				minor(disk[i]));
		else if (only && err == -ENODEV)
			reason_log(why, LOG_ERR, NULL, "--freeze-luns: no such disk: %s", name);
		else if (only)
			reason_log(why, LOG_ERR, NULL, "--freeze-luns: cannot search for %s: %s",
				   name, strerror(-err));
		else
			log_msg(LOG_DEBUG, "disk %u, %s: not found in this guest", i, name);
		if (err && !first)
			first = err;
	}
	return only ? first : 0;
}

static int select_by_disks(struct mounts *m, const struct luns *luns, bool only,
			   const char *sysfs, const dev_t *disk)
{
	struct location *location = calloc(m->n + 1, sizeof(*location));
	int err = location ? 0 : -ENOMEM;

	for (size_t i = 0; i < m->n && !err; i++) {
		location[i] = (struct location){ .disk = disk, .disks = luns->n };
		if (m->fs[i].action != MOUNTS_SKIP)
			err = find_location(&m->fs[i], sysfs, &location[i]);
	}
	if (!err)
		inherit(m, location);
	for (size_t i = 0; i < m->n && !err; i++) {
		struct mounts_fs *fs = &m->fs[i];

		if (fs->action == MOUNTS_SKIP)
			continue;
		log_mount(LOG_DEBUG, mounts_fs_path(fs), "%s on the disks that the host names",
			  location[i].listed ? "is" : location[i].known ? "is not" : "may be");
		/* In doubt a file system is frozen. */
		if (only && location[i].known && !location[i].listed) {
			fs->action = MOUNTS_SKIP;
			fs->reason = "not on a disk that the host names";
		}
	}
	free(location);
	return err;
}

/**
 * luns_select() - exclude the file systems that are not on the disks that the host names
 * @m: planned
 * @luns: the disks
 * @only: do exclude them; false: only log which they are
 * @sysfs: where sysfs is mounted
 * @why: gets the reason of a failure
 *
 * Context: worker; reads sysfs.
 * Return: 0 or a negative errno. With @only, a missing list or a disk that is not found is an
 *	error.
 */
int luns_select(struct mounts *m, const struct luns *luns, bool only, const char *sysfs,
		char why[REASON_SIZE])
{
	dev_t *disk;
	int err;

	if (only && !luns->known) {
		reason_log(why, LOG_ERR, NULL, "--freeze-luns: this driver does not tell which "
			    "disks the host names");
		return -EOPNOTSUPP;
	}
	if (luns->preflight || (!only && !luns->verbose))
		return 0;
	if (!only && !luns->n) {
		log_msg(LOG_DEBUG, "the host does not name the disks that it copies");
		return 0;
	}
	if (only && !luns->n) {
		reason_log(why, LOG_ERR, NULL, "--freeze-luns: the host names no disks");
		return -ENODATA;
	}
	disk = calloc(luns->n + 1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	err = find_disks(luns, only, sysfs, disk, why);
	if (!err)
		err = select_by_disks(m, luns, only, sysfs, disk);
	free(disk);
	return err;
}
