// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of freezing. A file system whose data are in a file of another one must be frozen
 * before that one, because freezing it still writes to the file. Not all such files are known: a
 * network block device or an iSCSI disk does not show the file of its server, which may run on this
 * machine, and the path of a loop device's file may be valid in another mount namespace only. So
 * file systems that lie on nothing but disks are frozen after all others. Otherwise the order is
 * the reverse of mounting, with the root last.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "blockdev.h"
#include "mounts.h"

struct walk_arg {
	struct mounts *m;
	size_t fs;
	const char *sysfs;
	bool disk;		/* it lies on a disk */
	bool other;		/* it lies on something other than a disk */
};

static bool is_inside(const char *dir, const char *file, size_t *len)
{
	*len = strlen(dir);
	if (*len == 1)
		return true;	/* "/" */
	return !strncmp(dir, file, *len) && file[*len] == '/';
}

/**
 * order_find_holder() - find the file system with a file
 * @m: the mount tables
 * @file: its path: nothing else is used, because the file may be on a dead server
 * @holder: set to the index in @m->fs
 *
 * Of mounts on the same mount point the last one covers the others.
 * Return: false if there is none.
 */
bool order_find_holder(const struct mounts *m, const char *file, size_t *holder)
{
	size_t longest = 0, len;
	int id = -1;

	for (size_t i = 0; i < m->n; i++)
		for (size_t j = 0; j < m->fs[i].mounts; j++) {
			const struct mounts_mount *mount = &m->fs[i].mount[j];

			if (mount->pid || mount->deleted || !is_inside(mount->path, file, &len) ||
			    len < longest || (len == longest && mount->id < id))
				continue;
			longest = len;
			id = mount->id;
			*holder = i;
		}
	return longest > 0;
}

