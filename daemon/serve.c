// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memlock.h"
#include "freeze/standstill.h"
#include "holdlimit.h"
#include "kvp/kvp.h"
#include "report/kernelwarn.h"
#include "report/planfile.h"
#include "requests.h"
#include "serve.h"
#include "targets/recheck.h"
#include "unguarded/guardian.h"

#define RETRY_US	(SECOND / 4)	/* between attempts to open the device */
#define RETRIES		120		/* attempts; after them the daemon wakes up less often: */
#define SLOW_RETRY_US	(2 * SECOND)

struct server {
	const struct options *options;
	const struct notify *notify;
	struct leftover *leftover;
	int signals;

	/* The parts of a backup. */
	struct device device;
	struct freezer freezer;
	struct freezer_source source;
	struct freezer_config limits;
	struct busy_config busy_config;
	struct build_config plan;
	struct luns luns;
	struct preflight preflight;
	struct kernel kernel;		/* the running one; ->guard: of the driver that serves */
	struct build_config preflight_plan;	/* a copy: it may run while a freeze begins */
	struct luns preflight_luns;
	struct build_config hooks_plan;		/* a copy, for the file that hooks can read */
	struct luns hooks_luns;
	struct hooks hooks;
	struct recorder recorder;
	struct kvp kvp;
	struct pool *pool;
	struct requests requests;

	struct memlock memlock;
	bool needs_trim;		/* memory was used since memlock_trim() */
	bool finished;
	int64_t retry;			/* when to open the device; 0: it is open */
	unsigned int retries;
	int64_t watchdog_fed;		/* when the service manager's watchdog was notified */
	int open_error;			/* the last one that was logged */
};

/* No backup and no requested preflight is running: the daemon may stop. */
static bool is_idle(const struct server *s)
{
	return freezer_is_idle(&s->freezer) && hooks_are_idle(&s->hooks) && !s->preflight.requested;
}

/* Callbacks of the freezer's workers */

static int build(void *ctx, struct fsset *set)
{
	struct server *s = ctx;
	int err, failed;

	err = build_fsset(&s->plan, set);
	if (err)
		return err;
	failed = leftover_write_notes(s->leftover, set);
	if (failed)
		log_msg(LOG_WARNING, "%s: cannot write notes of what is frozen: %s",
			s->leftover->dir,
			failed == -EXDEV ? "not in memory" : strerror(-failed));
	if (set->until)
		failed = guardian_watch(s->leftover, set);
	if (set->until && failed)
		log_msg(LOG_WARNING, "the guardian is not ready: %s", strerror(-failed));
	memlock_begin(&s->memlock, MEMLOCK_RESERVE_TABLES);
	return 0;
}

static int verify(void *ctx, struct fsset *set)
{
	struct server *s = ctx;

	return recheck_frozen(&s->plan, set);
}

static int appeared(void *ctx, struct fsset *set)
{
	struct server *s = ctx;

	return recheck_thaw(&s->plan, set);
}

static void judge(void *ctx, struct fsset *set)
{
	struct server *s = ctx;

	evidence_judge(&set->evidence, "/proc", s->plan.sysfs, &set->verdict);
}

/* Callbacks of the requests */

static void set_status(void *ctx, const char *what)
{
	const struct server *s = ctx;

	notify_send(s->notify, "STATUS=%s (%s%s)", what,
		    s->device.driver[0] ? s->device.driver : "no driver",
		    device_guard(&s->device) ? ", guard" : "");
}

/* Without the kernel's guard a second process thaws if this one dies. */
static void prepare_guard(void *ctx)
{
	struct server *s = ctx;
	int err = device_guard(&s->device) ? 0 : guardian_start(s->leftover, &s->plan);

	if (err)
		log_msg(LOG_WARNING, "no guardian: %s; if this daemon is killed while file systems "
			"are frozen, they stay so until it is started again", strerror(-err));
}

/* A search for hooks that hangs may still read the old list: then no hook is called. */
static void prepare_hooks(void *ctx, const struct hv_vss_request *request)
{
	struct server *s = ctx;
	struct luns *luns = &s->hooks_luns;

	if (s->hooks.searching)
		return;
	luns->known = device_names_luns(&s->device);
	luns->n = request->lun_count;
	memcpy(luns->lun, request->luns, luns->n * sizeof(luns->lun[0]));
}

