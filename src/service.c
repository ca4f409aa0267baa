// SPDX-License-Identifier: GPL-2.0-only
/* Carries out what the state table says. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include "compat.h"
#include "service.h"

/* Packets handled before the processor is offered to others, and the lock to the daemon. */
#define PUMP_BATCH	32
/* How often held file systems are looked at: has somebody else thawed one? */
#define WATCH_MS	100

static bool guarded(const struct hv_vss_device *hvs)
{
	return hvs->daemon == HV_VSS_DAEMON_EXTENDED && hvs->features & HV_VSS_FEAT_GUARD;
}

static enum hv_vss_count op_index(u8 op)
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

	return names[op_index(op)];
}

static __printf(2, 3) void complain(struct hv_vss_device *hvs, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(hvs->last_error, sizeof(hvs->last_error), fmt, args);
	va_end(args);
	pr_warn_ratelimited("%s\n", hvs->last_error);
}

/* Send the answer in @b, or leave it there for the pump if the host's ring is full. */
static void answer(struct hv_vss_device *hvs, struct hv_vss_buffer *b, u8 op, u32 status)
{
	hvs->counts[op_index(op) + (status ? HV_VSS_N_HOT_BACKUP_FAILED :
				    HV_VSS_N_HOT_BACKUP_OK)]++;
	hv_vss_ic_answer(b->pkt.data, b->pkt.len, status);
	b->answer = true;
	if (!hvs->channel.running || hv_vss_channel_flush(&hvs->channel))
		return;
	hvs->counts[HV_VSS_N_SEND_RETRY]++;
	hv_vss_channel_retry(&hvs->channel);
}

static void mail(struct hv_vss_device *hvs, unsigned int add, unsigned int remove)
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
	mail(hvs, HV_VSS_MAIL_REQUEST, 0);
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
	mail(hvs, HV_VSS_MAIL_CANCEL, 0);
}

/* The outstanding request is over. */
static void finish(struct hv_vss_device *hvs, u32 status)
{
	cancel_delayed_work(&hvs->timeout);
	mail(hvs, 0, HV_VSS_MAIL_REQUEST);
	if (!hvs->own)
		answer(hvs, hvs->channel.held, hvs->op, status);
}

static void hold_start(struct hv_vss_device *hvs)
{
	hvs->hold_counting = true;
	timer_start(hvs, &hvs->hold, &hvs->hold_deadline, READ_ONCE(hv_vss_hold_timeout_ms));
}

/* Everything that can happen goes through here. @req is the host's request, if it is one. */
static unsigned int event(struct hv_vss_device *hvs, enum hv_vss_event ev,
			  const struct hv_vss_ic_request *req, enum hv_vss_cancel reason)
{
	enum hv_vss_state old = hvs->state;
	struct hv_vss_step step = hv_vss_transaction_step(old, ev);
	bool outstanding = old != HV_VSS_FROZEN;

	lockdep_assert_held(&hvs->lock);
	hvs->state = step.next;
	if (step.actions & HV_VSS_DO_RELEASE)
		hv_vss_guard_release(hvs->guard);
	if (step.actions & HV_VSS_DO_CANCEL) {
		/* What was never read is taken back silently. */
		if (!outstanding)
			cancel(hvs, reason, hvs->freeze_cookie);
		else if (hvs->delivered)
			cancel(hvs, reason, hvs->cookie);
	}
	if (step.actions & HV_VSS_DO_FAIL)
		finish(hvs, HV_VSS_E_FAIL);
	if (step.actions & HV_VSS_DO_SUCCEED)
		finish(hvs, HV_VSS_S_OK);
	if (step.actions & HV_VSS_DO_END)
		finish(hvs, HV_VSS_S_OK);
	if (step.actions & HV_VSS_DO_HOLD) {
		hold_start(hvs);
		mod_delayed_work(hvs->channel.wq, &hvs->watch, msecs_to_jiffies(WATCH_MS));
	}
	if (step.actions & HV_VSS_DO_REJECT)
		answer(hvs, hvs->channel.rx, req->op, HV_VSS_E_FAIL);
	if (step.actions & HV_VSS_DO_FORWARD) {
		if (req->op == HV_VSS_OP_FREEZE)
			keep_body(hvs, req);
		hv_vss_channel_hold(&hvs->channel);
		hand_over(hvs, req->op, req->arg, false);
	}
	if (step.actions & HV_VSS_DO_CLEANUP)
		hand_over(hvs, HV_VSS_OP_THAW, 0, true);
	return step.actions;
}

