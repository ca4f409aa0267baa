// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "guardian.h"
#include "log.h"
#include "requests.h"
#include "words.h"

#define SECOND		1000000LL	/* in us */

static const char still_hangs[] = "a call of an earlier freeze still hangs in the kernel";

/**
 * requests_give_up() - end what is going on: nobody waits for it
 * @b: the backup
 * @why: for the log
 */
void requests_give_up(struct backup *b, const char *why)
{
	b->busy = false;
	b->queued = false;
	if (preflight_drop(&b->preflight)) {
		ledger_why(&b->ledger, why);
		ledger_answer(&b->ledger, HV_VSS_OP_HOT_BACKUP, ANSWER_LATE);
		ledger_end(&b->ledger);
	}
	freezer_abort(&b->freezer, why);
	if (b->freezer.state != FREEZER_IDLE)
		return;
	if (b->hooks.state == HOOKS_LOOKING || b->hooks.state == HOOKS_FREEZING)
		log_msg(LOG_WARNING, "stopping: %s", why);
	hooks_end(&b->hooks, false);
	ledger_why(&b->ledger, why);
	ledger_end(&b->ledger);
}

/* False: nobody waits for the answer. */
static bool answer(struct backup *b, bool ok)
{
	const struct hv_vss_frame *frame = &b->request.frame;
	int err;

	if (!b->busy) {
		ledger_answer(&b->ledger, frame->op, ANSWER_LATE);
		return false;
	}
	b->busy = false;
	err = device_reply(&b->device, frame->cookie, ok ? HV_VSS_S_OK : HV_VSS_E_FAIL);
	ledger_answer(&b->ledger, frame->op, err ? ANSWER_LATE : ok ? ANSWER_OK : ANSWER_FAILED);
	if (!err) {
		log_msg(ok ? LOG_DEBUG : LOG_WARNING, "%s: answered with %s",
			words_op(frame->op), ok ? "success" : "failure");
		return true;
	}
	log_msg(LOG_WARNING, "%s: nobody takes %s for it: %s", words_op(frame->op),
		ok ? "success" : "failure", strerror(-err));
	/* ESTALE: given up. EIO: the guard has found that not all of it is frozen. */
	if (err != -ESTALE && err != -EIO)
		b->lose(b->ctx, err);
	return false;
}

static void record(void *ctx, const struct freezer *f)
{
	struct backup *b = ctx;

	ledger_fill(&b->ledger, f);
}

static void report(void *ctx, enum freezer_event event)
{
	struct backup *b = ctx;

	switch (event) {
	case FREEZER_FREEZE_OK:
		if (answer(b, true))
			backup_status(b, "frozen");
		else
			freezer_abort(&b->freezer, "nobody waits for it");
		return;
	case FREEZER_THAW_OK:
		answer(b, true);
		break;
	case FREEZER_FAILED:
		preflight_forget(&b->preflight);
		answer(b, false);
		break;
	case FREEZER_THAW_FAILED:
		answer(b, false);
		break;
	case FREEZER_BROKEN:
		log_msg(LOG_ERR, "the freeze was broken: a backup made of it is not good");
		break;
	}
	ledger_end(&b->ledger);
	hooks_end(&b->hooks, event == FREEZER_THAW_OK);
	backup_status(b, b->stop ? "stopping" : "serving");
}

/* Without the kernel's guard a process has to do. */
static void want_guardian(struct backup *b)
{
	int err = device_guard(&b->device) ? 0 : guardian_start(b->leftover, &b->plan);

	if (err)
		log_msg(LOG_WARNING, "no guardian: %s; if this daemon is killed while file systems "
			"are frozen, they stay so until it is started again", strerror(-err));
}

static void set_luns(struct backup *b)
{
	struct luns *luns = &b->luns;

	luns->known = b->device.reg.features & HV_VSS_FEAT_LUNS;
	luns->verbose = b->options->verbose;
	luns->n = b->request.lun_count;
	memcpy(luns->lun, b->request.luns, luns->n * sizeof(luns->lun[0]));
}

static void say_no(struct backup *b, const char *why)
{
	ledger_why(&b->ledger, why);
	answer(b, false);
	ledger_end(&b->ledger);
}

static void begin(struct backup *b)
{
	const char *why;
	int err;

	want_guardian(b);
	if (!b->freezer.stuck)
		set_luns(b);
	err = freezer_begin(&b->freezer, device_guard(&b->device), b->request.frame.cookie);
	if (!err)
		return;
	why = b->freezer.stuck ? still_hangs : strerror(-err);
	log_msg(LOG_ERR, "%s: %s", words_op(b->request.frame.op), why);
	say_no(b, why);
	hooks_end(&b->hooks, false);
}

static void say_yes(struct backup *b)
{
	bool taken = answer(b, true);

	ledger_end(&b->ledger);
	/* FREEZE follows. */
	if (taken)
		want_guardian(b);
}

static void looked(void *ctx, bool ok)
{
	struct backup *b = ctx;

	if (ok)
		say_yes(b);
	else
		say_no(b, b->preflight.why);
}

static void check(struct backup *b)
{
	int known = b->freezer.stuck ? -EBUSY : preflight_ask(&b->preflight, b->check_us);

	if (known < 0) {
		say_no(b, b->freezer.stuck ? still_hangs : b->preflight.why);
	} else if (known) {
		say_yes(b);
		preflight_look_later(&b->preflight, b->check_us);
	}
}

static int64_t earlier(int64_t us, uint32_t ms, int64_t margin_us)
{
	int64_t limit = (int64_t)ms * 1000;

	limit -= margin_us < limit / 4 ? margin_us : limit / 4;
	return !ms || us < limit ? us : limit;
}

