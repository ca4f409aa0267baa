// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the requests: which one an answer belongs to, and which got no answer.
 */
#include "host.h"
#include "qapi/qmp/qnum.h"
#include "qapi/qmp/qstring.h"

#define HEX_MAX			64

static void request_free(struct hv_request *req)
{
	QTAILQ_REMOVE(&req->ch->requests, req, next);
	req->ch->request_count--;
	timer_free(req->timer);
	g_free(req->data);
	g_free(req);
}

static void request_expired(void *opaque)
{
	struct hv_request *req = opaque;

	req->state = HV_REQ_EXPIRED;
	if (req->expect == HV_EXPECT_DEFAULT || req->expect == HV_EXPECT_ANSWER)
		hv_error_event(req->ch, "missing", req, "no answer after %" PRId64 " ms",
			       (hv_now_us(req->ch->host) - req->sent_us) / 1000);
}

/* Drops old requests, but none whose answer is still awaited. */
static void history_trim(struct hv_channel *ch)
{
	struct hv_request *req, *tmp;

	QTAILQ_FOREACH_SAFE(req, &ch->requests, next, tmp) {
		if (ch->request_count <= HV_HISTORY)
			break;
		if (req->state != HV_REQ_WAITING)
			request_free(req);
	}
}

/**
 * hv_request_new() - record a packet that is about to be sent
 * @ch: the channel
 * @data: its payload, copied
 * @len: bytes of payload
 *
 * Return: the request, owned by the channel; the caller fills in what it expects.
 */
struct hv_request *hv_request_new(struct hv_channel *ch, const uint8_t *data, uint32_t len)
{
	struct hv_request *req = g_new0(struct hv_request, 1);

	history_trim(ch);
	req->ch = ch;
	req->seq = ++ch->host->last_seq;
	req->data = g_memdup2(data, len);
	req->len = len;
	req->sent_us = hv_now_us(ch->host);
	req->timer = timer_new_ms(QEMU_CLOCK_REALTIME, request_expired, req);
	QTAILQ_INSERT_TAIL(&ch->requests, req, next);
	ch->request_count++;
	return req;
}

/* The VSS operation of the request, or -1. */
static int request_op(const struct hv_request *req)
{
	if (req->ch->svc != HV_SVC_VSS || req->negotiate ||
	    req->len < sizeof(struct ic_msg) + sizeof(struct vss_hdr))
		return -1;
	return req->data[sizeof(struct ic_msg)];
}

/**
 * hv_request_sent() - start the time for the answer: the packet is in the ring
 * @req: the request
 */
void hv_request_sent(struct hv_request *req)
{
	req->sent_us = hv_now_us(req->ch->host);
	if (request_op(req) == VSS_THAW)
		hv_disks_thawing(req->ch->host);
	if (req->timeout_ms)
		timer_mod(req->timer, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + req->timeout_ms);
}

/**
 * hv_request_drop_all() - drop all requests: the channel is gone, and no answer can come
 * @ch: the channel
 *
 * Return: list of those without an answer, by seq; the caller's to put or free.
 */
QList *hv_request_drop_all(struct hv_channel *ch)
{
	QList *dropped = qlist_new();
	struct hv_request *req;
	struct hv_outgoing *o;

	while ((req = QTAILQ_FIRST(&ch->requests))) {
		if (req->state == HV_REQ_WAITING && !req->beat)
			qlist_append_int(dropped, req->seq);
		request_free(req);
	}
	while ((o = QSIMPLEQ_FIRST(&ch->outgoing))) {
		QSIMPLEQ_REMOVE_HEAD(&ch->outgoing, next);
		g_free(o);
	}
	ch->outgoing_count = 0;
	return dropped;
}

/*
 * By request id. Tests can send several requests with the same one. Then a request without an
 * answer is preferred, next one with the same transaction id, next the oldest one.
 */
static struct hv_request *request_find(struct hv_channel *ch, uint64_t reqid, int txid)
{
	struct hv_request *req, *best = NULL;
	int best_score = -1;

	QTAILQ_FOREACH(req, &ch->requests, next) {
		int score = (req->state == HV_REQ_WAITING) * 2 + (req->txid == txid);

		if (req->reqid != reqid || score <= best_score)
			continue;
		best = req;
		best_score = score;
	}
	return best;
}

static void unexpected(struct hv_channel *ch, uint64_t reqid, int txid, uint32_t len)
{
	struct hv_request *req;

	QTAILQ_FOREACH(req, &ch->requests, next) {
		if (req->state == HV_REQ_WAITING && req->txid == txid)
			break;
	}
	if (req)
		hv_error_event(ch, "unexpected", req,
			       "answer with request id 0x%" PRIx64 " instead of 0x%" PRIx64,
			       reqid, req->reqid);
	else
		hv_error_event(ch, "unexpected", NULL,
			       "packet of %u bytes, request id 0x%" PRIx64
			       ", answers nothing that was asked", len, reqid);
}

