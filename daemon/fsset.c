// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "array.h"
#include "fsset.h"
#include "log.h"
#include "luns.h"
#include "uncover.h"

#define ROUNDS		5	/* of reading tables that keep changing */
#define SYNC_ROUNDS	2	/* for what is only written out: FREEZE succeeds without it */

/**
 * fsset_blame() - log what has gone wrong, and keep the first such thing for the record
 * @why: where to keep it, unless there is something already
 * @priority: as for log_msg()
 * @mount: the file system that it is about, or NULL
 * @fmt: printf format
 */
void fsset_blame(char why[FSSET_WHY], int priority, const char *mount, const char *fmt, ...)
{
	char text[FSSET_WHY];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	if (mount)
		log_mount(priority, mount, "%s", text);
	else
		log_msg(priority, "%s", text);
	if (!why[0] && mount)
		snprintf(why, FSSET_WHY, "%.120s: %.120s", mount, text);
	else if (!why[0])
		memcpy(why, text, sizeof(text));
}

/**
 * guard_new() - share the device's descriptor
 * @fd: the device; closed with the last reference
 * Return: one reference, or NULL.
 */
struct guard *guard_new(int fd)
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (guard) {
		guard->fd = fd;
		atomic_init(&guard->refs, 1);
	}
	return guard;
}

/**
 * guard_get() - one more reference
 * @guard: may be NULL
 * Return: @guard.
 */
struct guard *guard_get(struct guard *guard)
{
	if (guard)
		atomic_fetch_add(&guard->refs, 1);
	return guard;
}

/**
 * guard_put() - one reference less
 * @guard: may be NULL
 * @ops: system calls
 */
void guard_put(struct guard *guard, const struct sysops *ops)
{
	if (guard && atomic_fetch_sub(&guard->refs, 1) == 1) {
		ops->close(guard->fd);
		free(guard);
	}
}

/**
 * fsset_mount_id() - the mount that a descriptor was opened through
 * @fd: the descriptor
 * Return: its id, or -1 if the kernel doesn't tell (before 3.15).
 */
int fsset_mount_id(int fd)
{
	char path[64], line[128];
	int id = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (id < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "mnt_id: %d", &id) != 1)
			id = -1;
	fclose(f);
	return id;
}

/*
 * Does the descriptor lead to the superblock that the table promised? Something may be mounted
 * over the mount point. The device number is no proof of the contrary: a subvolume of btrfs shows
 * one of its own.
 */
static bool leads_to(int fd, const struct mounts_fs *fs, const struct stat *st)
{
	int id = fsset_mount_id(fd);

	for (size_t i = 0; i < fs->mounts; i++)
		if (id >= 0 && fs->mount[i].id == id)
			return true;
	return st->st_dev == fs->dev;
}

/**
 * fsset_reopen() - turn an O_PATH descriptor into one for FIFREEZE
 * @ops: system calls
 * @path_fd: on a directory or regular file
 * Return: another descriptor, or a negative errno.
 */
int fsset_reopen(const struct sysops *ops, int path_fd)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = ops->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	if (fd == -EPERM)	/* O_NOATIME is for owners */
		fd = ops->open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd;
}

static int try_mount(const struct sysops *ops, const struct mounts_fs *fs,
		     const struct mounts_mount *mount)
{
	char path[PATH_MAX];
	struct stat st;
	int path_fd, fd;

	if (mount->pid)
		fd = snprintf(path, sizeof(path), "/proc/%d/root%s", mount->pid, mount->path);
	else
		fd = snprintf(path, sizeof(path), "%s", mount->path);
	if (fd >= (int)sizeof(path))
		return -ENAMETOOLONG;
	path_fd = ops->open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0)
		return path_fd;
	/* Only what has no side effects when it is opened: a mount point can be a device node. */
	if (fstat(path_fd, &st))
		fd = -errno;
	else if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		fd = -ENOTDIR;
	else if (!leads_to(path_fd, fs, &st))
		fd = -EXDEV;
	else
		fd = fsset_reopen(ops, path_fd);
	ops->close(path_fd);
	return fd;
}

/**
 * fsset_open_mount() - open a file system through any of its mounts
 * @ops: system calls
 * @fs: from a plan
 *
 * Mount points in our own namespace come first, those behind a network or fuse file system are
 * left out: a look-up there may never return. If all are covered by other mounts, it is opened
 * underneath.
 * Context: may block.
 * Return: a descriptor, or the negative errno of the first mount that was tried.
 */
