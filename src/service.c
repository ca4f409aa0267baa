// SPDX-License-Identifier: GPL-2.0-only
/* The daemon's side. See service.h. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/string.h>
#include "compat/compat.h"
#include "engine.h"
#include "params.h"
#include "service.h"

/**
 * hv_vss_service_register() - register a daemon
 * @hvs: opened, without registered daemon
 * @daemon: base or extended
 * @features: that both sides have
 *
 * Context: lock held.
 */
void hv_vss_service_register(struct hv_vss_device *hvs, enum hv_vss_daemon daemon, u32 features)
{
	hvs->daemon = daemon;
	hvs->features = features;
	hv_vss_service_seen(hvs);
	hv_vss_mail(hvs, HV_VSS_MAIL_HELLO, 0);
	hv_vss_do(hvs, hv_vss_event(hvs, HV_VSS_EV_REGISTER_BARE), NULL, 0);
}

/**
 * hv_vss_service_seen() - remember the calling process as the daemon
 * @hvs: opened
 *
 * Context: lock held; the process that registers or has read a request.
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
 * hv_vss_service_gone() - has the daemon died, though its device is open?
 * @hvs: the device
 *
 * A killed process with a thread stuck in FIFREEZE keeps its files open until FIFREEZE returns. One
 * that dumps core keeps them open until the core is written, perhaps to a file system that it has
 * frozen. Thaws and the next daemon must not wait for that. So this reads the state of the thread
 * group: the thread that dumps has no PF_EXITING, and from Linux 5.16 on neither have the threads
 * that wait for it (coredump_task_exit()).
 *
 * Context: lock held. Return: false also if no daemon is registered.
 */
bool hv_vss_service_gone(const struct hv_vss_device *hvs)
{
	const unsigned int ending = SIGNAL_GROUP_EXIT | HV_VSS_SIGNAL_GROUP_COREDUMP;
	struct task_struct *leader;
	bool gone;

	if (!hvs->daemon_pid)
		return false;
	rcu_read_lock();
	leader = pid_task(hvs->daemon_pid, PIDTYPE_PID);
	/* A pending SIGKILL: the thread is killed, but stuck in the kernel. */
	gone = !leader || leader->flags & PF_EXITING || leader->signal->flags & ending ||
	       sigismember(&leader->pending.signal, SIGKILL);
	rcu_read_unlock();
	return gone;
}

/* Does the reply answer the outstanding request? The daemon must have read that. */
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
 * Return: 0; -EINVAL (base) or -ESTALE (extended) if it answers no outstanding request; -EIO if it
 * says "frozen" though an armed file system is not.
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
 * hv_vss_service_closed() - the daemon has closed the device or died
 * @hvs: may be dead
 *
 * Context: lock held.
 */