/* The freeze is no longer what the host was promised. */
static void break_freeze(struct hv_vss_device *hvs, enum hv_vss_event ev,
			 enum hv_vss_cancel reason)
{
	if (hvs->state == HV_VSS_FROZEN)
		hvs->counts[HV_VSS_N_BROKEN]++;
	event(hvs, ev, NULL, reason);
}

/* Notice a foreign thaw. */
static void check_freeze(struct hv_vss_device *hvs)
{
	char who[64];

	if (hvs->state != HV_VSS_FROZEN || hv_vss_guard_intact(hvs->guard, who, sizeof(who)))
		return;
	complain(hvs, "%s is no longer frozen: the backup is broken", who);
	break_freeze(hvs, HV_VSS_EV_BREAK, HV_VSS_CANCEL_FOREIGN_THAW);
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
	/* Begun anew while we waited for the lock. */
	if (time_before(jiffies, hvs->deadline))
		goto out;
	hvs->counts[HV_VSS_N_TIMEOUT]++;
	complain(hvs, "the daemon did not answer %s in %u ms", op_name(hvs->op),
		 timeout_ms(hvs->op));
	event(hvs, HV_VSS_EV_TIMEOUT, NULL, HV_VSS_CANCEL_TIMEOUT);
out:
	mutex_unlock(&hvs->lock);
}

static void hold_work(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device, hold);

	mutex_lock(&hvs->lock);
	if (hvs->hold_counting && !time_before(jiffies, hvs->hold_deadline)) {
		hvs->hold_counting = false;
		if (hvs->state == HV_VSS_FROZEN || hvs->state == HV_VSS_FREEZE ||
		    hvs->state == HV_VSS_THAW)
			complain(hvs, "frozen for %u ms, which is the limit",
				 READ_ONCE(hv_vss_hold_timeout_ms));
		break_freeze(hvs, guarded(hvs) ? HV_VSS_EV_HOLD_GUARDED : HV_VSS_EV_HOLD_BARE,
			     HV_VSS_CANCEL_HOLD);
	}
	mutex_unlock(&hvs->lock);
}

static void watch_work(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device,
						 watch);

	mutex_lock(&hvs->lock);
	check_freeze(hvs);
	if (hvs->state == HV_VSS_FROZEN && !hvs->dead)
		queue_delayed_work(hvs->channel.wq, &hvs->watch, msecs_to_jiffies(WATCH_MS));
	mutex_unlock(&hvs->lock);
}

/**
 * hv_vss_service_init() - a device without daemon
 * @hvs: zeroed
 */
void hv_vss_service_init(struct hv_vss_device *hvs)
{
	hvs->state = HV_VSS_DETACHED;
	INIT_DELAYED_WORK(&hvs->timeout, timeout_work);
	INIT_DELAYED_WORK(&hvs->hold, hold_work);
	INIT_DELAYED_WORK(&hvs->watch, watch_work);
	init_waitqueue_head(&hvs->readers);
}

/**
 * hv_vss_service_stop() - stop the clocks
 * @hvs: dead, so that nothing starts them again
 *
 * Context: process, without the lock.
 */
void hv_vss_service_stop(struct hv_vss_device *hvs)
{
	cancel_delayed_work_sync(&hvs->timeout);
	cancel_delayed_work_sync(&hvs->hold);
	cancel_delayed_work_sync(&hvs->watch);
}

