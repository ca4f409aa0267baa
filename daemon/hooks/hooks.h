/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Application consistency: hooks are programs of the administrator. They are called with "freeze"
 * before file systems are synced and frozen, and with "thaw" after these are thawed.
 *
 * A separate process, the runner, calls them. So the daemon never waits for a hook; and if the
 * daemon dies, the runner still calls the hooks with "thaw". hooks.c is the daemon's part,
 * hookrun.c the runner's.
 */
#ifndef HV_VSS_HOOKS_H
#define HV_VSS_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/pool.h"
#include "hooknotes.h"

#define HOOKS_DIR	"/etc/hv-vss/hooks.d"
#define HOOKS_PLAN	"plan.json"	/* in the directory of the daemon's files */

struct hooks_config {
	const char *where;	/* directory or program; NULL: no hooks */
	bool optional;		/* @where is the default, and need not exist */
	bool keep_going;	/* a hook that fails does not make the backup fail */
	bool verbose;
	int64_t timeout_us;	/* for each call of a hook */
	const char *run_dir;
};

/* Messages of the daemon to the runner. */
enum hook_command_type {
	HOOK_FREEZE = 1,
	HOOK_THAW,		/* the backup is good: call "thaw" */
	HOOK_GIVE_UP,		/* the backup has failed: call "thaw" */
	HOOK_LEFTOVERS,		/* call "thaw" for the hooks in the notes of a killed daemon */
};

struct hook_command {
	uint32_t what;
	uint32_t described;	/* there is a file with the plan of this backup, for the hooks */
	int64_t budget_us;	/* FREEZE: for all hooks together */
	int64_t quiesce_us;	/* FREEZE: the longest time until "thaw" */
	struct hook_backup backup;
};

/* Messages of the runner to the daemon. */
enum hook_event_type {
	HOOK_FROZEN = 1,
	HOOK_FAILED,		/* the runner now calls "thaw" */
	HOOK_DONE,
};

struct hook_event {
	uint32_t what;
	uint32_t called;	/* number of hooks to call with "thaw" */
};

enum hooks_state {
	HOOKS_IDLE,
	HOOKS_SEARCHING,	/* a worker checks whether there are hooks */
	HOOKS_FREEZING,
	HOOKS_QUIESCED,		/* all were called with "freeze" */
	HOOKS_THAWING,
	HOOKS_ENDING,		/* waiting for the runner to exit */
};

struct hooks {
	const struct hooks_config *config;
	struct pool *pool;
	void (*report)(void *ctx, bool ok);	/* result of hooks_begin(); may be called in it */
	void *ctx;
	bool (*describe)(void *ctx);	/* writes the plan's file, in a worker; may be NULL */
	void *describe_ctx;

	enum hooks_state state;
	struct job job;
	bool searching;		/* the job has not returned */
	int found;		/* result of the job */
	bool described;		/* the same: the plan's file was written */
	struct hook_command command;
	pid_t runner;
	pid_t killed_runner;	/* an earlier one that has not been reaped */
	uint32_t called;	/* number of hooks that it has to call with "thaw" */
	int fd;			/* socket to the runner; -1: closed */
	bool cleaning;		/* the runner processes the notes of a killed one */
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
bool hooks_are_idle(const struct hooks *h);
bool hooks_are_freezing(const struct hooks *h);

/* hookrun.c */
#define HOOKS_GRACE_US	4000000LL	/* longer than killing a hook takes */

int hookrun(const struct hooks_config *config, int fd);
int hookrun_leftovers(const struct hooks_config *config);
int hooks_plan_path(char *path, size_t size, const char *run_dir);
void hooks_plan_remove(const char *run_dir);

#endif
