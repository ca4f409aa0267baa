// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <libmount/libmount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "lookup.h"
#include "mountinfo.h"
#include "mounts.h"

#define DELETED		"//deleted"	/* the kernel's mark behind an unlinked mount point */
#define MOUNTS_MAX_OTHER 8		/* kept mounts of a superblock in other namespaces */
#define TRIES		3		/* to read our own table */

static size_t slot_of(const struct mounts *m, dev_t dev)
{
	size_t slot = (size_t)(dev * 0x9e3779b97f4a7c15ULL >> 20) & (m->slots - 1);

	while (m->index[slot] && m->fs[m->index[slot] - 1].dev != dev)
		slot = (slot + 1) & (m->slots - 1);
	return slot;
}

static struct mounts_fs *find_dev(const struct mounts *m, dev_t dev)
{
	size_t found = m->slots ? m->index[slot_of(m, dev)] : 0;

	return found ? &m->fs[found - 1] : NULL;
}

/* Makes room in the hash table for one more superblock. */
static int grow_index(struct mounts *m)
{
	size_t slots = m->slots ? 2 * m->slots : 64, *old = m->index;

	if (2 * (m->n + 1) <= m->slots)
		return 0;
	m->index = calloc(slots, sizeof(*m->index));
	if (!m->index) {
		m->index = old;
		return -ENOMEM;
	}
	m->slots = slots;
	for (size_t i = 0; i < m->n; i++)
		m->index[slot_of(m, m->fs[i].dev)] = i + 1;
	free(old);
	return 0;
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

/* Makes room for one more element. The array doubles when @n is a power of two. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return array_resize(array, n ? 2 * n : 1, size);
}

static struct mounts_fs *add_fs(struct mounts *m, const struct mountinfo_entry *entry)
{
	struct mounts_fs *fs;

	if (grow_index(m))
		return NULL;
	fs = grow(m->fs, m->n, sizeof(*fs));
	if (!fs)
		return NULL;
	m->fs = fs;
	fs += m->n;
	*fs = (struct mounts_fs){
		.dev = entry->dev,
		.type = strdup(entry->type),
		.source = strdup(entry->source[0] ? entry->source : "none"),
		.kind = fstype_kind(entry->type),
		.readonly = has_option(entry->options, "ro"),
		.seq = m->next_seq,
	};
	if (!fs->type || !fs->source) {
		free(fs->type);
		free(fs->source);
		return NULL;
	}
	m->index[slot_of(m, fs->dev)] = ++m->n;
	if (journals_from_options(fs, entry->options))
		return NULL;
	return fs;
}

/* The inode number of the namespace, if the mount is a bind mount of /proc/PID/ns/mnt. */
static ino_t pinned_namespace(const struct mountinfo_entry *entry)
{
	if (strcmp(entry->type, "nsfs") != 0 || strncmp(entry->root, "mnt:[", 5) != 0)
		return 0;
	return strtoul(entry->root + 5, NULL, 10);
}

static int add_mount(struct mounts *m, struct mounts_fs *fs, const struct mountinfo_entry *entry,
		     const struct mounts_other *other)
{
	size_t len = strlen(entry->target);
	struct mounts_mount *mount;

	m->next_seq++;
	mount = grow(fs->mount, fs->mounts, sizeof(*mount));
	if (!mount)
		return -ENOMEM;
	fs->mount = mount;
	mount += fs->mounts;
	*mount = (struct mounts_mount){
		.id = entry->id,
		.parent = entry->parent,
		.pid = other ? other->pid : 0,
		.ns = other ? other->ns : -1,
		.pinned_ns = pinned_namespace(entry),
		.path = strdup(entry->target),
	};
	if (!mount->path)
		return -ENOMEM;
	fs->mounts++;
	if (len >= strlen(DELETED) && !strcmp(mount->path + len - strlen(DELETED), DELETED)) {
		mount->deleted = true;
		mount->path[len - strlen(DELETED)] = '\0';
	}
	if (!other && !strcmp(entry->target, "/") && fs->kind != FSTYPE_PSEUDO)
		fs->root = true;
	return 0;
}

static int add_own(struct mounts *m, const struct mountinfo_entry *entry)
{
	struct mounts_fs *fs = find_dev(m, entry->dev);

	if (!fs)
		fs = add_fs(m, entry);
	return fs ? add_mount(m, fs, entry, NULL) : -ENOMEM;
}

static int add_libmount(struct mounts *m, struct libmnt_fs *fs)
{
	const char *source = mnt_fs_get_source(fs), *options = mnt_fs_get_fs_options(fs);
	const char *root = mnt_fs_get_root(fs);
	const struct mountinfo_entry entry = {
		.id = mnt_fs_get_id(fs),
		.parent = mnt_fs_get_parent_id(fs),
		.dev = mnt_fs_get_devno(fs),
		.root = root ? root : "",
		.target = mnt_fs_get_target(fs),
		.type = mnt_fs_get_fstype(fs),
		.source = source ? source : "",
		.options = options ? options : "",
	};

	return entry.target && entry.type ? add_own(m, &entry) : -EBADMSG;
}

/* A line that can't be parsed may be a file system that has to be frozen. */
static int refuse_line(struct libmnt_table *tb, const char *name, int line)
{
	(void)tb;
	(void)name;
	(void)line;
	return -EBADMSG;
}

/*
 * Without memory for the next line libmount reports the end of the table, -1 or EINVAL, but the
 * stream is not at its end then. Libmount 2.36 and others never read the stream to its end, so
 * reading another byte decides.
 */
static int parse(struct libmnt_table *table, FILE *f, const char *name)
{
	int err;

	mnt_table_set_parser_errcb(table, refuse_line);
	err = mnt_table_parse_stream(table, f, name);
	if (err > 0 || err == -EBADMSG)
		return -EBADMSG;
	if (!err && (feof(f) || getc(f) == EOF) && !ferror(f))
		return 0;
	return ferror(f) ? -EIO : -ENOMEM;
}

static int read_with_libmount(struct mounts *m, FILE *f, const char *name)
{
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_table *table = NULL;
	struct libmnt_fs *entry;
	int err = -ENOMEM;

	/* Repeated, because the unread rest may also be a mount that was just added. */
	for (int i = 0; it && i < TRIES && err == -ENOMEM; i++) {
		if (table)
			mnt_free_table(table);
		table = mnt_new_table();
		rewind(f);
		if (table)
			err = parse(table, f, name);
	}
	while (!err && !mnt_table_next_fs(table, it, &entry))
		err = add_libmount(m, entry);
	mnt_free_iter(it);
	if (table)
		mnt_free_table(table);
	return err;
}

/*
 * Before version 2.33 libmount refuses a table with an empty source, which any user can create in
 * a mount namespace of his own (mount -t tmpfs "" /x).
 */
static int read_without_libmount(struct mounts *m, FILE *f, const char *name)
{
	char *line = NULL;
	size_t size = 0;
	int err = 0, n = 0;
	ssize_t len;

	rewind(f);
	while (!err && (len = getline(&line, &size, f)) > 0) {
		struct mountinfo_entry entry;

		n++;
		line[len - (line[len - 1] == '\n')] = '\0';
		err = mountinfo_parse(line, &entry);
		if (!err)
			err = add_own(m, &entry);
	}
	if (!err && !feof(f))
		err = ferror(f) ? -EIO : -ENOMEM;
	if (err == -EBADMSG)
		log_msg(LOG_ERR, "%s: line %d cannot be parsed", name, n);
	free(line);
	return err;
}

static bool may_hang(const struct mounts_fs *fs)
{
	return fstype_may_hang(fs->kind);
}

/* Finds out to which mounts the paths lead, without looking up any path. */
static int check_paths(struct mounts *m)
{
	struct lookup l = { .mount = calloc(m->next_seq + 1, sizeof(*l.mount)) };
	int err = l.mount ? 0 : -ENOMEM;

	for (size_t i = 0; i < m->n && !err; i++)
		for (size_t j = 0; j < m->fs[i].mounts; j++) {
			const struct mounts_mount *mount = &m->fs[i].mount[j];

			if (!mount->deleted)
				l.mount[l.n++] = (struct lookup_mount){
					.id = mount->id,
					.parent = mount->parent,
					.path = mount->path,
					.remote = may_hang(&m->fs[i]),
				};
		}
	if (!err)
		err = lookup_init(&l);
	for (size_t i = 0; i < m->n && !err; i++)
		for (size_t j = 0; j < m->fs[i].mounts; j++) {
			struct mounts_mount *mount = &m->fs[i].mount[j];
			struct lookup_result result = lookup_path(&l, mount->id);

			mount->remote = result.on_remote;
			mount->covered = result.meets_remote || result.covered_at;
			m->fs[i].reachable |= result.in_table && !result.on_remote &&
					      !mount->covered;
		}
	lookup_free(&l);
	return err;
}

/**
 * mounts_add_table() - read our own mount table
 * @m: all zero
 * @f: the table, in the format of /proc/PID/mountinfo
 * @name: its name, for messages
 * Return: 0 or a negative errno; -EBADMSG if it is not a mount table.
 */
int mounts_add_table(struct mounts *m, FILE *f, const char *name)
{
	int err;

	err = read_with_libmount(m, f, name);
	if (err == -EBADMSG && !m->n)
		err = read_without_libmount(m, f, name);
	return err ? err : check_paths(m);
}

/*
 * Of other namespaces only superblocks are needed that our own namespace does not reach, each with
 * a few mounts, in case that the first one can't be opened. File systems on no disk of this machine
 * are ignored: any user with a namespace of his own can mount any number of them.
 */
static bool is_needed(const struct mountinfo_entry *entry, const struct mounts_fs *known)
{
	if (known)
		return !known->reachable && known->mounts < MOUNTS_MAX_OTHER && !may_hang(known);
	switch (fstype_kind(entry->type)) {
	case FSTYPE_FREEZABLE:
	case FSTYPE_UNFREEZABLE:
	case FSTYPE_NETWORK:
	case FSTYPE_CLUSTER:
		return true;
	case FSTYPE_FUSE:
	case FSTYPE_UNKNOWN:
		return major(entry->dev);
	default:
		return false;
	}
}

static bool is_past(int64_t deadline_us)
{
	return deadline_us && clock_now_us() >= deadline_us;
}

/**
 * mounts_add_other() - read the table of another mount namespace
 * @m: with our own table
 * @fd: the table, positioned at its start
 * @other: the namespace, and the limits
 *
 * Needs memory for new superblocks only, not for each mount.
 * Return: 0 or a negative errno: -E2BIG for too many lines, -ETIME for too much time. The lines
 *	read before are in @m.
 */
int mounts_add_other(struct mounts *m, int fd, const struct mounts_other *other)
{
	struct mountinfo_entry entry;
	struct mountinfo reader;
	int err;

	err = mountinfo_open(&reader, fd);
	if (err)
		return err;
	while ((err = mountinfo_next(&reader, &entry)) > 0) {
		struct mounts_fs *fs = find_dev(m, entry.dev);

		err = other->lines_max && reader.lines > other->lines_max ? -E2BIG :
		      is_past(other->deadline_us) ? -ETIME : 0;
		if (!err && is_needed(&entry, fs)) {
			fs = fs ? fs : add_fs(m, &entry);
			err = fs ? add_mount(m, fs, &entry, other) : -ENOMEM;
		}
		if (err)
			break;
	}
	mountinfo_close(&reader);
	return err;
}

/**
 * mounts_plan() - decide what happens to each superblock, and in which order
 * @m: with the mounts of all tables
 * @policy: the admin's options
 * @sysfs: where sysfs is mounted
 *
 * Afterwards @m->order lists the superblocks in the order in which they are to be frozen.
 * Return: 0 or a negative errno.
 */
int mounts_plan(struct mounts *m, const struct mounts_policy *policy, const char *sysfs)
{
	int err;

	for (size_t i = 0; i < m->n; i++)
		policy_decide(&m->fs[i], policy);
	err = order_find_backing(m, sysfs);
	if (!err)
		err = order_sort(m);
	return err;
}

/**
 * mounts_free() - free mounts and plan
 * @m: may be all zero; is all zero afterwards
 */
void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct mounts_fs *fs = &m->fs[i];

		for (size_t j = 0; j < fs->mounts; j++)
			free(fs->mount[j].path);
		free(fs->mount);
		free(fs->backing);
		free(fs->journal);
		free(fs->type);
		free(fs->source);
	}
	free(m->fs);
	free(m->order);
	free(m->index);
	*m = (struct mounts){ 0 };
}
