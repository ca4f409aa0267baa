/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's question whether this guest can be backed up online (HOT_BACKUP).
 *
 * A yes from memory costs no more than reading the question: the last thorough look has found no
 * problem, and the kernel says that nothing was mounted or unmounted here since. Else a look comes
 * first: the plan is made, and every file system of it is opened.
 *
 * What memory can't know (hooks, other mount namespaces) is looked at soon after such an answer,
 * unless FREEZE comes first, which looks itself. A yes that was wrong costs a FREEZE that fails; it
 * is never taken for a backup.
 */
#ifndef HV_VSS_PREFLIGHT_H
#define HV_VSS_PREFLIGHT_H

#include "fsset.h"
#include "hooks.h"

struct preflight {
	const struct fsset_config *plan;
	const struct hooks_config *hooks;
	const struct sysops *ops;
	struct pool *pool;
	void (*report)(void *ctx, bool ok);	/* what a look has come to that was waited for */
	void *ctx;

	bool running;		/* the job has not been taken back */
	bool asked;		/* somebody waits for what it finds */
	bool early;		/* it was begun before that */
	bool ready;		/* the last look has found no problem ... */
	int table;		/* ... and this is our mount table, opened before it; -1 */
	int64_t deadline;	/* of the look */
	int64_t due;		/* when to look without being asked; INT64_MAX */
	int64_t limit_us;	/* the time for that */
	char why[FSSET_WHY];	/* why not */

	/* The worker's while it runs. */
	struct job job;
	bool thorough;		/* opens the file systems, too */
	int found;		/* 0 or a negative errno */
	int found_table;
	char found_why[FSSET_WHY];
};

void preflight_init(struct preflight *p);
int preflight_ask(struct preflight *p, int64_t limit_us);
bool preflight_drop(struct preflight *p);
void preflight_look(struct preflight *p, int64_t limit_us);
void preflight_look_later(struct preflight *p, int64_t limit_us);
void preflight_stand_by(struct preflight *p);
bool preflight_is_due(const struct preflight *p);
void preflight_forget(struct preflight *p);
bool preflight_job_done(struct preflight *p, struct job *job);
void preflight_tick(struct preflight *p);
int64_t preflight_deadline(const struct preflight *p);

#endif
