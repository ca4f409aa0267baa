/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The protocol of /dev/vmbus/hv_vss between hv_vss.ko (or the in-tree hv_utils) and its daemon.
 *
 * Base protocol: the same bytes as that of <linux/hyperv.h>, which hv_utils uses:
 *
 *	daemon writes	struct hv_vss_frame { .op = HV_VSS_OP_REGISTER1 }
 *	daemon reads	__u32 (HV_VSS_OP_REGISTER1)
 *	daemon reads	struct hv_vss_frame, .op = what the host wants (blocks)
 *	daemon writes	struct hv_vss_reply, .status = 0 or HV_VSS_E_FAIL
 *
 * Extended protocol, of hv_vss.ko only. hv_utils refuses the registration with EINVAL; the daemon
 * then uses the base protocol on the same file descriptor:
 *
 *	daemon writes	struct hv_vss_frame { .op = HV_VSS_OP_REGISTER2,
 *			.cookie = HV_VSS_ABI, .arg = features wanted }
 *	daemon reads	struct hv_vss_registered
 *	daemon reads	struct hv_vss_request: a frame with a cookie, FREEZE with its body
 *	daemon writes	struct hv_vss_reply with the cookie of the request it answers. Any
 *			cookie but that of the outstanding request is refused with ESTALE
 *
 * The body of FREEZE (everything after .frame, up to the last LUN) is sent only with
 * HV_VSS_FEAT_LUNS. read() needs a buffer for the whole message; otherwise it fails with EINVAL and
 * keeps the message. sizeof(struct hv_vss_request) is always enough.
 *
 * HV_VSS_OP_CANCEL tells an extended daemon that a request is cancelled, or that the kernel has
 * thawed what the daemon had frozen. .cookie is that of the request (that of FREEZE, if it was
 * already answered), .arg is one of enum hv_vss_cancel. The daemon does not answer it. A request
 * that the daemon has not read is cancelled without a message.
 *
 * A write fails with EINVAL (base) or ESTALE (extended) if it does not answer a request that is
 * outstanding and was read. A success for FREEZE fails with EIO if an armed file system is not
 * frozen; the host is then told "failed". When the service is gone, poll() reports HUP, and read()
 * returns a last CANCEL, if there is one, and then ENODEV, as write() and ioctl() do. A base daemon
 * that has answered FREEZE first reads a last THAW; the kernel can't thaw for it.
 *
 * If nothing is frozen, or the freeze is not whole any more, THAW is sent to the daemon all the
 * same, so that it can clean up; but the host is told "failed" whatever the daemon answers.
 *
 * All integers are in the guest's byte order. Padding is zero in both directions.
 */
#ifndef _UAPI_HV_VSS_H
#define _UAPI_HV_VSS_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HV_VSS_DEVICE		"vmbus/hv_vss"	/* below /dev */
#define HV_VSS_ABI		1

/* Operations of the host, as on the wire (struct hv_vss_frame.op). */
#define HV_VSS_OP_CREATE		0
#define HV_VSS_OP_DELETE		1
#define HV_VSS_OP_HOT_BACKUP		2
#define HV_VSS_OP_GET_DM_INFO		3
#define HV_VSS_OP_BACKUP_COMPLETE	4
#define HV_VSS_OP_FREEZE		5
#define HV_VSS_OP_THAW			6
#define HV_VSS_OP_AUTO_RECOVER		7
/* Operations between module and daemon only. */
#define HV_VSS_OP_REGISTER		128	/* was used over netlink; refused */
#define HV_VSS_OP_REGISTER1		129
#define HV_VSS_OP_REGISTER2		130
#define HV_VSS_OP_CANCEL		131

#define HV_VSS_S_OK			0x00000000
#define HV_VSS_E_FAIL			0x80004005

/* HOT_BACKUP: the guest needs no auto-recovery of the snapshot on the host. */
#define HV_VSS_NO_AUTO_RECOVERY		0x00000005

/* Features, negotiated by REGISTER2. */
#define HV_VSS_FEAT_CANCEL		0x00000001
#define HV_VSS_FEAT_GUARD		0x00000002
#define HV_VSS_FEAT_LUNS		0x00000004
#define HV_VSS_FEAT_LIMITS		0x00000008	/* HV_VSS_IOC_LIMITS */
#define HV_VSS_FEAT_THAW		0x00000010	/* HV_VSS_IOC_THAW */

struct hv_vss_frame {
	__u8 op;
	__u8 reserved[3];
	__u32 cookie;		/* 0 in the base protocol */
	__u32 arg;		/* HOT_BACKUP, GET_DM_INFO, THAW: flags; CANCEL: the reason */
};

struct hv_vss_reply {
	__u32 status;
	__u32 cookie;		/* ignored in the base protocol */
	__u32 reserved;
};

struct hv_vss_registered {
	__u32 abi;		/* the lower version of both sides */
	__u32 features;		/* that both sides have */
	__u32 freeze_timeout_ms;	/* from the request until the host is told "failed" */
	__u32 thaw_timeout_ms;
	__u32 check_timeout_ms;	/* HOT_BACKUP */
	__u32 hold_timeout_ms;	/* from the first ARM, and again from the answer to FREEZE, until
				 * the guard thaws; with HV_VSS_FEAT_LIMITS the daemon can set its
				 * own limits
				 */
	__u32 reserved[2];
};

