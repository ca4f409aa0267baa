// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "device.h"
#include "guardian.h"
#include "hooks.h"
#include "ledger.h"
#include "log.h"
#include "luns.h"
#include "preflight.h"
#include "serve.h"
#include "words.h"

#define SECOND		1000000LL	/* in us */
#define CHECK_US	(20 * SECOND)	/* the kernel waits 30 s for the answer to HOT_BACKUP */
#define RETRY_US	(SECOND / 4)	/* between attempts to open the device ... */
#define RETRIES		120		/* ... so many times; then the guest may sleep longer */
#define SELDOM_US	(2 * SECOND)

static const char still_hangs[] = "a call of an earlier freeze still hangs in the kernel";

struct server {
	const struct options *options;
	const struct notify *notify;
	struct leftover *leftover;
	struct device device;
	struct freezer freezer;
	struct freezer_source source;
	struct freezer_config limits;
	struct fsset_config plan;
	struct luns luns;		/* what workers may see of @request */
	struct preflight preflight;
	struct fsset_config look_plan;	/* its own: it may look while a freeze begins */
	struct luns no_luns;
	int64_t check_us;
	struct ledger ledger;
	struct pool *pool;
	struct hooks hooks;
	int64_t hooks_begun;
	int signals;
	struct hv_vss_request request;	/* the one being worked on, if @busy */
	struct hv_vss_request next;	/* read, and waiting for the freezer, if @queued */
	bool busy;
	bool queued;
	bool stop;
	bool finished;
	int64_t retry;			/* when to open the device; 0: it is open */
	unsigned int retries;
	int64_t fed;			/* the watchdog */
	int open_error;			/* logged already */
};

static void status(const struct server *s, const char *what)
{
	notify_send(s->notify, "STATUS=%s (%s%s)", what,
		    s->device.driver[0] ? s->device.driver : "no driver",
		    device_guard(&s->device) ? ", guard" : "");
}

static void give_up(struct server *s, const char *why)
{
	if (preflight_drop(&s->preflight)) {
		ledger_why(&s->ledger, why);
		ledger_answer(&s->ledger, HV_VSS_OP_HOT_BACKUP, ANSWER_LATE);
		ledger_end(&s->ledger);
	}
	freezer_abort(&s->freezer, why);
	if (s->freezer.state != FREEZER_IDLE)
		return;
	if (s->hooks.state == HOOKS_LOOKING || s->hooks.state == HOOKS_FREEZING)
		log_msg(LOG_WARNING, "stopping: %s", why);
	hooks_end(&s->hooks, false);
	ledger_why(&s->ledger, why);
	ledger_end(&s->ledger);
}

static void lose_device(struct server *s, int err)
{
	log_msg(LOG_NOTICE, "%s is gone: %s", s->device.path, strerror(-err));
	s->busy = false;
	s->queued = false;
	give_up(s, "the device is gone");
	/* hv_utils waits for this close with the whole VMBus behind it. */
	device_close(&s->device);
	ledger_device(&s->ledger, &s->device);
	s->retries = 0;
	s->retry = s->freezer.ops->now_us() + RETRY_US;
	status(s, "waiting for the device");
}

/* False: nobody waits for the answer. */
static bool answer(struct server *s, bool ok)
{
	const struct hv_vss_frame *frame = &s->request.frame;
	int err;

	if (!s->busy) {
		ledger_answer(&s->ledger, frame->op, ANSWER_LATE);
		return false;
	}
	s->busy = false;
	err = device_reply(&s->device, frame->cookie, ok ? HV_VSS_S_OK : HV_VSS_E_FAIL);
	ledger_answer(&s->ledger, frame->op, err ? ANSWER_LATE : ok ? ANSWER_OK : ANSWER_FAILED);
	if (!err) {
		log_msg(ok ? LOG_DEBUG : LOG_WARNING, "%s: answered with %s",
			words_op(frame->op), ok ? "success" : "failure");
		return true;
	}
	log_msg(LOG_WARNING, "%s: nobody takes %s for it: %s", words_op(frame->op),
		ok ? "success" : "failure", strerror(-err));
	/* ESTALE: given up. EIO: the guard has found that not all of it is frozen. */
	if (err != -ESTALE && err != -EIO)
		lose_device(s, err);
	return false;
}

