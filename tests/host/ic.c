// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host does without a command: it negotiates when a channel opens, and sends heartbeats.
 */
#include "host.h"
#include "sysemu/runstate.h"

static const char *const op_names[] = {
	[VSS_CREATE] = "create",
	[VSS_DELETE] = "delete",
	[VSS_HOT_BACKUP] = "hot_backup",
	[VSS_GET_DM_INFO] = "get_dm_info",
	[VSS_BACKUP_COMPLETE] = "backup_complete",
	[VSS_FREEZE] = "freeze",
	[VSS_THAW] = "thaw",
	[VSS_AUTO_RECOVER] = "auto_recover",
	[VSS_QUERY_CLUSTER] = "query_cluster",
};

/**
 * hv_ic_op_name() - name of a VSS operation
 * @op: its number
 *
 * Return: a constant string, "other" for those without a name.
 */
const char *hv_ic_op_name(unsigned int op)
{
	return op < ARRAY_SIZE(op_names) ? op_names[op] : "other";
}

/**
 * hv_ic_op_by_name() - number of a VSS operation
 * @name: its name
 *
 * Return: the number or -1.
 */
int hv_ic_op_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(op_names); i++) {
		if (!strcmp(op_names[i], name))
			return i;
	}
	return -1;
}

static void send_own(struct hv_channel *ch, struct hv_packet *pkt)
{
	bool queued;

	if (hv_build_send(ch, pkt, &queued))
		hv_synic_event(ch->host, ch->vcpu, ch->relid);
	hv_build_free(pkt);
}

/**
 * hv_ic_opened() - negotiate: a channel has been opened
 * @ch: the channel
 */
void hv_ic_opened(struct hv_channel *ch)
{
	struct hv_packet pkt;

	if (!ch->host->auto_negotiate || ch->host->quiet)
		return;
	hv_build_negotiate(ch, &pkt);
	send_own(ch, &pkt);
}

static QList *version_pair(const struct ic_ver *ver)
{
	QList *pair = qlist_new();

	qlist_append_int(pair, le16_to_cpu(ver->major));
	qlist_append_int(pair, le16_to_cpu(ver->minor));
	return pair;
}

static void put_offered(QDict *ev, const struct hv_request *req)
{
	const struct ic_negotiate *sent = (const void *)(req->data + sizeof(struct ic_msg));
	unsigned int n = (req->len - sizeof(struct ic_msg) - sizeof(*sent)) / 4;
	unsigned int fws = MIN(le16_to_cpu(sent->fw_count), n), i;
	QList *fw = qlist_new(), *msg = qlist_new();

	for (i = 0; i < n; i++)
		qlist_append(i < fws ? fw : msg, version_pair(&sent->ver[i]));
	qdict_put(ev, "fw_offered", fw);
	qdict_put(ev, "msg_offered", msg);
}

static void put_chosen(struct hv_channel *ch, QDict *ev, const uint8_t *payload, uint32_t len)
{
	g_autofree char *status = NULL;
	const struct ic_msg *m = (const void *)payload;
	const struct ic_negotiate *got = (const void *)m->body;

	if (len < sizeof(*m) + sizeof(*got) + 8) {
		qdict_put_null(ev, "fw");
		qdict_put_null(ev, "msg");
		return;
	}
	status = g_strdup_printf("0x%08x", le32_to_cpu(m->hdr.status));
	qdict_put_str(ev, "status", status);
	qdict_put_int(ev, "icflags", m->hdr.flags);
	qdict_put_int(ev, "fw_count", le16_to_cpu(got->fw_count));
	qdict_put_int(ev, "msg_count", le16_to_cpu(got->msg_count));
	ch->negotiated = got->fw_count && got->msg_count;
	if (!ch->negotiated) {
		qdict_put_null(ev, "fw");
		qdict_put_null(ev, "msg");
		return;
	}
	ch->fw = got->ver[0];
	ch->msg = got->ver[1];
	qdict_put(ev, "fw", version_pair(&got->ver[0]));
	qdict_put(ev, "msg", version_pair(&got->ver[1]));
}

/**
 * hv_ic_negotiated() - the guest has answered a version offer
 * @ch: the channel
 * @req: the offer
 * @payload: the answer
 * @len: its bytes
 * @problems: the faults in it; taken over
 */
void hv_ic_negotiated(struct hv_channel *ch, const struct hv_request *req,
		      const uint8_t *payload, uint32_t len, QList *problems)
{
	QDict *ev = hv_event("negotiated");

	qdict_put_str(ev, "channel", ch->info->name);
	qdict_put_int(ev, "seq", req->seq);
	put_offered(ev, req);
	put_chosen(ch, ev, payload, len);
	hv_put_hex(ev, "hex", payload, len);
	qdict_put(ev, "problems", problems);
	hv_event_send(ch->host, ev);
}

static bool beat_waited_for(struct hv_channel *ch)
{
	struct hv_request *req;

	QTAILQ_FOREACH(req, &ch->requests, next) {
		if (req->beat && req->state == HV_REQ_WAITING)
			return true;
	}
	return false;
}

static void beat(void *opaque)
{
	struct hv_host *host = opaque;
	struct hv_channel *ch = &host->ch[HV_SVC_HEARTBEAT];
	struct hv_packet pkt;

	hv_ic_beat_start(host);
	/* A paused or crashed guest can't answer. */
	if (host->quiet || host->crashed || !runstate_is_running())
		return;
	if (ch->state != HV_CH_OPEN || !ch->negotiated || beat_waited_for(ch))
		return;
	hv_build_heartbeat(ch, ++host->beat_seq, &pkt);
	send_own(ch, &pkt);
}

/**
 * hv_ic_beat_init() - create the timer of the heartbeats
 * @host: the host
 */
void hv_ic_beat_init(struct hv_host *host)
{
	host->beat = timer_new_ms(QEMU_CLOCK_REALTIME, beat, host);
	hv_ic_beat_start(host);
}

/**
 * hv_ic_beat_start() - start, restart or stop the heartbeats as host->beat_ms says
 * @host: the host
 */
void hv_ic_beat_start(struct hv_host *host)
{
	if (host->beat_ms)
		timer_mod(host->beat, qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + host->beat_ms);
	else
		timer_del(host->beat);
}