static void put_header(QDict *ev, const struct hv_request *req, const uint8_t *payload,
		       uint32_t len)
{
	g_autofree char *status = NULL;
	const struct ic_msg *msg = (const void *)payload;
	const struct vss_flags_msg *vss = (const void *)msg->body;

	qdict_put_int(ev, "len", len);
	hv_put_hex(ev, "hex", payload, MIN(len, HEX_MAX));
	if (len < sizeof(*msg))
		return;
	status = g_strdup_printf("0x%08x", le32_to_cpu(msg->hdr.status));
	qdict_put_str(ev, "status", status);
	qdict_put_int(ev, "icflags", msg->hdr.flags);
	qdict_put_int(ev, "txid", msg->hdr.txid);
	if (le16_to_cpu(msg->hdr.msgtype) == IC_KVP)
		hv_kvp_put_answer(ev, payload, len);
	if (le16_to_cpu(msg->hdr.msgtype) != IC_VSS || len < sizeof(*msg) + sizeof(*vss))
		return;
	qdict_put_int(ev, "vss_flags", le32_to_cpu(vss->flags));
	/* The operation of the request: the answer's may be wrong. */
	if (req->len >= sizeof(*msg) + sizeof(struct vss_hdr))
		qdict_put_str(ev, "op", hv_ic_op_name(req->data[sizeof(*msg)]));
}

/* Adds the writes to the disks between freeze and thaw. */
static void put_writes(QDict *ev, const struct hv_request *req)
{
	struct hv_host *host = req->ch->host;
	int op = request_op(req);
	QDict *writes;

	if (op == VSS_FREEZE && !g_strcmp0(qdict_get_try_str(ev, "status"), "0x00000000"))
		hv_disks_frozen(host);
	if (op != VSS_THAW)
		return;
	writes = hv_disks_writes(host);
	if (writes)
		qdict_put(ev, "writes", writes);
}

static void answer_event(struct hv_request *req, const uint8_t *payload, uint32_t len,
			 QList *problems)
{
	struct hv_host *host = req->ch->host;
	QDict *ev = hv_event("answer");

	qdict_put_str(ev, "channel", req->ch->info->name);
	qdict_put_int(ev, "seq", req->seq);
	qdict_put(ev, "reqid", qnum_from_uint(req->reqid));
	qdict_put_int(ev, "rtt_us", hv_now_us(host) - req->sent_us);
	qdict_put_bool(ev, "late", req->state == HV_REQ_EXPIRED);
	put_header(ev, req, payload, len);
	put_writes(ev, req);
	qdict_put(ev, "problems", problems);
	hv_event_send(host, ev);
}

/* Reports an answer that must not come now. Returns false if it is not to be checked further. */
static bool answer_timely(struct hv_request *req)
{
	switch (req->state) {
	case HV_REQ_ANSWERED:
		hv_error_event(req->ch, "double", req, "answered a second time");
		return false;
	case HV_REQ_EXPIRED:
		if (req->expect == HV_EXPECT_DEFAULT || req->expect == HV_EXPECT_ANSWER)
			hv_error_event(req->ch, "late", req, "answered after %" PRId64 " ms",
				       (hv_now_us(req->ch->host) - req->sent_us) / 1000);
		break;
	case HV_REQ_WAITING:
		break;
	}
	if (req->expect == HV_EXPECT_NONE)
		hv_error_event(req->ch, "unexpected", req,
			       "answer to a packet that must get none");
	return true;
}

static void report_problems(struct hv_request *req, QList *problems)
{
	const QListEntry *e;

	if (req->expect != HV_EXPECT_DEFAULT)
		return;
	QLIST_FOREACH_ENTRY(problems, e) {
		hv_error_event(req->ch, "malformed", req, "%s",
			       qstring_get_str(qobject_to(QString, qlist_entry_obj(e))));
	}
}

/**
 * hv_request_answer() - handle a packet that the guest has sent
 * @ch: the channel
 * @packet: descriptor and payload
 * @len: bytes, at least those of a descriptor
 */
void hv_request_answer(struct hv_channel *ch, const uint8_t *packet, uint32_t len)
{
	const struct vmpkt_desc *desc = (const void *)packet;
	uint32_t offset = MIN(le16_to_cpu(desc->offset8) * 8u, len);
	const uint8_t *payload = packet + offset;
	uint64_t reqid = le64_to_cpu(desc->reqid);
	int txid = -1;
	struct hv_request *req;
	QList *problems;

	if (len - offset >= sizeof(struct ic_msg))
		txid = ((const struct ic_msg *)payload)->hdr.txid;
	req = request_find(ch, reqid, txid);
	if (!req) {
		unexpected(ch, reqid, txid, len - offset);
		return;
	}
	if (!answer_timely(req))
		return;

	problems = hv_check_answer(req, packet, len);
	report_problems(req, problems);
	if (req->negotiate)
		hv_ic_negotiated(ch, req, payload, len - offset, problems);
	else if (req->beat)
		qobject_unref(problems);
	else
		answer_event(req, payload, len - offset, problems);
	req->state = HV_REQ_ANSWERED;
	timer_del(req->timer);
	g_free(req->data);
	req->data = NULL;
	req->len = 0;
}