/* Called by the worker that has found hooks. */
static bool describe_plan(void *ctx)
{
	struct server *s = ctx;
	int err = planfile_write(&s->hooks_plan, &s->options->hooks);

	if (err)
		log_msg(LOG_WARNING, "hooks: HV_VSS_PLAN is not set: %s/" HOOKS_PLAN
			" cannot be written: %s", s->options->run_dir, strerror(-err));
	return !err;
}

static void device_lost(void *ctx, int err)
{
	struct server *s = ctx;

	log_msg(LOG_NOTICE, "%s is gone: %s", s->options->device, strerror(-err));
	requests_give_up(&s->requests, "the device is gone");
	/* hv_utils waits for this close(), and blocks all of VMBus meanwhile. */
	device_close(&s->device);
	recorder_set_device(&s->recorder, &s->device);
	s->retries = 0;
	s->retry = clock_now_us() + RETRY_US;
	set_status(s, "waiting for the device");
}

static void record(void *ctx, const struct freezer *f)
{
	struct server *s = ctx;

	recorder_fill(&s->recorder, f);
	/* A FIFREEZE that hangs may still succeed: then the guardian keeps watching. */
	if (!f->set || !f->set->in_flight)
		guardian_release(s->leftover);
}

/* The device */

/* Some kernel faults depend on the guard. A running preflight reads ->kernel: don't change it. */
static void update_kernel_guard(struct server *s)
{
	bool guard = device_guard(&s->device);

	if (s->preflight.running || s->kernel.guard == guard)
		return;
	s->kernel.guard = guard;
	s->preflight.warned = false;
}

static void start_serving(struct server *s)
{
	const struct freezer_config *configured = &s->options->freezer;

	limits_apply(&s->limits, configured, &s->device);
	if (!s->preflight.running)
		s->preflight_luns.known = device_names_luns(&s->device);
	limits_log(configured, &s->device);
	update_kernel_guard(s);
	preflight_start(&s->preflight, limits_preflight_us(&s->device));
	recorder_set_device(&s->recorder, &s->device);
	recorder_set_limits(&s->recorder, configured->hold_us, s->limits.hold_us);
	log_msg(LOG_INFO, "serving %s (driver %s%s)", s->device.path,
		s->device.driver[0] ? s->device.driver : "unknown",
		device_guard(&s->device) ? ", with its guard" : ", without a guard");
	set_status(s, "serving");
}

static void open_device(struct server *s)
{
	const char *path = s->device.path;
	int err;

	err = device_open(&s->device);
	s->retry = 0;
	if (err)
		s->retry = clock_now_us() + (s->retries++ < RETRIES ? RETRY_US : SLOW_RETRY_US);
	if (!err) {
		start_serving(s);
		s->open_error = 0;
		return;
	}
	if (err == s->open_error)
		return;
	s->open_error = err;
	if (err == -EBUSY)
		log_msg(LOG_WARNING, "%s: another daemon has it open; waiting", path);
	else if (err == -ENOENT || err == -ENODEV || err == -ENXIO ||
		 err == -EBADF)		/* from hv_utils, while it removes the device */
		log_msg(LOG_INFO, "%s does not exist: the host does not offer backups (now)%s",
			path, s->options->exit_if_absent ? "" : "; waiting");
	else
		log_msg(LOG_ERR, "%s: %s", path, strerror(-err));
	if (s->options->exit_if_absent)
		s->finished = true;
}

/* The loop */

/* How long a stop may take at most: a running backup is completed first. */
static int64_t stop_us(const struct server *s)
{
	const struct freezer_config *limits = &s->limits;

	if (is_idle(s))
		return 10 * SECOND;
	return limits->freeze_us + limits->fifreeze_us + limits->hold_us + limits->thaw_us +
	       10 * s->options->hooks.timeout_us;
}

static void read_signal(struct server *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (s->requests.stop)
		return;
	s->requests.stop = true;
	notify_send(s->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)stop_us(s));
	log_msg(LOG_INFO, "got %s: %s", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM",
		is_idle(s) ? "stopping" : "stopping after the running backup");
}

static void process_jobs(struct server *s)
{
	struct job *job;

	while ((job = pool_next_done(s->pool)))
		if (!hooks_job_done(&s->hooks, job) && !preflight_job_done(&s->preflight, job))
			freezer_job_done(&s->freezer, job);
}