static void record(void *ctx, const struct freezer *f)
{
	struct server *s = ctx;

	ledger_fill(&s->ledger, f);
}

static void report(void *ctx, enum freezer_event event)
{
	struct server *s = ctx;

	switch (event) {
	case FREEZER_FREEZE_OK:
		if (answer(s, true))
			status(s, "frozen");
		else
			freezer_abort(&s->freezer, "nobody waits for it");
		return;
	case FREEZER_THAW_OK:
		answer(s, true);
		break;
	case FREEZER_FAILED:
		preflight_forget(&s->preflight);
		answer(s, false);
		break;
	case FREEZER_THAW_FAILED:
		answer(s, false);
		break;
	case FREEZER_BROKEN:
		log_msg(LOG_ERR, "the freeze was broken: a backup made of it is not good");
		break;
	}
	ledger_end(&s->ledger);
	hooks_end(&s->hooks, event == FREEZER_THAW_OK);
	status(s, s->stop ? "stopping" : "serving");
}

/* Without the kernel's guard a process has to do. */
static void want_guardian(struct server *s)
{
	int err = device_guard(&s->device) ? 0 : guardian_start(s->leftover, &s->plan);

	if (err)
		log_msg(LOG_WARNING, "no guardian: %s; if this daemon is killed while file systems "
			"are frozen, they stay so until it is started again", strerror(-err));
}

static void set_luns(struct server *s)
{
	struct luns *luns = &s->luns;

	luns->known = s->device.reg.features & HV_VSS_FEAT_LUNS;
	luns->verbose = s->options->verbose;
	luns->n = s->request.lun_count;
	memcpy(luns->lun, s->request.luns, luns->n * sizeof(luns->lun[0]));
}

static void say_no(struct server *s, const char *why)
{
	ledger_why(&s->ledger, why);
	answer(s, false);
	ledger_end(&s->ledger);
}

static void begin(struct server *s)
{
	const char *why;
	int err;

	want_guardian(s);
	if (!s->freezer.stuck)
		set_luns(s);
	err = freezer_begin(&s->freezer, device_guard(&s->device), s->request.frame.cookie);
	if (!err)
		return;
	why = s->freezer.stuck ? still_hangs : strerror(-err);
	log_msg(LOG_ERR, "%s: %s", words_op(s->request.frame.op), why);
	say_no(s, why);
	hooks_end(&s->hooks, false);
}

static void say_yes(struct server *s)
{
	answer(s, true);
	ledger_end(&s->ledger);
	/* FREEZE follows. */
	want_guardian(s);
}

static void looked(void *ctx, bool ok)
{
	struct server *s = ctx;

	if (ok)
		say_yes(s);
	else
		say_no(s, s->preflight.why);
}

static void check(struct server *s)
{
	int known = s->freezer.stuck ? -EBUSY : preflight_ask(&s->preflight, s->check_us);

	if (known < 0) {
		say_no(s, s->freezer.stuck ? still_hangs : s->preflight.why);
	} else if (known) {
		say_yes(s);
		preflight_look_later(&s->preflight, s->check_us);
	}
}

static int64_t earlier(int64_t us, uint32_t ms, int64_t margin_us)
{
	int64_t limit = (int64_t)ms * 1000;

	limit -= margin_us < limit / 4 ? margin_us : limit / 4;
	return !ms || us < limit ? us : limit;
}

