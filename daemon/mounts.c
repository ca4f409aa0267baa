// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fnmatch.h>
#include <libmount/libmount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "array.h"
#include "log.h"
#include "mounts.h"

#define DELETED	"//deleted"	/* the kernel's mark behind an unlinked mount point */

static struct mounts_fs *find_dev(const struct mounts *m, dev_t dev)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->fs[i].dev == dev)
			return &m->fs[i];
	return NULL;
}

/**
 * mounts_find() - look a superblock up by its device number
 * @m: the tables
 * @dev: as in the mount table
 * Return: the superblock, or NULL.
 */
const struct mounts_fs *mounts_find(const struct mounts *m, dev_t dev)
{
	return find_dev(m, dev);
}

/**
 * mounts_fs_path() - the path by which a file system is known to people
 * @fs: the file system
 * Return: where it was mounted first, preferably in our own mount namespace.
 */
const char *mounts_fs_path(const struct mounts_fs *fs)
{
	for (size_t i = 0; i < fs->mounts; i++)
		if (!fs->mount[i].pid && !fs->mount[i].deleted)
			return fs->mount[i].path;
	return fs->mount[0].path;
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	while (options && *options) {
		size_t n = strcspn(options, ",");

		if (n == len && !strncmp(options, name, n))
			return true;
		options += n;
		if (*options)
			options++;
	}
	return false;
}

/* Room for one more element; the array grows by doubling. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return array_resize(array, n ? 2 * n : 1, size);
}

static struct mounts_fs *add_fs(struct mounts *m, struct libmnt_fs *entry)
{
	const char *type = mnt_fs_get_fstype(entry), *source = mnt_fs_get_source(entry);
	struct mounts_fs *fs;

	fs = grow(m->fs, m->n, sizeof(*fs));
	if (!fs)
		return NULL;
	m->fs = fs;
	fs += m->n;
	*fs = (struct mounts_fs){
		.dev = mnt_fs_get_devno(entry),
		.type = strdup(type),
		.source = strdup(source ? source : "none"),
		.kind = fstype_kind(type),
		.readonly = has_option(mnt_fs_get_fs_options(entry), "ro"),
		.place = m->places,
	};
	if (!fs->type || !fs->source) {
		free(fs->type);
		free(fs->source);
		return NULL;
	}
	m->n++;
	return fs;
}

static int add_mount(struct mounts *m, struct libmnt_fs *entry, pid_t pid)
{
	const char *path = mnt_fs_get_target(entry);
	struct mounts_mount *mount;
	struct mounts_fs *fs;
	size_t len;

	if (!path || !mnt_fs_get_fstype(entry))
		return -EBADMSG;
	fs = find_dev(m, mnt_fs_get_devno(entry));
	if (!fs)
		fs = add_fs(m, entry);
	if (!fs)
		return -ENOMEM;
	m->places++;
	mount = grow(fs->mount, fs->mounts, sizeof(*mount));
	if (!mount)
		return -ENOMEM;
	fs->mount = mount;
	mount += fs->mounts;
	*mount = (struct mounts_mount){
		.id = mnt_fs_get_id(entry),
		.parent = mnt_fs_get_parent_id(entry),
		.pid = pid,
		.path = strdup(path),
	};
	if (!mount->path)
		return -ENOMEM;
	fs->mounts++;
	len = strlen(path);
	if (len >= strlen(DELETED) && !strcmp(path + len - strlen(DELETED), DELETED)) {
		mount->deleted = true;
		mount->path[len - strlen(DELETED)] = '\0';
	}
	if (!pid && !strcmp(path, "/") && fs->kind != FSTYPE_PSEUDO)
		fs->root = true;
	return 0;
}

/* A line that can't be understood may be a file system that has to be frozen. */
static int refuse_line(struct libmnt_table *tb, const char *name, int line)
{
	(void)tb;
	log_msg(LOG_ERR, "%s: line %d is not a mount table's", name, line);
	return -EBADMSG;
}

/**
 * mounts_add_table() - read a mount table
 * @m: where to add; all zero before the first table
 * @f: the table, in the format of /proc/PID/mountinfo
 * @name: its name, for messages
 * @pid: 0 for our own mount namespace, which has to be read first, or else a process whose root
 *	directory leads into the table's namespace
 * Return: 0 or a negative errno; -EBADMSG for something that is no mount table.
 */
int mounts_add_table(struct mounts *m, FILE *f, const char *name, pid_t pid)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *entry;
	int err = -ENOMEM;

	if (!table || !it)
		goto out;
	mnt_table_set_parser_errcb(table, refuse_line);
	err = mnt_table_parse_stream(table, f, name);
	if (err > 0)
		err = -EBADMSG;
	while (!err && !mnt_table_next_fs(table, it, &entry))
		err = add_mount(m, entry, pid);
out:
	mnt_free_iter(it);
	if (table)
		mnt_free_table(table);
	return err;
}

struct mount_ref {
	int id;
	int parent;
	bool untouchable;
	struct mounts_mount *mount;
};

