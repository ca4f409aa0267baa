// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/format.h"
#include "holdlimit.h"
#include "requests.h"

static void set_status(const struct requests *r, const char *what)
{
	r->callbacks->set_status(r->ctx, what);
}

/* The reason while a call hangs: always begins with the same words. */
static void format_hang(const struct requests *r, char why[REASON_SIZE])
{
	const char *what = freezer_hangs(r->freezer);

	snprintf(why, REASON_SIZE,
		 "a call of an earlier freeze still hangs in the kernel%s%.190s%s",
		 what[0] ? " (" : "", what, what[0] ? ")" : "");
}

/**
 * requests_give_up() - abort the current request: the host no longer waits for it
 * @r: the requests
 * @why: for the log
 */
void requests_give_up(struct requests *r, const char *why)
{
	r->busy = false;
	r->queued = false;
	if (preflight_cancel(r->preflight)) {
		recorder_set_reason(r->recorder, why);
		recorder_set_answer(r->recorder, HV_VSS_OP_HOT_BACKUP, ANSWER_LATE);
		recorder_end(r->recorder);
	}
	freezer_abort(r->freezer, why);
	if (!freezer_is_idle(r->freezer))
		return;
	if (hooks_are_freezing(r->hooks))
		log_msg(LOG_WARNING, "stopping: %s", why);
	hooks_end(r->hooks, false);
	recorder_set_reason(r->recorder, why);
	recorder_end(r->recorder);
}

/* Returns false if the host no longer waits for the answer. */
static bool answer(struct requests *r, bool ok)
{
	const struct hv_vss_frame *frame = &r->request.frame;
	int err;

	if (!r->busy) {
		recorder_set_answer(r->recorder, frame->op, ANSWER_LATE);
		return false;
	}
	r->busy = false;
	err = device_reply(r->device, frame->cookie, ok ? HV_VSS_S_OK : HV_VSS_E_FAIL);
	recorder_set_answer(r->recorder, frame->op,
			    err ? ANSWER_LATE : ok ? ANSWER_OK : ANSWER_FAILED);
	if (!err) {
		log_msg(ok ? LOG_DEBUG : LOG_WARNING, "%s: answered with %s",
			format_op(frame->op), ok ? "success" : "failure");
		return true;
	}
	if (err == -ESTALE)
		log_msg(LOG_WARNING, "%s: answered too late; the host had already been told that "
			"it failed", format_op(frame->op));
	else
		log_msg(LOG_WARNING, "%s: the kernel refused the reply (%s): %s",
			format_op(frame->op), ok ? "success" : "failure", strerror(-err));
	/* EIO: the guard has found a file system that is not frozen. */
	if (err != -ESTALE && err != -EIO)
		r->callbacks->device_lost(r->ctx, err);
	return false;
}

/**
 * requests_freezer_event() - process an event of the freezer
 * @ctx: struct requests
 * @event: the event
 */
void requests_freezer_event(void *ctx, enum freezer_event event)
{
	struct requests *r = ctx;

	switch (event) {
	case FREEZER_FREEZE_OK:
		if (answer(r, true))
			set_status(r, "frozen");
		else
			freezer_abort(r->freezer, "the host no longer waits for the answer");
		return;
	case FREEZER_THAW_OK:
		answer(r, true);
		break;
	case FREEZER_FAILED:
		preflight_invalidate(r->preflight);
		answer(r, false);
		break;
	case FREEZER_THAW_FAILED:
		answer(r, false);
		break;
	case FREEZER_BROKEN:
		log_msg(LOG_ERR, "the freeze was broken: a backup made of it is not good");
		break;
	}
	recorder_end(r->recorder);
	hooks_end(r->hooks, event == FREEZER_THAW_OK);
	set_status(r, r->stop ? "stopping" : "serving");
}

static void set_luns(struct requests *r)
{
	struct luns *luns = r->luns;

	luns->known = device_names_luns(r->device);
	luns->n = r->request.lun_count;
	memcpy(luns->lun, r->request.luns, luns->n * sizeof(luns->lun[0]));
}

static void answer_no(struct requests *r, const char *why)
{
	recorder_set_reason(r->recorder, why);
	answer(r, false);
	recorder_end(r->recorder);
}

static void begin_freeze(struct requests *r)
{
	char why[REASON_SIZE];
	int err;

	if (!freezer_hangs(r->freezer)) {
		r->callbacks->prepare_guard(r->ctx);
		set_luns(r);
	}
	err = freezer_begin(r->freezer, device_guard(r->device), r->request.frame.cookie);
	if (!err)
		return;
	if (freezer_hangs(r->freezer))
		format_hang(r, why);
	else
		snprintf(why, sizeof(why), "%s", strerror(-err));
	log_msg(LOG_ERR, "%s: %s", format_op(r->request.frame.op), why);
	answer_no(r, why);
	hooks_end(r->hooks, false);
}

static void answer_yes(struct requests *r)
{
	bool delivered = answer(r, true);

	recorder_end(r->recorder);
	/* The host will send FREEZE. */
	if (delivered)
		r->callbacks->prepare_guard(r->ctx);
}

/**
 * requests_preflight_event() - a requested preflight is done
 * @ctx: struct requests
 * @ok: a backup can be made
 */