/* Whatever the kernel would end, we end a little earlier and in better order. */
static void set_limits(struct server *s)
{
	const struct hv_vss_registered *reg = &s->device.reg;

	s->limits = s->options->freezer;
	s->check_us = earlier(CHECK_US, reg->check_timeout_ms, 2 * SECOND);
	s->limits.freeze_us = earlier(s->limits.freeze_us, reg->freeze_timeout_ms, 5 * SECOND);
	s->limits.thaw_us = earlier(s->limits.thaw_us, reg->thaw_timeout_ms, 2 * SECOND);
	s->limits.hold_us = earlier(s->limits.hold_us, reg->hold_timeout_ms, SECOND / 2);
}

static void begin_hooks(struct server *s)
{
	const struct freezer_config *limits = &s->limits;
	int64_t type = -1;

	if (s->device.reg.features & HV_VSS_FEAT_LUNS)
		type = s->request.backup_type;
	set_limits(s);
	preflight_stand_by(&s->preflight);
	s->hooks_begun = s->freezer.ops->now_us();
	if (s->freezer.stuck) {
		begin(s);	/* which says why not */
		return;
	}
	status(s, "calling hooks");
	/* At least a half of the time is for the freezing itself. */
	hooks_begin(&s->hooks, type, limits->freeze_us / 2,
		    limits->freeze_us + limits->hold_us + limits->thaw_us);
}

static void hooks_report(void *ctx, bool ok)
{
	struct server *s = ctx;

	s->limits.freeze_us -= s->freezer.ops->now_us() - s->hooks_begun;
	if (ok && s->limits.freeze_us > 0) {
		begin(s);
		return;
	}
	log_msg(LOG_ERR, "not frozen: the hooks have not succeeded");
	say_no(s, "the hooks have not succeeded");
	hooks_end(&s->hooks, false);
	status(s, s->stop ? "stopping" : "serving");
}

/*
 * What the host gets to hear in odd situations:
 * - FREEZE or HOT_BACKUP while frozen: failure. The freeze stays as it is, it may be in use, and
 *   its own THAW gets a true answer; but it was not made for this request.
 * - THAW with nothing frozen: failure. Either nothing was frozen at all, or not without a gap until
 *   now; both means that a backup made of it is not good. (A daemon that was restarted while
 *   frozen couldn't tell one from the other anyway.)
 */
static void dispatch(struct server *s, const struct hv_vss_request *request)
{
	bool frozen = s->freezer.state == FREEZER_FROZEN;
	unsigned int op = request->frame.op;

	s->request = *request;
	s->busy = true;
	words_log_request(request);
	if ((op == HV_VSS_OP_FREEZE || op == HV_VSS_OP_HOT_BACKUP) && frozen) {
		log_msg(LOG_WARNING, "%s: refused, already frozen", words_op(op));
		answer(s, false);
	} else if (op == HV_VSS_OP_FREEZE) {
		ledger_begin(&s->ledger, request);
		begin_hooks(s);
	} else if (op == HV_VSS_OP_HOT_BACKUP) {
		ledger_begin(&s->ledger, request);
		check(s);
	} else if (op == HV_VSS_OP_THAW && frozen) {
		freezer_thaw(&s->freezer);
	} else {
		log_msg(LOG_WARNING, op == HV_VSS_OP_THAW ? "%s: nothing is frozen" :
			"%s: refused", words_op(op));
		answer(s, false);
		if (op == HV_VSS_OP_THAW)
			ledger_thaw_without_freeze(&s->ledger, request);
	}
}

static void cancel(struct server *s, uint32_t reason)
{
	/* A thaw that has come too late is to be finished all the same. */
	s->busy = false;
	s->queued = false;
	give_up(s, words_cancel(reason));
}

static void read_device(struct server *s)
{
	struct hv_vss_request request;
	int err;

	err = device_read(&s->device, &request);
	if (err == -EAGAIN)
		return;
	if (err) {
		lose_device(s, err);
		return;
	}
	if (request.frame.op == HV_VSS_OP_CANCEL) {
		cancel(s, request.frame.arg);
		return;
	}
	/* A request while one is outstanding: the kernel has given that one up. */
	if (s->busy) {
		s->busy = false;
		give_up(s, "a new request has come");
	}
	s->next = request;
	s->queued = true;
}

