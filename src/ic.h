/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The wire format of Hyper-V's integration component VSS.
 *
 * A message comes in a VMBus packet: 16 bytes of descriptor, 8 of pipe header, 20 of IC header
 * (together HV_VSS_IC_HDR without the descriptor), then the body. Everything is little endian.
 * The answer is the request with a few fields changed, so it leaks no memory of the guest.
 *
 * Nothing here calls the kernel: the same files are built into user-space tests and a fuzzer.
 */
#ifndef _HV_VSS_IC_H
#define _HV_VSS_IC_H

#include <linux/types.h>
#ifndef __KERNEL__
#include <stdbool.h>
#endif
#include "hv_vss.h"

#define HV_VSS_PACKET_HDR	16	/* struct vmpacket_descriptor */
#define HV_VSS_PACKET_INBAND	6	/* VM_PKT_DATA_INBAND */

#define HV_VSS_IC_HDR		28	/* pipe and IC header: the minimum for an answer */
#define HV_VSS_IC_BODY		(HV_VSS_IC_HDR + 8)	/* after the VSS header */
#define HV_VSS_IC_LUN		24

#define HV_VSS_E_NOT_SUPPORTED	0x80070032	/* the host's own error code */

#define HV_VSS_IC_VERSION(major, minor)	((__u32)(major) << 16 | (minor))
#define HV_VSS_IC_OFFERS_MAX	16	/* of each kind, remembered for the log */

/* The kind of a packet, which decides how it is answered. */
enum hv_vss_ic_kind {
	HV_VSS_IC_RUNT,		/* no complete header: nothing to answer */
	HV_VSS_IC_NEGOTIATE,
	HV_VSS_IC_REQUEST,	/* a VSS operation */
	HV_VSS_IC_MALFORMED,	/* known type, too short: answered with failure */
	HV_VSS_IC_FOREIGN,	/* another service's message type: answered "not supported" */
};

/* A VMBus packet, as read from the ring. */
struct hv_vss_ic_packet {
	__u16 type;
	__u64 request_id;
	__u8 *data;		/* payload, inside the buffer it was parsed from */
	__u32 len;
};

struct hv_vss_ic_request {
	enum hv_vss_ic_kind kind;
	__u8 op;
	__u32 arg;		/* HOT_BACKUP, GET_DM_INFO, BACKUP_COMPLETE, THAW: flags */
	/* FREEZE only */
	__u32 backup_type;
	__u32 flags;
	__u32 lun_count;	/* fits into packet and luns[HV_VSS_LUN_MAX], else 0 */
	bool luns_ignored;	/* the host's count was impossible */
	const __u8 *luns;
};

/* The result of a negotiation; versions as HV_VSS_IC_VERSION(). */
struct hv_vss_ic_versions {
	__u32 framework;	/* chosen; 0: no version in common */
	__u32 message;
	unsigned int fw_count;	/* entries of fw[], msg[]: what was offered */
	unsigned int msg_count;
	__u32 fw[HV_VSS_IC_OFFERS_MAX];
	__u32 msg[HV_VSS_IC_OFFERS_MAX];
};

__u32 hv_vss_ic_ring_bytes(const __u8 *desc, __u32 avail);

bool hv_vss_ic_unwrap(__u8 *buf, __u32 len, struct hv_vss_ic_packet *pkt);
void hv_vss_ic_parse(const __u8 *data, __u32 len, struct hv_vss_ic_request *req);
void hv_vss_ic_lun(const struct hv_vss_ic_request *req, unsigned int i, struct hv_vss_lun *lun);

bool hv_vss_ic_negotiate(__u8 *data, __u32 len, struct hv_vss_ic_versions *versions);
void hv_vss_ic_answer(__u8 *data, __u32 len, __u32 status);

#endif /* _HV_VSS_IC_H */
