// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/selfspawn.h"
#include "base/sysops.h"
#include "hooklist.h"
#include "hooks.h"

#define REAP_US		5000LL		/* between checks whether the runner has exited */
#define END_US		(2 * SECOND)	/* for the runner to exit after its last message */

/* The runner */

static int start_runner(struct hooks *h)
{
	const struct hooks_config *c = h->config;
	char name[] = "hv-vss-hooks", option[] = "--hook-runner", verbose[] = "--verbose";
	char keep_going[] = "--hook-failure=continue", timeout[40], where[4200], run_dir[4200];
	char *argv[8] = { name, option, timeout, where, run_dir };
	int pair[2], n = 5, err;

	if (c->keep_going)
		argv[n++] = keep_going;
	if (c->verbose)
		argv[n++] = verbose;
	snprintf(timeout, sizeof(timeout), "--hook-timeout=%d", (int)(c->timeout_us / SECOND));
	snprintf(where, sizeof(where), "--hooks=%s", c->where ? c->where : "none");
	snprintf(run_dir, sizeof(run_dir), "--run-dir=%s", c->run_dir);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* dup2() of a descriptor to itself does not clear close-on-exec. */
	err = pair[1] == SELFSPAWN_FD ? -EINVAL : selfspawn(&h->runner, argv, pair[1]);
	close(pair[1]);
	if (err)
		close(pair[0]);
	h->fd = err ? -1 : pair[0];
	return err;
}

