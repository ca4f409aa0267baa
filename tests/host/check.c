// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks answers for everything that could make a host fail, and for bytes that the guest should
 * not have sent. Sources: the in-tree driver, which answers with the packet that it received and
 * changes a few fields, and openvmm's host side, which trusts the sizes in an answer.
 */
#include "host.h"

struct check {
	QList *problems;
	const struct ic_msg *sent;
	uint32_t sent_len;
	const struct ic_msg *got;
	uint32_t got_len;
};

static void G_GNUC_PRINTF(2, 3) problem(struct check *c, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = g_strdup_vprintf(fmt, args);
	va_end(args);
	qlist_append_str(c->problems, text);
}

static void check_value(struct check *c, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		problem(c, "%s is 0x%" PRIx64 ", should be 0x%" PRIx64, what, got, want);
}

static void check_descriptor(struct check *c, const struct vmpkt_desc *desc, uint32_t len)
{
	check_value(c, "packet type", le16_to_cpu(desc->type), VMPKT_INBAND);
	check_value(c, "packet flags", le16_to_cpu(desc->flags), 0);
	check_value(c, "payload offset", le16_to_cpu(desc->offset8) * 8, sizeof(*desc));
	if (c->got_len > ROUND_UP(c->sent_len, 8))
		problem(c, "payload of %u bytes, the request had %u", c->got_len, c->sent_len);
}

static void check_pipe(struct check *c)
{
	uint32_t size = le32_to_cpu(c->got->pipe.size);
	uint32_t ic = sizeof(struct ic_hdr) + le16_to_cpu(c->got->hdr.size);

	check_value(c, "pipe flags", le32_to_cpu(c->got->pipe.flags),
		    le32_to_cpu(c->sent->pipe.flags));
	if (size != le32_to_cpu(c->sent->pipe.size) && size != ic)
		problem(c, "pipe size is %u, should be %u or %u", size,
			le32_to_cpu(c->sent->pipe.size), ic);
}

static void check_header(struct check *c, bool negotiation)
{
	const struct ic_hdr *got = &c->got->hdr, *sent = &c->sent->hdr;
	uint32_t size = negotiation ? 16 : le16_to_cpu(sent->size);

	check_value(c, "framework version", ldl_le_p(&got->fw), ldl_le_p(&sent->fw));
	check_value(c, "message version", ldl_le_p(&got->msg), ldl_le_p(&sent->msg));
	check_value(c, "message type", le16_to_cpu(got->msgtype), le16_to_cpu(sent->msgtype));
	check_value(c, "message size", le16_to_cpu(got->size), size);
	check_value(c, "transaction id", got->txid, sent->txid);
	check_value(c, "flags", got->flags, IC_TRANSACTION | IC_RESPONSE);
	check_value(c, "reserved bytes", lduw_le_p(got->reserved), lduw_le_p(sent->reserved));
	if (le16_to_cpu(got->size) + sizeof(*c->got) > c->got_len)
		problem(c, "message of %u bytes in a payload of %u", le16_to_cpu(got->size),
			c->got_len);
}

/* Every byte from @from on is as sent, or zero; beyond what was sent it is zero. */
static void check_rest(struct check *c, uint32_t from)
{
	const uint8_t *got = (const uint8_t *)c->got, *sent = (const uint8_t *)c->sent;
	uint32_t i;

	for (i = from; i < c->got_len; i++) {
		uint8_t want = i < c->sent_len ? sent[i] : 0;

		if (got[i] && got[i] != want) {
			problem(c, "byte %u is 0x%02x, should be 0x%02x or 0", i, got[i], want);
			return;
		}
	}
}

static void check_vss(struct check *c)
{
	const struct vss_hdr *got = (const void *)c->got->body;
	const struct vss_hdr *sent = (const void *)c->sent->body;
	uint32_t from = sizeof(struct ic_msg) + sizeof(struct vss_hdr);

	if (c->got_len < from || c->sent_len < from) {
		check_rest(c, sizeof(struct ic_msg));
		return;
	}
	check_value(c, "operation", got->op, sent->op);
	if (memcmp(got->reserved, sent->reserved, sizeof(got->reserved)))
		problem(c, "reserved bytes of the VSS header are not 0");
	/* Their answers return flags. */
	if (sent->op == VSS_HOT_BACKUP || sent->op == VSS_GET_DM_INFO)
		from += 4;
	check_rest(c, from);
}

static bool version_offered(const struct ic_negotiate *sent, unsigned int from, unsigned int n,
			    const struct ic_ver *ver)
{
	unsigned int i;

	for (i = from; i < from + n; i++) {
		if (!memcmp(&sent->ver[i], ver, sizeof(*ver)))
			return true;
	}
	return false;
}