int fsset_open_mount(const struct sysops *ops, const struct mounts_fs *fs)
{
	int first = 0, fd;

	for (int other = 0; other <= 1; other++)
		for (size_t i = 0; i < fs->mounts; i++) {
			const struct mounts_mount *mount = &fs->mount[i];

			if (mount->deleted || mount->remote || !!mount->pid != other)
				continue;
			fd = try_mount(ops, fs, mount);
			if (fd >= 0)
				return fd;
			if (!first)
				first = fd;
		}
	if (!first)
		return -EHOSTUNREACH;
	fd = uncover_open(ops, fs);
	return fd < 0 ? first : fd;
}

/**
 * fsset_add() - add a file system to the set
 * @set: the set
 * @fs: from a plan; what is needed is copied
 * @fd: open on it; belongs to the set, also on failure
 * Return: 0 or -ENOMEM.
 */
int fsset_add(struct fsset *set, const struct mounts_fs *fs, int fd)
{
	struct target *t;

	t = array_resize(set->target, set->n + 1, sizeof(*t));
	if (!t) {
		set->ops->close(fd);
		return -ENOMEM;
	}
	set->target = t;
	t += set->n++;
	*t = (struct target){
		.path = strdup(mounts_fs_path(fs)),
		.type = strdup(fs->type),
		.source = strdup(fs->source),
		.dev = fs->dev,
		.fd = fd,
		.freezable = fs->action == MOUNTS_FREEZE,
		.beside = fs->beside,
		.note = fs->action == MOUNTS_SYNC ? fs->reason : NULL,
	};
	set->freezable += t->freezable;
	return t->path && t->type && t->source ? 0 : -ENOMEM;
}

/* All that the plan has brought. */
static void forget(struct fsset *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->target[i].fd >= 0)
			set->ops->close(set->target[i].fd);
		free(set->target[i].path);
		free(set->target[i].type);
		free(set->target[i].source);
	}
	for (size_t i = 0; i < set->skips; i++) {
		free(set->skip[i].path);
		free(set->skip[i].type);
		free(set->skip[i].source);
	}
	free(set->skip);
	free(set->target);
	set->skip = NULL;
	set->target = NULL;
	set->skips = 0;
	set->n = 0;
	set->freezable = 0;
	mountview_close(&set->view);
}

static int read_plan(const struct fsset_config *config, struct mountview *view, struct mounts *m,
		     char why[FSSET_WHY])
{
	int err;

	err = mountview_open(view, config->own_namespace_only);
	if (!err)
		err = mountview_read(view, m);
	if (!err)
		err = mounts_plan(m, &config->policy, config->sysfs);
	if (!err && config->luns)
		err = luns_select(m, config->luns, config->only_luns, config->sysfs, why);
	return err;
}

/* Those of which one might think that they are part of a backup. */
static int note_skip(struct fsset *set, const struct mounts_fs *fs)
{
	struct fsset_skip *skip;

	if (fs->kind == FSTYPE_PSEUDO || fs->kind == FSTYPE_STACKED || fs->kind == FSTYPE_READONLY)
		return 0;
	skip = array_resize(set->skip, set->skips + 1, sizeof(*skip));
	if (!skip)
		return -ENOMEM;
	set->skip = skip;
	skip += set->skips++;
	*skip = (struct fsset_skip){
		.path = strdup(mounts_fs_path(fs)),
		.type = strdup(fs->type),
		.source = strdup(fs->source),
		.reason = fs->reason,
	};
	return skip->path && skip->type && skip->source ? 0 : -ENOMEM;
}

static const char *why_not_open(int err)
{
	if (err == -EXDEV)
		return "covered by another mount, and mounted nowhere else";
	if (err == -EHOSTUNREACH)
		return "only reachable through a remote file system";
	return strerror(-err);
}

static bool is_refused(const struct fsset_config *config, const struct mounts_fs *fs,
		       char why[FSSET_WHY])
{
	if (fs->action != MOUNTS_SYNC || !config->policy.strict)
		return false;
	fsset_blame(why, LOG_ERR, mounts_fs_path(fs), "%s (%s), and --strict is set", fs->reason,
		    fs->type);
	return true;
}

static int open_one(const struct fsset_config *config, struct fsset *set,
		    const struct mounts_fs *fs, int *open_error)
{
	int fd;

	if (fs->action == MOUNTS_SKIP)
		return note_skip(set, fs);
	if (is_refused(config, fs, set->why))
		return -EOPNOTSUPP;
	fd = fsset_open_mount(set->ops, fs);
	if (fd >= 0)
		return fsset_add(set, fs, fd);
	*open_error = fd;
	return 0;
}