static int add_backing(void *arg, const char *file)
{
	struct walk_arg *b = arg;
	struct mounts_fs *fs = &b->m->fs[b->fs];
	size_t holder = 0, *list;

	b->other = true;
	if (file[0] != '/' || !order_find_holder(b->m, file, &holder) || holder == b->fs)
		return 0;
	for (size_t i = 0; i < fs->backings; i++)
		if (fs->backing[i] == holder)
			return 0;
	list = array_resize(fs->backing, fs->backings + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	fs->backing = list;
	fs->backing[fs->backings++] = holder;
	return 0;
}

/*
 * A virtual device (nbd, zram ...), a disk in the network, or a SCSI disk of the kernel's own
 * target (tcm_loop) may be served by a process of this machine, from a file.
 */
static int add_disk(void *arg, dev_t disk)
{
	char path[PATH_MAX], place[PATH_MAX];
	struct walk_arg *b = arg;
	ssize_t n = -1;

	b->disk = true;
	if ((size_t)snprintf(path, sizeof(path), "%s/dev/block/%u:%u", b->sysfs, major(disk),
			     minor(disk)) < sizeof(path))
		n = readlink(path, place, sizeof(place) - 1);
	place[n < 0 ? 0 : n] = '\0';
	if (n < 0 || strstr(place, "/virtual/") || strstr(place, "/session") ||
	    strstr(place, "/rbd/") || strstr(place, "/tcm_loop"))
		b->other = true;
	return 0;
}

/**
 * order_walk_devices() - visit everything that a file system lies on
 * @fs: the file system
 * @sysfs: where sysfs is mounted
 * @walk: called for what is below its devices and below its external journals
 * Return: as for blockdev_walk().
 */
int order_walk_devices(const struct mounts_fs *fs, const char *sysfs,
		       const struct blockdev_walk *walk)
{
	int err;

	if (major(fs->dev))
		err = blockdev_walk(sysfs, fs->dev, walk);
	else
		err = blockdev_walk_btrfs(sysfs, fs->source, walk);
	for (size_t i = 0; i < fs->journals && !err; i++)
		err = blockdev_walk(sysfs, fs->journal[i], walk);
	return err;
}

/**
 * order_find_backing() - find which file systems lie in files of others, and which only on disks
 * @m: superblocks with their actions decided; ->backing and ->disks_only are filled in
 * @sysfs: where sysfs is mounted
 * Return: 0 or a negative errno.
 */
int order_find_backing(struct mounts *m, const char *sysfs)
{
	int err = journals_from_proc(m, sysfs);

	for (size_t i = 0; i < m->n && !err; i++) {
		struct walk_arg b = {
			.m = m, .fs = i, .sysfs = sysfs, .other = m->fs[i].journal_unknown,
		};
		const struct blockdev_walk walk = {
			.file = add_backing, .disk = add_disk, .arg = &b,
		};

		if (m->fs[i].kind == FSTYPE_PSEUDO || m->fs[i].kind == FSTYPE_NETWORK ||
		    m->fs[i].kind == FSTYPE_CLUSTER)
			continue;
		err = order_walk_devices(&m->fs[i], sysfs, &walk);
		/* A device that has been removed meanwhile: opening the file system will fail. */
		if (err == -ENOENT || err == -ENODEV) {
			b.other = true;
			err = 0;
		}
		m->fs[i].disks_only = b.disk && !b.other;
	}
	return err;
}

/*
 * The default order: the root last; before it the file systems on which a fanotify listener has
 * files open; of the rest those that lie only on disks behind the others; otherwise the reverse of
 * mounting. The table shows the order of mounting only roughly: moving a mount changes it, and
 * since Linux 6.8 it is sorted by mount ids, which are reused.
 */
static int by_default_order(const void *a, const void *b, void *arg)
{
	const struct mounts *m = arg;
	const struct mounts_fs *x = &m->fs[*(const size_t *)a];
	const struct mounts_fs *y = &m->fs[*(const size_t *)b];

	if (x->root != y->root)
		return x->root ? 1 : -1;
	if (x->listener != y->listener)
		return x->listener < y->listener ? -1 : 1;
	if (x->disks_only != y->disks_only)
		return x->disks_only ? 1 : -1;
	return (x->seq < y->seq) - (x->seq > y->seq);
}

static bool is_independent_root(const struct mounts_fs *fs)
{
	return fs->root && !fs->backings;
}

/* Picks the first in the default order in whose files no other pending one lies. */
static size_t pick_next(struct mounts *m, size_t *pending, const size_t *dependents)
{
	size_t pick = m->n, first = m->n;

	for (size_t i = 0; i < m->n && pick == m->n; i++) {
		if (pending[i] == m->n)
			continue;
		if (first == m->n)
			first = i;
		if (!dependents[pending[i]])
			pick = i;
	}
	/* No order is right for a cycle: take the first one, but never the root before others. */
	if (pick == m->n || (first != pick && is_independent_root(&m->fs[pending[pick]]))) {
		pick = first;
		m->fs[pending[pick]].reason = "dependency cycle; frozen in the order of mounting";
	}
	first = pending[pick];
	pending[pick] = m->n;
	return first;
}

/*
 * Freezing mostly waits for RCU grace periods, which several file systems can do at the same time.
 * That is allowed only for those that lie on nothing but disks: they can't depend on each other,
 * even in ways that sysfs does not show. The root still comes after all others.
 */
static void mark_beside(struct mounts *m)
{
	enum mounts_listener listener = LISTENER_NONE;
	bool before = false;

	for (size_t k = 0; k < m->n; k++) {
		struct mounts_fs *fs = &m->fs[m->order[k]];

		if (fs->action != MOUNTS_FREEZE)
			continue;
		if (fs->listener && !fs->reason[0])
			fs->reason = "a process that permits access to files has files open here";
		fs->beside = before && fs->disks_only && !fs->root && fs->listener == listener;
		before = fs->disks_only && !fs->root;
		listener = fs->listener;
	}
}

/**
 * order_sort() - put the superblocks into the order of freezing
 * @m: with ->backing and ->disks_only filled in; ->order and ->beside are set
 * Return: 0 or -ENOMEM.
 */
int order_sort(struct mounts *m)
{
	size_t *pending = calloc(m->n + 1, sizeof(*pending));
	size_t *dependents = calloc(m->n + 1, sizeof(*dependents));

	m->order = calloc(m->n + 1, sizeof(*m->order));
	if (!pending || !dependents || !m->order) {
		free(pending);
		free(dependents);
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->n; i++) {
		pending[i] = i;
		for (size_t j = 0; j < m->fs[i].backings; j++)
			dependents[m->fs[i].backing[j]]++;
	}
	qsort_r(pending, m->n, sizeof(*pending), by_default_order, m);
	for (size_t k = 0; k < m->n; k++) {
		const struct mounts_fs *fs;

		m->order[k] = pick_next(m, pending, dependents);
		fs = &m->fs[m->order[k]];
		for (size_t j = 0; j < fs->backings; j++)
			if (dependents[fs->backing[j]])
				dependents[fs->backing[j]]--;
	}
	free(pending);
	free(dependents);
	mark_beside(m);
	return 0;
}
