// SPDX-License-Identifier: GPL-2.0-only
/*
 * A look-up goes through the names of a path one by one. If the directory that it has reached is a
 * mount point, it continues in the mount there, or in the topmost one if mounts are stacked. These
 * need not be the parents of the mount that is looked for: other mounts may cover some of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"

#define OUTSIDE		(-1)	/* parent of mounts whose parent is not in the table */

struct part {
	const char *path;
	size_t len;
};

static int compare_path(const char *path, struct part part)
{
	int diff = strncmp(path, part.path, part.len);

	return diff ? diff : path[part.len] != '\0';
}

static int by_place(const void *a, const void *b)
{
	const struct lookup_mount *x = a, *y = b;
	int diff = (x->parent > y->parent) - (x->parent < y->parent);

	if (!diff)
		diff = strcmp(x->path, y->path);
	return diff ? diff : (x->id > y->id) - (x->id < y->id);
}

static int by_id(const void *a, const void *b, void *arg)
{
	const struct lookup_mount *mount = arg;
	int x = mount[*(const size_t *)a].id, y = mount[*(const size_t *)b].id;

	return (x > y) - (x < y);
}

static const struct lookup_mount *find_id(const struct lookup *l, int id)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct lookup_mount *mount = &l->mount[l->by_id[mid]];

		if (mount->id == id)
			return mount;
		if (mount->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* The mount on @parent at a path; the latest one, should the table have two. */
static const struct lookup_mount *find_child(const struct lookup *l, int parent, struct part part)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct lookup_mount *mount = &l->mount[mid];

		if (mount->parent < parent ||
		    (mount->parent == parent && compare_path(mount->path, part) <= 0))
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || l->mount[low - 1].parent != parent ||
	    compare_path(l->mount[low - 1].path, part))
		return NULL;
	return &l->mount[low - 1];
}

/**
 * lookup_init() - prepare a table for look-ups
 * @l: with ->mount and ->n; the mounts are sorted
 * Return: 0 or -ENOMEM.
 */
int lookup_init(struct lookup *l)
{
	l->by_id = calloc(l->n + 1, sizeof(*l->by_id));
	if (!l->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		l->by_id[i] = i;
	qsort_r(l->by_id, l->n, sizeof(*l->by_id), by_id, l->mount);
	for (size_t i = 0; i < l->n; i++)
		if (l->mount[i].parent == l->mount[i].id)
			l->mount[i].parent = OUTSIDE;
	for (size_t i = 0; i < l->n; i++)
		if (!find_id(l, l->mount[i].parent))
			l->mount[i].parent = OUTSIDE;
	qsort(l->mount, l->n, sizeof(*l->mount), by_place);
	for (size_t i = 0; i < l->n; i++)
		l->by_id[i] = i;
	qsort_r(l->by_id, l->n, sizeof(*l->by_id), by_id, l->mount);
	return 0;
}

/**
 * lookup_free() - free a table, with the mounts
 * @l: may be all zero; is all zero afterwards
 */
void lookup_free(struct lookup *l)
{
	free(l->mount);
	free(l->by_id);
	*l = (struct lookup){ 0 };
}

static bool is_ancestor(const struct lookup *l, const struct lookup_mount *goal, int id)
{
	for (size_t steps = 0; goal && steps <= l->n; steps++) {
		if (goal->id == id)
			return true;
		goal = find_id(l, goal->parent);
	}
	return false;
}

static bool is_on_remote(const struct lookup *l, const struct lookup_mount *goal)
{
	const struct lookup_mount *mount = find_id(l, goal->parent);

	/* The table may have changed while it was read, and have a cycle: limit the steps. */
	for (size_t steps = 0; mount && steps <= l->n; steps++) {
		if (mount->remote)
			return true;
		mount = find_id(l, mount->parent);
	}
	return false;
}

/* Goes on to the next longer prefix of a path. */
static bool next_prefix(const char *path, struct part *part)
{
	size_t len = part->len;

	if (!len) {
		part->len = 1;
		return path[0] == '/';
	}
	if (!path[len])
		return false;
	len += path[len] == '/';
	len += strcspn(path + len, "/");
	if (len == part->len)
		return false;
	part->len = len;
	return true;
}

/**
 * lookup_path() - simulate a look-up of the path of a mount
 * @l: a prepared table
 * @id: the mount's id
 * Return: the result. The mount can be opened by its path if neither ->meets_remote nor
 *	->covered_at is set.
 */
struct lookup_result lookup_path(const struct lookup *l, int id)
{
	const struct lookup_mount *goal = find_id(l, id), *next;
	struct lookup_result result = { .in_table = goal };
	int at = OUTSIDE;
	struct part part;

	if (!goal)
		return result;
	result.on_remote = is_on_remote(l, goal);
	part = (struct part){ goal->path, 0 };
	for (size_t steps = 0; next_prefix(goal->path, &part); )
		while ((next = find_child(l, at, part)) && steps++ <= l->n) {
			at = next->id;
			result.meets_remote |= next->remote && next != goal;
			if (!result.covered_at && !is_ancestor(l, goal, at))
				result.covered_at = next->path;
			/* A look-up begins at the root, not in a mount on top of it. */
			if (part.len == 1)
				break;
		}
	if (at != id && !result.covered_at)
		result.covered_at = goal->path;		/* the look-up never reaches it */
	return result;
}
