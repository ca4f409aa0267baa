// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "record.h"

/**
 * record_answer_name() - the name of an answer to the host
 * @answer: the answer
 * Return: one word.
 */
const char *record_answer_name(enum record_answer answer)
{
	static const char * const names[] = {
		[ANSWER_NONE] = "none", [ANSWER_OK] = "success", [ANSWER_FAILED] = "failure",
		[ANSWER_LATE] = "late",
	};

	return names[answer];
}

/**
 * record_action_name() - the name of what happened to a file system
 * @action: what happened
 * Return: one word.
 */
const char *record_action_name(enum record_action action)
{
	static const char * const names[] = {
		[RECORD_FROZEN] = "frozen", [RECORD_SYNCED] = "synced",
		[RECORD_SKIPPED] = "skipped", [RECORD_FAILED] = "failed",
		[RECORD_UNTOUCHED] = "untouched",
	};

	return names[action];
}

/**
 * record_add_fs() - add a file system to a record
 * @r: the record
 * @path: its mount point
 * @type: its type
 * @source: its device
 * @reason: reason or remark; may be NULL
 * Return: the entry, to be completed; or NULL if there is no room: then it is only counted.
 */
struct record_fs *record_add_fs(struct record *r, const char *path, const char *type,
				const char *source, const char *reason)
{
	struct record_fs *fs;

	fs = r->n < RECORD_FS_MAX ? array_resize(r->fs, r->n + 1, sizeof(*fs)) : NULL;
	if (!fs) {
		r->more++;
		return NULL;
	}
	r->fs = fs;
	fs += r->n;
	*fs = (struct record_fs){
		.path = strdup(path),
		.type = strdup(type),
		.source = strdup(source),
		.reason = reason && reason[0] ? strdup(reason) : NULL,
		.action = RECORD_UNTOUCHED,
	};
	if (fs->path && fs->type && fs->source && (fs->reason || !reason || !reason[0])) {
		r->n++;
		return fs;
	}
	free(fs->path);
	free(fs->type);
	free(fs->source);
	free(fs->reason);
	r->more++;
	return NULL;
}

static void add_target(struct record *r, const struct freezer *f, const struct target *t)
{
	const char *note = t->broke ? "has become read-only while it was frozen" : t->note;
	struct record_fs *fs = record_add_fs(r, t->path, t->type, t->source, note);

	if (!fs)
		return;
	/* While a call hangs, its worker may write the times: don't read them. */
	if (t->state == TARGET_STUCK) {
		fs->action = RECORD_FAILED;
		return;
	}
	fs->sync_us = t->sync_us;
	fs->freeze_us = t->freeze_us;
	fs->thaw_us = t->thaw_us;
	if (t->failed || t->thaw_result)
		fs->action = RECORD_FAILED;
	else if (t->state == TARGET_FROZEN || t->state == TARGET_THAWED)
		fs->action = RECORD_FROZEN;
	else if (f->at.planned && f->at.synced && !t->freezable)
		fs->action = RECORD_SYNCED;
}

static int64_t between(int64_t from, int64_t to)
{
	return from && to > from ? to - from : 0;
}

/**
 * record_fill() - copy the results of a freeze into a record
 * @r: with the data of the request
 * @f: the freezer, with its set
 */
void record_fill(struct record *r, const struct freezer *f)
{
	const struct freezer_times *at = &f->at;
	const struct fsset *set = f->set;

	snprintf(r->reason, sizeof(r->reason), "%s", f->why);
	r->culprits = f->failed ? f->culprits : (struct culprits){ .n = 0 };
	r->plan_us = between(at->begun, at->planned);
	r->sync_us = between(at->planned, at->synced ? at->synced : at->thawing);
	r->freeze_us = between(at->synced, at->frozen ? at->frozen : at->thawing);
	r->held_us = between(at->frozen, at->thawing);
	r->thaw_us = between(at->thawing, at->thawed);
	/* The worker that makes the plan has not returned, and still uses the set. */
	if (!set || (!at->planned && set->in_flight))
		return;
	/* A check that hangs may write it at this very moment. */
	if (atomic_load(&set->job.phase) == JOB_IDLE) {
		evidence_describe(&set->verdict, r->evidence, sizeof(r->evidence));
		r->watched = set->verdict.known > 0 ? set->verdict.disks : 0;
		r->written = set->verdict.written;
	}
	for (size_t i = 0; i < set->n; i++)
		if (set->target[i].path && set->target[i].type && set->target[i].source)
			add_target(r, f, &set->target[i]);
	for (size_t i = 0; i < set->skips; i++) {
		const struct fsset_skip *skip = &set->skip[i];
		struct record_fs *fs = record_add_fs(r, skip->path, skip->type, skip->source,
						     skip->reason);

		if (fs) {
			fs->action = RECORD_SKIPPED;
			fs->unsafe = skip->unsafe;
		}
	}
}

/**
 * record_free() - free a record
 * @r: may be all zero; is all zero afterwards
 */
void record_free(struct record *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->fs[i].path);
		free(r->fs[i].type);
		free(r->fs[i].source);
		free(r->fs[i].reason);
	}
	free(r->fs);
	*r = (struct record){ 0 };
}