static void open_device(struct server *s)
{
	int err;

	err = device_open(&s->device);
	s->retry = 0;
	if (err)
		s->retry = s->freezer.ops->now_us() +
			   (s->retries++ < RETRIES ? RETRY_US : SELDOM_US);
	if (!err) {
		set_limits(s);
		if (!s->preflight.running)
			s->no_luns.known = s->device.reg.features & HV_VSS_FEAT_LUNS;
		preflight_look(&s->preflight, s->check_us);
		ledger_device(&s->ledger, &s->device);
		log_msg(LOG_INFO, "serving %s (driver %s%s)", s->device.path,
			s->device.driver[0] ? s->device.driver : "unknown",
			device_guard(&s->device) ? ", with its guard" : ", without a guard");
		status(s, "serving");
		s->open_error = 0;
		return;
	}
	if (err == s->open_error)
		return;
	s->open_error = err;
	if (err == -EBUSY)
		log_msg(LOG_WARNING, "%s: another daemon has it open; waiting", s->device.path);
	else if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		log_msg(LOG_INFO, "%s is not there: the host doesn't offer backup (now)%s",
			s->device.path, s->options->exit_if_absent ? "" : "; waiting");
	else
		log_msg(LOG_ERR, "%s: %s", s->device.path, strerror(-err));
	if (s->options->exit_if_absent)
		s->finished = true;
}

static bool is_idle(const struct server *s)
{
	return s->freezer.state == FREEZER_IDLE && s->hooks.state == HOOKS_IDLE &&
	       !s->preflight.asked;
}

/* How long a stop may take at most: a backup that is going on is brought to its end. */
static long long stop_us(const struct server *s)
{
	const struct freezer_config *limits = s->freezer.config;

	if (is_idle(s))
		return 10 * SECOND;
	return limits->freeze_us + limits->hold_us + limits->thaw_us +
		10 * s->hooks.config->timeout_us;
}

static void read_signal(struct server *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (s->stop)
		return;
	s->stop = true;
	notify_send(s->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", stop_us(s));
	log_msg(LOG_INFO, "%s: %s", strsignal(info.ssi_signo),
		is_idle(s) ? "stopping" :
		"stopping after the backup that is going on");
}

static int wait_ms(const struct server *s, int64_t now)
{
	int64_t until = freezer_deadline(&s->freezer);

	if (hooks_deadline(&s->hooks) < until)
		until = hooks_deadline(&s->hooks);
	if (preflight_deadline(&s->preflight) < until)
		until = preflight_deadline(&s->preflight);
	if (s->retry && s->retry < until)
		until = s->retry;
	if (s->notify->watchdog_us && s->fed + s->notify->watchdog_us / 3 < until)
		until = s->fed + s->notify->watchdog_us / 3;
	if (until == INT64_MAX)
		return -1;
	if (until <= now)
		return 0;
	return until - now > 3600 * SECOND ? 3600000L : (until - now + 999) / 1000;
}

/* A request that has to wait: for a thaw, or until hooks that stop something have let it go on. */
static bool is_ready(const struct server *s)
{
	if (s->next.frame.op == HV_VSS_OP_FREEZE && s->freezer.state == FREEZER_IDLE)
		return s->hooks.state == HOOKS_IDLE;
	return s->freezer.state == FREEZER_IDLE || s->freezer.state == FREEZER_FROZEN;
}

static void take_jobs(struct server *s)
{
	struct job *job;

	while ((job = pool_next_done(s->pool)))
		if (!hooks_job_done(&s->hooks, job) && !preflight_job_done(&s->preflight, job))
			freezer_job_done(&s->freezer, job);
}

static void step(struct server *s)
{
	struct pollfd p[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = pool_fd(s->pool), .events = POLLIN },
		{ .fd = device_fd(&s->device), .events = POLLIN },
		{ .fd = s->hooks.fd, .events = POLLIN },
	};
	int64_t now = s->freezer.ops->now_us();

	if (s->notify->watchdog_us && now - s->fed >= s->notify->watchdog_us / 3) {
		notify_send(s->notify, "WATCHDOG=1");
		s->fed = now;
	}
	if (poll(p, 4, wait_ms(s, now)) < 0)
		return;
	if (p[0].revents)
		read_signal(s);
	if (p[1].revents)
		take_jobs(s);
	freezer_tick(&s->freezer);
	preflight_tick(&s->preflight);
	if (p[3].fd >= 0 && p[3].fd == s->hooks.fd && p[3].revents)
		hooks_read(&s->hooks);
	hooks_tick(&s->hooks);
	if (p[2].fd >= 0 && p[2].fd == device_fd(&s->device)) {
		if (p[2].revents & POLLIN)
			read_device(s);
		else if (p[2].revents)
			lose_device(s, -ENODEV);
	}
	if (s->retry && s->freezer.ops->now_us() >= s->retry)
		open_device(s);
	if (s->queued && is_ready(s)) {
		s->queued = false;
		dispatch(s, &s->next);
	}
	ledger_tick(&s->ledger, &s->freezer, s->busy || s->queued);
}

