// SPDX-License-Identifier: GPL-2.0-only
/* The wire format of Hyper-V's integration components: bounded, no kernel calls. */
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif
#include "ic.h"

/* Byte offsets: VMBus descriptor, then those of the payload. */
#define DESC_TYPE	0
#define DESC_OFFSET8	2
#define DESC_LEN8	4
#define DESC_ID		8

#define IC_TYPE		12
#define IC_SIZE		18
#define IC_STATUS	20
#define IC_FLAGS	25
#define IC_FW_COUNT	28
#define IC_MSG_COUNT	30
#define IC_VERSIONS	36
#define IC_OP		28
#define IC_ARG		HV_VSS_IC_BODY
#define IC_FREEZE_FLAGS	(HV_VSS_IC_BODY + 4)
#define IC_LUN_COUNT	(HV_VSS_IC_BODY + 8)
#define IC_LUNS		(HV_VSS_IC_BODY + 12)

#define IC_TYPE_NEGOTIATE	0
#define IC_TYPE_VSS		5
#define IC_FLAG_TRANSACTION	1
#define IC_FLAG_RESPONSE	4

#define RING_TRAILER	8	/* after each packet in a ring: the previous indices */

static __u16 get16(const __u8 *p)
{
	return (__u16)(p[0] | p[1] << 8);
}

static __u32 get32(const __u8 *p)
{
	return get16(p) | (__u32)get16(p + 2) << 16;
}

static __u64 get64(const __u8 *p)
{
	return get32(p) | (__u64)get32(p + 4) << 32;
}

static void put16(__u8 *p, __u16 v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8;
}

