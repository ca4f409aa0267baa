/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One VSS device of the VMBus. It lives from probe until driver and open file have dropped it.
 *
 * Locking. hv_vss_device.lock (a mutex) covers every field unless its comment says otherwise. While
 * it is held nothing waits for user space, a file system, the host or memory.
 * Order: misc_mtx (of the misc class) -> file.read_lock -> device.lock -> guard.lock.
 * The interrupt takes none of our locks; it only queues the pump.
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
	HV_VSS_N_BUSY,			/* failed because another one was outstanding */
	HV_VSS_N_TIMEOUT,		/* failed because the daemon took too long */
	HV_VSS_N_MALFORMED,		/* packets too short for their type */
	HV_VSS_N_FOREIGN,		/* packets or messages of another type */
	HV_VSS_N_GARBAGE,		/* times the ring was emptied, see HV_VSS_GARBAGE */
	HV_VSS_N_SEND_RETRY,		/* times an answer had to wait for room in the ring */
	HV_VSS_N_STALE,			/* writes of the daemon to no outstanding request */
	HV_VSS_N_BROKEN,		/* freezes that ended before the host's THAW */
	HV_VSS_COUNTS
};

enum hv_vss_daemon {
	HV_VSS_DAEMON_NONE,
	HV_VSS_DAEMON_BASE,
	HV_VSS_DAEMON_EXTENDED,
};

/* Is the channel open, and if not, why? The table of names in sysfs.c is in the same order. */
enum hv_vss_link {
	HV_VSS_LINK_CLOSED,		/* not tried yet */
	HV_VSS_LINK_OPEN,
	HV_VSS_LINK_NO_MEMORY,
	HV_VSS_LINK_REFUSED,		/* by the host */
	HV_VSS_LINK_NO_DEVICE,		/* /dev/vmbus/hv_vss could not be created */
};

/* What a read() can return, in the order of delivery; bits of hv_vss_device.mail. */
#define HV_VSS_MAIL_HELLO	0x1	/* the answer to the registration */
#define HV_VSS_MAIL_CANCEL	0x2
#define HV_VSS_MAIL_REQUEST	0x4

struct hv_vss_device {
	struct kref ref;
	struct mutex lock;		/* see above */
	struct hv_vss_channel channel;
	struct miscdevice misc;
	struct notifier_block pm;
	bool dead;			/* removed; an open file can only be closed */
	bool suspending;		/* requests are refused */
	enum hv_vss_link link;

	/* for probe, remove, suspend, resume and retry, which never run at the same time */
	struct delayed_work retry;	/* opens the channel */
	unsigned int retry_ms;		/* until the next retry */
	bool shown;			/* @misc is registered */

	/* the transaction */
	enum hv_vss_state state;
	u8 op;				/* of the outstanding request */
	u32 arg;
	u32 cookie;			/* of the outstanding or last forwarded request */
	bool own;			/* it is a THAW of our own: the host waits for no answer */
	bool delivered;			/* the daemon has read it */
	unsigned long deadline;		/* jiffies */
	struct delayed_work timeout;
	struct hv_vss_request body;	/* of FREEZE, as the daemon reads it */

	/* the freeze */
	u32 freeze_cookie;
	bool hold_counting;
	unsigned long hold_deadline;	/* jiffies */
	u32 hold_ms;			/* the limit it was computed from */
	struct hv_vss_limits limits;	/* set by the daemon; zero: not set */
	struct delayed_work hold;
	struct delayed_work watch;
	struct hv_vss_guard_set *guard;

	/* the daemon */
	void *owner;			/* the daemon's open file, or NULL */
	struct pid *daemon_pid;		/* its process */
	enum hv_vss_daemon daemon;
	u32 features;
	unsigned int mail;
	u32 mail_seq;			/* changes with every change of mail */
	struct hv_vss_frame cancel;
	wait_queue_head_t readers;

	/* for sysfs and the log */
	struct hv_vss_ic_versions versions;
	bool negotiated;
	u64 counts[HV_VSS_COUNTS];
	char last_error[120];
};

struct hv_vss_device *hv_vss_device_get(struct hv_vss_device *hvs);
void hv_vss_device_put(struct hv_vss_device *hvs);

#endif /* _HV_VSS_DEVICE_H */