/* A disk that the host is going to snapshot, as in the FREEZE packet. */
struct hv_vss_lun {
	__u8 bus_type;		/* 1 SCSI, 2 IDE */
	__u8 reserved[3];
	__u8 controller[16];	/* GUID, wire order: instance id of the storvsc device */
	__u8 port;
	__u8 target;
	__u8 lun;
	__u8 reserved2;
};

#define HV_VSS_LUN_MAX		260

/* What an extended read() returns: the frame, for FREEZE followed by the body. */
struct hv_vss_request {
	struct hv_vss_frame frame;
	__u32 backup_type;
	__u32 flags;
	__u32 lun_count;	/* at most HV_VSS_LUN_MAX */
	struct hv_vss_lun luns[HV_VSS_LUN_MAX];
};

enum hv_vss_cancel {
	HV_VSS_CANCEL_TIMEOUT = 1,	/* the host has been told "failed" */
	HV_VSS_CANCEL_HOLD,		/* frozen for too long: thawed by the kernel */
	HV_VSS_CANCEL_RESCIND,		/* the host has withdrawn the service */
	HV_VSS_CANCEL_SUSPEND,		/* the guest is about to hibernate */
	HV_VSS_CANCEL_RESET,		/* the host negotiated again */
	HV_VSS_CANCEL_FOREIGN_THAW,	/* another process thawed one of the armed file systems */
	HV_VSS_CANCEL_HOST,		/* the host sent THAW instead of waiting for the answer */
	HV_VSS_CANCEL_EARLY_THAW,	/* the daemon itself thawed before the host asked */
	HV_VSS_CANCEL_READONLY,		/* an armed file system met an error and became read-only */
};

/*
 * How long the guard lets file systems be frozen. The daemon sets this right after its
 * registration, so that both sides act at the same time. The admin bounds it with the module's
 * parameter hold_max_ms; the call returns the limits in force. Needs HV_VSS_FEAT_LIMITS. EBUSY: a
 * request that was read is outstanding, or a freeze is held; EINVAL: a limit of 0, or reserved
 * bits.
 */
struct hv_vss_limits {
	__u32 freezing_ms;	/* from the first ARM to the answer to FREEZE */
	__u32 hold_ms;		/* from the answer to FREEZE to the request to THAW */
	__u32 reserved[2];	/* 0 */
};

/*
 * The guard: the kernel thaws what is armed if the daemon can't.
 *
 *	ARM		before ioctl(fd, FIFREEZE), with the same fd and from the same thread
 *	ioctl(fd, FIFREEZE)
 *	  DISARM	if that failed
 *	FROZEN		if it succeeded. Optional. From here on the kernel can tell our freeze from
 *			a later one. ESTALE: the kernel has thawed it or will; EIO: it is not
 *			frozen, because another process has already thawed it
 *	...
 *	THAW		with HV_VSS_FEAT_THAW: the kernel ends this freeze and no other. Whatever
 *			this returns, the caller has nothing more to do for the file system:
 *			0: the freeze has ended, and was whole until now
 *			ESTALE: the kernel has already ended it, or is about to
 *			EIDRM: another process had ended it; what is frozen now is not ours
 *			EROFS: the file system met an error and became read-only; the kernel ends
 *			the freeze now, and writers get EROFS
 *			EINPROGRESS: the thaw hangs, or the caller was killed; the kernel keeps
 *			trying
 *
 *	without HV_VSS_FEAT_THAW these three instead:
 *
 *	THAWING		before ioctl(fd, FITHAW). After ESTALE, EIDRM or EROFS, which mean the same
 *			as for THAW, don't call FITHAW
 *	ioctl(fd, FITHAW)
 *	DISARM		afterwards, but not if THAWING failed. Returns 1 if another freeze of the
 *			file system remains, though ours was whole; FITHAW then returned EINVAL on
 *			Linux 6.8 to 6.12
 *
 * Each call has the cookie of the FREEZE request, so a late worker can't arm for the next request.
 * If FIFREEZE succeeds after its request was cancelled, the worker calls THAW (or THAWING) and gets
 * ESTALE: the kernel thaws at once, and the worker is done.
 *
 * ARM	EBUSY: frozen by another process; EINPROGRESS: frozen by us before, and not yet thawed by
 *	the kernel; EEXIST: armed already; ESTALE: not the outstanding FREEZE; EOPNOTSUPP: can't be
 *	frozen; ENOTTY: neither directory nor regular file; ENOSPC: more than HV_VSS_GUARD_MAX;
 *	EPERM: no CAP_SYS_ADMIN
 * all	EBADF: not open, or O_PATH; EINVAL: reserved bits, or the guard was not negotiated;
 *	ENODEV: the service is gone (the guard has thawed or is about to); ENOTTY: the module is
 *	older than this ioctl
 */
#define HV_VSS_GUARD_MAX	4096

struct hv_vss_guard {
	__s32 fd;
	__u32 cookie;
	__u64 reserved;		/* 0 */
};

#define HV_VSS_IOC_ARM		_IOW(0xbd, 1, struct hv_vss_guard)
#define HV_VSS_IOC_DISARM	_IOW(0xbd, 2, struct hv_vss_guard)
#define HV_VSS_IOC_THAWING	_IOW(0xbd, 3, struct hv_vss_guard)
#define HV_VSS_IOC_FROZEN	_IOW(0xbd, 4, struct hv_vss_guard)
#define HV_VSS_IOC_LIMITS	_IOWR(0xbd, 5, struct hv_vss_limits)
#define HV_VSS_IOC_THAW		_IOW(0xbd, 6, struct hv_vss_guard)

#endif /* _UAPI_HV_VSS_H */
