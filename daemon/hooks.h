/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Application consistency: programs of the administrator that are called with "freeze" before
 * file systems are written out and frozen, and with "thaw" when they are thawed again.
 *
 * A process of its own, the runner, calls them: the daemon can't be kept waiting by them, and if
 * it dies the runner calls them with "thaw" all the same. hooks.c is the daemon's end, hookrun.c
 * is the runner.
 */
#ifndef HV_VSS_HOOKS_H
#define HV_VSS_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hooknotes.h"
#include "pool.h"

#define HOOKS_DIR	"/etc/hv-vss/hooks.d"

struct hooks_config {
	const char *where;	/* directory or program; NULL: there are no hooks */
	bool optional;		/* it need not exist: nobody has asked for it */
	bool keep_going;	/* a hook that fails doesn't make the backup fail */
	bool verbose;
	int64_t timeout_us;	/* for each call of a hook */
	const char *run_dir;
};

/* What the daemon tells the runner. */
enum hook_order_what {
	HOOK_FREEZE = 1,
	HOOK_THAW,		/* the backup has ended well */
	HOOK_GIVE_UP,		/* there is no good backup: thaw */
	HOOK_LEFTOVERS,		/* thaw what the notes say */
};

struct hook_order {
	uint32_t what;
	uint32_t reserved;
	int64_t budget_us;	/* FREEZE: for all hooks together */
	int64_t quiesce_us;	/* FREEZE: the longest time until THAW */
	struct hook_backup backup;
};

/* What the runner tells the daemon. */
enum hook_news_what {
	HOOK_FROZEN = 1,
	HOOK_FAILED,		/* and it goes on to thaw */
	HOOK_DONE,
};

struct hook_news {
	uint32_t what;
	uint32_t called;	/* how many are to be thawed */
};

enum hooks_state {
	HOOKS_IDLE,
	HOOKS_LOOKING,		/* for hooks */
	HOOKS_FREEZING,
	HOOKS_HELD,
	HOOKS_THAWING,
	HOOKS_ENDING,		/* the runner is */
};

struct hooks {
	const struct hooks_config *config;
	struct pool *pool;
	void (*report)(void *ctx, bool ok);	/* how the freeze has ended; may be called early */
	void *ctx;

	enum hooks_state state;
	struct job job;
	bool looking;		/* the job has not been taken back */
	int found;		/* its result */
	struct hook_order order;
	pid_t runner;
	pid_t lost;		/* an earlier one, killed */
	uint32_t called;	/* how many hooks it has to call with "thaw" */
	int fd;			/* to the runner; -1: there is none */
	bool cleaning;		/* the runner is there for the leftovers */
	int64_t deadline;
};

void hooks_init(struct hooks *h);
void hooks_begin(struct hooks *h, int64_t type, int64_t budget_us, int64_t quiesce_us);
void hooks_end(struct hooks *h, bool ok);
void hooks_clean_up(struct hooks *h);
bool hooks_job_done(struct hooks *h, struct job *job);
void hooks_read(struct hooks *h);
void hooks_tick(struct hooks *h);
int64_t hooks_deadline(const struct hooks *h);

/* hookrun.c */
#define HOOKS_GRACE_US	4000000LL	/* more than a hook takes to be killed */

int hookrun(const struct hooks_config *config, int fd);
int hookrun_leftovers(const struct hooks_config *config);

#endif
