// SPDX-License-Identifier: GPL-2.0-only
/* The commands of the control socket. */
#include "args.h"
#include "qapi/qmp/qjson.h"
#include "qapi/qmp/qnum.h"
#include "sysemu/runstate.h"

static struct hv_channel *arg_channel(struct hv_host *host, struct hv_args *a)
{
	g_autofree char *name = hv_arg_str(a, "channel", "vss");
	struct hv_channel *ch = hv_channel_by_name(host, name);

	if (!ch)
		hv_args_error(a, "unknown channel \"%s\"", name);
	return ch;
}

static struct hv_channel *arg_open_channel(struct hv_host *host, struct hv_args *a)
{
	struct hv_channel *ch = arg_channel(host, a);

	if (ch && ch->state != HV_CH_OPEN)
		hv_args_error(a, "channel %s is not open", ch->info->name);
	return ch;
}

static QDict *ring_status(const struct hv_ring *r)
{
	QDict *d = qdict_new();

	qdict_put_int(d, "size", r->size);
	qdict_put_int(d, "used", hv_ring_used(r));
	qdict_put_int(d, "mask", hv_ring_get(r, HV_RING_MASK));
	qdict_put_int(d, "pending_send_sz", hv_ring_get(r, HV_RING_PENDING));
	return d;
}

static void put_version(QDict *d, const char *key, const struct ic_ver *ver)
{
	QList *pair = qlist_new();

	qlist_append_int(pair, le16_to_cpu(ver->major));
	qlist_append_int(pair, le16_to_cpu(ver->minor));
	qdict_put(d, key, pair);
}

static QDict *channel_status(const struct hv_channel *ch)
{
	QList *outstanding = qlist_new();
	struct hv_request *req;
	QDict *d = qdict_new();

	qdict_put_str(d, "name", ch->info->name);
	qdict_put_str(d, "state", hv_channel_state_name(ch));
	qdict_put_int(d, "relid", ch->relid);
	qdict_put_bool(d, "negotiated", ch->negotiated);
	if (ch->negotiated) {
		put_version(d, "fw", &ch->fw);
		put_version(d, "msg", &ch->msg);
	}
	QTAILQ_FOREACH(req, &ch->requests, next) {
		if (req->state == HV_REQ_WAITING)
			qlist_append_int(outstanding, req->seq);
	}
	qdict_put(d, "outstanding", outstanding);
	qdict_put_int(d, "queued", ch->outgoing_count);
	qdict_put_bool(d, "hold", ch->hold);
	if (ch->state == HV_CH_OPEN) {
		qdict_put_int(d, "vcpu", ch->vcpu);
		qdict_put(d, "ring_in", ring_status(&ch->in));
		qdict_put(d, "ring_out", ring_status(&ch->out));
	}
	return d;
}

static void cmd_status(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	QList *channels = qlist_new();
	unsigned int i;

	if (host->version) {
		g_autofree char *text = hv_vmbus_version_text(host->version);

		qdict_put_str(reply, "vmbus", text);
	} else {
		qdict_put_null(reply, "vmbus");
	}
	qdict_put(reply, "guest_os_id", qnum_from_uint(host->guest_os_id));
	qdict_put_int(reply, "vcpus", host->vps);
	qdict_put_bool(reply, "quiet", host->quiet);
	for (i = 0; i < HV_SVC_COUNT; i++)
		qlist_append(channels, channel_status(&host->ch[i]));
	qdict_put(reply, "channels", channels);
}

static void cmd_signal(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_open_channel(host, a);

	if (!a->err)
		hv_synic_event(host, ch->vcpu, ch->relid);
}

static void cmd_rescind(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_channel(host, a);

	if (!a->err)
		hv_channel_rescind(ch, &a->err);
}

static void cmd_offer(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_channel(host, a);
	bool wait = hv_arg_bool(a, "wait_released", true), pending;

	if (!a->err && !hv_channel_offer(ch, wait, &pending, &a->err))
		qdict_put_bool(reply, "pending", pending);
}

