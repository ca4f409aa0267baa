// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "fsset.h"

/**
 * fsset_add() - add a file system to the set
 * @set: the set
 * @fs: from a plan; the set does not refer to it afterwards
 * @fd: open on it, or -1; the set owns it, also on failure
 * Return: 0 or -ENOMEM.
 */
int fsset_add(struct fsset *set, const struct mounts_fs *fs, int fd)
{
	struct target *t;

	t = array_resize(set->target, set->n + 1, sizeof(*t));
	if (!t) {
		if (fd >= 0)
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
		/* FIFREEZE decides, also for types that are believed to be unfreezable. */
		.freezable = fs->action == MOUNTS_FREEZE || fs->kind == FSTYPE_UNFREEZABLE,
		.optional = fs->action == MOUNTS_SYNC,
		.beside = fs->beside,
		.note = fs->action == MOUNTS_SYNC ? fs->reason : NULL,
	};
	set->freezable += t->freezable;
	t->mount = calloc(fs->mounts + 1, sizeof(*t->mount));
	for (; t->mount && t->mounts < fs->mounts; t->mounts++)
		t->mount[t->mounts] = fs->mount[t->mounts].id;
	return t->path && t->type && t->source && t->mount ? 0 : -ENOMEM;
}

/**
 * fsset_skip() - record a file system that is skipped
 * @set: the set
 * @path: its mount point; copied, as are type and source
 * @type: its type
 * @source: its device
 * @reason: why it is skipped; must stay valid longer than the set
 * Return: the entry, or NULL without memory.
 */
struct fsset_skip *fsset_skip(struct fsset *set, const char *path, const char *type,
			      const char *source, const char *reason)
{
	struct fsset_skip *skip = array_resize(set->skip, set->skips + 1, sizeof(*skip));

	if (!skip)
		return NULL;
	set->skip = skip;
	skip += set->skips;
	*skip = (struct fsset_skip){
		.path = strdup(path),
		.type = strdup(type),
		.source = strdup(source),
		.reason = reason,
	};
	if (skip->path && skip->type && skip->source) {
		set->skips++;
		return skip;
	}
	free(skip->path);
	free(skip->type);
	free(skip->source);
	return NULL;
}

static int by_dev(const void *a, const void *b)
{
	const struct fsset_planned *x = a, *y = b;

	return (x->dev > y->dev) - (x->dev < y->dev);
}

static struct fsset_planned describe(const struct mounts_fs *fs)
{
	struct fsset_planned known = { .dev = fs->dev, .readonly = fs->readonly };
	size_t len = strlen(fs->type);

	if (len >= sizeof(known.type))
		len = sizeof(known.type) - 1;
	memcpy(known.type, fs->type, len);
	return known;
}

/**
 * fsset_remember() - remember which file systems are in the mount tables
 * @set: ->planned is set
 * @m: the plan
 * Return: 0 or -ENOMEM.
 */
int fsset_remember(struct fsset *set, const struct mounts *m)
{
	set->planned = calloc(m->n + 1, sizeof(*set->planned));
	if (!set->planned)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		set->planned[i] = describe(&m->fs[i]);
	set->planned_count = m->n;
	qsort(set->planned, set->planned_count, sizeof(*set->planned), by_dev);
	return 0;
}

/**
 * fsset_was_planned() - was a file system in the mount tables when the plan was made?
 * @set: fsset_remember() has been called for it
 * @fs: from a later reading of the tables
 *
 * The type is compared too: an anonymous device number may be reused by another file system. One
 * that the plan skips is skipped until the end, also if it is mounted at another place meanwhile.
 * Return: true if so.
 */
bool fsset_was_planned(const struct fsset *set, const struct mounts_fs *fs)
{
	const struct fsset_planned key = describe(fs), *known;

	known = bsearch(&key, set->planned, set->planned_count, sizeof(key), by_dev);
	return known && !memcmp(known->type, key.type, sizeof(key.type)) &&
	       (!known->readonly || fs->readonly);
}

/**
 * fsset_clear() - close and free all file systems of the set
 * @set: without jobs in flight
 */
void fsset_clear(struct fsset *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->target[i].fd >= 0)
			set->ops->close(set->target[i].fd);
		free(set->target[i].path);
		free(set->target[i].type);
		free(set->target[i].source);
		free(set->target[i].mount);
	}
	for (size_t i = 0; i < set->skips; i++) {
		free(set->skip[i].path);
		free(set->skip[i].type);
		free(set->skip[i].source);
	}
	free(set->skip);
	free(set->target);
	free(set->planned);
	set->planned = NULL;
	set->planned_count = 0;
	set->skip = NULL;
	set->target = NULL;
	set->skips = 0;
	set->n = 0;
	set->freezable = 0;
	mountview_close(&set->view);
	evidence_free(&set->evidence);
}

/**
 * fsset_free() - close and free the set
 * @set: without jobs in flight; may be NULL
 */
void fsset_free(struct fsset *set)
{
	if (!set)
		return;
	fsset_clear(set);
	guard_put(set->guard, set->ops);
	free(set);
}