static int print_versions(char *buf, size_t size, const u32 *v, unsigned int n)
{
	int len = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		len += scnprintf(buf + len, size - len, " %u.%u", v[i] >> 16, v[i] & 0xffff);
	return len;
}

static void negotiate(struct hv_vss_device *hvs, struct hv_vss_buffer *b)
{
	struct hv_vss_ic_versions versions;
	char text[240];
	int len;

	/* The host has forgotten what it asked before. */
	hv_vss_service_reset(hvs, HV_VSS_CANCEL_RESET);
	hvs->counts[HV_VSS_N_NEGOTIATE]++;
	hv_vss_ic_negotiate(b->pkt.data, b->pkt.len, &versions);
	if (!hvs->negotiated || memcmp(&versions, &hvs->versions, sizeof(versions))) {
		len = scnprintf(text, sizeof(text), "framework");
		len += print_versions(text + len, sizeof(text) - len, versions.fw,
				      versions.fw_count);
		len += scnprintf(text + len, sizeof(text) - len, ", VSS");
		print_versions(text + len, sizeof(text) - len, versions.msg, versions.msg_count);
		pr_info_ratelimited("host offers %s; using %u.%u and %u.%u\n", text,
				    versions.framework >> 16, versions.framework & 0xffff,
				    versions.message >> 16, versions.message & 0xffff);
	}
	hvs->versions = versions;
	hvs->negotiated = true;
	b->answer = true;
	if (!hv_vss_channel_flush(&hvs->channel))
		hv_vss_channel_retry(&hvs->channel);
}

/* The operations that the daemon takes part in. */
static void forward(struct hv_vss_device *hvs, const struct hv_vss_ic_request *req)
{
	static const enum hv_vss_event events[] = {
		[HV_VSS_N_HOT_BACKUP] = HV_VSS_EV_CHECK,
		[HV_VSS_N_FREEZE] = HV_VSS_EV_FREEZE,
		[HV_VSS_N_THAW] = HV_VSS_EV_THAW,
	};

	if (hvs->suspending) {
		answer(hvs, hvs->channel.rx, req->op, HV_VSS_E_FAIL);
		return;
	}
	if (req->op == HV_VSS_OP_THAW)
		check_freeze(hvs);
	if (event(hvs, events[op_index(req->op)], req, HV_VSS_CANCEL_HOST) & HV_VSS_DO_REJECT &&
	    hvs->state != HV_VSS_DETACHED && hvs->state != HV_VSS_LOST)
		hvs->counts[HV_VSS_N_BUSY]++;
}

/*
 * CREATE, DELETE and BACKUP_COMPLETE only inform; a frozen file system needs no AUTO_RECOVER, so
 * all of them succeed by doing nothing. Of what we do not know, success would be a lie.
 */
static void request(struct hv_vss_device *hvs, const struct hv_vss_ic_request *req)
{
	hvs->counts[op_index(req->op)]++;
	switch (req->op) {
	case HV_VSS_OP_HOT_BACKUP:
	case HV_VSS_OP_FREEZE:
	case HV_VSS_OP_THAW:
		forward(hvs, req);
		return;
	case HV_VSS_OP_CREATE:
	case HV_VSS_OP_DELETE:
	case HV_VSS_OP_GET_DM_INFO:
	case HV_VSS_OP_BACKUP_COMPLETE:
	case HV_VSS_OP_AUTO_RECOVER:
		answer(hvs, hvs->channel.rx, req->op, HV_VSS_S_OK);
		return;
	default:
		answer(hvs, hvs->channel.rx, req->op, HV_VSS_E_NOT_SUPPORTED);
	}
}