void requests_preflight_event(void *ctx, bool ok)
{
	struct requests *r = ctx;

	if (ok) {
		answer_yes(r);
		return;
	}
	recorder_set_culprits(r->recorder, preflight_culprits(r->preflight));
	answer_no(r, preflight_reason(r->preflight));
}

static void begin_preflight(struct requests *r)
{
	char why[REASON_SIZE];
	int known;

	if (freezer_hangs(r->freezer)) {
		format_hang(r, why);
		answer_no(r, why);
		return;
	}
	known = preflight_request(r->preflight, limits_preflight_us(r->device));
	if (known < 0) {
		answer_no(r, preflight_reason(r->preflight));
	} else if (known) {
		answer_yes(r);
		preflight_schedule(r->preflight, limits_preflight_us(r->device));
	}
}

static void begin_hooks(struct requests *r)
{
	const struct freezer_config *limits = r->limits;
	int64_t type = -1;

	if (device_names_luns(r->device))
		type = r->request.backup_type;
	limits_apply(r->limits, r->configured, r->device);
	preflight_unschedule(r->preflight);
	r->hooks_begun = freezer_now_us(r->freezer);
	if (freezer_hangs(r->freezer)) {
		begin_freeze(r);	/* reports the reason */
		return;
	}
	set_status(r, "calling hooks");
	r->callbacks->prepare_hooks(r->ctx, &r->request);
	/* At least half of the time is for the freeze itself. */
	hooks_begin(r->hooks, type, limits->freeze_us / 2,
		    limits->freeze_us + limits->hold_us + limits->thaw_us);
}

/**
 * requests_hooks_event() - the hooks were called with "freeze"
 * @ctx: struct requests
 * @ok: the backup can go on
 */
void requests_hooks_event(void *ctx, bool ok)
{
	struct requests *r = ctx;
	int64_t took = freezer_now_us(r->freezer) - r->hooks_begun;

	recorder_set_hooks(r->recorder, took);
	r->limits->freeze_us -= took;
	if (ok && r->limits->freeze_us > 0) {
		begin_freeze(r);
		return;
	}
	log_msg(LOG_ERR, "not frozen: the hooks have failed");
	answer_no(r, "the hooks have failed");
	hooks_end(r->hooks, false);
	set_status(r, r->stop ? "stopping" : "serving");
}

/*
 * Answers to unexpected requests:
 * - FREEZE or HOT_BACKUP while frozen: failure, because the freeze was not made for this request.
 *   The freeze remains: it may be in use, and its own THAW will get a true answer.
 * - THAW while nothing is frozen: failure. Either there was no freeze, or it has ended before this
 *   THAW: in both cases a backup is not good. (A daemon that was restarted while frozen can't know
 *   which of them it was.)
 */
static void dispatch(struct requests *r, const struct hv_vss_request *request)
{
	bool frozen = freezer_is_frozen(r->freezer);
	unsigned int op = request->frame.op;

	r->request = *request;
	r->busy = true;
	format_log_request(request);
	if ((op == HV_VSS_OP_FREEZE || op == HV_VSS_OP_HOT_BACKUP) && frozen) {
		log_msg(LOG_WARNING, "%s: refused, already frozen", format_op(op));
		answer(r, false);
	} else if (op == HV_VSS_OP_FREEZE) {
		recorder_begin(r->recorder, request);
		begin_hooks(r);
	} else if (op == HV_VSS_OP_HOT_BACKUP) {
		recorder_begin(r->recorder, request);
		begin_preflight(r);
	} else if (op == HV_VSS_OP_THAW && frozen) {
		freezer_thaw(r->freezer);
	} else {
		log_msg(LOG_WARNING, op == HV_VSS_OP_THAW ? "%s: nothing is frozen" :
			"%s: refused", format_op(op));
		answer(r, false);
		if (op == HV_VSS_OP_THAW)
			recorder_thaw_without_freeze(r->recorder, request);
	}
}

/* A request waits until a thaw is done; FREEZE also until the hooks were called with "thaw". */
static bool can_start(const struct requests *r)
{
	if (!freezer_is_idle(r->freezer))
		return freezer_is_frozen(r->freezer);
	return r->next.frame.op != HV_VSS_OP_FREEZE || hooks_are_idle(r->hooks);
}

/**
 * requests_continue() - begin a queued request, if possible; update the recorder
 * @r: the requests
 */
void requests_continue(struct requests *r)
{
	if (r->queued && can_start(r)) {
		r->queued = false;
		dispatch(r, &r->next);
	}
	recorder_delay_write(r->recorder, preflight_is_scheduled(r->preflight));
	recorder_update(r->recorder, r->freezer, r->busy || r->queued);
}

/**
 * requests_read() - read the host's request
 * @r: the requests; its device is readable
 * Return: 0, or a negative errno if the device is gone.
 */
int requests_read(struct requests *r)
{
	struct hv_vss_request request;
	int err;

	err = device_read(r->device, &request);
	if (err)
		return err == -EAGAIN ? 0 : err;
	if (request.frame.op == HV_VSS_OP_CANCEL) {
		/* A thaw that is too late for the host is still finished. */
		requests_give_up(r, format_cancel_reason(request.frame.arg));
		return 0;
	}
	/* The kernel sends another request only after it has given up the current one. */
	if (r->busy)
		requests_give_up(r, "the host has sent another request");
	r->next = request;
	r->queued = true;
	return 0;
}
