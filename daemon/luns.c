// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list names disks as the host sees them. A SCSI controller's GUID is the instance id of its
 * VMBus device, target and LUN are those of the SCSI address behind it (its port is the host's own
 * number). An IDE disk has a VMBus device of its own, with channel and position in its instance
 * id, as storvsc reads them (drivers/scsi/storvsc_drv.c).
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysmacros.h>

#include "blockdev.h"
#include "log.h"
#include "luns.h"
#include "sysattr.h"
#include "words.h"

#define IDE_CLASS	"{32412632-86cb-44a2-9b5c-50d1417354f5}"
#define BUS_IDE		2

/* Is this VMBus device the one that the LUN is behind? */
static bool is_controller(const char *dir, const struct hv_vss_lun *lun)
{
	char id[64], class[64], guid[40];
	unsigned int path, target;

	if (sysattr_read(id, sizeof(id), dir, "device_id") || id[0] != '{')
		return false;
	words_guid(guid, sizeof(guid), lun->controller);
	if (!strncasecmp(id + 1, guid, strlen(guid)))
		return true;
	return lun->bus_type == BUS_IDE && !sysattr_read(class, sizeof(class), dir, "class_id") &&
	       !strcasecmp(class, IDE_CLASS) && sscanf(id, "{%8x-%4x-", &path, &target) == 2 &&
	       path == lun->port && target == lun->target;
}

/* The next entry that begins so; its path. */
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
	/* A VMBus device of an IDE disk has nothing but that disk. */
	return lun->bus_type == BUS_IDE || (target == lun->target && number == lun->lun);
}

/* Below a controller: host2/target2:0:0/2:0:0:1/block/sdb */
static int find_below(const char *dir, unsigned int level, const struct hv_vss_lun *lun,
		      dev_t *disk)
{
	static const char * const prefix[] = { "host", "target", "", "block", "" };
	char path[PATH_MAX];
	DIR *list = opendir(dir);
	int err = -ENODEV;

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
 * luns_find_disk() - find the disk that the host means
 * @sysfs: where sysfs is mounted
 * @lun: as the host names it
 * @disk: its device number
 * Return: 0; -ENODEV if this guest has no such disk; another negative errno.
 */
int luns_find_disk(const char *sysfs, const struct hv_vss_lun *lun, dev_t *disk)
{
	char devices[PATH_MAX], path[PATH_MAX];
	int err = -ENODEV;
	DIR *list;

	if ((size_t)snprintf(devices, sizeof(devices), "%s/bus/vmbus/devices", sysfs) >=
	    sizeof(devices))
		return -ENAMETOOLONG;
	list = opendir(devices);
	while (err == -ENODEV && next_entry(list, devices, "", path))
		if (is_controller(path, lun))
			err = find_below(path, 0, lun, disk);
	if (list)
		closedir(list);
	return err;
}

/* Which of the disks a file system is on. */
struct look {
	const dev_t *disk;
	unsigned int disks;
	bool any;		/* some disk is known at all */
	bool named;		/* one of them is in the list */
};

static int ignore_file(void *arg, const char *file)
{
	(void)arg;
	(void)file;
	return 0;
}

static int see_disk(void *arg, dev_t disk)
{
	struct look *look = arg;

	look->any = true;
	for (unsigned int i = 0; i < look->disks; i++)
		look->named |= look->disk[i] == disk;
	return 0;
}

static int look_at(const struct mounts_fs *fs, const char *sysfs, struct look *look)
{
	const struct blockdev_walk walk = {
		.file = ignore_file, .disk = see_disk, .arg = look,
	};

	return major(fs->dev) ? blockdev_walk(sysfs, fs->dev, &walk) :
				blockdev_walk_btrfs(sysfs, fs->source, &walk);
}

/* What lies in a file of another file system is on the disks of that one. */
static void inherit(const struct mounts *m, struct look *look)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < m->n; i++)
			for (size_t j = 0; j < m->fs[i].belows; j++) {
				const struct look *below = &look[m->fs[i].below[j]];

				changed |= (below->any && !look[i].any) ||
					   (below->named && !look[i].named);
				look[i].any |= below->any;
				look[i].named |= below->named;
			}
	}
}

static int find_disks(const struct luns *luns, bool only, const char *sysfs, dev_t *disk,
		      char why[FSSET_WHY])
{
	int err, first = 0;

	for (unsigned int i = 0; i < luns->n; i++) {
		const struct hv_vss_lun *lun = &luns->lun[i];
		char name[96];

		words_lun(name, sizeof(name), lun);
		disk[i] = 0;
		err = luns_find_disk(sysfs, lun, &disk[i]);
		if (!err)
			log_msg(LOG_DEBUG, "disk %u, %s: is %u:%u", i, name, major(disk[i]),
				minor(disk[i]));
		else if (only)
			fsset_blame(why, LOG_ERR, NULL, "--freeze-luns: no disk here is %s", name);
		else
			log_msg(LOG_DEBUG, "disk %u, %s: is none that is seen here", i, name);
		if (err && !first)
			first = err;
	}
	return only ? first : 0;
}

static int apply(struct mounts *m, const struct luns *luns, bool only, const char *sysfs,
		 const dev_t *disk)
{
	struct look *look = calloc(m->n + 1, sizeof(*look));
	int err = look ? 0 : -ENOMEM;

	for (size_t i = 0; i < m->n && !err; i++) {
		look[i] = (struct look){ .disk = disk, .disks = luns->n };
		if (m->fs[i].action != MOUNTS_SKIP)
			err = look_at(&m->fs[i], sysfs, &look[i]);
	}
	if (!err)
		inherit(m, look);
	for (size_t i = 0; i < m->n && !err; i++) {
		struct mounts_fs *fs = &m->fs[i];

		if (fs->action == MOUNTS_SKIP)
			continue;
		log_mount(LOG_DEBUG, mounts_fs_path(fs), "is %son the disks that the host names",
			  look[i].named ? "" : look[i].any ? "not " : "for all that is known ");
		/* What can't be told is frozen rather than not. */
		if (only && look[i].any && !look[i].named) {
			fs->action = MOUNTS_SKIP;
			fs->reason = "not on a disk that the host names";
		}
	}
	free(look);
	return err;
}

/**
 * luns_select() - leave out what is not on the disks that the host names
 * @m: planned
 * @luns: the disks
 * @only: do leave it out; otherwise only tell
 * @sysfs: where sysfs is mounted
 * @why: gets the reason of a failure
 *
 * Context: worker; reads sysfs.
 * Return: 0; or a negative errno if @only and there is no list, or a disk in it is not to be found.
 */
int luns_select(struct mounts *m, const struct luns *luns, bool only, const char *sysfs,
		char why[FSSET_WHY])
{
	dev_t *disk;
	int err;

	if (only && !luns->known) {
		fsset_blame(why, LOG_ERR, NULL, "--freeze-luns: this driver does not tell which "
			    "disks the host names");
		return -EOPNOTSUPP;
	}
	if (luns->check || (!only && !luns->verbose))
		return 0;
	if (only && !luns->n) {
		fsset_blame(why, LOG_ERR, NULL, "--freeze-luns: the host names no disks");
		return -ENODATA;
	}
	disk = calloc(luns->n + 1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	err = find_disks(luns, only, sysfs, disk, why);
	if (!err)
		err = apply(m, luns, only, sysfs, disk);
	free(disk);
	return err;
}