/* Processes the results of workers and hooks, and deadlines. @hooks_fd: readable; or -1. */
static void process_events(struct server *s, bool jobs, int hooks_fd)
{
	if (jobs)
		process_jobs(s);
	freezer_tick(&s->freezer);
	preflight_tick(&s->preflight);
	if (hooks_fd >= 0 && hooks_fd == s->hooks.fd)
		hooks_read(&s->hooks);
	hooks_tick(&s->hooks);
	s->needs_trim |= jobs;
}

/* Frees memory, unless a backup or preflight runs, or a FIFREEZE hangs and may still succeed. */
static void trim_memory(struct server *s)
{
	if (!s->needs_trim || !is_idle(s) || freezer_hangs(&s->freezer) || s->requests.queued ||
	    s->preflight.running || preflight_is_scheduled(&s->preflight))
		return;
	guardian_release(s->leftover);
	/* Before pool_trim(): stacks of threads that end while locked stay in memory. */
	memlock_end(&s->memlock);
	s->needs_trim = !pool_trim(s->pool);
	memlock_trim();
}

/* The result of the last backup, and what changes otherwise; never while a freeze may be near. */
static void tell_host(struct server *s)
{
	if (!freezer_is_idle(&s->freezer) || s->requests.busy || s->requests.queued)
		kvp_cancel(&s->kvp);
	else if (!preflight_is_scheduled(&s->preflight))
		kvp_publish(&s->kvp, &s->recorder.history, s->recorder.changes);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Opening the device may take seconds, so not while file systems of an ended freeze are thawed. */
static bool may_open(const struct server *s)
{
	return s->retry && freezer_is_idle(&s->freezer);
}

static int wait_ms(const struct server *s, int64_t now)
{
	int64_t until = freezer_deadline(&s->freezer);

	until = earlier(until, hooks_deadline(&s->hooks));
	until = earlier(until, preflight_deadline(&s->preflight));
	until = earlier(until, kvp_deadline(&s->kvp));
	if (may_open(s))
		until = earlier(until, s->retry);
	if (s->notify->watchdog_us)
		until = earlier(until, s->watchdog_fed + s->notify->watchdog_us / 3);
	if (until == INT64_MAX)
		return -1;
	if (until <= now)
		return 0;
	return until - now > 3600 * SECOND ? 3600000L : (until - now + 999) / 1000;
}

static void step(struct server *s)
{
	struct pollfd p[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = pool_fd(s->pool), .events = POLLIN },
		{ .fd = device_fd(&s->device), .events = POLLIN },
		{ .fd = s->hooks.fd, .events = POLLIN },
		{ .fd = s->kvp.fd, .events = POLLIN },
	};
	int64_t now = clock_now_us();
	int err = 0;

	if (s->notify->watchdog_us && now - s->watchdog_fed >= s->notify->watchdog_us / 3) {
		notify_send(s->notify, "WATCHDOG=1");
		s->watchdog_fed = now;
	}
	if (poll(p, 5, wait_ms(s, now)) < 0)
		return;
	if (p[0].revents)
		read_signal(s);
	process_events(s, p[1].revents, p[3].revents ? p[3].fd : -1);
	if (p[4].revents)
		kvp_read(&s->kvp);
	kvp_tick(&s->kvp);
	if (p[2].fd >= 0 && p[2].fd == device_fd(&s->device)) {
		if (p[2].revents & POLLIN)
			err = requests_read(&s->requests);
		else if (p[2].revents)
			err = -ENODEV;
	}
	if (err)
		device_lost(s, err);
	if (may_open(s) && clock_now_us() >= s->retry)
		open_device(s);
	requests_continue(&s->requests);
	tell_host(s);
	trim_memory(s);
}

/* Setup */

static void connect_freezer(struct server *s)
{
	const struct options *o = s->options;

	s->limits = o->freezer;
	s->plan = o->plan;
	s->plan.luns = &s->luns;
	s->luns.verbose = o->verbose;
	s->busy_config = (struct busy_config){
		.proc = "/proc", .sysfs = o->plan.sysfs, .wait = o->freezer.wait_busy,
	};
	s->source = (struct freezer_source){
		.build = build, .verify = verify, .appeared = appeared, .judge = judge,
		.ctx = s, .busy = &s->busy_config,
	};
	s->freezer = (struct freezer){
		.config = &s->limits, .source = &s->source, .ops = &sysops_real, .pool = s->pool,
		.record = record, .record_ctx = s,
		.report = requests_freezer_event, .ctx = &s->requests,
	};
}

