// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "build.h"
#include "disks.h"
#include "openfs.h"
#include "plan/listeners.h"
#include "plan/luns.h"

#define ROUNDS		5	/* attempts while the mount tables keep changing */
#define SYNC_ROUNDS	2	/* for a file system that is only synced: it is optional */

/* Listeners affect only the order of freezing: if they can't be found, go on without. */
static int read_plan(const struct build_config *config, struct mountview *view, struct mounts *m,
		     char why[REASON_SIZE])
{
	const char *pattern;
	int err;

	m->proc = "/proc";
	err = mountview_open(view, config->own_namespace_only);
	if (!err)
		err = mountview_read(view, m);
	if (!err && listeners_mark(m, m->proc))
		log_msg(LOG_NOTICE, "cannot search for processes that permit access to files");
	if (!err)
		err = mounts_plan(m, &config->policy, config->sysfs);
	pattern = err ? NULL : policy_unmatched(m, &config->policy);
	if (pattern) {
		reason_log(why, LOG_ERR, NULL, "--include=%s matches no file system", pattern);
		err = -ENOENT;
	}
	if (!err && config->luns)
		err = luns_select(m, config->luns, config->only_luns, config->sysfs, why);
	if (!err)
		err = build_check_unread(config, view, 0, why);
	if (err && !why[0])
		reason_log(why, LOG_ERR, NULL, "cannot make a plan: %s", strerror(-err));
	return err;
}

/* Records a skipped file system, unless its type can't be part of a backup. */
static int note_skip(struct fsset *set, const struct mounts_fs *fs)
{
	struct fsset_skip *skip;

	if (fs->kind == FSTYPE_PSEUDO || fs->kind == FSTYPE_STACKED || fs->kind == FSTYPE_READONLY)
		return 0;
	skip = fsset_skip(set, mounts_fs_path(fs), fs->type, fs->source, fs->reason);
	if (!skip)
		return -ENOMEM;
	/* Its data are on a disk that the host copies, and can change meanwhile. */
	skip->unsafe = !fs->readonly && (fs->kind == FSTYPE_CLUSTER ||
					 (fs->kind == FSTYPE_FUSE && major(fs->dev)));
	return 0;
}

static int note_unread(struct fsset *set, const struct mountview *view)
{
	for (size_t i = 0; i < view->unread_count && i < MOUNTVIEW_UNREAD_MAX; i++) {
		const struct mountview_unread *unread = &view->unread[i];
		char name[MOUNTVIEW_NAME], source[32];
		struct fsset_skip *skip;

		mountview_unread_name(unread, name);
		snprintf(source, sizeof(source), "mnt:[%lu]", (unsigned long)unread->inode);
		skip = fsset_skip(set, name, "namespace", source, unread->why);
		if (!skip)
			return -ENOMEM;
		skip->unsafe = true;
	}
	return 0;
}

static const char *open_error_text(int err)
{
	if (err == -EXDEV)
		return "covered by another mount, and not mounted at another place";
	if (err == -EHOSTUNREACH)
		return "only reachable through a remote file system";
	return strerror(-err);
}

static bool refuse_by_strict(const struct build_config *config, const struct mounts_fs *fs,
			     char why[REASON_SIZE])
{
	if (fs->action != MOUNTS_SYNC || !config->policy.strict)
		return false;
	reason_log(why, LOG_ERR, mounts_fs_path(fs), "%s (%s), and --strict is set", fs->reason,
		   fs->type);
	return true;
}

static int open_one(const struct build_config *config, struct fsset *set,
		    const struct mounts_fs *fs, int *open_error)
{
	int fd;

	if (fs->action == MOUNTS_SKIP)
		return note_skip(set, fs);
	if (refuse_by_strict(config, fs, set->why))
		return -EOPNOTSUPP;
	fd = openfs_open(set->ops, fs);
	if (fd < 0) {
		*open_error = fd;
		return 0;
	}
	/* The descriptor of a btrfs is needed to query running operations. */
	if (config->probe && strcmp(fs->type, "btrfs") != 0) {
		set->ops->close(fd);
		fd = -1;
	}
	return fsset_add(set, fs, fd);
}

/* The backup goes on without the file system; its record names it. */
static int skip_fs(struct fsset *set, const struct mounts_fs *fs, const char *reason)
{
	struct fsset_skip *skip = fsset_skip(set, mounts_fs_path(fs), fs->type, fs->source, reason);

	if (!skip)
		return -ENOMEM;
	skip->unsafe = true;
	return 0;
}

static int skip_dead_fs(struct fsset *set, const struct mounts_fs *fs)
{
	log_mount(LOG_WARNING, mounts_fs_path(fs), "skipped: it is dead (input/output error)");
	return skip_fs(set, fs, "is dead (input/output error)");
}

/* Returns 0 if the backup can go on without the file system. */
static int cannot_open(const struct build_config *config, struct fsset *set,
		       const struct mounts_fs *fs, int err)
{
	const char *path = mounts_fs_path(fs);
	unsigned int maj = major(fs->dev), min = minor(fs->dev);

	if (err == -EIO && config->skip_dead)
		return skip_dead_fs(set, fs);
	if (fs->action == MOUNTS_SYNC) {
		log_mount(LOG_WARNING, path, "not synced, cannot be opened: %s (%s, %u:%u)",
			  open_error_text(err), fs->type, maj, min);
		return skip_fs(set, fs, "it cannot be opened, and is not synced either");
	}
	reason_log(set->why, LOG_ERR, path, "cannot be opened: %s (%s, %u:%u)",
		   open_error_text(err), fs->type, maj, min);
	return err;
}

