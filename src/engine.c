// SPDX-License-Identifier: GPL-2.0-only
/* Carries out what the state table says. See engine.h. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include "compat/compat.h"
#include "engine.h"
#include "params.h"

/**
 * hv_vss_guarded() - can the kernel thaw what this daemon froze?
 * @hvs: the device
 *
 * Return: false also if there is no daemon.
 */
bool hv_vss_guarded(const struct hv_vss_device *hvs)
{
	return hvs->daemon == HV_VSS_DAEMON_EXTENDED && hvs->features & HV_VSS_FEAT_GUARD;
}

/**
 * hv_vss_event() - an event with the daemon that is registered
 * @hvs: the device
 * @bare: the event without the guard, HV_VSS_EV_..._BARE
 *
 * Context: lock held. Return: @bare or, with the guard, the event of the same name with _GUARDED.
 */
enum hv_vss_event hv_vss_event(const struct hv_vss_device *hvs, enum hv_vss_event bare)
{
	return bare + hv_vss_guarded(hvs);
}

/**
 * hv_vss_op_index() - the counters of an operation
 * @op: of a request
 *
 * Return: the counter of its requests; the counters of its answers are in the same order.
 */
enum hv_vss_count hv_vss_op_index(u8 op)
{
	switch (op) {
	case HV_VSS_OP_HOT_BACKUP:
		return HV_VSS_N_HOT_BACKUP;
	case HV_VSS_OP_FREEZE:
		return HV_VSS_N_FREEZE;
	case HV_VSS_OP_THAW:
		return HV_VSS_N_THAW;
	default:
		return HV_VSS_N_OTHER;
	}
}

static const char *op_name(u8 op)
{
	static const char * const names[] = { "HOT_BACKUP", "FREEZE", "THAW", "request" };

	return names[hv_vss_op_index(op)];
}

/**
 * hv_vss_complain() - log a problem that an admin should know
 * @hvs: the device; keeps the text for sysfs
 * @fmt: as for printk(), without newline
 */
void hv_vss_complain(struct hv_vss_device *hvs, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(hvs->last_error, sizeof(hvs->last_error), fmt, args);
	va_end(args);
	pr_warn_ratelimited("%s\n", hvs->last_error);
}

/**
 * hv_vss_answer() - answer a request
 * @hvs: the device
 * @b: the request; becomes the answer
 * @op: whose counter is to be incremented
 * @status: HV_VSS_S_OK or an error
 *
 * Sent at once, or by the pump when the host's ring has room again.
 */
void hv_vss_answer(struct hv_vss_device *hvs, struct hv_vss_buffer *b, u8 op, u32 status)
{
	hvs->counts[hv_vss_op_index(op) + (status ? HV_VSS_N_HOT_BACKUP_FAILED :
				    HV_VSS_N_HOT_BACKUP_OK)]++;
	hv_vss_ic_answer(b->pkt.data, b->pkt.len, status);
	b->answer = true;
	if (!hvs->channel.running || hv_vss_channel_flush(&hvs->channel))
		return;
	hvs->counts[HV_VSS_N_SEND_RETRY]++;
	hv_vss_channel_retry(&hvs->channel);
}

/**
 * hv_vss_mail() - change what the daemon can read
 * @hvs: the device
 * @add: HV_VSS_MAIL_*
 * @remove: HV_VSS_MAIL_*
 */
void hv_vss_mail(struct hv_vss_device *hvs, unsigned int add, unsigned int remove)
{
	hvs->mail = (hvs->mail & ~remove) | add;
	hvs->mail_seq++;
	if (hvs->mail)
		wake_up_interruptible(&hvs->readers);
}

static void timer_start(struct hv_vss_device *hvs, struct delayed_work *work,
			unsigned long *deadline, unsigned int ms)
{
	*deadline = jiffies + msecs_to_jiffies(ms);
	mod_delayed_work(hvs->channel.wq, work, msecs_to_jiffies(ms));
}

static unsigned int timeout_ms(u8 op)
{
	if (op == HV_VSS_OP_FREEZE)
		return READ_ONCE(hv_vss_freeze_timeout_ms);
	if (op == HV_VSS_OP_THAW)
		return READ_ONCE(hv_vss_thaw_timeout_ms);
	return READ_ONCE(hv_vss_check_timeout_ms);
}

/* Make a request the outstanding one and give it to the daemon. */
static void hand_over(struct hv_vss_device *hvs, u8 op, u32 arg, bool own)
{
	hvs->op = op;
	hvs->arg = arg;
	hvs->own = own;
	hvs->delivered = false;
	if (!++hvs->cookie)
		hvs->cookie++;
	if (op == HV_VSS_OP_FREEZE) {
		hvs->freeze_cookie = hvs->cookie;
		hvs->hold_counting = false;
	}
	timer_start(hvs, &hvs->timeout, &hvs->deadline, timeout_ms(op));
	/* A daemon that dies before its first ARM must be noticed, too. */
	queue_delayed_work(hvs->channel.wq, &hvs->watch, msecs_to_jiffies(HV_VSS_WATCH_MS));
	hv_vss_mail(hvs, HV_VSS_MAIL_REQUEST, 0);
}