/**
 * requests_set_limits() - end whatever the kernel would end a little earlier, in better order
 * @b: the backup
 */
void requests_set_limits(struct backup *b)
{
	const struct hv_vss_registered *reg = &b->device.reg;

	b->limits = b->options->freezer;
	b->check_us = earlier(REQUESTS_CHECK_US, reg->check_timeout_ms, 2 * SECOND);
	b->limits.freeze_us = earlier(b->limits.freeze_us, reg->freeze_timeout_ms, 5 * SECOND);
	b->limits.thaw_us = earlier(b->limits.thaw_us, reg->thaw_timeout_ms, 2 * SECOND);
	b->limits.hold_us = earlier(b->limits.hold_us, reg->hold_timeout_ms, SECOND / 2);
}

static void begin_hooks(struct backup *b)
{
	const struct freezer_config *limits = &b->limits;
	int64_t type = -1;

	if (b->device.reg.features & HV_VSS_FEAT_LUNS)
		type = b->request.backup_type;
	requests_set_limits(b);
	preflight_stand_by(&b->preflight);
	b->hooks_begun = b->freezer.ops->now_us();
	if (b->freezer.stuck) {
		begin(b);	/* which says why not */
		return;
	}
	backup_status(b, "calling hooks");
	/* At least a half of the time is for the freezing itself. */
	hooks_begin(&b->hooks, type, limits->freeze_us / 2,
		    limits->freeze_us + limits->hold_us + limits->thaw_us);
}

static void hooks_report(void *ctx, bool ok)
{
	struct backup *b = ctx;

	b->limits.freeze_us -= b->freezer.ops->now_us() - b->hooks_begun;
	if (ok && b->limits.freeze_us > 0) {
		begin(b);
		return;
	}
	log_msg(LOG_ERR, "not frozen: the hooks have not succeeded");
	say_no(b, "the hooks have not succeeded");
	hooks_end(&b->hooks, false);
	backup_status(b, b->stop ? "stopping" : "serving");
}

/*
 * What the host gets to hear in odd situations:
 * - FREEZE or HOT_BACKUP while frozen: failure. The freeze stays as it is, it may be in use, and
 *   its own THAW gets a true answer; but it was not made for this request.
 * - THAW with nothing frozen: failure. Either nothing was frozen at all, or not without a gap until
 *   now; both means that a backup made of it is not good. (A daemon that was restarted while
 *   frozen couldn't tell one from the other anyway.)
 */
static void dispatch(struct backup *b, const struct hv_vss_request *request)
{
	bool frozen = b->freezer.state == FREEZER_FROZEN;
	unsigned int op = request->frame.op;

	b->request = *request;
	b->busy = true;
	words_log_request(request);
	if ((op == HV_VSS_OP_FREEZE || op == HV_VSS_OP_HOT_BACKUP) && frozen) {
		log_msg(LOG_WARNING, "%s: refused, already frozen", words_op(op));
		answer(b, false);
	} else if (op == HV_VSS_OP_FREEZE) {
		ledger_begin(&b->ledger, request);
		begin_hooks(b);
	} else if (op == HV_VSS_OP_HOT_BACKUP) {
		ledger_begin(&b->ledger, request);
		check(b);
	} else if (op == HV_VSS_OP_THAW && frozen) {
		freezer_thaw(&b->freezer);
	} else {
		log_msg(LOG_WARNING, op == HV_VSS_OP_THAW ? "%s: nothing is frozen" :
			"%s: refused", words_op(op));
		answer(b, false);
		if (op == HV_VSS_OP_THAW)
			ledger_thaw_without_freeze(&b->ledger, request);
	}
}

/* A request that has to wait: for a thaw, or until hooks that stop something have let it go on. */
static bool is_ready(const struct backup *b)
{
	if (b->next.frame.op == HV_VSS_OP_FREEZE && b->freezer.state == FREEZER_IDLE)
		return b->hooks.state == HOOKS_IDLE;
	return b->freezer.state == FREEZER_IDLE || b->freezer.state == FREEZER_FROZEN;
}

/**
 * requests_go_on() - begin what the host wants, if it is time to; tell what is going on
 * @b: the backup
 */
void requests_go_on(struct backup *b)
{
	if (b->queued && is_ready(b)) {
		b->queued = false;
		dispatch(b, &b->next);
	}
	b->ledger.wait = preflight_is_due(&b->preflight);
	ledger_tick(&b->ledger, &b->freezer, b->busy || b->queued);
}

/**
 * requests_read() - read the host's request
 * @b: the backup; its device is readable
 * Return: 0, or a negative errno if the device is gone.
 */
int requests_read(struct backup *b)
{
	struct hv_vss_request request;
	int err;

	err = device_read(&b->device, &request);
	if (err)
		return err == -EAGAIN ? 0 : err;
	if (request.frame.op == HV_VSS_OP_CANCEL) {
		/* A thaw that has come too late is to be finished all the same. */
		requests_give_up(b, words_cancel(request.frame.arg));
		return 0;
	}
	/* A request while one is outstanding: the kernel has given that one up. */
	if (b->busy)
		requests_give_up(b, "a new request has come");
	b->next = request;
	b->queued = true;
	return 0;
}

/**
 * requests_init() - have what freezer, hooks and preflight say turned into answers
 * @b: the backup, these three set up but for that
 */
void requests_init(struct backup *b)
{
	b->freezer.record = record;
	b->freezer.report = report;
	b->freezer.ctx = b;
	b->preflight.report = looked;
	b->preflight.ctx = b;
	b->hooks.report = hooks_report;
	b->hooks.ctx = b;
}