static void connect_preflight(struct server *s)
{
	s->preflight_plan = s->options->plan;
	s->preflight_plan.luns = &s->preflight_luns;
	s->preflight_plan.probe = true;
	s->preflight_luns.preflight = true;
	s->preflight = (struct preflight){
		.plan = &s->preflight_plan, .busy = &s->busy_config, .hooks = &s->options->hooks,
		.ops = &sysops_real, .pool = s->pool,
		.report = requests_preflight_event, .ctx = &s->requests,
	};
	preflight_init(&s->preflight);
}

static void check_kernel(struct server *s)
{
	if (!kernelwarn_read_kernel(&s->kernel, "/proc") && !s->options->ignore_kernel_faults)
		s->preflight.kernel = &s->kernel;
}

static void connect_requests(struct server *s)
{
	static const struct requests_callbacks callbacks = {
		.device_lost = device_lost, .set_status = set_status,
		.prepare_guard = prepare_guard, .prepare_hooks = prepare_hooks,
	};

	s->requests = (struct requests){
		.device = &s->device, .freezer = &s->freezer, .preflight = &s->preflight,
		.hooks = &s->hooks, .recorder = &s->recorder, .luns = &s->luns,
		.configured = &s->options->freezer, .limits = &s->limits,
		.callbacks = &callbacks, .ctx = s,
	};
}

static void connect_hooks(struct server *s)
{
	const struct options *o = s->options;

	s->hooks_plan = o->plan;
	s->hooks_plan.luns = &s->hooks_luns;
	s->hooks = (struct hooks){
		.config = &o->hooks, .pool = s->pool, .report = requests_hooks_event,
		.ctx = &s->requests, .describe = describe_plan, .describe_ctx = s,
	};
	hooks_init(&s->hooks);
}

static int begin(struct server *s)
{
	const struct options *o = s->options;

	s->pool = pool_new();
	if (!s->pool)
		return -errno;
	s->device = (struct device){
		.path = o->device, .sysfs = o->plan.sysfs, .ops = &sysops_real,
		.connector = "/proc/net/connector", .wanted = limits_wanted(&o->freezer),
	};
	connect_freezer(s);
	connect_preflight(s);
	check_kernel(s);
	connect_requests(s);
	standstill_check("/proc", &o->freezer);
	connect_hooks(s);
	hooks_clean_up(&s->hooks);
	recorder_start(&s->recorder, o->run_dir);
	kvp_init(&s->kvp, o->no_kvp);
	/* Logs now, and not only during a freeze, if memory can't be locked. */
	memlock_begin(&s->memlock, MEMLOCK_RESERVE_TABLES);
	s->needs_trim = true;
	return 0;
}

static void end(struct server *s)
{
	device_close(&s->device);
	kvp_stop(&s->kvp, &s->recorder.history);
	recorder_stop(&s->recorder);
	/* A FIFREEZE that hangs may still succeed: then the guardian has to thaw. */
	if (!freezer_hangs(&s->freezer))
		guardian_stop(s->leftover);
	pool_free(s->pool);
}

/**
 * serve() - serve the host until a signal arrives
 * @o: options
 * @notify: the service manager
 * @leftover: notes, locked; file systems that a killed daemon left frozen are thawed
 * @signals: a signalfd for SIGTERM and SIGINT
 *
 * After a signal a running backup is completed first.
 * Return: 0 or a negative errno.
 */
int serve(const struct options *o, struct notify *notify, struct leftover *leftover, int signals)
{
	static struct server s;		/* too large for the stack */
	int err;

	s = (struct server){
		.options = o, .notify = notify, .leftover = leftover, .signals = signals,
		.retry = 1,
	};
	err = begin(&s);
	if (err)
		return err;
	notify_send(notify, "READY=1");
	while (!(s.finished || (s.requests.stop && !s.requests.queued)) || !is_idle(&s))
		step(&s);
	end(&s);
	return 0;
}
