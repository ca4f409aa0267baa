// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "base/sysattr.h"
#include "blockdev.h"
#include "devtree.h"

#define SECTOR	512

static const char *kernel_name(const struct devtree_node *node)
{
	return strrchr(node->dir, '/') + 1;
}

/*
 * Returns 1 if the device has the attribute, and 0 if not, also because the device has just been
 * removed: but without memory or descriptors -ENOMEM and so on, or the tree would lack something.
 */
static int read_attr(const struct devtree_node *node, const char *name, char *value, size_t size)
{
	int err = sysattr_read(value, size, node->dir, name);

	return !err ? 1 : err == -ENOMEM || err == -EMFILE || err == -ENFILE ? err : 0;
}

static int read_size(struct devtree_node *node)
{
	char text[32];
	int got = read_attr(node, "size", text, sizeof(text));

	node->bytes = got > 0 ? strtoull(text, NULL, 10) * SECTOR : 0;
	return got < 0 ? got : 0;
}

/* The first word of the UUID is the program that has made the mapping: LVM-..., CRYPT-... */
static void set_mapper_kind(struct devtree_node *node, const char *uuid)
{
	size_t len = strcspn(uuid, "-"), i;

	if (!strncmp(uuid, "part", 4))
		len = 4;	/* part2-mpath-...: a partition of it */
	for (i = 0; i < len && i + 1 < sizeof(node->kind); i++)
		node->kind[i] = tolower((unsigned char)uuid[i]);
	node->kind[i] = '\0';
	if (!i)
		strcpy(node->kind, "dm");
}

static int set_string(char **string, const char *value)
{
	*string = strdup(value);
	return *string ? 0 : -ENOMEM;
}

/* Returns 1 if it is a mapping; then its name and kind are set. */
static int read_mapper(struct devtree_node *node)
{
	char name[160], uuid[160];
	int got = read_attr(node, "dm/name", name, sizeof(name)), err;

	if (got <= 0)
		return got;
	got = read_attr(node, "dm/uuid", uuid, sizeof(uuid));
	if (got < 0)
		return got;
	set_mapper_kind(node, uuid);
	err = set_string(&node->name, name);
	return err ? err : 1;
}

static int read_kind(struct devtree_node *node)
{
	static const char * const prefixes[] = { "loop", "bcache", "sr", NULL };
	static const char * const kinds[] = { "loop", "bcache", "rom" };
	const char *name = kernel_name(node);
	char text[32];
	int got;

	strcpy(node->kind, "disk");
	for (int i = 0; prefixes[i]; i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			strcpy(node->kind, kinds[i]);
	got = read_attr(node, "md/level", text, sizeof(text));
	if (got > 0)
		snprintf(node->kind, sizeof(node->kind), "%.15s", text);
	if (got >= 0)
		got = read_attr(node, "partition", text, sizeof(text));
	node->is_partition = got > 0;
	if (node->is_partition)
		strcpy(node->kind, "part");
	return got < 0 ? got : 0;
}

static int read_file(struct devtree_node *node)
{
	char file[PATH_MAX];
	int got = read_attr(node, "loop/backing_file", file, sizeof(file));

	return got > 0 ? set_string(&node->file, file) : got;
}

/* Returns -ENOENT if the device has just been removed. */
static int read_node(struct devtree_node *node, const char *link)
{
	int err;

	*node = (struct devtree_node){ .dir = realpath(link, NULL) };
	if (!node->dir)
		return -errno;
	err = blockdev_read_number(node->dir, &node->dev);
	if (err)
		return err == -ENODEV ? -ENOENT : err;
	err = read_size(node);
	if (err || !node->bytes)
		return err;
	err = read_mapper(node);
	if (!err)
		err = read_kind(node);
	if (!err && !node->name)
		err = set_string(&node->name, kernel_name(node));
	return err < 0 ? err : read_file(node);
}

static void free_node(struct devtree_node *node)
{
	free(node->dir);
	free(node->name);
	free(node->file);
	free(node->below);
}

static int add_node(struct devtree *t, const char *link)
{
	struct devtree_node *more = array_resize(t->node, t->n + 1, sizeof(*more));
	int err;

	if (!more)
		return -ENOMEM;
	t->node = more;
	err = read_node(&t->node[t->n], link);
	/* Without a medium, and without a file: most loop devices are so. */
	if (err || !t->node[t->n].bytes)
		free_node(&t->node[t->n]);
	else
		t->n++;
	return err == -ENOENT ? 0 : err;
}

static int by_name(const void *a, const void *b)
{
	return strverscmp(kernel_name(a), kernel_name(b));
}

/* Which device lies on which */

static int add_below(struct devtree *t, struct devtree_node *node, const char *link)
{
	char *dir = realpath(link, NULL);
	size_t *more, found = t->n;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < t->n && found == t->n; i++)
		if (!strcmp(t->node[i].dir, dir))
			found = i;
	free(dir);
	if (found == t->n || &t->node[found] == node)
		return 0;
	more = array_resize(node->below, node->belows + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	node->below = more;
	node->below[node->belows++] = found;
	return 0;
}

static int add_slaves(struct devtree *t, struct devtree_node *node)
{
	char path[PATH_MAX];
	int err = 0;
	struct dirent *d;
	size_t len;
	DIR *list;

	len = snprintf(path, sizeof(path), "%s/slaves", node->dir);
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	list = opendir(path);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (d = readdir(list))) {
		if (d->d_name[0] == '.' || len + 1 + strlen(d->d_name) >= sizeof(path))
			continue;
		sprintf(path + len, "/%s", d->d_name);
		err = add_below(t, node, path);
	}
	closedir(list);
	return err;
}

