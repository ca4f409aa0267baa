/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The preflight: can this guest be backed up online (HOT_BACKUP)?
 *
 * If the last full preflight has found no problem, and our mount table has not changed since, the
 * answer is yes at once. Otherwise a full preflight runs first: it makes the plan and opens all its
 * file systems.
 *
 * Changes of hooks or in other mount namespaces are not noticed that way. So a quick preflight,
 * which opens nothing, runs soon after an immediate yes, unless FREEZE comes first. If the yes was
 * wrong, FREEZE fails: it makes its own plan.
 */
#ifndef HV_VSS_PREFLIGHT_H
#define HV_VSS_PREFLIGHT_H

#include "blockers/busy.h"
#include "hooks/hooks.h"
#include "plan/kernelfaults.h"
#include "targets/build.h"

struct preflight {
	const struct build_config *plan;
	const struct busy_config *busy;	/* NULL: don't search for blockers */
	const struct hooks_config *hooks;
	const struct kernel *kernel;	/* NULL: don't warn of known faults of the kernel */
	const struct sysops *ops;
	struct pool *pool;
	void (*report)(void *ctx, bool ok);	/* the result of a preflight that was requested */
	void *ctx;

	bool running;		/* the job has not returned */
	bool requested;		/* the host waits for the result */
	bool started_early;	/* the job was started before the request */
	bool passed;		/* the last full preflight has found no problem ... */
	int mountinfo;		/* ... and this is our mount table, opened before it; -1 */
	int64_t deadline;	/* of the running preflight */
	int64_t scheduled;	/* when to run one without a request; INT64_MAX: never */
	int64_t limit_us;	/* time limit of that */
	char reason[REASON_SIZE];	/* why no backup can be made */
	struct culprits culprits;	/* blockers */

	/* Used by the worker while it runs. */
	struct job job;
	bool full;		/* open the file systems */
	bool warned;		/* has warned of the kernel */
	int result;		/* 0 or a negative errno */
	int result_mountinfo;
	char result_reason[REASON_SIZE];
	struct culprits result_culprits;
};

void preflight_init(struct preflight *p);
int preflight_request(struct preflight *p, int64_t limit_us);
bool preflight_cancel(struct preflight *p);
void preflight_start(struct preflight *p, int64_t limit_us);
void preflight_schedule(struct preflight *p, int64_t limit_us);
void preflight_unschedule(struct preflight *p);
bool preflight_is_scheduled(const struct preflight *p);
void preflight_invalidate(struct preflight *p);
bool preflight_job_done(struct preflight *p, struct job *job);
void preflight_tick(struct preflight *p);
int64_t preflight_deadline(const struct preflight *p);
const char *preflight_reason(const struct preflight *p);
const struct culprits *preflight_culprits(const struct preflight *p);

#endif
