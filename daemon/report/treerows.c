// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/array.h"
#include "plan/blockdev.h"
#include "treerows.h"

/* What lies on what */

static int add_edge(struct treerows *t, size_t from, size_t to)
{
	struct treerows_edge *more = array_resize(t->edge, t->edges + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	t->edge = more;
	t->edge[t->edges++] = (struct treerows_edge){ from, to };
	return 0;
}

static int add_device_edge(struct treerows *t, dev_t dev, size_t fs)
{
	size_t found = devtree_find(&t->devices, dev);

	return found < t->devices.n ? add_edge(t, found, t->devices.n + fs) : 0;
}

/* A device that can't be read has just been removed. */
static int add_listed_devices(struct treerows *t, const char *devices, size_t fs)
{
	DIR *list = opendir(devices);
	char path[PATH_MAX];
	struct dirent *d;
	int err = 0;
	dev_t dev;

	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (d = readdir(list)))
		if (d->d_name[0] != '.' &&
		    (size_t)snprintf(path, sizeof(path), "%s/%s", devices, d->d_name) <
		    sizeof(path) && !blockdev_read_number(path, &dev))
			err = add_device_edge(t, dev, fs);
	closedir(list);
	return err;
}

/* A btrfs has a device number of its own, and may have several devices. */
static int add_btrfs_edges(struct treerows *t, size_t fs, const char *sysfs)
{
	const char *source = t->m->fs[fs].source;
	char devices[PATH_MAX];
	struct stat st;
	int found;

	if (strncmp(source, "/dev/", 5) != 0 || stat(source, &st) || !S_ISBLK(st.st_mode))
		return 0;
	found = blockdev_find_btrfs(sysfs, st.st_rdev, devices, sizeof(devices));
	if (found > 0)
		return add_listed_devices(t, devices, fs);
	return found < 0 ? found : add_device_edge(t, st.st_rdev, fs);
}

static int add_fs_edges(struct treerows *t, size_t fs, const char *sysfs)
{
	const struct mounts_fs *entry = &t->m->fs[fs];
	int err;

	if (entry->kind == FSTYPE_PSEUDO || entry->kind == FSTYPE_NETWORK)
		return 0;
	if (major(entry->dev))
		err = add_device_edge(t, entry->dev, fs);
	else
		err = add_btrfs_edges(t, fs, sysfs);
	for (size_t i = 0; i < entry->journals && !err; i++)
		err = add_device_edge(t, entry->journal[i], fs);
	return err;
}

/* A loop device lies on the file system with its file, if that is on a disk. */
static int add_file_edge(struct treerows *t, size_t device)
{
	size_t holder;

	if (!order_find_holder(t->m, t->devices.node[device].file, &holder) ||
	    !treerows_has_fs(t, holder))
		return 0;
	return add_edge(t, t->devices.n + holder, device);
}

static int by_ends(const void *a, const void *b)
{
	const struct treerows_edge *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

static void sort_edges(struct treerows *t)
{
	size_t n = 0;

	if (!t->edges)
		return;
	qsort(t->edge, t->edges, sizeof(*t->edge), by_ends);
	for (size_t i = 0; i < t->edges; i++)
		if (!n || by_ends(&t->edge[n - 1], &t->edge[i]))
			t->edge[n++] = t->edge[i];
	t->edges = n;
}

static int find_edges(struct treerows *t, const char *sysfs)
{
	int err = 0;

	for (size_t i = 0; i < t->devices.n && !err; i++)
		for (size_t j = 0; j < t->devices.node[i].belows && !err; j++)
			err = add_edge(t, t->devices.node[i].below[j], i);
	for (size_t i = 0; i < t->m->n && !err; i++)
		err = add_fs_edges(t, i, sysfs);
	for (size_t i = 0; i < t->devices.n && !err; i++)
		if (t->devices.node[i].file)
			err = add_file_edge(t, i);
	sort_edges(t);
	return err;
}

/* Rows */

static size_t first_edge(const struct treerows *t, size_t from)
{
	size_t low = 0, high = t->edges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->edge[middle].from < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int add_row(struct treerows *t, const struct treerow *row)
{
	struct treerow *more = array_resize(t->row, t->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	t->row = more;
	t->row[t->n++] = *row;
	return 0;
}

static int add_tree(struct treerows *t, size_t node, size_t up, bool last)
{
	size_t at = t->n, i = first_edge(t, node);
	const struct treerow row = {
		.node = node, .up = up, .last = last, .again = t->shown[node],
		.depth = up == TREEROWS_TOP ? 0 : t->row[up].depth + 1,
		.carries = !t->shown[node] && i < t->edges && t->edge[i].from == node,
	};
	int err = add_row(t, &row);

	t->shown[node] = true;
	for (; row.carries && i < t->edges && t->edge[i].from == node && !err; i++)
		err = add_tree(t, t->edge[i].to, at,
			       i + 1 == t->edges || t->edge[i + 1].from != node);
	return err;
}

static bool lies_on_something(const struct treerows *t, size_t node)
{
	for (size_t i = 0; i < t->edges; i++)
		if (t->edge[i].to == node)
			return true;
	return false;
}

/* Disks first; then what is only reached in a circle, if there is one. */
static int add_rows(struct treerows *t)
{
	int err = 0;

	for (size_t i = 0; i < t->devices.n && !err; i++)
		if (!lies_on_something(t, i))
			err = add_tree(t, i, TREEROWS_TOP, false);
	for (size_t i = 0; i < t->devices.n && !err; i++)
		if (!t->shown[i])
			err = add_tree(t, i, TREEROWS_TOP, false);
	return err;
}

/**
 * treerows_make() - make the rows
 * @t: all zero; to be freed in any case
 * @m: the plan; must stay valid as long as @t
 * @sysfs: where sysfs is mounted
 *
 * File systems that lie on no device are in no row.
 * Return: 0 or a negative errno.
 */
int treerows_make(struct treerows *t, const struct mounts *m, const char *sysfs)
{
	int err;

	t->m = m;
	err = devtree_read(&t->devices, sysfs);
	if (!err)
		err = find_edges(t, sysfs);
	if (err)
		return err;
	t->shown = calloc(t->devices.n + m->n + 1, sizeof(*t->shown));
	return t->shown ? add_rows(t) : -ENOMEM;
}

/**
 * treerows_fs() - the file system of a row
 * @t: the rows
 * @node: of the row
 * Return: the file system, or NULL: it is a device.
 */
const struct mounts_fs *treerows_fs(const struct treerows *t, size_t node)
{
	return node < t->devices.n ? NULL : &t->m->fs[node - t->devices.n];
}

/**
 * treerows_has_fs() - does a file system lie on a device?
 * @t: the rows
 * @fs: its index in the plan
 * Return: true if so: it is in a row.
 */
bool treerows_has_fs(const struct treerows *t, size_t fs)
{
	return lies_on_something(t, t->devices.n + fs);
}

/**
 * treerows_free() - free what treerows_make() has allocated
 * @t: may be all zero
 */
void treerows_free(struct treerows *t)
{
	devtree_free(&t->devices);
	free(t->edge);
	free(t->shown);
	free(t->row);
	*t = (struct treerows){ 0 };
}