static int open_all(const struct build_config *config, struct fsset *set, const struct mounts *m,
		    int round)
{
	int err = 0;

	for (size_t i = 0; i < m->n && !err; i++) {
		const struct mounts_fs *fs = &m->fs[m->order[i]];
		int open_error = 0;

		err = open_one(config, set, fs, &open_error);
		/* EIO is not caused by a change of the mount table: don't retry. */
		if (open_error && open_error != -EIO &&
		    round < (fs->action == MOUNTS_SYNC ? SYNC_ROUNDS : ROUNDS))
			return 1;
		if (open_error)
			err = cannot_open(config, set, fs, open_error);
	}
	return err;
}

/*
 * A backup without any frozen file system must not be reported good. Without patterns it may have
 * only some that can't be frozen: a machine with its root on ZFS.
 */
static int refuse_empty(const struct build_config *config, size_t n, size_t required,
			char why[REASON_SIZE])
{
	const char *because = "no file system on a disk is mounted read-write";
	bool patterns = config->policy.include || config->policy.exclude;

	if (required || (n && !patterns))
		return 0;
	if (patterns)
		because = n ?
			  "--include and --exclude leave only what can't be frozen" :
			  "--include and --exclude leave no file system";
	else if (config->only_luns)
		because = "no file system is on the disks that the host names";
	reason_log(why, LOG_ERR, NULL, "there is nothing to freeze: %s", because);
	return -ENODATA;
}

static int build_once(const struct build_config *config, struct fsset *set, int round)
{
	struct mounts m = { 0 };
	int err;

	fsset_clear(set);
	err = read_plan(config, &set->view, &m, set->why);
	if (!err)
		err = open_all(config, set, &m, round);
	if (!err)
		err = note_unread(set, &set->view);
	if (!err)
		err = fsset_remember(set, &m);
	if (!err && !config->probe)
		disks_watch(set, &m, config->sysfs, config->luns);
	mounts_free(&m);
	mountview_close_namespaces(&set->view);
	return err;
}

/**
 * build_fsset() - make the plan and open all file systems that are to be frozen or synced
 * @arg: struct build_config
 * @set: empty, with ->ops
 *
 * If a file system can't be opened, it may just have been unmounted or moved, or the process in
 * whose namespace it was mounted has ended. So the tables are read again a few times before that is
 * an error.
 * Context: may block on a path look-up.
 * Return: 0 or a negative errno, logged.
 */
int build_fsset(void *arg, struct fsset *set)
{
	const struct build_config *config = arg;
	size_t required = 0;
	int err = 1;

	for (int round = 1; err > 0; round++)
		err = build_once(config, set, round);
	for (size_t i = 0; i < set->n; i++)
		required += !set->target[i].optional;
	return err ? err : refuse_empty(config, set->n, required, set->why);
}

/**
 * build_dry_run() - check whether a plan can be made, without accessing any file system of it
 * @config: of the plan
 * @why: gets the reason of a failure
 * Return: 0 or a negative errno, logged.
 */
int build_dry_run(const struct build_config *config, char why[REASON_SIZE])
{
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	size_t n = 0, required = 0;
	int err;

	err = read_plan(config, &view, &m, why);
	for (size_t i = 0; i < m.n && !err; i++) {
		n += m.fs[i].action != MOUNTS_SKIP;
		required += m.fs[i].action == MOUNTS_FREEZE;
		if (refuse_by_strict(config, &m.fs[m.order[i]], why))
			err = -EOPNOTSUPP;
	}
	if (!err)
		err = refuse_empty(config, n, required, why);
	mounts_free(&m);
	mountview_close(&view);
	return err;
}

/**
 * build_check_unread() - log the mount namespaces that could not be read to their end
 * @config: ->skip_unread: false makes the backup fail
 * @view: has been read
 * @from: number of those that have been logged before
 * @why: gets the reason of a failure
 * Return: 0 or -E2BIG.
 */
int build_check_unread(const struct build_config *config, const struct mountview *view, size_t from,
		       char why[REASON_SIZE])
{
	for (size_t i = from; i < view->unread_count && i < MOUNTVIEW_UNREAD_MAX; i++) {
		char name[MOUNTVIEW_NAME];

		mountview_unread_name(&view->unread[i], name);
		if (!config->skip_unread)
			reason_log(why, LOG_ERR, NULL, "%s: %s, and --unread-namespaces=fail is "
				    "set", name, view->unread[i].why);
		else
			log_msg(LOG_WARNING, "%s is skipped: %s", name, view->unread[i].why);
	}
	if (view->unread_count > MOUNTVIEW_UNREAD_MAX && view->unread_count > from)
		log_msg(LOG_WARNING, "%zu more mount namespaces are skipped",
			view->unread_count - MOUNTVIEW_UNREAD_MAX);
	return !config->skip_unread && view->unread_count > from ? -E2BIG : 0;
}
