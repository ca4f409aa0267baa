// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "backup.h"
#include "guardian.h"
#include "log.h"
#include "requests.h"

#define SECOND		1000000LL	/* in us */

/**
 * backup_status() - tell the service manager what is going on
 * @b: the backup
 * @what: that
 */
void backup_status(const struct backup *b, const char *what)
{
	notify_send(b->notify, "STATUS=%s (%s%s)", what,
		    b->device.driver[0] ? b->device.driver : "no driver",
		    device_guard(&b->device) ? ", guard" : "");
}

static void take_jobs(struct backup *b)
{
	struct job *job;

	while ((job = pool_next_done(b->pool)))
		if (!hooks_job_done(&b->hooks, job) && !preflight_job_done(&b->preflight, job))
			freezer_job_done(&b->freezer, job);
}

/**
 * backup_work() - take in what workers and hooks have done; keep deadlines
 * @b: the backup
 * @jobs: the pool has some
 * @news: the descriptor to the hooks, if it was found readable; -1
 * Context: main thread, whenever backup_deadline() is due, or more often.
 */
void backup_work(struct backup *b, bool jobs, int news)
{
	if (jobs)
		take_jobs(b);
	freezer_tick(&b->freezer);
	preflight_tick(&b->preflight);
	if (news >= 0 && news == b->hooks.fd)
		hooks_read(&b->hooks);
	hooks_tick(&b->hooks);
}

/**
 * backup_deadline() - when backup_work() must be called next
 * @b: the backup
 * Return: a time of the monotonic clock in us, or INT64_MAX.
 */
int64_t backup_deadline(const struct backup *b)
{
	int64_t until = freezer_deadline(&b->freezer);

	if (hooks_deadline(&b->hooks) < until)
		until = hooks_deadline(&b->hooks);
	if (preflight_deadline(&b->preflight) < until)
		until = preflight_deadline(&b->preflight);
	return until;
}

/**
 * backup_serve() - begin to serve a device
 * @b: the backup, its device just opened
 */
void backup_serve(struct backup *b)
{
	requests_set_limits(b);
	if (!b->preflight.running)
		b->no_luns.known = b->device.reg.features & HV_VSS_FEAT_LUNS;
	preflight_look(&b->preflight, b->check_us);
	ledger_device(&b->ledger, &b->device);
}

/**
 * backup_lose() - end what is going on: the device is gone
 * @b: the backup
 */
void backup_lose(struct backup *b)
{
	requests_give_up(b, "the device is gone");
	/* hv_utils waits for this close with the whole VMBus behind it. */
	device_close(&b->device);
	ledger_device(&b->ledger, &b->device);
}

/**
 * backup_idle() - is nothing going on?
 * @b: the backup
 * Return: true if not; then it may be stopped.
 */
bool backup_idle(const struct backup *b)
{
	return b->freezer.state == FREEZER_IDLE && b->hooks.state == HOOKS_IDLE &&
	       !b->preflight.asked;
}

/**
 * backup_stop_us() - how long a stop may take at most
 * @b: the backup: if one is going on it is brought to its end
 * Return: microseconds.
 */
int64_t backup_stop_us(const struct backup *b)
{
	const struct freezer_config *limits = b->freezer.config;

	if (backup_idle(b))
		return 10 * SECOND;
	return limits->freeze_us + limits->hold_us + limits->thaw_us +
		10 * b->hooks.config->timeout_us;
}

static int build(void *ctx, struct fsset *set)
{
	struct backup *b = ctx;
	int err, noted;

	err = fsset_build(&b->plan, set);
	if (err)
		return err;
	noted = leftover_note(b->leftover, set);
	if (noted)
		log_msg(LOG_WARNING, "%s: cannot take notes there: %s", b->leftover->dir,
			strerror(-noted));
	return 0;
}

static int verify(void *ctx, struct fsset *set)
{
	struct backup *b = ctx;

	return fsset_verify(&b->plan, set);
}

/**
 * backup_init() - get ready, without a device
 * @b: with ->options, ->notify, ->leftover, ->lose and ->ctx; never moves
 * Return: 0 or a negative errno.
 */
int backup_init(struct backup *b)
{
	const struct options *o = b->options;

	b->pool = pool_new();
	if (!b->pool)
		return -errno;
	b->device = (struct device){
		.path = o->device, .sysfs = o->plan.sysfs, .ops = &sysops_real,
		.connector = "/proc/net/connector",
	};
	b->limits = o->freezer;
	b->check_us = REQUESTS_CHECK_US;
	b->plan = o->plan;
	b->plan.luns = &b->luns;
	b->look_plan = o->plan;
	b->look_plan.luns = &b->no_luns;
	b->no_luns.check = true;
	b->source = (struct freezer_source){ .build = build, .verify = verify, .ctx = b };
	b->freezer = (struct freezer){
		.config = &b->limits, .source = &b->source, .ops = &sysops_real, .pool = b->pool,
	};
	b->preflight = (struct preflight){
		.plan = &b->look_plan, .hooks = &o->hooks, .ops = &sysops_real, .pool = b->pool,
	};
	preflight_init(&b->preflight);
	b->hooks = (struct hooks){ .config = &o->hooks, .pool = b->pool };
	requests_init(b);
	hooks_init(&b->hooks);
	hooks_clean_up(&b->hooks);
	ledger_start(&b->ledger, o->run_dir);
	return 0;
}

/**
 * backup_end() - end it all
 * @b: idle
 */
void backup_end(struct backup *b)
{
	device_close(&b->device);
	ledger_stop(&b->ledger);
	/* With a call that hangs in the kernel something may yet become frozen. */
	if (!b->freezer.stuck)
		guardian_stop(b->leftover);
	pool_free(b->pool);
}
