// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets to the guest: from a command, or the host's own. Building only uses up ids;
 * hv_build_send() sends.
 */
#include "build.h"

#define FREEZE_TIMEOUT_MS	960000
#define TIMEOUT_MS		60000

static const struct hv_ver fw_versions[] = { { 1, 0 }, { 3, 0 }, { 0, 0 } };

static uint32_t put_versions(GByteArray *a, const struct hv_ver *v)
{
	uint32_t n;

	for (n = 0; v[n].major; n++) {
		struct ic_ver wire = {
			.major = cpu_to_le16(v[n].major),
			.minor = cpu_to_le16(v[n].minor),
		};

		g_byte_array_append(a, (const void *)&wire, sizeof(wire));
	}
	return n;
}

/* Puts descriptor, pipe and IC header before @body, and frees @body. */
static void wrap(struct hv_channel *ch, struct hv_packet *pkt, uint16_t msgtype,
		 GByteArray *body)
{
	static const uint8_t zero[8];
	struct ic_msg msg = { .pipe.flags = cpu_to_le32(IC_PIPE_DATA) };
	struct vmpkt_desc desc = {
		.type = cpu_to_le16(VMPKT_INBAND),
		.offset8 = cpu_to_le16(sizeof(desc) / 8),
		.reqid = cpu_to_le64(ch->next_reqid++),
	};

	msg.hdr.msgtype = cpu_to_le16(msgtype);
	msg.hdr.fw = ch->fw;
	msg.hdr.msg = ch->msg;
	msg.hdr.size = cpu_to_le16(body->len);
	msg.hdr.txid = ch->next_txid++;
	msg.hdr.flags = IC_TRANSACTION | IC_REQUEST;
	msg.pipe.size = cpu_to_le32(sizeof(msg.hdr) + body->len);

	memset(pkt, 0, sizeof(*pkt));
	pkt->payload = sizeof(msg) + body->len;
	g_byte_array_prepend(body, (const void *)&msg, sizeof(msg));
	g_byte_array_append(body, zero, -body->len & 7);
	desc.len8 = cpu_to_le16((sizeof(desc) + body->len) / 8);
	g_byte_array_prepend(body, (const void *)&desc, sizeof(desc));
	pkt->len = body->len;
	pkt->bytes = g_byte_array_free(body, FALSE);
	pkt->timeout_ms = TIMEOUT_MS;
}

static void negotiate_body(struct hv_channel *ch, GByteArray *body)
{
	struct ic_negotiate neg = { 0 };
	uint32_t fw, msg;

	g_byte_array_append(body, (const void *)&neg, sizeof(neg));
	fw = put_versions(body, fw_versions);
	msg = put_versions(body, ch->info->msg[ch->host->ic]);
	stw_le_p(body->data + offsetof(struct ic_negotiate, fw_count), fw);
	stw_le_p(body->data + offsetof(struct ic_negotiate, msg_count), msg);
}

/**
 * hv_build_negotiate() - build the version offer that the host makes by itself
 * @ch: the channel
 * @pkt: to be filled in
 */
void hv_build_negotiate(struct hv_channel *ch, struct hv_packet *pkt)
{
	GByteArray *body = g_byte_array_new();

	negotiate_body(ch, body);
	wrap(ch, pkt, IC_NEGOTIATE, body);
	pkt->negotiate = true;
	if (ch->info->patient)
		pkt->timeout_ms = 0;
}

/**
 * hv_build_heartbeat() - build a heartbeat
 * @ch: the channel
 * @seq: its number
 * @pkt: to be filled in
 */
void hv_build_heartbeat(struct hv_channel *ch, uint64_t seq, struct hv_packet *pkt)
{
	struct ic_heartbeat beat = { .seq = cpu_to_le64(seq) };
	GByteArray *body = g_byte_array_new();

	g_byte_array_append(body, (const void *)&beat, sizeof(beat));
	wrap(ch, pkt, IC_HEARTBEAT, body);
	pkt->beat = true;
}

/**
 * hv_build_free() - free what was built
 * @pkt: the packet
 */
void hv_build_free(struct hv_packet *pkt)
{
	g_free(pkt->bytes);
	pkt->bytes = NULL;
}