static void send_command(struct hooks *h, enum hook_command_type what)
{
	h->command.what = what;
	/* If the runner is dead, the next read shows it. */
	if (send(h->fd, &h->command, sizeof(h->command), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void close_socket(struct hooks *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

static void wait_for_exit(struct hooks *h)
{
	close_socket(h);
	h->state = HOOKS_ENDING;
	h->deadline = clock_now_us() + END_US;
	hooks_tick(h);
}

static int64_t thaw_deadline(const struct hooks *h)
{
	return clock_now_us() + (h->called + 1) * (h->config->timeout_us + HOOKS_GRACE_US);
}

static void clean_up(struct hooks *h)
{
	int err;

	h->cleaning = true;
	h->killed_runner = h->runner;
	err = start_runner(h);
	if (err) {
		log_msg(LOG_CRIT, "hooks: cannot start the process that calls them with \"thaw\": "
			"%s", strerror(-err));
		h->state = HOOKS_IDLE;
		return;
	}
	send_command(h, HOOK_LEFTOVERS);
	h->state = HOOKS_THAWING;
	/* Until the runner reports the number. */
	h->called = 1;
	h->deadline = thaw_deadline(h);
}

/* The runner was killed, or did not answer in time and is killed here. */
static void runner_died(struct hooks *h)
{
	enum hooks_state state = h->state;

	log_msg(LOG_ERR, "hooks: the process that calls them has died or does not answer");
	kill(h->runner, SIGKILL);
	close_socket(h);
	if (state == HOOKS_QUIESCED)
		return;		/* hooks_end() will call clean_up(), after the thaw */
	if (h->cleaning) {
		wait_for_exit(h);
		return;
	}
	clean_up(h);
	if (state == HOOKS_FREEZING)
		h->report(h->ctx, false);
}

/* The search for hooks: without hooks no runner is started. */

static struct hooks *hooks_of(struct job *job)
{
	return container_of(job, struct hooks, job);
}

static void search(struct job *job)
{
	struct hooks *h = hooks_of(job);
	int found = hooklist_has_any(h->config->where);

	h->found = found == -ENOENT && h->config->optional ? 0 : found;
	h->described = h->found > 0 && h->describe && h->describe(h->describe_ctx);
	job_finish(job);
}

static void finish_without_hooks(struct hooks *h, bool ok)
{
	h->state = HOOKS_IDLE;
	h->report(h->ctx, ok);
}

static void search_done(struct hooks *h)
{
	int err = h->found;

	if (!err) {
		finish_without_hooks(h, true);
		return;
	}
	if (err > 0)
		err = start_runner(h);
	if (err) {
		log_msg(LOG_ERR, "hooks: %s: %s", h->config->where, strerror(-err));
		hooks_plan_remove(h->config->run_dir);
		finish_without_hooks(h, h->config->keep_going);
		return;
	}
	h->cleaning = false;
	h->called = 1;
	h->command.described = h->described;
	h->state = HOOKS_FREEZING;
	h->deadline = clock_now_us() + h->command.budget_us + HOOKS_GRACE_US;
	send_command(h, HOOK_FREEZE);
}

/**
 * hooks_job_done() - process the result of a job
 * @h: the hooks
 * @job: from pool_next_done()
 * Context: main thread.
 * Return: false if the job is not one of the hooks.
 */
bool hooks_job_done(struct hooks *h, struct job *job)
{
	bool counts;

	if (job != &h->job)
		return false;
	counts = atomic_load(&job->phase) == JOB_DONE;
	atomic_store(&job->phase, JOB_IDLE);
	h->searching = false;
	if (counts && h->state == HOOKS_SEARCHING)
		search_done(h);
	else
		hooks_plan_remove(h->config->run_dir);
	return true;
}

/**
 * hooks_init() - initialize
 * @h: with ->config, ->pool, ->report and ->ctx
 */
void hooks_init(struct hooks *h)
{
	h->state = HOOKS_IDLE;
	h->fd = -1;
}

/**
 * hooks_begin() - call all hooks with "freeze"
 * @h: idle
 * @type: of the backup, from the host's request; -1: unknown
 * @budget_us: time for all hooks together
 * @quiesce_us: the longest time until they will be called with "thaw"
 *
 * Calls ->report with the result, either later or before it returns.
 */
void hooks_begin(struct hooks *h, int64_t type, int64_t budget_us, int64_t quiesce_us)
{
	int64_t now;

	if (!h->config->where) {
		h->report(h->ctx, true);
		return;
	}
	now = clock_wall_us();
	h->command = (struct hook_command){
		.budget_us = budget_us,
		.quiesce_us = quiesce_us + HOOKS_GRACE_US,
		.backup = { .time = now / SECOND, .type = type },
	};
	snprintf(h->command.backup.id, sizeof(h->command.backup.id), "%lld.%03ld-%d",
		 (long long)(now / SECOND), (long)(now % SECOND / 1000), getpid());
	if (h->searching || pool_reserve(h->pool, 1)) {
		log_msg(LOG_ERR, "hooks: cannot search for them: %s", h->searching ?
			"an earlier search still hangs in the kernel" : "no thread is free");
		h->report(h->ctx, false);
		return;
	}
	h->state = HOOKS_SEARCHING;
	h->deadline = clock_now_us() + budget_us;
	h->searching = true;
	h->job.run = search;
	pool_submit(h->pool, &h->job);
}

/**
 * hooks_end() - call all hooks with "thaw" that were called with "freeze"
 * @h: in any state
 * @ok: the backup is good
 *
 * Does not call ->report.
 * Context: nothing is frozen, or not any more.
 */
void hooks_end(struct hooks *h, bool ok)
{
	if (h->state == HOOKS_SEARCHING) {
		job_abandon(&h->job);
		h->state = HOOKS_IDLE;
	} else if (h->state == HOOKS_QUIESCED && h->fd < 0) {
		clean_up(h);
	} else if (h->state == HOOKS_QUIESCED || h->state == HOOKS_FREEZING) {
		h->deadline = thaw_deadline(h);
		h->state = HOOKS_THAWING;
		send_command(h, ok ? HOOK_THAW : HOOK_GIVE_UP);
	}
}

/**
 * hooks_clean_up() - call the hooks in the notes of a killed daemon with "thaw"
 * @h: idle
 */
void hooks_clean_up(struct hooks *h)
{
	if (hooknotes_exist(h->config->run_dir))
		clean_up(h);
	else
		hooks_plan_remove(h->config->run_dir);	/* it was killed before the first hook */
}

static void handle_event(struct hooks *h, const struct hook_event *event)
{
	h->called = event->called;
	if (event->what == HOOK_DONE) {
		wait_for_exit(h);
	} else if (event->what == HOOK_FROZEN && h->state == HOOKS_FREEZING) {
		h->state = HOOKS_QUIESCED;
		h->report(h->ctx, true);
	} else if (event->what == HOOK_FAILED && h->state == HOOKS_FREEZING) {
		h->state = HOOKS_THAWING;
		h->deadline = thaw_deadline(h);
		h->report(h->ctx, false);
	} else if (h->state == HOOKS_THAWING) {
		h->deadline = thaw_deadline(h);
	}
}

/**
 * hooks_read() - read a message of the runner
 * @h: the hooks; h->fd is readable
 */
void hooks_read(struct hooks *h)
{
	struct hook_event event;
	ssize_t got;

	got = recv(h->fd, &event, sizeof(event), MSG_DONTWAIT);
	if (got == sizeof(event))
		handle_event(h, &event);
	else if (got >= 0 || errno != EAGAIN)
		runner_died(h);
}

/**
 * hooks_tick() - check whether a deadline has passed
 * @h: the hooks
 * Context: main thread, whenever hooks_deadline() is due, or more often.
 */
void hooks_tick(struct hooks *h)
{
	int64_t now = clock_now_us();

	if (h->state == HOOKS_ENDING) {
		if (h->killed_runner > 0 && waitpid(h->killed_runner, NULL, WNOHANG))
			h->killed_runner = 0;
		if (!waitpid(h->runner, NULL, WNOHANG) && now < h->deadline)
			return;
		h->runner = 0;
		h->state = HOOKS_IDLE;
	} else if (now < hooks_deadline(h)) {
		return;
	} else if (h->state == HOOKS_SEARCHING) {
		log_msg(LOG_ERR, "hooks: reading %s timed out", h->config->where);
		job_abandon(&h->job);
		finish_without_hooks(h, false);
	} else {
		runner_died(h);
	}
}

/**
 * hooks_deadline() - when hooks_tick() must be called next
 * @h: the hooks
 * Return: a time of the monotonic clock in us, or INT64_MAX.
 */
int64_t hooks_deadline(const struct hooks *h)
{
	switch (h->state) {
	case HOOKS_IDLE:
	case HOOKS_QUIESCED:
		return INT64_MAX;
	case HOOKS_ENDING:
		return clock_now_us() + REAP_US;
	default:
		return h->deadline;
	}
}

/**
 * hooks_are_idle() - are no hooks being called or waiting for "thaw"?
 * @h: the hooks
 * Return: true if so: hooks_begin() may be called.
 */
bool hooks_are_idle(const struct hooks *h)
{
	return h->state == HOOKS_IDLE;
}

/**
 * hooks_are_freezing() - are hooks being called with "freeze", or searched for?
 * @h: the hooks
 * Return: true if so: ->report will be called.
 */
bool hooks_are_freezing(const struct hooks *h)
{
	return h->state == HOOKS_SEARCHING || h->state == HOOKS_FREEZING;
}