/**
 * hv_vss_delivered() - the daemon has read the outstanding request
 * @hvs: the device; may be dead
 *
 * A THAW of our own may have waited for that for longer than its time limit, which begins now.
 */
void hv_vss_delivered(struct hv_vss_device *hvs)
{
	hvs->delivered = true;
	if (hvs->own && !hvs->dead)
		timer_start(hvs, &hvs->timeout, &hvs->deadline, timeout_ms(hvs->op));
}

static void keep_body(struct hv_vss_device *hvs, const struct hv_vss_ic_request *req)
{
	struct hv_vss_request *body = &hvs->body;
	unsigned int i;

	memset(body, 0, sizeof(*body));
	body->backup_type = req->backup_type;
	body->flags = req->flags;
	body->lun_count = req->lun_count;
	for (i = 0; i < req->lun_count; i++)
		hv_vss_ic_lun(req, i, &body->luns[i]);
	if (req->luns_ignored)
		pr_warn_once("the host's list of disks makes no sense and is ignored\n");
}

static void cancel(struct hv_vss_device *hvs, enum hv_vss_cancel reason, u32 cookie)
{
	if (hvs->daemon != HV_VSS_DAEMON_EXTENDED || !(hvs->features & HV_VSS_FEAT_CANCEL))
		return;
	memset(&hvs->cancel, 0, sizeof(hvs->cancel));
	hvs->cancel.op = HV_VSS_OP_CANCEL;
	hvs->cancel.cookie = cookie;
	hvs->cancel.arg = reason;
	hv_vss_mail(hvs, HV_VSS_MAIL_CANCEL, 0);
}

/* The outstanding request is over. */
static void finish(struct hv_vss_device *hvs, u32 status)
{
	cancel_delayed_work(&hvs->timeout);
	hv_vss_mail(hvs, 0, HV_VSS_MAIL_REQUEST);
	if (!hvs->own)
		hv_vss_answer(hvs, hvs->channel.held, hvs->op, status);
}

/**
 * hv_vss_hold_start() - start the timer that limits how long anything stays frozen
 * @hvs: the device
 * @ms: the limit that the daemon set with HV_VSS_IOC_LIMITS; 0: use that of the module
 */
void hv_vss_hold_start(struct hv_vss_device *hvs, u32 ms)
{
	hvs->hold_ms = ms ? ms : READ_ONCE(hv_vss_hold_timeout_ms);
	hvs->hold_counting = true;
	timer_start(hvs, &hvs->hold, &hvs->hold_deadline, hvs->hold_ms);
}

static void tell_cancel(struct hv_vss_device *hvs, enum hv_vss_state old,
			enum hv_vss_cancel reason)
{
	if (old == HV_VSS_FROZEN)
		cancel(hvs, reason, hvs->freeze_cookie);
	else if (hvs->delivered)
		cancel(hvs, reason, hvs->cookie);
	/* A request that the daemon has not read is cancelled without a message. */
}

static void forward(struct hv_vss_device *hvs, const struct hv_vss_ic_request *req)
{
	if (req->op == HV_VSS_OP_FREEZE)
		keep_body(hvs, req);
	hv_vss_channel_hold(&hvs->channel);
	hand_over(hvs, req->op, req->arg, false);
}

/**
 * hv_vss_do() - handle an event
 * @hvs: the device
 * @ev: the event
 * @req: the request in channel.rx, if it is one; else NULL
 * @reason: to tell the daemon, if the table says so
 *
 * Return: what was done, HV_VSS_DO_*.
 */
unsigned int hv_vss_do(struct hv_vss_device *hvs, enum hv_vss_event ev,
		       const struct hv_vss_ic_request *req, enum hv_vss_cancel reason)
{
	enum hv_vss_state old = hvs->state;
	struct hv_vss_step step = hv_vss_transaction_step(old, ev);

	lockdep_assert_held(&hvs->lock);
	hvs->state = step.next;
	if (step.actions & HV_VSS_DO_RELEASE)
		hv_vss_guard_release(hvs->guard);
	if (step.actions & HV_VSS_DO_CANCEL)
		tell_cancel(hvs, old, reason);
	if (step.actions & HV_VSS_DO_FAIL)
		finish(hvs, HV_VSS_E_FAIL);
	if (step.actions & (HV_VSS_DO_SUCCEED | HV_VSS_DO_END))
		finish(hvs, HV_VSS_S_OK);
	if (step.actions & HV_VSS_DO_HOLD)
		hv_vss_hold_start(hvs, hvs->limits.hold_ms);
	if (step.actions & HV_VSS_DO_REJECT)
		hv_vss_answer(hvs, hvs->channel.rx, req->op, HV_VSS_E_FAIL);
	if (step.actions & HV_VSS_DO_FORWARD)
		forward(hvs, req);
	if (step.actions & HV_VSS_DO_CLEANUP)
		hand_over(hvs, HV_VSS_OP_THAW, 0, true);
	return step.actions;
}

