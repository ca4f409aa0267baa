// SPDX-License-Identifier: GPL-2.0-only
/* Decides what happens to a file system, by its type and by the admin's options. */
#include <fnmatch.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "mounts.h"
#include "pattern.h"

static bool matches_kind(const struct mounts_fs *fs, const char *pattern)
{
	if (!strncmp(pattern, "type:", 5))
		return !fnmatch(pattern + 5, fs->type, 0);
	return !strncmp(pattern, "device:", 7) && pattern_matches(pattern + 7, fs->source);
}

static bool matches_any_kind(const struct mounts_fs *fs, char **patterns)
{
	for (; patterns && *patterns; patterns++)
		if (matches_kind(fs, *patterns))
			return true;
	return false;
}

static bool matches_path(const struct mounts_mount *mount, const char *pattern)
{
	return (pattern[0] == '/' || pattern[0] == '*') && pattern_matches(pattern, mount->path);
}

static bool matches_any_path(const struct mounts_mount *mount, char **patterns)
{
	for (; patterns && *patterns; patterns++)
		if (matches_path(mount, *patterns))
			return true;
	return false;
}

/**
 * policy_matches() - does a pattern match a file system?
 * @fs: the file system
 * @pattern: of --include or --exclude
 * Return: true if so; for a path, if any of its mount points matches. A pseudo or stacked file
 *	system, which is never part of a backup, does not match.
 */
bool policy_matches(const struct mounts_fs *fs, const char *pattern)
{
	if (fs->kind == FSTYPE_PSEUDO || fs->kind == FSTYPE_STACKED)
		return false;
	for (size_t i = 0; i < fs->mounts; i++)
		if (matches_path(&fs->mount[i], pattern))
			return true;
	return matches_kind(fs, pattern);
}

static bool is_included(const struct mounts_fs *fs, char **patterns)
{
	for (; *patterns; patterns++)
		if (policy_matches(fs, *patterns))
			return true;
	return false;
}

/*
 * All mount points must match. --exclude=/data must not exclude the root file system because one of
 * its directories is bind-mounted on /data, by hand or in a container. Mount points in other
 * namespaces count only if there is none in our own: the admin does not know them.
 */
static bool is_excluded(const struct mounts_fs *fs, char **patterns)
{
	size_t named = 0;
	bool ours = false;

	if (matches_any_kind(fs, patterns))
		return true;
	for (size_t i = 0; i < fs->mounts; i++)
		ours |= !fs->mount[i].pid && !fs->mount[i].deleted;
	for (size_t i = 0; i < fs->mounts; i++) {
		const struct mounts_mount *mount = &fs->mount[i];

		if (mount->deleted || (ours && mount->pid))
			continue;
		if (!matches_any_path(mount, patterns))
			return false;
		named++;
	}
	return named > 0;
}

/**
 * policy_decide() - decide what happens to a file system
 * @fs: ->action and ->reason are set
 * @policy: the admin's options
 */
void policy_decide(struct mounts_fs *fs, const struct mounts_policy *policy)
{
	bool local = major(fs->dev) || fs->kind == FSTYPE_FREEZABLE ||
		     fs->kind == FSTYPE_UNFREEZABLE;
	bool fuse = fs->kind == FSTYPE_FUSE;

	fs->action = MOUNTS_SKIP;
	fs->reason = fstype_reason(fs->type, fs->kind);
	/*
	 * fuse on a local disk (fuseblk, such as ntfs-3g) is skipped too, unless --strict is set.
	 */
	if ((fuse && !(local && policy->strict)) || fs->kind == FSTYPE_NETWORK ||
	    fs->kind == FSTYPE_CLUSTER ||
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
 * policy_unmatched() - find a pattern of --include that matches no file system
 * @m: with the mounts of all tables
 * @policy: the admin's options
 * Return: the first such pattern, or NULL.
 */
const char *policy_unmatched(const struct mounts *m, const struct mounts_policy *policy)
{
	for (char **pattern = policy->include; pattern && *pattern; pattern++) {
		bool found = false;

		for (size_t i = 0; i < m->n && !found; i++)
			found = policy_matches(&m->fs[i], *pattern);
		if (!found)
			return *pattern;
	}
	return NULL;
}