static void put32(__u8 *p, __u32 v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

/* A version on the wire: major, then minor, 16 bits each. */
static __u32 get_version(const __u8 *p)
{
	return HV_VSS_IC_VERSION(get16(p), get16(p + 2));
}

static void put_version(__u8 *p, __u32 version)
{
	put16(p, version >> 16);
	put16(p + 2, version & 0xffff);
}

/**
 * hv_vss_ic_ring_bytes() - how many bytes of a ring its first packet occupies
 * @desc: the HV_VSS_PACKET_HDR bytes at the read position
 * @avail: bytes between read and write position
 *
 * hv_vmbus before 5.11 trusts the lengths in the descriptor. Later versions step beyond the write
 * position if the lengths are wrong. Either way the channel is lost. So the lengths are checked
 * before hv_vmbus reads them.
 *
 * Return: bytes including the trailer, or 0 if the lengths are impossible.
 */
__u32 hv_vss_ic_ring_bytes(const __u8 *desc, __u32 avail)
{
	__u32 offset, len;

	if (avail < HV_VSS_PACKET_HDR + RING_TRAILER)
		return 0;
	offset = get16(desc + DESC_OFFSET8) * 8u;
	len = get16(desc + DESC_LEN8) * 8u;
	if (offset < HV_VSS_PACKET_HDR || offset > len || len + RING_TRAILER > avail)
		return 0;
	return len + RING_TRAILER;
}

/**
 * hv_vss_ic_unwrap() - find the payload of a packet
 * @buf: the packet with its descriptor
 * @len: bytes in @buf
 * @pkt: filled in
 *
 * Return: false if the descriptor is incomplete or contradicts @len; @pkt is then untouched.
 */
bool hv_vss_ic_unwrap(__u8 *buf, __u32 len, struct hv_vss_ic_packet *pkt)
{
	__u32 offset;

	if (len < HV_VSS_PACKET_HDR)
		return false;
	offset = get16(buf + DESC_OFFSET8) * 8u;
	if (offset < HV_VSS_PACKET_HDR || offset > len)
		return false;
	pkt->type = get16(buf + DESC_TYPE);
	pkt->request_id = get64(buf + DESC_ID);
	pkt->data = buf + offset;
	pkt->len = len - offset;
	return true;
}

static void parse_freeze(const __u8 *data, __u32 len, struct hv_vss_ic_request *req)
{
	__u32 count;

	if (len >= IC_ARG + 4)
		req->backup_type = get32(data + IC_ARG);
	if (len >= IC_FREEZE_FLAGS + 4)
		req->flags = get32(data + IC_FREEZE_FLAGS);
	if (len < IC_LUNS)
		return;
	count = get32(data + IC_LUN_COUNT);
	/*
	 * The list is advice. An impossible count makes it worthless, but is no reason to refuse
	 * the backup.
	 */
	if (count > HV_VSS_LUN_MAX || count > (len - IC_LUNS) / HV_VSS_IC_LUN) {
		req->luns_ignored = true;
		return;
	}
	req->lun_count = count;
	req->luns = data + IC_LUNS;
}

static void parse_vss(const __u8 *data, __u32 len, struct hv_vss_ic_request *req)
{
	req->kind = HV_VSS_IC_MALFORMED;
	if (len < HV_VSS_IC_BODY)
		return;
	req->op = data[IC_OP];
	switch (req->op) {
	case HV_VSS_OP_HOT_BACKUP:
	case HV_VSS_OP_GET_DM_INFO:
		/* The answers to both have flags, so there must be room for them. */
		if (len < IC_ARG + 4)
			return;
		req->arg = get32(data + IC_ARG);
		break;
	case HV_VSS_OP_FREEZE:
		parse_freeze(data, len, req);
		break;
	default:
		if (len >= IC_ARG + 4)
			req->arg = get32(data + IC_ARG);
	}
	req->kind = HV_VSS_IC_REQUEST;
}

/**
 * hv_vss_ic_parse() - parse a message of the host
 * @data: payload of an in-band packet
 * @len: its bytes; the lengths inside the message are not used
 * @req: filled in completely; @req->luns points into @data
 *
 * Message layout: linux/hyperv.h (icmsg_hdr, hv_vss_msg); FREEZE body: openvmm vss.rs.
 */
void hv_vss_ic_parse(const __u8 *data, __u32 len, struct hv_vss_ic_request *req)
{
	memset(req, 0, sizeof(*req));
	if (len < HV_VSS_IC_HDR) {
		req->kind = HV_VSS_IC_RUNT;
		return;
	}
	switch (get16(data + IC_TYPE)) {
	case IC_TYPE_NEGOTIATE:
		req->kind = len < IC_VERSIONS ? HV_VSS_IC_MALFORMED : HV_VSS_IC_NEGOTIATE;
		break;
	case IC_TYPE_VSS:
		parse_vss(data, len, req);
		break;
	default:
		req->kind = HV_VSS_IC_FOREIGN;
	}
}

/**
 * hv_vss_ic_lun() - one entry of the LUN list
 * @req: a parsed FREEZE
 * @i: below @req->lun_count
 * @lun: filled in; padding is zero, whatever the host sent there
 */
void hv_vss_ic_lun(const struct hv_vss_ic_request *req, unsigned int i, struct hv_vss_lun *lun)
{
	const __u8 *p = req->luns + i * HV_VSS_IC_LUN;

	memset(lun, 0, sizeof(*lun));
	lun->bus_type = p[0];
	memcpy(lun->controller, p + 4, sizeof(lun->controller));
	lun->port = p[20];
	lun->target = p[21];
	lun->lun = p[22];
}

/* The first version of @want that is among the @count versions at @p; 0 if none is. */
static __u32 choose(const __u8 *p, unsigned int count, const __u32 *want, unsigned int n_want)
{
	unsigned int i, w;

	for (w = 0; w < n_want; w++)
		for (i = 0; i < count; i++)
			if (get_version(p + i * 4) == want[w])
				return want[w];
	return 0;
}

static unsigned int remember(const __u8 *p, unsigned int count, __u32 *out)
{
	unsigned int i;

	if (count > HV_VSS_IC_OFFERS_MAX)
		count = HV_VSS_IC_OFFERS_MAX;
	for (i = 0; i < count; i++)
		out[i] = get_version(p + i * 4);
	return count;
}

/**
 * hv_vss_ic_negotiate() - turn the host's negotiation message into its answer
 * @data: payload, parsed as HV_VSS_IC_NEGOTIATE
 * @len: its bytes
 * @versions: filled in: what was offered, and what was chosen
 *
 * The choice is framework 3.0 (Windows 8 and later) or 1.0, and VSS messages 5.0, as in all guests.
 * Without a common pair both counts are 0, which hosts since 2012 R2 understand. The size in the
 * answer's header is always that of two counts, a reserved word and two versions.
 *
 * Return: true if a version was agreed on.
 */
bool hv_vss_ic_negotiate(__u8 *data, __u32 len, struct hv_vss_ic_versions *versions)
{
	static const __u32 framework[] = { HV_VSS_IC_VERSION(3, 0), HV_VSS_IC_VERSION(1, 0) };
	static const __u32 message[] = { HV_VSS_IC_VERSION(5, 0) };
	unsigned int room = (len - IC_VERSIONS) / 4;
	unsigned int n_fw = get16(data + IC_FW_COUNT);
	unsigned int n_msg = get16(data + IC_MSG_COUNT);
	__u8 *list = data + IC_VERSIONS;
	bool agreed = false;

	memset(versions, 0, sizeof(*versions));
	/* With impossible counts nothing is offered. */
	if (n_fw + n_msg <= room) {
		versions->fw_count = remember(list, n_fw, versions->fw);
		versions->msg_count = remember(list + n_fw * 4, n_msg, versions->msg);
		versions->framework = choose(list, n_fw, framework, 2);
		versions->message = choose(list + n_fw * 4, n_msg, message, 1);
		agreed = versions->framework && versions->message;
	}
	memset(list, 0, len - IC_VERSIONS);
	if (agreed) {
		put_version(list, versions->framework);
		put_version(list + 4, versions->message);
	} else {
		versions->framework = 0;
		versions->message = 0;
	}
	put16(data + IC_FW_COUNT, agreed);
	put16(data + IC_MSG_COUNT, agreed);
	hv_vss_ic_answer(data, len, HV_VSS_S_OK);
	put16(data + IC_SIZE, 16);
	return agreed;
}

/**
 * hv_vss_ic_answer() - turn a request into its answer
 * @data: payload, not a runt
 * @len: its bytes, which are also the answer's
 * @status: HV_VSS_S_OK or an error code of the host's
 *
 * A success for HOT_BACKUP says that the snapshot needs no auto-recovery; one for GET_DM_INFO, that
 * there are no directly mapped devices. The operation is read from the request, never from what the
 * daemon wrote.
 */
void hv_vss_ic_answer(__u8 *data, __u32 len, __u32 status)
{
	put32(data + IC_STATUS, status);
	data[IC_FLAGS] = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	if (get16(data + IC_TYPE) != IC_TYPE_VSS || len < IC_ARG + 4)
		return;
	if (data[IC_OP] == HV_VSS_OP_HOT_BACKUP)
		put32(data + IC_ARG, status == HV_VSS_S_OK ? HV_VSS_NO_AUTO_RECOVERY : 0);
	else if (data[IC_OP] == HV_VSS_OP_GET_DM_INFO)
		put32(data + IC_ARG, 0);
}
