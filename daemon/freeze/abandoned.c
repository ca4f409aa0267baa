// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "abandoned.h"
#include "base/log.h"
#include "fsjob.h"
#include "phases.h"

#define LATE_MAX	4	/* sets with a syncfs() that has not returned */

/* A syncfs() in flight freezes nothing, so another freeze may run beside it. */
static bool only_syncs(const struct fsset *set)
{
	if (job_pending(&set->job))
		return false;
	for (size_t i = 0; i < set->n; i++) {
		const struct target *t = &set->target[i];

		if (job_pending(&t->undo) || (job_pending(&t->job) && t->job.run != fsjob_sync))
			return false;
	}
	return true;
}

/**
 * abandoned_keep() - keep a set until its jobs have returned, maybe for good
 * @f: the freezer; ->why says why the freeze has failed
 * @set: with jobs in flight
 */
void abandoned_keep(struct freezer *f, struct fsset *set)
{
	struct fsset **list = only_syncs(set) ? &f->late : &f->stuck;

	snprintf(f->stuck_why, sizeof(f->stuck_why), "%s", f->why);
	set->next = *list;
	*list = set;
}

/**
 * abandoned_done() - a job of an abandoned set has returned
 * @f: the freezer
 * @set: freed if that was the last one
 */
void abandoned_done(struct freezer *f, struct fsset *set)
{
	struct fsset **lists[] = { &f->stuck, &f->late };

	if (set->in_flight)
		return;
	for (size_t i = 0; i < 2; i++) {
		struct fsset **link = lists[i];

		while (*link && *link != set)
			link = &(*link)->next;
		if (*link)
			*link = set->next;
	}
	log_msg(LOG_NOTICE, "system calls that had not returned in time have returned");
	fsset_free(set);
}

/**
 * abandoned_syncs() - is a syncfs() of an earlier freeze still running?
 * @f: the freezer
 * @dev: device number of the file system
 * Return: true if so.
 */
bool abandoned_syncs(const struct freezer *f, dev_t dev)
{
	for (const struct fsset *set = f->late; set; set = set->next)
		for (size_t i = 0; i < set->n; i++)
			if (set->target[i].dev == dev && job_pending(&set->target[i].job))
				return true;
	return false;
}

/**
 * abandoned_too_many() - do too many sets still have a syncfs() running?
 * @f: the freezer
 *
 * Each holds descriptors and workers.
 * Return: true if so: no freeze may begin.
 */
bool abandoned_too_many(const struct freezer *f)
{
	unsigned int n = 0;

	for (const struct fsset *set = f->late; set; set = set->next)
		n++;
	return n >= LATE_MAX;
}
