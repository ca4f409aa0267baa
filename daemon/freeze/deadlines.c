// SPDX-License-Identifier: GPL-2.0-only
/* How long each phase may take, and what is reported when it takes longer. */
#include <stdio.h>

#include "base/log.h"
#include "freezer.h"
#include "phases.h"

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/**
 * phase_limit() - when the present phase has failed
 * @f: the freezer, freezing
 * Return: a time of ops->now_us().
 */
int64_t phase_limit(const struct freezer *f)
{
	int64_t limit = f->freeze_deadline;

	if (f->hold_deadline)
		limit = earlier(limit, f->hold_deadline);
	if (f->state == FREEZER_SYNC || f->state == FREEZER_BLOCKERS)
		limit = earlier(limit, f->sync_deadline);
	return limit;
}

/**
 * freezer_deadline() - when freezer_tick() must be called next
 * @f: the freezer
 * Return: a time of ops->now_us(), or INT64_MAX.
 */
int64_t freezer_deadline(const struct freezer *f)
{
	switch (f->state) {
	case FREEZER_IDLE:
		return INT64_MAX;
	case FREEZER_FROZEN:
		return f->hold_deadline;
	case FREEZER_WRITEBACK:
		return f->writeback.poll;	/* ends well before any deadline */
	case FREEZER_THAW:
		return f->patience ? earlier(f->patience, f->thaw_deadline) : f->thaw_deadline;
	case FREEZER_BLOCKERS:
		return earlier(f->blockers_deadline, phase_limit(f));
	case FREEZER_FREEZE:
		return earlier(f->identify_at, phase_limit(f));
	case FREEZER_SYNC:
		return earlier(f->optional_deadline, phase_limit(f));
	default:
		return phase_limit(f);
	}
}

/* The first becomes the reason of the failure, all are in the log. */
static void report_culprits(struct freezer *f, const char *path)
{
	const struct culprits *found = &f->culprits;
	char text[REASON_SIZE];

	for (size_t i = 0; i < found->n; i++) {
		const struct culprit *c = &found->one[i];

		culprit_words(text, sizeof(text), c);
		if (!i)
			reason_log(f->why, LOG_ERR, c->path[0] ? c->path : path,
				   "FIFREEZE was not done within the time allowed: %s", text);
		else
			log_mount(LOG_ERR, c->path[0] ? c->path : path, "also %s", text);
	}
	if (found->more)
		log_msg(LOG_ERR, "and %zu more", found->more);
}

static const char *phase_name(enum freezer_state state)
{
	switch (state) {
	case FREEZER_PLAN:
		return "making the plan";
	case FREEZER_WRITEBACK:
	case FREEZER_SYNC:
		return "syncing";
	case FREEZER_BLOCKERS:
		return "the check for what keeps file systems from being frozen";
	case FREEZER_FREEZE:
		return "FIFREEZE";
	default:
		return "the check for new mounts";
	}
}

/**
 * phase_report_timeout() - report that the present phase took too long, and where it hangs
 * @f: the freezer, freezing
 */
void phase_report_timeout(struct freezer *f)
{
	const char *path = NULL;

	for (size_t i = 0; f->state != FREEZER_PLAN && i < f->set->n && !path; i++)
		if (job_awaited(&f->set->target[i].job))
			path = f->set->target[i].path;
	if (f->state == FREEZER_FREEZE && f->culprits.n)
		report_culprits(f, path);
	else
		reason_log(f->why, LOG_ERR, path, "%s was not done within the time allowed",
			   phase_name(f->state));
}