static void packet(struct hv_vss_device *hvs)
{
	struct hv_vss_buffer *b = hvs->channel.rx;
	struct hv_vss_ic_request req;

	hv_vss_ic_parse(b->pkt.data, b->pkt.len, &req);
	switch (req.kind) {
	case HV_VSS_IC_RUNT:
		hvs->counts[HV_VSS_N_MALFORMED]++;
		complain(hvs, "dropped %u bytes, a header alone has %u", b->pkt.len,
			 HV_VSS_IC_HDR);
		break;
	case HV_VSS_IC_NEGOTIATE:
		negotiate(hvs, b);
		break;
	case HV_VSS_IC_REQUEST:
		request(hvs, &req);
		break;
	case HV_VSS_IC_MALFORMED:
		hvs->counts[HV_VSS_N_MALFORMED]++;
		complain(hvs, "message of %u bytes is too short for what it is", b->pkt.len);
		answer(hvs, b, HV_VSS_OP_CREATE, HV_VSS_E_FAIL);
		break;
	case HV_VSS_IC_FOREIGN:
		hvs->counts[HV_VSS_N_FOREIGN]++;
		answer(hvs, b, HV_VSS_OP_CREATE, HV_VSS_E_NOT_SUPPORTED);
	}
}

/* One packet. Returns false if there is no more, or no room for answers. */
static bool pump_once(struct hv_vss_device *hvs)
{
	if (!hvs->channel.running)
		return false;
	if (!hv_vss_channel_flush(&hvs->channel)) {
		hv_vss_channel_retry(&hvs->channel);
		return false;
	}
	switch (hv_vss_channel_receive(&hvs->channel)) {
	case HV_VSS_EMPTY:
		return false;
	case HV_VSS_PACKET:
		packet(hvs);
		break;
	case HV_VSS_NOT_INBAND:
		hvs->counts[HV_VSS_N_FOREIGN]++;
		break;
	case HV_VSS_GARBAGE:
		hvs->counts[HV_VSS_N_GARBAGE]++;
		complain(hvs, "impossible lengths in the ring, it was emptied");
	}
	return true;
}

/**
 * hv_vss_service_pump() - send what waits, receive and handle what is there
 * @work: channel.pump of a device
 */
void hv_vss_service_pump(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device,
						 channel.pump);
	unsigned int n;
	bool more = true;

	while (more) {
		mutex_lock(&hvs->lock);
		for (n = 0; more && n < PUMP_BATCH; n++)
			more = pump_once(hvs);
		mutex_unlock(&hvs->lock);
		cond_resched();
	}
}

/**
 * hv_vss_service_register() - a daemon is there
 * @hvs: opened, without registered daemon
 * @daemon: base or extended
 * @features: agreed on
 *
 * Context: lock held.
 */
void hv_vss_service_register(struct hv_vss_device *hvs, enum hv_vss_daemon daemon, u32 features)
{
	hvs->daemon = daemon;
	hvs->features = features;
	mail(hvs, HV_VSS_MAIL_HELLO, 0);
	event(hvs, guarded(hvs) ? HV_VSS_EV_REGISTER_GUARDED : HV_VSS_EV_REGISTER_BARE, NULL, 0);
}

/* Does the reply answer the outstanding request? One that was not read can't be answered. */
static bool reply_matches(const struct hv_vss_device *hvs, const struct hv_vss_reply *reply)
{
	if (!hvs->delivered)
		return false;
	return hvs->daemon != HV_VSS_DAEMON_EXTENDED || reply->cookie == hvs->cookie;
}

/**
 * hv_vss_service_reply() - the daemon's answer
 * @hvs: with a registered daemon
 * @reply: as written
 *
 * Context: lock held.
 * Return: 0; -EINVAL or, extended, -ESTALE if it answers nothing; -EIO if a FREEZE is claimed to
 * have succeeded that did not.
 */