/* A bcache without a cache has no slaves, but a link into the directory of its backing device. */
static int add_bcache(struct devtree *t, struct devtree_node *node)
{
	char path[PATH_MAX];
	struct stat st;

	if ((size_t)snprintf(path, sizeof(path), "%s/bcache/..", node->dir) >= sizeof(path))
		return -ENAMETOOLONG;
	path[strlen(path) - 3] = '\0';
	if (lstat(path, &st) || !S_ISLNK(st.st_mode))
		return 0;
	path[strlen(path)] = '/';
	return add_below(t, node, path);
}

static int find_below(struct devtree *t, struct devtree_node *node)
{
	char path[PATH_MAX];
	int err;

	/* The directory of a partition is in that of its disk. */
	if (node->is_partition) {
		snprintf(path, sizeof(path), "%.*s", (int)(kernel_name(node) - 1 - node->dir),
			 node->dir);
		return add_below(t, node, path);
	}
	err = add_slaves(t, node);
	if (!err && !node->belows)
		err = add_bcache(t, node);
	return err;
}

/**
 * devtree_read() - read all block devices that have a size
 * @t: all zero; to be freed in any case
 * @sysfs: where sysfs is mounted
 * Return: 0, also if there are none; or a negative errno.
 */
int devtree_read(struct devtree *t, const char *sysfs)
{
	char path[PATH_MAX];
	int err = 0;
	struct dirent *d;
	size_t len;
	DIR *list;

	len = snprintf(path, sizeof(path), "%s/dev/block", sysfs);
	if (len + 1 + NAME_MAX >= sizeof(path))
		return -ENAMETOOLONG;
	list = opendir(path);
	if (!list)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (d = readdir(list))) {
		if (d->d_name[0] == '.')
			continue;
		sprintf(path + len, "/%s", d->d_name);
		err = add_node(t, path);
	}
	closedir(list);
	if (t->n)
		qsort(t->node, t->n, sizeof(*t->node), by_name);
	for (size_t i = 0; i < t->n && !err; i++)
		err = find_below(t, &t->node[i]);
	return err;
}

/**
 * devtree_find() - find a device by its number
 * @t: the devices
 * @dev: the number
 * Return: its index in @t->node, or @t->n.
 */
size_t devtree_find(const struct devtree *t, dev_t dev)
{
	size_t i = 0;

	while (i < t->n && t->node[i].dev != dev)
		i++;
	return i;
}

/**
 * devtree_free() - free what devtree_read() has allocated
 * @t: may be all zero
 */
void devtree_free(struct devtree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free_node(&t->node[i]);
	free(t->node);
	*t = (struct devtree){ 0 };
}
