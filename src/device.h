/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VSS device of the VMBus, from probe until the last of {driver, open file} lets go of it.
 *
 * Locking. hv_vss_device.lock (a mutex) covers every field that is not said to be otherwise. Under
 * it nothing waits for user space, a file system or the host, except for memory with GFP_NOIO.
 * Order: misc_mtx (of the misc class) -> file.read_lock -> device.lock -> guard.lock.
 * The interrupt takes no lock of ours; it only queues the pump.
 */
#ifndef _HV_VSS_DEVICE_H
#define _HV_VSS_DEVICE_H

#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "channel.h"
#include "guard.h"
#include "transaction.h"

/* Counters in sysfs; the table of names in sysfs.c is in the same order. */
enum hv_vss_count {
	HV_VSS_N_HOT_BACKUP,		/* requests, by operation */
	HV_VSS_N_FREEZE,
	HV_VSS_N_THAW,
	HV_VSS_N_OTHER,
	HV_VSS_N_NEGOTIATE,
	HV_VSS_N_HOT_BACKUP_OK,		/* answered with success, by operation */
	HV_VSS_N_FREEZE_OK,
	HV_VSS_N_THAW_OK,
	HV_VSS_N_OTHER_OK,
	HV_VSS_N_HOT_BACKUP_FAILED,	/* answered with failure, by operation */
	HV_VSS_N_FREEZE_FAILED,
	HV_VSS_N_THAW_FAILED,
	HV_VSS_N_OTHER_FAILED,
	HV_VSS_N_BUSY,			/* of the failed: because another was outstanding */
	HV_VSS_N_TIMEOUT,		/* of the failed: because the daemon took too long */
	HV_VSS_N_MALFORMED,		/* packets too short for what they claim to be */
	HV_VSS_N_FOREIGN,		/* of a message or packet type that is not ours */
	HV_VSS_N_GARBAGE,		/* times the ring made no sense and was emptied */
	HV_VSS_N_SEND_RETRY,		/* times an answer had to wait for room in the ring */
	HV_VSS_N_STALE,			/* writes of the daemon that answered nothing */
	HV_VSS_N_BROKEN,		/* freezes that ended before the host asked */
	HV_VSS_COUNTS
};

enum hv_vss_daemon {
	HV_VSS_DAEMON_NONE,
	HV_VSS_DAEMON_BASE,
	HV_VSS_DAEMON_EXTENDED,
};

/* What a read() can return, in the order of their delivery; bits of hv_vss_device.mail. */
#define HV_VSS_MAIL_HELLO	0x1	/* the answer to the registration */
#define HV_VSS_MAIL_CANCEL	0x2
#define HV_VSS_MAIL_REQUEST	0x4

struct hv_vss_device {
	struct kref ref;
	struct mutex lock;		/* see above */
	struct hv_vss_channel channel;
	struct miscdevice misc;
	struct notifier_block pm;
	bool dead;			/* removed: only closing is left to do */
	bool suspending;		/* no request is taken any more */

	/* the transaction */
	enum hv_vss_state state;
	u8 op;				/* of the outstanding request */
	u32 arg;
	u32 cookie;			/* of the outstanding or last forwarded request */
	bool own;			/* no answer is due, it is a THAW of our own */
	bool delivered;			/* the daemon has read it */
	unsigned long deadline;		/* jiffies */
	struct delayed_work timeout;
	struct hv_vss_request body;	/* of FREEZE, as the daemon reads it */

	/* the freeze */
	u32 freeze_cookie;
	bool hold_counting;
	unsigned long hold_deadline;	/* jiffies */
	struct delayed_work hold;
	struct delayed_work watch;
	struct hv_vss_guard_set *guard;

	/* the daemon */
	void *owner;			/* the open file that serves, or NULL */
	struct pid *daemon_pid;		/* its process */
	enum hv_vss_daemon daemon;
	u32 features;
	unsigned int mail;
	u32 mail_seq;			/* changes with every change of mail */
	struct hv_vss_frame cancel;
	wait_queue_head_t readers;

	/* for the eyes */
	struct hv_vss_ic_versions versions;
	bool negotiated;
	u64 counts[HV_VSS_COUNTS];
	char last_error[120];
};

struct hv_vss_device *hv_vss_device_get(struct hv_vss_device *hvs);
void hv_vss_device_put(struct hv_vss_device *hvs);

#endif /* _HV_VSS_DEVICE_H */