int hv_vss_service_reply(struct hv_vss_device *hvs, const struct hv_vss_reply *reply)
{
	bool done = reply->status == HV_VSS_S_OK;
	char who[64];
	int ret = 0;

	if (!reply_matches(hvs, reply))
		goto stale;
	if (done && hvs->state == HV_VSS_FREEZE &&
	    !hv_vss_guard_hold(hvs->guard, who, sizeof(who))) {
		complain(hvs, "%s is not frozen, though the daemon says so", who);
		done = false;
		ret = -EIO;
	}
	hvs->delivered = false;
	if (!(event(hvs, done ? HV_VSS_EV_DONE : HV_VSS_EV_FAILED, NULL, 0) & HV_VSS_DO_STALE))
		return ret;
stale:
	hvs->counts[HV_VSS_N_STALE]++;
	return hvs->daemon == HV_VSS_DAEMON_EXTENDED ? -ESTALE : -EINVAL;
}

/**
 * hv_vss_service_closed() - the device was closed, so the daemon is gone
 * @hvs: may be dead
 *
 * Context: lock held.
 */
void hv_vss_service_closed(struct hv_vss_device *hvs)
{
	break_freeze(hvs, guarded(hvs) ? HV_VSS_EV_CLOSE_GUARDED : HV_VSS_EV_CLOSE_BARE, 0);
	hvs->daemon = HV_VSS_DAEMON_NONE;
	hvs->features = 0;
	hvs->mail = 0;
	hvs->mail_seq++;
}

/**
 * hv_vss_service_reset() - whatever is outstanding or frozen ends now
 * @hvs: any state
 * @reason: told to the daemon
 *
 * Context: lock held.
 */
void hv_vss_service_reset(struct hv_vss_device *hvs, enum hv_vss_cancel reason)
{
	break_freeze(hvs, guarded(hvs) ? HV_VSS_EV_RESET_GUARDED : HV_VSS_EV_RESET_BARE, reason);
}

static int guard_allowed(const struct hv_vss_device *hvs)
{
	return guarded(hvs) ? 0 : -EINVAL;
}

/**
 * hv_vss_service_arm() - the calling thread is about to freeze
 * @hvs: opened
 * @req: as given to the ioctl
 *
 * Context: lock held. Return: 0 or an error as listed in the uapi header.
 */
int hv_vss_service_arm(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	int ret = guard_allowed(hvs);

	if (ret)
		return ret;
	if (hvs->dead)
		return -ENODEV;
	if (hvs->state != HV_VSS_FREEZE || !hvs->delivered || req->cookie != hvs->cookie)
		return -ESTALE;
	ret = hv_vss_guard_arm(hvs->guard, req->fd, req->cookie);
	if (!ret && !hvs->hold_counting)
		hold_start(hvs);
	return ret;
}

/* The daemon ends a freeze that the host still counts on: then it is over as a whole. */
static void early_thaw(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	if (hvs->state == HV_VSS_FROZEN && req->cookie == hvs->freeze_cookie)
		break_freeze(hvs, HV_VSS_EV_BREAK, HV_VSS_CANCEL_EARLY_THAW);
}

/**
 * hv_vss_service_thawing() - the daemon is about to thaw
 * @hvs: opened
 * @req: as given to the ioctl
 *
 * Context: lock held. Return: 0, -EBADF, or -ESTALE: the guard does it or has done it.
 */
int hv_vss_service_thawing(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	int ret = guard_allowed(hvs);

	if (ret)
		return ret;
	early_thaw(hvs, req);
	return hv_vss_guard_thawing(hvs->guard, req->fd, req->cookie);
}

/**
 * hv_vss_service_disarm() - the daemon has nothing frozen there (any more)
 * @hvs: opened
 * @req: as given to the ioctl
 *
 * Context: lock held. Return: 0, -EBADF, or -ESTALE if it is not armed.
 */
int hv_vss_service_disarm(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	int ret = guard_allowed(hvs);

	if (ret)
		return ret;
	early_thaw(hvs, req);
	return hv_vss_guard_disarm(hvs->guard, req->fd, req->cookie);
}