/* Returns 0 if that is no reason to fail. */
static int cannot_open(struct fsset *set, const struct mounts_fs *fs, int err)
{
	const char *path = mounts_fs_path(fs);
	unsigned int maj = major(fs->dev), min = minor(fs->dev);

	if (fs->action == MOUNTS_SYNC) {
		log_mount(LOG_WARNING, path, "not written out: %s (%s, %u:%u)", why_not_open(err),
			  fs->type, maj, min);
		return 0;
	}
	fsset_blame(set->why, LOG_ERR, path, "cannot be opened: %s (%s, %u:%u)", why_not_open(err),
		    fs->type, maj, min);
	return err;
}

static int open_all(const struct fsset_config *config, struct fsset *set, const struct mounts *m,
		    int round)
{
	int err = 0;

	for (size_t i = 0; i < m->n && !err; i++) {
		const struct mounts_fs *fs = &m->fs[m->order[i]];
		int open_error = 0;

		err = open_one(config, set, fs, &open_error);
		if (open_error && round < (fs->action == MOUNTS_SYNC ? SYNC_ROUNDS : ROUNDS))
			return 1;
		if (open_error)
			err = cannot_open(set, fs, open_error);
	}
	return err;
}

/**
 * fsset_build() - make the plan and open every file system that is to be frozen
 * @arg: struct fsset_config
 * @set: empty, with ->ops
 *
 * One that can't be opened may just have been unmounted, or moved, or the process ended whose
 * mounts they are: the tables are read again a few times before that counts.
 * Context: may block on a path look-up.
 * Return: 0 or a negative errno, logged.
 */
int fsset_build(void *arg, struct fsset *set)
{
	const struct fsset_config *config = arg;
	int err = 1;

	for (int round = 1; err > 0; round++) {
		struct mounts m = { 0 };

		forget(set);
		err = read_plan(config, &set->view, &m, set->why);
		if (err)
			fsset_blame(set->why, LOG_ERR, NULL, "cannot make a plan: %s",
				    strerror(-err));
		else
			err = open_all(config, set, &m, round);
		mounts_free(&m);
	}
	return err;
}

/**
 * fsset_look() - see whether a plan can be made, and touch nothing that is mounted
 * @config: of the plan
 * @why: gets the reason of a failure
 * Return: 0 or a negative errno, logged.
 */
int fsset_look(const struct fsset_config *config, char why[FSSET_WHY])
{
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	int err;

	err = read_plan(config, &view, &m, why);
	if (err)
		fsset_blame(why, LOG_ERR, NULL, "cannot make a plan: %s", strerror(-err));
	for (size_t i = 0; i < m.n && !err; i++)
		if (is_refused(config, &m.fs[m.order[i]], why))
			err = -EOPNOTSUPP;
	mounts_free(&m);
	mountview_close(&view);
	return err;
}

static bool covers(const struct fsset *set, const struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		size_t k = 0;

		if (m->fs[i].action != MOUNTS_FREEZE)
			continue;
		while (k < set->n && set->target[k].dev != m->fs[i].dev)
			k++;
		if (k == set->n) {
			log_mount(LOG_NOTICE, mounts_fs_path(&m->fs[i]),
				  "was mounted during the freeze (%s)", m->fs[i].type);
			return false;
		}
	}
	return true;
}

/**
 * fsset_verify() - is everything that ought to be frozen in the set?
 * @arg: struct fsset_config
 * @set: all of it frozen
 *
 * As a rule the kernel says that no table has changed, and nothing is read at all.
 * Context: touches no file system on a disk.
 * Return: 0 if so, 1 if a file system has appeared since, or a negative errno.
 */
int fsset_verify(void *arg, struct fsset *set)
{
	const struct fsset_config *config = arg;
	int changed;

	changed = mountview_changed(&set->view, config->own_namespace_only);
	for (int round = 0; changed > 0 && round < ROUNDS; round++) {
		struct mounts m = { 0 };
		bool covered;
		int err;

		mountview_close(&set->view);
		err = read_plan(config, &set->view, &m, set->why);
		covered = !err && covers(set, &m);
		mounts_free(&m);
		if (err)
			return err;
		if (!covered)
			return 1;
		changed = mountview_changed(&set->view, config->own_namespace_only);
	}
	return changed > 0 ? -EAGAIN : changed;
}

/**
 * fsset_free() - close and forget everything
 * @set: without jobs in flight; may be NULL
 */
void fsset_free(struct fsset *set)
{
	if (!set)
		return;
	forget(set);
	guard_put(set->guard, set->ops);
	free(set);
}