static void cmd_channel_reset(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_channel(host, a);
	bool pending;

	if (!a->err && !hv_channel_rescind(ch, &a->err))
		hv_channel_offer(ch, true, &pending, &a->err);
}

static void cmd_next_open(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_channel(host, a);
	g_autofree char *action = hv_arg_str(a, "action", NULL);
	uint32_t status = hv_arg_uint(a, "status", 0, UINT32_MAX);

	if (!a->err && !hv_channel_set_next_open(ch, action, status))
		hv_args_error(a, "unknown action \"%s\"", action);
}

static void cmd_ring_hold(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_open_channel(host, a);
	bool on = hv_arg_bool(a, "on", true);

	if (a->err)
		return;
	if (on)
		ch->hold = true;
	else
		hv_packet_release(ch);
}

static void cmd_ring_fill(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_channel *ch = arg_open_channel(host, a);
	uint32_t free = hv_arg_uint(a, "free", 8, UINT32_MAX);

	if (!a->err && !hv_packet_fill(ch, free))
		hv_args_error(a, "%u bytes are not free, or none", free);
}

static void cmd_quiet(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	bool on = hv_arg_bool(a, "on", true);

	if (!a->err)
		host->quiet = on;
}

static void cmd_capture(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	bool on = hv_arg_bool(a, "on", true);

	if (!a->err)
		host->capture = on;
}

static void cmd_heartbeat(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	bool on = hv_arg_bool(a, "on", true);
	uint32_t ms = hv_arg_uint(a, "interval_ms", 2000, 3600000);

	if (a->err)
		return;
	host->beat_ms = on ? ms : 0;
	hv_ic_beat_start(host);
}

/* Only hv_check_answer(), so that its tests need no guest that makes mistakes. */
static void cmd_check(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	struct hv_request req = { 0 };
	uint32_t len;
	g_autofree uint8_t *packet = hv_arg_hex(a, "answer", &len);

	req.data = hv_arg_hex(a, "sent", &req.len);
	if (len < sizeof(struct vmpkt_desc))
		hv_args_error(a, "\"answer\" has no descriptor");
	if (!a->err)
		qdict_put(reply, "problems", hv_check_answer(&req, packet, len));
	g_free(req.data);
}