static void check_negotiate(struct check *c)
{
	const struct ic_negotiate *got = (const void *)c->got->body;
	const struct ic_negotiate *sent = (const void *)c->sent->body;
	const uint32_t min = sizeof(*c->got) + sizeof(*got) + 2 * sizeof(got->ver[0]);
	unsigned int fw = le16_to_cpu(got->fw_count), msg = le16_to_cpu(got->msg_count);
	unsigned int sent_fw, sent_msg;

	if (c->got_len < min || c->sent_len < sizeof(*c->sent) + sizeof(*sent)) {
		problem(c, "negotiation of %u bytes, at least %u are needed", c->got_len, min);
		return;
	}
	sent_fw = le16_to_cpu(sent->fw_count);
	sent_msg = le16_to_cpu(sent->msg_count);
	check_value(c, "reserved word", got->reserved, sent->reserved);
	if (!(fw == 1 && msg == 1) && !(fw == 0 && msg == 0))
		problem(c, "version counts are %u and %u, should be 1 and 1, or 0 and 0", fw, msg);
	/* With wrong counts it is not known which versions were offered. */
	if (c->sent_len != sizeof(*c->sent) + sizeof(*sent) + (sent_fw + sent_msg) * 4)
		return;
	if (fw && !version_offered(sent, 0, sent_fw, &got->ver[0]))
		problem(c, "framework version chosen was not offered");
	if (msg && !version_offered(sent, sent_fw, sent_msg, &got->ver[1]))
		problem(c, "message version chosen was not offered");
	check_rest(c, min);
}

static void check_heartbeat(struct check *c)
{
	const struct ic_heartbeat *got = (const void *)c->got->body;
	const struct ic_heartbeat *sent = (const void *)c->sent->body;

	if (c->got_len < sizeof(*c->got) + sizeof(*got)) {
		problem(c, "heartbeat of %u bytes", c->got_len);
		return;
	}
	check_value(c, "heartbeat", le64_to_cpu(got->seq), le64_to_cpu(sent->seq) + 1);
	check_rest(c, sizeof(*c->got) + sizeof(got->seq));
}

/* A size that the host trusts, and nothing behind the text. */
static void check_text(struct check *c, const char *what, const uint8_t *text, uint32_t room,
		       uint32_t size)
{
	uint32_t i;

	if (size < 2 || size > room || size % 2) {
		problem(c, "size of the %s is %u", what, size);
		return;
	}
	for (i = size - 2; i < room; i++) {
		if (text[i]) {
			problem(c, "byte %u of the %s is 0x%02x, should be 0", i, what, text[i]);
			return;
		}
	}
}

static void check_kvp(struct check *c)
{
	const struct kvp_item *got = hv_kvp_item((const uint8_t *)c->got, c->got_len);
	const struct kvp_item *sent = hv_kvp_item((const uint8_t *)c->sent, c->sent_len);
	const uint32_t before = sent ? (const uint8_t *)sent - (const uint8_t *)c->sent : 0;

	/* With an error the guest returns what it was sent. */
	if (!sent || c->got->hdr.status) {
		check_rest(c, sizeof(*c->got));
		return;
	}
	if (!got || memcmp(c->got->body, c->sent->body, before - sizeof(*c->sent))) {
		problem(c, "not the operation, pool or index that was sent");
		return;
	}
	check_value(c, "type of the value", le32_to_cpu(got->type), KVP_STRING);
	check_text(c, "key", got->key, sizeof(got->key), le32_to_cpu(got->key_size));
	check_text(c, "value", got->value, sizeof(got->value), le32_to_cpu(got->value_size));
	check_rest(c, before + sizeof(*got));
}

/**
 * hv_check_answer() - find the faults in an answer
 * @req: the request
 * @packet: the answer, descriptor and payload
 * @len: its bytes
 *
 * Return: list of strings, one for each fault; the caller's to put or free.
 */
QList *hv_check_answer(const struct hv_request *req, const uint8_t *packet, uint32_t len)
{
	const struct vmpkt_desc *desc = (const void *)packet;
	uint32_t offset = MIN(le16_to_cpu(desc->offset8) * 8u, len);
	struct check c = {
		.problems = qlist_new(),
		.sent = (const void *)req->data,
		.sent_len = req->len,
		.got = (const void *)(packet + offset),
		.got_len = len - offset,
	};

	check_descriptor(&c, desc, len);
	if (c.got_len < sizeof(*c.got)) {
		problem(&c, "payload of %u bytes, a header alone has %zu", c.got_len,
			sizeof(*c.got));
		return c.problems;
	}
	/* There is no right answer to a packet that is shorter than a header. */
	if (c.sent_len < sizeof(*c.sent)) {
		problem(&c, "answer to a packet of %u bytes", c.sent_len);
		return c.problems;
	}
	check_pipe(&c);
	check_header(&c, le16_to_cpu(c.sent->hdr.msgtype) == IC_NEGOTIATE);
	switch (le16_to_cpu(c.sent->hdr.msgtype)) {
	case IC_NEGOTIATE:
		check_negotiate(&c);
		break;
	case IC_VSS:
		check_vss(&c);
		break;
	case IC_HEARTBEAT:
		check_heartbeat(&c);
		break;
	case IC_KVP:
		check_kvp(&c);
		break;
	default:
		check_rest(&c, sizeof(struct ic_msg));
	}
	return c.problems;
}