static int by_id(const void *a, const void *b)
{
	const struct mount_ref *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static bool leads_through_remote(const struct mount_ref *ref, const struct mount_ref *all, size_t n)
{
	/* A table is a tree, but it may be read while it changes: no walk is longer than it. */
	for (size_t steps = 0; steps < n; steps++) {
		struct mount_ref key = { .id = ref->parent };

		if (ref->parent == ref->id)
			return false;
		ref = bsearch(&key, all, n, sizeof(*all), by_id);
		if (!ref)
			return false;
		if (ref->untouchable)
			return true;
	}
	return false;
}

static bool is_untouchable(const struct mounts_fs *fs)
{
	return fs->kind == FSTYPE_NETWORK || fs->kind == FSTYPE_FUSE;
}

/* Mount ids are unique over all namespaces, so one list serves for all tables. */
static int mark_remote_paths(struct mounts *m)
{
	struct mount_ref *all;
	size_t n = 0;

	while (n < m->n && !is_untouchable(&m->fs[n]))
		n++;
	if (n == m->n)
		return 0;
	all = calloc(m->places, sizeof(*all));
	if (!all)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct mounts_fs *fs = &m->fs[i];

		for (size_t j = 0; j < fs->mounts; j++)
			all[n++] = (struct mount_ref){
				.id = fs->mount[j].id,
				.parent = fs->mount[j].parent,
				.untouchable = is_untouchable(fs),
				.mount = &fs->mount[j],
			};
	}
	qsort(all, n, sizeof(*all), by_id);
	for (size_t i = 0; i < n; i++)
		all[i].mount->remote = leads_through_remote(&all[i], all, n);
	free(all);
	return 0;
}

static bool matches_kind(const struct mounts_fs *fs, const char *pattern)
{
	if (!strncmp(pattern, "type:", 5))
		return !fnmatch(pattern + 5, fs->type, 0);
	return !strncmp(pattern, "device:", 7) && !fnmatch(pattern + 7, fs->source, 0);
}

static bool is_of_kind(const struct mounts_fs *fs, char **patterns)
{
	for (; patterns && *patterns; patterns++)
		if (matches_kind(fs, *patterns))
			return true;
	return false;
}

static bool is_at(const struct mounts_mount *mount, char **patterns)
{
	for (; patterns && *patterns; patterns++)
		if (!fnmatch(*patterns, mount->path, 0))
			return true;
	return false;
}

static bool is_included(const struct mounts_fs *fs, char **patterns)
{
	for (size_t i = 0; i < fs->mounts; i++)
		if (is_at(&fs->mount[i], patterns))
			return true;
	return is_of_kind(fs, patterns);
}

/*
 * Who leaves out /data does not mean the root, though a directory of it be mounted there as well,
 * by hand or in a container: all mount points must match. Those of other namespaces are names that
 * nobody outside knows; they count where there is no other.
 */
static bool is_excluded(const struct mounts_fs *fs, char **patterns)
{
	size_t named = 0;
	bool ours = false;

	if (is_of_kind(fs, patterns))
		return true;
	for (size_t i = 0; i < fs->mounts; i++)
		ours |= !fs->mount[i].pid && !fs->mount[i].deleted;
	for (size_t i = 0; i < fs->mounts; i++) {
		const struct mounts_mount *mount = &fs->mount[i];

		if (mount->deleted || (ours && mount->pid))
			continue;
		if (!is_at(mount, patterns))
			return false;
		named++;
	}
	return named > 0;
}

static void decide(struct mounts_fs *fs, const struct mounts_policy *policy)
{
	bool local = major(fs->dev) || fs->kind == FSTYPE_FREEZABLE ||
		     fs->kind == FSTYPE_UNFREEZABLE;
	bool fuse = fs->kind == FSTYPE_FUSE;

	fs->action = MOUNTS_SKIP;
	fs->reason = fstype_kind_reason(fs->kind);
	/* One on a disk (fuseblk, say ntfs-3g) is not touched either, but --strict is about it. */
	if ((fuse && !(local && policy->strict)) || fs->kind == FSTYPE_NETWORK ||
	    fs->kind == FSTYPE_STACKED || fs->kind == FSTYPE_PSEUDO ||
	    fs->kind == FSTYPE_READONLY)
		return;
	if (!local)
		fs->reason = "unknown type without a block device";
	else if (fs->readonly)
		fs->reason = "read-only";
	else if (is_excluded(fs, policy->exclude))
		fs->reason = "excluded";
	else if (policy->include && *policy->include && !is_included(fs, policy->include))
		fs->reason = "not included";
	else if (fs->kind == FSTYPE_UNFREEZABLE || fuse)
		fs->action = MOUNTS_SYNC;
	else
		fs->action = MOUNTS_FREEZE;
}

/**
 * mounts_plan() - decide what happens to each superblock, and in which order
 * @m: all tables, added
 * @policy: the admin's wishes
 * @sysfs: where sysfs is mounted
 *
 * Afterwards @m->order lists the superblocks in the order in which they are to be frozen.
 * Return: 0 or a negative errno.
 */
int mounts_plan(struct mounts *m, const struct mounts_policy *policy, const char *sysfs)
{
	int err;

	for (size_t i = 0; i < m->n; i++)
		decide(&m->fs[i], policy);
	err = mark_remote_paths(m);
	if (!err)
		err = order_find_below(m, sysfs);
	if (!err)
		err = order_sort(m);
	return err;
}

/**
 * mounts_free() - forget tables and plan
 * @m: may be all zero; is so afterwards
 */
void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct mounts_fs *fs = &m->fs[i];

		for (size_t j = 0; j < fs->mounts; j++)
			free(fs->mount[j].path);
		free(fs->mount);
		free(fs->below);
		free(fs->type);
		free(fs->source);
	}
	free(m->fs);
	free(m->order);
	*m = (struct mounts){ 0 };
}