void hv_vss_service_closed(struct hv_vss_device *hvs)
{
	hv_vss_end_freeze(hvs, hv_vss_event(hvs, HV_VSS_EV_CLOSE_BARE), 0);
	hvs->owner = NULL;
	put_pid(hvs->daemon_pid);
	hvs->daemon_pid = NULL;
	hvs->daemon = HV_VSS_DAEMON_NONE;
	hvs->features = 0;
	memset(&hvs->limits, 0, sizeof(hvs->limits));
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
 * @e: what hv_vss_guard_prepare() returned, called without the lock; set to NULL if it is used
 *
 * Context: lock held. Return: 0 or an error as listed in the uapi header.
 */
int hv_vss_service_arm(struct hv_vss_device *hvs, const struct hv_vss_guard *req,
		       struct guard_entry **e)
{
	int ret = guard_allowed(hvs);
	bool first;

	if (ret)
		return ret;
	if (hvs->dead)
		return -ENODEV;
	if (hvs->state != HV_VSS_FREEZE || !hvs->delivered || req->cookie != hvs->cookie)
		return -ESTALE;
	first = hv_vss_guard_none(hvs->guard);
	ret = hv_vss_guard_arm(hvs->guard, e);
	if (!ret && (first || !hvs->hold_counting))
		hv_vss_hold_start(hvs, hvs->limits.freezing_ms);
	return ret;
}

/**
 * hv_vss_service_frozen() - the daemon's FIFREEZE has succeeded
 * @hvs: opened
 * @req: as given to the ioctl
 *
 * Context: lock held. Return: 0, -EBADF, -EIO if it is not frozen, or -ESTALE (the guard thaws it).
 */
int hv_vss_service_frozen(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	int ret = guard_allowed(hvs);

	return ret ? ret : hv_vss_guard_frozen(hvs->guard, req->fd, req->cookie);
}

/* If the daemon thaws a file system before the host's THAW, the whole freeze is broken. */
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
 * Context: lock held. Return: 0, -EBADF, or an error of hv_vss_guard_thawing().
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
 * hv_vss_service_thaw() - the daemon wants the kernel to end its freeze of a superblock
 * @hvs: opened
 * @req: as given to the ioctl
 * @thaw: set to the argument of hv_vss_guard_thaw_wait(), to be called without the lock; or NULL
 *
 * Context: lock held. Return: 0 or an error as listed in the uapi header.
 */
int hv_vss_service_thaw(struct hv_vss_device *hvs, const struct hv_vss_guard *req,
			struct hv_vss_guard_thaw **thaw)
{
	*thaw = NULL;
	if (!hv_vss_guarded(hvs) || !(hvs->features & HV_VSS_FEAT_THAW))
		return -EINVAL;
	early_thaw(hvs, req);
	return hv_vss_guard_thaw_begin(hvs->guard, req->fd, req->cookie, thaw);
}

/**
 * hv_vss_service_late() - a daemon that was cut off reports about its freeze
 * @hvs: the device
 * @req: as given to the ioctl
 *
 * Its thread may return from FIFREEZE only now. If the guard never learned that, it would go on to
 * thaw as long as the thread lives, and no later backup could freeze that file system.
 *
 * Context: lock held. Return: -ENODEV.
 */
int hv_vss_service_late(struct hv_vss_device *hvs, const struct hv_vss_guard *req)
{
	hv_vss_guard_thawing(hvs->guard, req->fd, req->cookie);
	return -ENODEV;
}

/* Are the limits in use? Not by a request that the daemon has not read: it can't have begun. */
static bool limits_in_use(const struct hv_vss_device *hvs)
{
	switch (hvs->state) {
	case HV_VSS_IDLE:
		/* What an earlier daemon left is already released. */
		return false;
	case HV_VSS_CHECK:
	case HV_VSS_FREEZE:
	case HV_VSS_VAIN:
		return hvs->delivered;
	default:
		return true;
	}
}

/**
 * hv_vss_service_limits() - set how long file systems may be frozen
 * @hvs: opened
 * @limits: what the daemon wants; set to what is in force
 *
 * Context: lock held. Return: 0 or an error as listed in the uapi header.
 */
int hv_vss_service_limits(struct hv_vss_device *hvs, struct hv_vss_limits *limits)
{
	u32 most = READ_ONCE(hv_vss_hold_max_ms);

	if (!hv_vss_guarded(hvs) || !(hvs->features & HV_VSS_FEAT_LIMITS))
		return -EINVAL;
	if (!limits->freezing_ms || !limits->hold_ms || limits->reserved[0] ||
	    limits->reserved[1])
		return -EINVAL;
	if (limits_in_use(hvs))
		return -EBUSY;
	limits->freezing_ms = min(limits->freezing_ms, most);
	limits->hold_ms = min(limits->hold_ms, most);
	hvs->limits = *limits;
	return 0;
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

/* Is a request with the daemon, or a freeze held? */
static bool daemon_needed(const struct hv_vss_device *hvs)
{
	return hvs->state != HV_VSS_DETACHED && hvs->state != HV_VSS_LOST &&
	       hvs->state != HV_VSS_IDLE;
}

/*
 * A dead daemon may leave a thread that keeps the file open: stuck in FIFREEZE, or dumping core to
 * a frozen file system.
 */
static void check_daemon(struct hv_vss_device *hvs)
{
	if (!hvs->owner || !hv_vss_service_gone(hvs))
		return;
	hv_vss_complain(hvs, "the daemon died, but something keeps its device open");
	hv_vss_service_closed(hvs);
}

static void watch_work(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device,
						 watch);

	mutex_lock(&hvs->lock);
	hv_vss_check_freeze(hvs);
	if (daemon_needed(hvs))
		check_daemon(hvs);
	if (daemon_needed(hvs) && !hvs->dead)
		queue_delayed_work(hvs->channel.wq, &hvs->watch, msecs_to_jiffies(HV_VSS_WATCH_MS));
	mutex_unlock(&hvs->lock);
}

/**
 * hv_vss_service_init() - initialise the daemon's side; no daemon is registered
 * @hvs: new
 *
 * Context: process; @hvs is not shared yet.
 */
void hv_vss_service_init(struct hv_vss_device *hvs)
{
	INIT_DELAYED_WORK(&hvs->watch, watch_work);
}