/* A negotiation from a command: its versions, or else the host's; the counts may be wrong. */
static void build_negotiate(struct hv_channel *ch, struct hv_args *a, struct hv_packet *pkt)
{
	GByteArray *body = g_byte_array_new();
	struct ic_negotiate neg = { 0 };
	struct ic_ver *fw, *msg;
	uint32_t fws = hv_arg_versions(a, "fw", &fw), msgs = hv_arg_versions(a, "msg", &msg);

	g_byte_array_append(body, (const void *)&neg, sizeof(neg));
	if (fw)
		g_byte_array_append(body, (const void *)fw, sizeof(*fw) * fws);
	else
		fws = put_versions(body, fw_versions);
	if (msg)
		g_byte_array_append(body, (const void *)msg, sizeof(*msg) * msgs);
	else
		msgs = put_versions(body, ch->info->msg[ch->host->ic]);
	stw_le_p(body->data + offsetof(struct ic_negotiate, fw_count),
		 hv_arg_uint(a, "fw_count", fws, UINT16_MAX));
	stw_le_p(body->data + offsetof(struct ic_negotiate, msg_count),
		 hv_arg_uint(a, "msg_count", msgs, UINT16_MAX));
	wrap(ch, pkt, IC_NEGOTIATE, body);
	pkt->negotiate = true;
	g_free(fw);
	g_free(msg);
}

static void build_shutdown(struct hv_channel *ch, struct hv_args *a, struct hv_packet *pkt)
{
	g_autofree char *text = hv_arg_str(a, "message", "");
	GByteArray *body = g_byte_array_new();
	struct ic_shutdown msg = { 0 };

	msg.reason = cpu_to_le32(hv_arg_uint(a, "reason", 0, UINT32_MAX));
	msg.timeout_s = cpu_to_le32(hv_arg_uint(a, "timeout_s", 0, UINT32_MAX));
	msg.flags = cpu_to_le32(hv_arg_uint(a, "flags", 0, UINT32_MAX));
	g_strlcpy((char *)msg.message, text, sizeof(msg.message));
	g_byte_array_append(body, (const void *)&msg, sizeof(msg));
	wrap(ch, pkt, IC_SHUTDOWN, body);
}

static void build_request(struct hv_channel *ch, struct hv_args *a, struct hv_packet *pkt)
{
	GByteArray *body = g_byte_array_new();
	unsigned int op = hv_vss_body(a, body);

	wrap(ch, pkt, IC_VSS, body);
	if (op == VSS_FREEZE)
		pkt->timeout_ms = FREEZE_TIMEOUT_MS;
}

static void build_kvp(struct hv_channel *ch, struct hv_args *a, struct hv_packet *pkt)
{
	GByteArray *body = g_byte_array_new();

	hv_kvp_body(a, body);
	wrap(ch, pkt, IC_KVP, body);
}

static void build_raw(struct hv_channel *ch, struct hv_args *a, struct hv_packet *pkt)
{
	struct vmpkt_desc desc = { 0 };
	uint32_t len;
	uint8_t *data = hv_arg_hex(a, "data", &len);
	uint32_t total = sizeof(desc) + ROUND_UP(len, 8);

	desc.type = cpu_to_le16(hv_arg_uint(a, "type", VMPKT_INBAND, UINT16_MAX));
	desc.offset8 = cpu_to_le16(hv_arg_uint(a, "offset8", sizeof(desc) / 8, UINT16_MAX));
	desc.len8 = cpu_to_le16(hv_arg_uint(a, "len8", total / 8, UINT16_MAX));
	desc.flags = cpu_to_le16(hv_arg_uint(a, "flags", 0, UINT16_MAX));
	desc.reqid = cpu_to_le64(ch->next_reqid++);
	memset(pkt, 0, sizeof(*pkt));
	pkt->bytes = g_malloc0(total);
	pkt->len = total;
	pkt->payload = len;
	pkt->timeout_ms = TIMEOUT_MS;
	memcpy(pkt->bytes, &desc, sizeof(desc));
	memcpy(pkt->bytes + sizeof(desc), data, len);
	g_free(data);
}

/* Fields of the headers that a command overwrites, to send wrong ones. */
static void override(struct hv_args *a, struct hv_packet *pkt)
{
	struct ic_msg *m = (void *)(pkt->bytes + sizeof(struct vmpkt_desc));

	m->pipe.flags = cpu_to_le32(hv_arg_uint(a, "pipe_flags", le32_to_cpu(m->pipe.flags),
						UINT32_MAX));
	m->pipe.size = cpu_to_le32(hv_arg_uint(a, "pipe_size", le32_to_cpu(m->pipe.size),
					       UINT32_MAX));
	m->hdr.msgtype = cpu_to_le16(hv_arg_uint(a, "msgtype", le16_to_cpu(m->hdr.msgtype),
						 UINT16_MAX));
	m->hdr.size = cpu_to_le16(hv_arg_uint(a, "msgsize", le16_to_cpu(m->hdr.size),
					      UINT16_MAX));
	m->hdr.status = cpu_to_le32(hv_arg_uint(a, "status", 0, UINT32_MAX));
	m->hdr.txid = hv_arg_uint(a, "txid", m->hdr.txid, UINT8_MAX);
	m->hdr.flags = hv_arg_uint(a, "icflags", m->hdr.flags, UINT8_MAX);
	if (!pkt->negotiate) {
		hv_arg_version(a, "fw", &m->hdr.fw);
		hv_arg_version(a, "msg", &m->hdr.msg);
	}
}

