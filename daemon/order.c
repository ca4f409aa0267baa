// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of freezing. A file system whose blocks lie in a file of another one must be frozen
 * before that one: freezing it still writes. Not every such file is known: network block devices
 * and iSCSI disks don't tell where their server, which may be on this machine, has it, and the
 * path of a loop device's file may be one of another mount namespace. So what is not known to lie
 * on nothing but disks comes before what does. Everything else follows the habit of reverse mount
 * order with the root last.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "array.h"
#include "blockdev.h"
#include "mounts.h"

struct below {
	struct mounts *m;
	size_t fs;
	const char *sysfs;
	bool disk;		/* one has been seen ... */
	bool other;		/* ... and something else */
};

static bool is_below(const char *dir, const char *file, size_t *len)
{
	*len = strlen(dir);
	if (*len == 1)
		return true;	/* "/" */
	return !strncmp(dir, file, *len) && file[*len] == '/';
}

/*
 * The file system that holds a file, by its name only (the file may be on a dead server). Of
 * equally long mount points the last one mounted covers the others.
 */
static bool find_holder(const struct mounts *m, const char *file, size_t *holder)
{
	size_t longest = 0, len;
	int id = -1;

	for (size_t i = 0; i < m->n; i++)
		for (size_t j = 0; j < m->fs[i].mounts; j++) {
			const struct mounts_mount *mount = &m->fs[i].mount[j];

			if (mount->pid || mount->deleted || !is_below(mount->path, file, &len) ||
			    len < longest || (len == longest && mount->id < id))
				continue;
			longest = len;
			id = mount->id;
			*holder = i;
		}
	return longest > 0;
}

static int add_below(void *arg, const char *file)
{
	struct below *b = arg;
	struct mounts_fs *fs = &b->m->fs[b->fs];
	size_t holder = 0, *list;

	b->other = true;
	if (file[0] != '/' || !find_holder(b->m, file, &holder) || holder == b->fs)
		return 0;
	for (size_t i = 0; i < fs->belows; i++)
		if (fs->below[i] == holder)
			return 0;
	list = array_resize(fs->below, fs->belows + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	fs->below = list;
	fs->below[fs->belows++] = holder;
	return 0;
}

/*
 * Whatever is virtual (nbd, zram ...) may be served by a process of this machine, and so may what
 * comes over the network.
 */
static int add_disk(void *arg, dev_t disk)
{
	char path[PATH_MAX], place[PATH_MAX];
	struct below *b = arg;
	ssize_t n = -1;

	b->disk = true;
	if ((size_t)snprintf(path, sizeof(path), "%s/dev/block/%u:%u", b->sysfs, major(disk),
			     minor(disk)) < sizeof(path))
		n = readlink(path, place, sizeof(place) - 1);
	place[n < 0 ? 0 : n] = '\0';
	if (n < 0 || strstr(place, "/virtual/") || strstr(place, "/session") ||
	    strstr(place, "/rbd/"))
		b->other = true;
	return 0;
}

/**
 * order_find_below() - find out which file systems lie in files of others, and which just on disks
 * @m: superblocks with their actions decided; ->below and ->hardware are filled in
 * @sysfs: where sysfs is mounted
 * Return: 0 or a negative errno.
 */
int order_find_below(struct mounts *m, const char *sysfs)
{
	int err = 0;

	for (size_t i = 0; i < m->n && !err; i++) {
		struct below b = { .m = m, .fs = i, .sysfs = sysfs };
		const struct blockdev_walk walk = {
			.file = add_below, .disk = add_disk, .arg = &b,
		};

		if (m->fs[i].kind == FSTYPE_PSEUDO || m->fs[i].kind == FSTYPE_NETWORK)
			continue;
		if (major(m->fs[i].dev))
			err = blockdev_walk(sysfs, m->fs[i].dev, &walk);
		else
			err = blockdev_walk_btrfs(sysfs, m->fs[i].source, &walk);
		/* Devices come and go: one that is gone will be noticed by whoever opens it. */
		if (err == -ENOENT || err == -ENODEV) {
			b.other = true;
			err = 0;
		}
		m->fs[i].hardware = b.disk && !b.other;
	}
	return err;
}

/*
 * By habit: the root last, and what lies on disks only behind the others; otherwise what was
 * mounted last comes first. The table is no proof of that order: it can be changed by moving
 * mounts, and is sorted by the mounts' reusable ids since Linux 6.8.
 */
static int by_habit(const void *a, const void *b, void *arg)
{
	const struct mounts *m = arg;
	const struct mounts_fs *x = &m->fs[*(const size_t *)a];
	const struct mounts_fs *y = &m->fs[*(const size_t *)b];

	if (x->root != y->root)
		return x->root ? 1 : -1;
	if (x->hardware != y->hardware)
		return x->hardware ? 1 : -1;
	return (x->place < y->place) - (x->place > y->place);
}

static bool is_plain_root(const struct mounts_fs *fs)
{
	return fs->root && !fs->belows;
}

/* The first by habit in whose files no other one lies that has not been placed yet. */
static size_t pick_next(struct mounts *m, size_t *habit, const size_t *users)
{
	size_t pick = m->n, any = m->n;

	for (size_t i = 0; i < m->n && pick == m->n; i++) {
		if (habit[i] == m->n)
			continue;
		if (any == m->n)
			any = i;
		if (!users[habit[i]])
			pick = i;
	}
	/* A circle can't be frozen in a right order; habit breaks it, and the root still waits. */
	if (pick == m->n || (any != pick && is_plain_root(&m->fs[habit[pick]]))) {
		pick = any;
		m->fs[habit[pick]].reason = "lies on itself: order by habit";
	}
	any = habit[pick];
	habit[pick] = m->n;
	return any;
}

/*
 * Most of the time that freezing takes is waiting for grace periods of RCU, which file systems can
 * do together. Those do that can't depend on each other, whatever is not seen in sysfs, because
 * disks are all they need. The root still comes after all others.
 */
static void find_beside(struct mounts *m)
{
	bool before = false;

	for (size_t k = 0; k < m->n; k++) {
		struct mounts_fs *fs = &m->fs[m->order[k]];

		if (fs->action != MOUNTS_FREEZE)
			continue;
		fs->beside = before && fs->hardware && !fs->root;
		before = fs->hardware && !fs->root;
	}
}

/**
 * order_sort() - put the superblocks into the order of freezing
 * @m: with ->below and ->hardware filled in; ->order is made, and ->beside
 * Return: 0 or -ENOMEM.
 */
int order_sort(struct mounts *m)
{
	size_t *habit = calloc(m->n + 1, sizeof(*habit));
	size_t *users = calloc(m->n + 1, sizeof(*users));

	m->order = calloc(m->n + 1, sizeof(*m->order));
	if (!habit || !users || !m->order) {
		free(habit);
		free(users);
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->n; i++) {
		habit[i] = i;
		for (size_t j = 0; j < m->fs[i].belows; j++)
			users[m->fs[i].below[j]]++;
	}
	qsort_r(habit, m->n, sizeof(*habit), by_habit, m);
	for (size_t k = 0; k < m->n; k++) {
		const struct mounts_fs *fs;

		m->order[k] = pick_next(m, habit, users);
		fs = &m->fs[m->order[k]];
		for (size_t j = 0; j < fs->belows; j++)
			if (users[fs->below[j]])
				users[fs->below[j]]--;
	}
	free(habit);
	free(users);
	find_beside(m);
	return 0;
}
