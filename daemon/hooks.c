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

#include "hooklist.h"
#include "hooks.h"
#include "log.h"
#include "selfspawn.h"
#include "sysops.h"

#define SECOND		1000000LL	/* in us */
#define REAP_US		5000LL		/* between looks whether the runner has ended */
#define END_US		(2 * SECOND)	/* for the runner to end when all is done */

static int64_t now_us(void)
{
	return sysops_real.now_us();
}

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
	/* dup2() of a descriptor to itself would leave it close-on-exec. */
	err = pair[1] == SELFSPAWN_FD ? -EINVAL : selfspawn(&h->runner, argv, pair[1]);
	close(pair[1]);
	if (err)
		close(pair[0]);
	h->fd = err ? -1 : pair[0];
	return err;
}

static void give_order(struct hooks *h, enum hook_order_what what)
{
	h->order.what = what;
	/* If it is dead, reading from it will show. */
	if (send(h->fd, &h->order, sizeof(h->order), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void hang_up(struct hooks *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

static void await_end(struct hooks *h)
{
	hang_up(h);
	h->state = HOOKS_ENDING;
	h->deadline = now_us() + END_US;
	hooks_tick(h);
}

static int64_t thaw_deadline(const struct hooks *h)
{
	return now_us() + (h->called + 1) * (h->config->timeout_us + HOOKS_GRACE_US);
}

static void clean_up(struct hooks *h)
{
	int err;

	h->cleaning = true;
	h->lost = h->runner;
	err = start_runner(h);
	if (err) {
		log_msg(LOG_CRIT, "hooks: cannot be called with \"thaw\": %s", strerror(-err));
		h->state = HOOKS_IDLE;
		return;
	}
	give_order(h, HOOK_LEFTOVERS);
	h->state = HOOKS_THAWING;
	/* Until it says how many there are. */
	h->called = 1;
	h->deadline = thaw_deadline(h);
}

/* Killed by somebody, or by us because it didn't answer. */
static void lost_runner(struct hooks *h)
{
	enum hooks_state state = h->state;

	log_msg(LOG_ERR, "hooks: the process that calls them is gone");
	kill(h->runner, SIGKILL);
	hang_up(h);
	if (state == HOOKS_HELD)
		return;		/* what is frozen comes first */
	if (h->cleaning) {
		await_end(h);
		return;
	}
	clean_up(h);
	if (state == HOOKS_FREEZING)
		h->report(h->ctx, false);
}

/* Looking whether there is anything to run: a backup without hooks is to cost no process. */

static struct hooks *hooks_of(struct job *job)
{
	return (struct hooks *)((char *)job - offsetof(struct hooks, job));
}

static void run_look(struct job *job)
{
	struct hooks *h = hooks_of(job);
	int found = hooklist_any(h->config->where);

	h->found = found == -ENOENT && h->config->optional ? 0 : found;
	job_finish(job);
}

static void no_hooks(struct hooks *h, bool ok)
{
	h->state = HOOKS_IDLE;
	h->report(h->ctx, ok);
}

static void looked(struct hooks *h)
{
	int err = h->found;

	if (!err) {
		no_hooks(h, true);
		return;
	}
	if (err > 0)
		err = start_runner(h);
	if (err) {
		log_msg(LOG_ERR, "hooks: %s: %s", h->config->where, strerror(-err));
		no_hooks(h, h->config->keep_going);
		return;
	}
	h->cleaning = false;
	h->called = 1;
	h->state = HOOKS_FREEZING;
	h->deadline = now_us() + h->order.budget_us + HOOKS_GRACE_US;
	give_order(h, HOOK_FREEZE);
}

/**
 * hooks_job_done() - take a job's result
 * @h: the hooks
 * @job: from pool_next_done()
 * Context: main thread.
 * Return: false if the job is somebody else's.
 */
bool hooks_job_done(struct hooks *h, struct job *job)
{
	bool counts;

	if (job != &h->job)
		return false;
	counts = atomic_load(&job->phase) == JOB_DONE;
	atomic_store(&job->phase, JOB_IDLE);
	h->looking = false;
	if (counts && h->state == HOOKS_LOOKING)
		looked(h);
	return true;
}

/**
 * hooks_init() - make hooks idle
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
 * @type: of the backup, from the host's request; -1 if not known
 * @budget_us: time for all of them
 * @quiesce_us: the longest time until they will be called with "thaw"
 *
 * A report will follow, or comes before the return.
 */
void hooks_begin(struct hooks *h, int64_t type, int64_t budget_us, int64_t quiesce_us)
{
	struct timespec now;

	if (!h->config->where) {
		h->report(h->ctx, true);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	h->order = (struct hook_order){
		.budget_us = budget_us,
		.quiesce_us = quiesce_us + HOOKS_GRACE_US,
		.backup = { .time = now.tv_sec, .type = type },
	};
	snprintf(h->order.backup.id, sizeof(h->order.backup.id), "%lld.%03ld-%d",
		 (long long)now.tv_sec, now.tv_nsec / 1000000, getpid());
	if (h->looking || pool_reserve(h->pool, 1)) {
		log_msg(LOG_ERR, "hooks: looking for them %s", h->looking ?
			"still hangs in the kernel" : "takes a thread more than there is");
		h->report(h->ctx, false);
		return;
	}
	h->state = HOOKS_LOOKING;
	h->deadline = now_us() + budget_us;
	h->looking = true;
	h->job.run = run_look;
	pool_submit(h->pool, &h->job);
}

/**
 * hooks_end() - call with "thaw" what was called with "freeze"
 * @h: in any state
 * @ok: the backup has ended well
 *
 * Context: nothing is frozen (any more). Does nothing if there is nothing to do. No report follows.
 */
void hooks_end(struct hooks *h, bool ok)
{
	if (h->state == HOOKS_LOOKING) {
		job_abandon(&h->job);
		h->state = HOOKS_IDLE;
	} else if (h->state == HOOKS_HELD && h->fd < 0) {
		clean_up(h);
	} else if (h->state == HOOKS_HELD || h->state == HOOKS_FREEZING) {
		h->deadline = thaw_deadline(h);
		h->state = HOOKS_THAWING;
		give_order(h, ok ? HOOK_THAW : HOOK_GIVE_UP);
	}
}

/**
 * hooks_clean_up() - call with "thaw" what a killed daemon has left
 * @h: idle
 */
void hooks_clean_up(struct hooks *h)
{
	if (hooknotes_exist(h->config->run_dir))
		clean_up(h);
}

static void take_news(struct hooks *h, const struct hook_news *news)
{
	h->called = news->called;
	if (news->what == HOOK_DONE) {
		await_end(h);
	} else if (news->what == HOOK_FROZEN && h->state == HOOKS_FREEZING) {
		h->state = HOOKS_HELD;
		h->report(h->ctx, true);
	} else if (news->what == HOOK_FAILED && h->state == HOOKS_FREEZING) {
		h->state = HOOKS_THAWING;
		h->deadline = thaw_deadline(h);
		h->report(h->ctx, false);
	} else if (h->state == HOOKS_THAWING) {
		h->deadline = thaw_deadline(h);
	}
}

/**
 * hooks_read() - read what the runner says
 * @h: the hooks; h->fd is readable
 */
void hooks_read(struct hooks *h)
{
	struct hook_news news;
	ssize_t got;

	got = recv(h->fd, &news, sizeof(news), MSG_DONTWAIT);
	if (got == sizeof(news))
		take_news(h, &news);
	else if (got >= 0 || errno != EAGAIN)
		lost_runner(h);
}

/**
 * hooks_tick() - see whether a deadline has passed
 * @h: the hooks
 * Context: main thread, whenever hooks_deadline() is due, or more often.
 */
void hooks_tick(struct hooks *h)
{
	int64_t now = now_us();

	if (h->state == HOOKS_ENDING) {
		if (h->lost > 0 && waitpid(h->lost, NULL, WNOHANG))
			h->lost = 0;
		if (!waitpid(h->runner, NULL, WNOHANG) && now < h->deadline)
			return;
		h->runner = 0;
		h->state = HOOKS_IDLE;
	} else if (now < hooks_deadline(h)) {
		return;
	} else if (h->state == HOOKS_LOOKING) {
		log_msg(LOG_ERR, "hooks: %s does not answer", h->config->where);
		job_abandon(&h->job);
		no_hooks(h, false);
	} else {
		lost_runner(h);
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
	case HOOKS_HELD:
		return INT64_MAX;
	case HOOKS_ENDING:
		return now_us() + REAP_US;
	default:
		return h->deadline;
	}
}