static void arg_expect(struct hv_args *a, struct hv_packet *pkt, const char *fallback)
{
	static const char *const names[] = {
		[HV_EXPECT_DEFAULT] = "default",
		[HV_EXPECT_ANSWER] = "answer",
		[HV_EXPECT_NONE] = "none",
		[HV_EXPECT_ANY] = "any",
	};
	g_autofree char *name = hv_arg_str(a, "expect", fallback);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i], name)) {
			pkt->expect = i;
			return;
		}
	}
	hv_args_error(a, "\"expect\" must be answer, none or any");
}

static struct hv_channel *arg_channel(struct hv_host *host, struct hv_args *a,
				      const char *fallback)
{
	g_autofree char *name = hv_arg_str(a, "channel", fallback);
	struct hv_channel *ch = hv_channel_by_name(host, name);

	if (!ch)
		hv_args_error(a, "unknown channel \"%s\"", name);
	else if (ch->state != HV_CH_OPEN)
		hv_args_error(a, "channel %s is not open", name);
	return ch;
}

static const struct builder {
	const char *cmd;
	const char *channel;
	const char *expect;
	bool ic;		/* has IC headers whose fields can be overwritten */
	void (*build)(struct hv_channel *ch, struct hv_args *a, struct hv_packet *pkt);
} builders[] = {
	{ "request", "vss", "default", true, build_request },
	{ "negotiate", "vss", "default", true, build_negotiate },
	{ "shutdown", "shutdown", "default", true, build_shutdown },
	{ "kvp", "kvp", "default", true, build_kvp },
	{ "raw", "vss", "any", false, build_raw },
};

static const struct builder *builder_find(const char *cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(builders); i++) {
		if (!strcmp(builders[i].cmd, cmd))
			return &builders[i];
	}
	return NULL;
}

/* Common to all commands: the channel, the time for an answer, and the expected answer. */
static void build_common(struct hv_args *a, const struct builder *b, struct hv_packet *pkt)
{
	struct vmpkt_desc *desc = (void *)pkt->bytes;

	if (b->ic)
		override(a, pkt);
	desc->reqid = cpu_to_le64(hv_arg_uint(a, "reqid", le64_to_cpu(desc->reqid), UINT64_MAX));
	pkt->timeout_ms = hv_arg_uint(a, "timeout_ms", pkt->timeout_ms, 86400000);
	arg_expect(a, pkt, b->expect);
}

/**
 * hv_build() - build the packet that a command describes
 * @host: the host
 * @cmd: the command
 * @pkt: to be filled in
 * @err: set to the text of the error, to be freed with g_free()
 *
 * Return: 0; -1 on an error, then there is nothing to free.
 */
int hv_build(struct hv_host *host, const QDict *cmd, struct hv_packet *pkt, char **err)
{
	const char *name = qdict_get_try_str(cmd, "cmd");
	const struct builder *b = builder_find(name ? name : "");
	struct hv_args a;

	memset(pkt, 0, sizeof(*pkt));
	if (!b) {
		*err = g_strdup_printf("\"%s\" sends no packet", name ? name : "");
		return -1;
	}
	hv_args_init(&a, cmd);
	pkt->ch = arg_channel(host, &a, b->channel);
	if (!a.err) {
		struct hv_channel *ch = pkt->ch;

		b->build(ch, &a, pkt);
		pkt->ch = ch;
		build_common(&a, b, pkt);
		if (pkt->len + 8 >= ch->out.size)
			hv_args_error(&a, "packet of %u bytes, the ring has %u", pkt->len,
				      ch->out.size);
	}
	if (hv_args_done(&a, err))
		return 0;
	hv_build_free(pkt);
	return -1;
}

/**
 * hv_build_send() - send a packet, and wait for its answer
 * @ch: the channel
 * @pkt: what was built; still the caller's to free
 * @queued: set to whether it waits for room in the ring
 *
 * Sets pkt->req. Return: true when the guest has to be signalled.
 */
bool hv_build_send(struct hv_channel *ch, struct hv_packet *pkt, bool *queued)
{
	const struct vmpkt_desc *desc = (const void *)pkt->bytes;
	const uint8_t *payload = pkt->bytes + sizeof(*desc);
	struct hv_request *req = hv_request_new(ch, payload, pkt->payload);

	req->expect = pkt->expect;
	req->negotiate = pkt->negotiate;
	req->beat = pkt->beat;
	req->reqid = le64_to_cpu(desc->reqid);
	if (pkt->payload >= sizeof(struct ic_msg))
		req->txid = ((const struct ic_msg *)payload)->hdr.txid;
	req->timeout_ms = pkt->timeout_ms;
	pkt->req = req;
	return hv_packet_send(req, pkt->bytes, pkt->len, queued);
}