/**
 * hv_vss_end_freeze() - handle an event that breaks the freeze, if there is one
 * @hvs: the device
 * @ev: the event
 * @reason: to tell the daemon
 */
void hv_vss_end_freeze(struct hv_vss_device *hvs, enum hv_vss_event ev,
		       enum hv_vss_cancel reason)
{
	if (hvs->state == HV_VSS_FROZEN)
		hvs->counts[HV_VSS_N_BROKEN]++;
	hv_vss_do(hvs, ev, NULL, reason);
}

/**
 * hv_vss_check_freeze() - end the freeze if another process thawed a part of it, or one failed
 * @hvs: the device
 */
void hv_vss_check_freeze(struct hv_vss_device *hvs)
{
	enum hv_vss_guard_break how;
	char who[64];

	if (hvs->state != HV_VSS_FROZEN)
		return;
	how = hv_vss_guard_broken(hvs->guard, who, sizeof(who));
	if (how == HV_VSS_GUARD_FAILED) {
		hv_vss_complain(hvs, "%s met an error while frozen: the backup is broken", who);
		hv_vss_end_freeze(hvs, HV_VSS_EV_BREAK, HV_VSS_CANCEL_READONLY);
	} else if (how) {
		hv_vss_complain(hvs, "%s was thawed by another process: the backup is broken",
				who);
		hv_vss_end_freeze(hvs, HV_VSS_EV_BREAK, HV_VSS_CANCEL_FOREIGN_THAW);
	}
}

static void timeout_work(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device,
						 timeout);

	mutex_lock(&hvs->lock);
	switch (hvs->state) {
	case HV_VSS_CHECK:
	case HV_VSS_FREEZE:
	case HV_VSS_THAW:
	case HV_VSS_VAIN:
	case HV_VSS_CLEANUP:
		break;
	default:
		goto out;
	}
	/* The timer was restarted while we waited for the lock. */
	if (time_before(jiffies, hvs->deadline))
		goto out;
	hvs->counts[HV_VSS_N_TIMEOUT]++;
	hv_vss_complain(hvs, "the daemon did not answer %s in %u ms", op_name(hvs->op),
			timeout_ms(hvs->op));
	if (hvs->delivered || hv_vss_guarded(hvs))
		hv_vss_do(hvs, HV_VSS_EV_TIMEOUT, NULL, HV_VSS_CANCEL_TIMEOUT);
	else
		hv_vss_do(hvs, HV_VSS_EV_UNREAD, NULL, HV_VSS_CANCEL_TIMEOUT);
out:
	mutex_unlock(&hvs->lock);
}

static bool freeze_under_way(const struct hv_vss_device *hvs)
{
	return hvs->state == HV_VSS_FREEZE || hvs->state == HV_VSS_FROZEN ||
	       hvs->state == HV_VSS_THAW;
}

static void hold_work(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device, hold);

	mutex_lock(&hvs->lock);
	if (!hvs->hold_counting || time_before(jiffies, hvs->hold_deadline))
		goto out;
	hvs->hold_counting = false;
	/* A daemon that begins again flushes first, with nothing frozen. */
	if (hvs->state == HV_VSS_FREEZE && hv_vss_guard_none(hvs->guard))
		goto out;
	if (freeze_under_way(hvs))
		hv_vss_complain(hvs, "frozen for %u ms, which is the limit", hvs->hold_ms);
	hv_vss_end_freeze(hvs, hv_vss_event(hvs, HV_VSS_EV_HOLD_BARE), HV_VSS_CANCEL_HOLD);
out:
	mutex_unlock(&hvs->lock);
}

/**
 * hv_vss_engine_init() - initialise a device without daemon
 * @hvs: zeroed
 *
 * Context: process; @hvs is not shared yet.
 */
void hv_vss_engine_init(struct hv_vss_device *hvs)
{
	hvs->state = HV_VSS_DETACHED;
	INIT_DELAYED_WORK(&hvs->timeout, timeout_work);
	INIT_DELAYED_WORK(&hvs->hold, hold_work);
	init_waitqueue_head(&hvs->readers);
}

/**
 * hv_vss_engine_stop() - stop the timers
 * @hvs: dead, so that nothing restarts them
 *
 * Context: process, without the lock.
 */
void hv_vss_engine_stop(struct hv_vss_device *hvs)
{
	cancel_delayed_work_sync(&hvs->timeout);
	cancel_delayed_work_sync(&hvs->hold);
	cancel_delayed_work_sync(&hvs->watch);
}

/**
 * hv_vss_reset() - end what is outstanding or frozen
 * @hvs: in any state
 * @reason: to tell the daemon
 */
void hv_vss_reset(struct hv_vss_device *hvs, enum hv_vss_cancel reason)
{
	hv_vss_end_freeze(hvs, hv_vss_event(hvs, HV_VSS_EV_RESET_BARE), reason);
}
