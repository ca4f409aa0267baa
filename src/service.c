// SPDX-License-Identifier: GPL-2.0-only
/* The daemon's side. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include "compat.h"
#include "engine.h"
#include "service.h"

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
	hv_vss_service_seen(hvs);
	hv_vss_mail(hvs, HV_VSS_MAIL_HELLO, 0);
	hv_vss_do(hvs, hv_vss_guarded(hvs) ? HV_VSS_EV_REGISTER_GUARDED : HV_VSS_EV_REGISTER_BARE,
		  NULL, 0);
}

/**
 * hv_vss_service_seen() - the calling process is the daemon
 * @hvs: opened
 *
 * Context: lock held; of the process that registers or has read a request.
 */
void hv_vss_service_seen(struct hv_vss_device *hvs)
{
	struct pid *pid = task_pid(current->group_leader);

	if (pid == hvs->daemon_pid)
		return;
	put_pid(hvs->daemon_pid);
	hvs->daemon_pid = get_pid(pid);
}

/**
 * hv_vss_service_gone() - has the daemon exited, though its device is open?
 * @hvs: the device
 *
 * A killed process with a thread that is stuck in FIFREEZE keeps its files until that returns.
 * What it froze, and the next daemon, must not wait for that.
 *
 * Context: lock held. Return: false also if none has registered.
 */
bool hv_vss_service_gone(const struct hv_vss_device *hvs)
{
	struct task_struct *leader;
	bool gone;

	if (!hvs->daemon_pid)
		return false;
	rcu_read_lock();
	leader = pid_task(hvs->daemon_pid, PIDTYPE_PID);
	/* The second: killed, though too stuck itself to notice. */
	gone = !leader || leader->flags & PF_EXITING ||
	       sigismember(&leader->pending.signal, SIGKILL);
	rcu_read_unlock();
	return gone;
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
		hv_vss_complain(hvs, "%s is not frozen, though the daemon says so", who);
		done = false;
		ret = -EIO;
	}
	hvs->delivered = false;
	if (!(hv_vss_do(hvs, done ? HV_VSS_EV_DONE : HV_VSS_EV_FAILED, NULL, 0) &
	      HV_VSS_DO_STALE))
		return ret;
stale:
	hvs->counts[HV_VSS_N_STALE]++;
	return hvs->daemon == HV_VSS_DAEMON_EXTENDED ? -ESTALE : -EINVAL;
}

/**
 * hv_vss_service_closed() - the daemon is gone: it closed the device or died
 * @hvs: may be dead
 *
 * Context: lock held.
 */
void hv_vss_service_closed(struct hv_vss_device *hvs)
{
	hv_vss_end_freeze(hvs, hv_vss_guarded(hvs) ? HV_VSS_EV_CLOSE_GUARDED :
			  HV_VSS_EV_CLOSE_BARE, 0);
	hvs->owner = NULL;
	put_pid(hvs->daemon_pid);
	hvs->daemon_pid = NULL;
	hvs->daemon = HV_VSS_DAEMON_NONE;
	hvs->features = 0;
	hvs->mail = 0;
	hvs->mail_seq++;
	wake_up_all(&hvs->readers);
}

static int guard_allowed(const struct hv_vss_device *hvs)
{
	return hv_vss_guarded(hvs) ? 0 : -EINVAL;
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
		hv_vss_hold_start(hvs);
	return ret;
}

/**
 * hv_vss_service_frozen() - the daemon's FIFREEZE has succeeded
 * @hvs: opened
 * @req: as given to the ioctl
 *
 * Context: lock held. Return: 0, -EBADF, -EIO if it is not frozen, or -ESTALE: the guard thaws it.
 */
int hv_vss_service_frozen(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	int ret = guard_allowed(hvs);

	return ret ? ret : hv_vss_guard_frozen(hvs->guard, req->fd, req->cookie);
}

/* The daemon ends a freeze that the host still counts on: then it is over as a whole. */
static void early_thaw(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	if (hvs->state == HV_VSS_FROZEN && req->cookie == hvs->freeze_cookie)
		hv_vss_end_freeze(hvs, HV_VSS_EV_BREAK, HV_VSS_CANCEL_EARLY_THAW);
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
	ret = hv_vss_guard_disarm(hvs->guard, req->fd, req->cookie);
	/* A daemon that starts over writes out first, with nothing frozen. */
	if (!ret && hvs->state == HV_VSS_FREEZE && hv_vss_guard_none(hvs->guard))
		hvs->hold_counting = false;
	return ret;
}
