/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The protocol of /dev/vmbus/hv_vss between hv_vss.ko (or the in-tree hv_utils) and its daemon.
 *
 * Base protocol, byte for byte the one of <linux/hyperv.h>, spoken by hv_utils too:
 *
 *	daemon writes	struct hv_vss_frame { .op = HV_VSS_OP_REGISTER1 }
 *	daemon reads	__u32 (HV_VSS_OP_REGISTER1)
 *	daemon reads	struct hv_vss_frame, .op = what the host wants (blocks)
 *	daemon writes	struct hv_vss_reply, .status = 0 or HV_VSS_E_FAIL
 *
 * Extended protocol, hv_vss.ko only; hv_utils refuses the registration with EINVAL and the daemon
 * goes on with the base protocol on the same file descriptor:
 *
 *	daemon writes	struct hv_vss_frame { .op = HV_VSS_OP_REGISTER2,
 *			.cookie = HV_VSS_ABI, .arg = features wanted }
 *	daemon reads	struct hv_vss_registered
 *	daemon reads	struct hv_vss_request: a frame with a cookie, FREEZE with its body
 *	daemon writes	struct hv_vss_reply with the cookie of the request it answers; any other
 *			cookie than the outstanding one is refused with ESTALE
 *
 * The body of FREEZE (everything behind .frame, up to the last LUN) comes only with
 * HV_VSS_FEAT_LUNS; read() wants a buffer for the whole message and fails with EINVAL otherwise,
 * keeping the message. sizeof(struct hv_vss_request) is always enough.
 *
 * HV_VSS_OP_CANCEL tells an extended daemon that a request is no longer wanted, or that the kernel
 * has thawed what it had frozen; .cookie is that request's (for a held freeze that of FREEZE),
 * .arg is one of enum hv_vss_cancel. It is not answered. A request that was never read is taken
 * back silently.
 *
 * A write that answers nothing that is outstanding and was read fails with EINVAL in the base and
 * ESTALE in the extended protocol. FREEZE answered with success fails with EIO, and the host is
 * told "failed", if an armed file system is not frozen. When the service is gone, poll() reports
 * HUP and read() a last CANCEL, if any, then ENODEV, as do write() and ioctl().
 *
 * THAW without a freeze that is still whole reaches the daemon, so that it can clean up, but is
 * answered with failure whatever the daemon says.
 *
 * All integers are in host byte order (the guest's), padding is zero both ways.
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
/* Operations that never leave the guest. */
#define HV_VSS_OP_REGISTER		128	/* netlink days; refused */
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
	__u32 abi;		/* the lower one of both sides */
	__u32 features;		/* those that both sides have */
	__u32 freeze_timeout_ms;	/* from the request until the host is told "failed" */
	__u32 thaw_timeout_ms;
	__u32 check_timeout_ms;	/* HOT_BACKUP */
	__u32 hold_timeout_ms;	/* from the first ARM, and anew from the FREEZE answer, until the
				 * guard thaws
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

/* What an extended read() returns: the frame alone, or with the body for FREEZE. */
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
	HV_VSS_CANCEL_RESCIND,		/* the host took the service away */
	HV_VSS_CANCEL_SUSPEND,		/* the guest is about to hibernate */
	HV_VSS_CANCEL_RESET,		/* the host began anew on the channel */
	HV_VSS_CANCEL_FOREIGN_THAW,	/* somebody else thawed one of the armed file systems */
	HV_VSS_CANCEL_HOST,		/* the host sent THAW instead of waiting for the answer */
	HV_VSS_CANCEL_EARLY_THAW,	/* the daemon itself thawed before the host asked */
};

/*
 * The guard: what is armed is thawed by the kernel if the daemon can't.
 *
 *	ARM		before ioctl(fd, FIFREEZE), with the same fd and from the same thread
 *	ioctl(fd, FIFREEZE)
 *	  DISARM	if that failed
 *	FROZEN		if it did not. Not needed, but from here on the kernel knows our freeze from
 *			what others freeze later. It may say ESTALE, and the kernel thaws; EIO,
 *			somebody else has thawed already; ENOTTY, it is older than this
 *	...
 *	THAWING		before ioctl(fd, FITHAW); ESTALE: the kernel thaws or has thawed it, or
 *			somebody else has and may have frozen it for himself: don't
 *	ioctl(fd, FITHAW)
 *	DISARM		afterwards, not after ESTALE
 *
 * All of them take the cookie of the FREEZE request: a late worker can't arm for the next one.
 * A FIFREEZE that returns success after its request was cancelled calls THAWING, gets ESTALE and
 * is done: the kernel thaws it at once.
 *
 * ARM	EBUSY: frozen, by somebody else; EINPROGRESS: by us before, and the kernel is still to thaw
 *	it; EEXIST: armed already; ESTALE: not the outstanding FREEZE;
 *	EOPNOTSUPP: can't be frozen; ENOTTY: neither directory nor regular file; ENOSPC: more than
 *	HV_VSS_GUARD_MAX; EPERM: no CAP_SYS_ADMIN
 * all	EBADF: not open, or O_PATH; EINVAL: reserved bits, or the guard was not negotiated;
 *	ENODEV: the service is gone (the guard has thawed or is about to)
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

#endif /* _UAPI_HV_VSS_H */
