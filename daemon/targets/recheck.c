// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mount tables are checked twice for file systems that were not in the plan: when all file
 * systems are frozen, and when the host sends THAW.
 *
 * For the first check one complete reading that begins after the last FIFREEZE is enough: it shows
 * everything that was mounted at the moment when all were frozen. poll() tells which tables have
 * changed since they were read, so usually none is read again. A new namespace is a copy of a known
 * one: only file systems that are new in it matter. The second check finds what was mounted later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "plan/blockdev.h"
#include "plan/luns.h"
#include "recheck.h"

/* Time limits for reading the tables of other namespaces. */
#define FROZEN_US	1000000LL
#define THAW_US		3000000LL

/* Sets all that were in the plan to MOUNTS_SKIP. Returns the number of new file systems. */
static size_t select_new(const struct fsset *set, struct mounts *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->fs[i].action == MOUNTS_FREEZE && !fsset_was_planned(set, &m->fs[i]))
			n++;
		else
			m->fs[i].action = MOUNTS_SKIP;
	}
	return n;
}

/* Leaves only the new file systems in @m with MOUNTS_FREEZE. Returns 1 if there are any. */
static int find_new(const struct build_config *config, struct fsset *set, struct mounts *m,
		    int64_t budget_us)
{
	size_t unread_before = set->view.unread_count;
	int err;

	err = mountview_update(&set->view, m, budget_us);
	mountview_close_namespaces(&set->view);
	if (!err)
		err = build_check_unread(config, &set->view, unread_before, set->why);
	if (err)
		return err;
	for (size_t i = 0; i < m->n; i++)
		policy_decide(&m->fs[i], &config->policy);
	if (!select_new(set, m))
		return 0;
	err = order_find_backing(m, config->sysfs);
	if (!err && config->luns && config->only_luns)
		err = luns_select(m, config->luns, true, config->sysfs, set->why);
	return err ? err : 1;
}

static int find_changes(const struct build_config *config, struct fsset *set, struct mounts *m,
			int64_t budget_us)
{
	int err;

	err = mountview_poll(&set->view);
	if (err > 0)
		err = find_new(config, set, m, budget_us);
	if (err < 0)
		reason_log(set->why, LOG_ERR, NULL, "cannot check for new mounts: %s",
			   strerror(-err));
	return err;
}

/**
 * recheck_frozen() - are all file systems that have to be frozen in the set?
 * @arg: struct build_config
 * @set: all its file systems are frozen
 *
 * Context: worker; accesses no file system on a disk.
 * Return: 0 if so, 1 if another file system was mounted meanwhile, or a negative errno.
 */
int recheck_frozen(void *arg, struct fsset *set)
{
	struct mounts m = { 0 };
	int ret;

	ret = find_changes(arg, set, &m, FROZEN_US);
	if (ret > 0)
		ret = 0;
	for (size_t i = 0; i < m.n && ret >= 0; i++) {
		if (m.fs[i].action != MOUNTS_FREEZE)
			continue;
		log_mount(LOG_NOTICE, mounts_fs_path(&m.fs[i]),
			  "was mounted during the freeze (%s)", m.fs[i].type);
		ret = 1;
	}
	mounts_free(&m);
	return ret;
}

struct counts {
	size_t files;
	size_t disks;
};

static int count_file(void *arg, const char *file)
{
	struct counts *counts = arg;

	(void)file;
	counts->files++;
	return 0;
}

static int count_disk(void *arg, dev_t disk)
{
	struct counts *counts = arg;

	(void)disk;
	counts->disks++;
	return 0;
}

static bool is_frozen_or_remote(const struct fsset *set, const struct mounts_fs *fs)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->target[i].dev == fs->dev && set->target[i].freezable)
			return true;
	return fs->kind == FSTYPE_PSEUDO || fs->kind == FSTYPE_NETWORK;
}

/*
 * A file system that lies only in files of frozen file systems could not change the disks while
 * they were frozen. One in memory or on another machine is not on a disk that the host copies.
 */
static bool is_on_no_host_disk(const struct build_config *config, const struct fsset *set,
			       const struct mounts *m, const struct mounts_fs *fs)
{
	struct counts counts = { 0 };
	const struct blockdev_walk walk = {
		.file = count_file, .disk = count_disk, .arg = &counts,
	};
	int err;

	err = order_walk_devices(fs, config->sysfs, &walk);
	if (err || counts.disks || !counts.files || counts.files > fs->backings)
		return false;
	for (size_t i = 0; i < fs->backings; i++)
		if (!is_frozen_or_remote(set, &m->fs[fs->backing[i]]))
			return false;
	return true;
}

/**
 * recheck_thaw() - was a file system mounted while the others were frozen?
 * @arg: struct build_config
 * @set: its file systems were frozen until now
 *
 * Context: worker, while other workers thaw.
 * Return: 0 if not, or if it is on no disk that the host copies; 1 if so; or a negative errno.
 */
int recheck_thaw(void *arg, struct fsset *set)
{
	const struct build_config *config = arg;
	struct mounts m = { 0 };
	int ret;

	ret = find_changes(config, set, &m, THAW_US);
	if (ret > 0)
		ret = 0;
	for (size_t i = 0; i < m.n && ret >= 0; i++) {
		const struct mounts_fs *fs = &m.fs[i];

		if (fs->action != MOUNTS_FREEZE)
			continue;
		if (is_on_no_host_disk(config, set, &m, fs)) {
			log_mount(LOG_NOTICE, mounts_fs_path(fs),
				  "was mounted while the others were frozen (%s); it is on none "
				  "of the host's disks", fs->type);
			continue;
		}
		reason_log(set->why, LOG_ERR, mounts_fs_path(fs),
			   "was mounted while the others were frozen (%s)", fs->type);
		ret = 1;
	}
	mounts_free(&m);
	return ret;
}