static void cmd_reset(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	host->reset_asked = true;
	qemu_system_reset_request(SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
}

static void cmd_quit(struct hv_host *host, struct hv_args *a, QDict *reply)
{
	qemu_system_shutdown_request(SHUTDOWN_CAUSE_HOST_QMP_QUIT);
}

static const struct command {
	const char *name;
	void (*run)(struct hv_host *host, struct hv_args *a, QDict *reply);
} commands[] = {
	{ "status", cmd_status },
	{ "signal", cmd_signal },
	{ "rescind", cmd_rescind },
	{ "offer", cmd_offer },
	{ "channel_reset", cmd_channel_reset },
	{ "next_open", cmd_next_open },
	{ "ring_hold", cmd_ring_hold },
	{ "ring_fill", cmd_ring_fill },
	{ "quiet", cmd_quiet },
	{ "capture", cmd_capture },
	{ "heartbeat", cmd_heartbeat },
	{ "check", cmd_check },
	{ "reset", cmd_reset },
	{ "quit", cmd_quit },
};

static void put_sent(QDict *d, const struct hv_packet *pkt, bool queued)
{
	qdict_put_int(d, "seq", pkt->req->seq);
	qdict_put(d, "reqid", qnum_from_uint(pkt->req->reqid));
	qdict_put_int(d, "txid", pkt->req->txid);
	if (queued)
		qdict_put_bool(d, "queued", true);
}

/* A command that sends one packet. */
static char *run_packet(struct hv_host *host, const QDict *cmd, QDict *reply)
{
	struct hv_packet pkt;
	bool queued;
	char *err;

	if (hv_build(host, cmd, &pkt, &err))
		return err;
	if (hv_build_send(pkt.ch, &pkt, &queued))
		hv_synic_event(host, pkt.ch->vcpu, pkt.ch->relid);
	put_sent(reply, &pkt, queued);
	hv_build_free(&pkt);
	return NULL;
}

static char *batch_build(struct hv_host *host, QList *list, GArray *pkts)
{
	const QListEntry *e;
	char *err;

	QLIST_FOREACH_ENTRY(list, e) {
		QDict *cmd = qobject_to(QDict, qlist_entry_obj(e));
		struct hv_packet pkt;

		if (!cmd)
			return g_strdup("\"packets\" must be a list of objects");
		if (hv_build(host, cmd, &pkt, &err))
			return err;
		g_array_append_val(pkts, pkt);
		if (pkt.ch != g_array_index(pkts, struct hv_packet, 0).ch)
			return g_strdup("all packets of a batch go to one channel");
	}
	return pkts->len ? NULL : g_strdup("\"packets\" is empty");
}

static void batch_send(struct hv_host *host, GArray *pkts, QDict *reply)
{
	struct hv_channel *ch = g_array_index(pkts, struct hv_packet, 0).ch;
	QList *sent = qlist_new();
	bool signal = false, queued;
	unsigned int i;

	for (i = 0; i < pkts->len; i++) {
		struct hv_packet *pkt = &g_array_index(pkts, struct hv_packet, i);
		QDict *d = qdict_new();

		signal |= hv_build_send(ch, pkt, &queued);
		put_sent(d, pkt, queued);
		qlist_append(sent, d);
	}
	qdict_put(reply, "sent", sent);
	if (signal)
		hv_synic_event(host, ch->vcpu, ch->relid);
}

static char *run_batch(struct hv_host *host, const QDict *cmd, QDict *reply)
{
	GArray *pkts = g_array_new(FALSE, TRUE, sizeof(struct hv_packet));
	QList *list;
	struct hv_args a;
	unsigned int i;
	char *err;

	hv_args_init(&a, cmd);
	list = hv_arg_list(&a, "packets");
	if (!list)
		hv_args_error(&a, "\"packets\" is missing");
	if (hv_args_done(&a, &err)) {
		err = batch_build(host, list, pkts);
		if (!err)
			batch_send(host, pkts, reply);
	}
	qobject_unref(list);
	for (i = 0; i < pkts->len; i++)
		hv_build_free(&g_array_index(pkts, struct hv_packet, i));
	g_array_free(pkts, TRUE);
	return err;
}

static char *run_plain(struct hv_host *host, const struct command *c, const QDict *cmd,
		       QDict *reply)
{
	struct hv_args a;
	char *err;

	hv_args_init(&a, cmd);
	c->run(host, &a, reply);
	hv_args_done(&a, &err);
	return err;
}

static char *run(struct hv_host *host, const QDict *cmd, QDict *reply)
{
	static const char *const packets[] = { "request", "negotiate", "shutdown", "kvp",
					       "raw" };
	const char *name = qdict_get_try_str(cmd, "cmd");
	unsigned int i;

	if (!name)
		return g_strdup("\"cmd\" must be a string");
	for (i = 0; i < ARRAY_SIZE(packets); i++) {
		if (!strcmp(packets[i], name))
			return run_packet(host, cmd, reply);
	}
	if (!strcmp(name, "batch"))
		return run_batch(host, cmd, reply);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return run_plain(host, &commands[i], cmd, reply);
	}
	return g_strdup_printf("unknown command \"%s\"", name);
}

/**
 * hv_command() - execute a command and reply
 * @host: the host
 * @line: a line of JSON
 *
 * Context: main loop, big lock held.
 */
void hv_command(struct hv_host *host, const char *line)
{
	g_autofree char *err = NULL;
	QObject *obj = qobject_from_json(line, NULL);
	QDict *cmd = qobject_to(QDict, obj), *reply = qdict_new();
	QObject *id = cmd ? qdict_get(cmd, "id") : NULL;

	if (id)
		qdict_put_obj(reply, "id", qobject_ref(id));
	err = cmd ? run(host, cmd, reply) : g_strdup("not a JSON object");
	qdict_put_bool(reply, "ok", !err);
	if (err)
		qdict_put_str(reply, "error", err);
	hv_control_reply(host, reply);
	qobject_unref(obj);
}