static int build(void *ctx, struct fsset *set)
{
	struct server *s = ctx;
	int err, noted;

	err = fsset_build(&s->plan, set);
	if (err)
		return err;
	noted = leftover_note(s->leftover, set);
	if (noted)
		log_msg(LOG_WARNING, "%s: cannot take notes there: %s", s->leftover->dir,
			strerror(-noted));
	return 0;
}

static int verify(void *ctx, struct fsset *set)
{
	struct server *s = ctx;

	return fsset_verify(&s->plan, set);
}

/**
 * serve() - serve the host until told to stop
 * @o: options
 * @notify: the service manager
 * @leftover: notes, locked, and their leftovers thawed
 * @signals: a signalfd for what ends the daemon
 *
 * A signal is obeyed when nothing is frozen or about to be.
 * Return: 0 or a negative errno.
 */
int serve(const struct options *o, struct notify *notify, struct leftover *leftover, int signals)
{
	static struct server s;		/* large, and locked into memory from the start */

	s = (struct server){
		.options = o,
		.notify = notify,
		.leftover = leftover,
		.plan = o->plan,
		.look_plan = o->plan,
		.no_luns = { .check = true },
		.check_us = CHECK_US,
		.limits = o->freezer,
		.signals = signals,
		.device = { .path = o->device, .sysfs = o->plan.sysfs, .ops = &sysops_real },
		.source = { .build = build, .verify = verify, .ctx = &s },
		.retry = 1,
	};
	s.pool = pool_new();
	s.plan.luns = &s.luns;
	s.look_plan.luns = &s.no_luns;
	if (!s.pool)
		return -errno;
	s.freezer = (struct freezer){
		.config = &s.limits,
		.source = &s.source,
		.ops = &sysops_real,
		.pool = s.pool,
		.record = record,
		.report = report,
		.ctx = &s,
	};
	s.hooks = (struct hooks){
		.config = &o->hooks, .pool = s.pool, .report = hooks_report, .ctx = &s,
	};
	s.preflight = (struct preflight){
		.plan = &s.look_plan, .hooks = &o->hooks, .ops = &sysops_real, .pool = s.pool,
		.report = looked, .ctx = &s,
	};
	preflight_init(&s.preflight);
	hooks_init(&s.hooks);
	hooks_clean_up(&s.hooks);
	ledger_start(&s.ledger, o->run_dir);
	notify_send(notify, "READY=1");
	while (!(s.finished || (s.stop && !s.queued)) || !is_idle(&s))
		step(&s);
	device_close(&s.device);
	ledger_stop(&s.ledger);
	/* With a call that hangs in the kernel something may yet become frozen. */
	if (!s.freezer.stuck)
		guardian_stop(leftover);
	pool_free(s.pool);
	return 0;
}
