// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels: offer, close, rescind, release.
 */
#include "host.h"
#include "vmbus.h"
#include "qemu/uuid.h"

/**
 * hv_channel_init() - set the channels up as the device's properties say
 * @host: the host
 */
void hv_channel_init(struct hv_host *host)
{
	unsigned int i;

	for (i = 0; i < HV_SVC_COUNT; i++) {
		struct hv_channel *ch = &host->ch[i];

		ch->host = host;
		ch->svc = i;
		ch->info = &hv_services[i];
		ch->wanted = host->with[i];
		ch->next_reqid = 1;
		ch->next_txid = 1;
		QSIMPLEQ_INIT(&ch->outgoing);
		QTAILQ_INIT(&ch->requests);
	}
}

/**
 * hv_channel_state_name() - the state of a channel in words
 * @ch: the channel
 *
 * Return: a constant string.
 */
const char *hv_channel_state_name(const struct hv_channel *ch)
{
	static const char *const names[] = {
		[HV_CH_ABSENT] = "absent",
		[HV_CH_OFFERED] = "offered",
		[HV_CH_OPENING] = "opening",
		[HV_CH_OPEN] = "open",
		[HV_CH_CLOSED] = "closed",
		[HV_CH_RESCINDED] = "rescinded",
	};

	return names[ch->state];
}

/**
 * hv_channel_by_relid() - find the channel that a relid stands for
 * @host: the host
 * @relid: id in the last offer
 *
 * Return: the channel or NULL.
 */
struct hv_channel *hv_channel_by_relid(struct hv_host *host, uint32_t relid)
{
	unsigned int i;

	for (i = 0; relid && i < HV_SVC_COUNT; i++) {
		if (host->ch[i].relid == relid)
			return &host->ch[i];
	}
	return NULL;
}

/**
 * hv_channel_by_name() - find a channel by the name of its service
 * @host: the host
 * @name: like "vss"
 *
 * Return: the channel or NULL.
 */
struct hv_channel *hv_channel_by_name(struct hv_host *host, const char *name)
{
	unsigned int i;

	for (i = 0; i < HV_SVC_COUNT; i++) {
		if (!strcmp(host->ch[i].info->name, name))
			return &host->ch[i];
	}
	return NULL;
}

/* A new relid each time, so that a message about the old one is not applied to the new one. */
static uint32_t new_relid(struct hv_host *host)
{
	do {
		host->last_relid = host->last_relid % (HV_RELIDS - 1) + 1;
	} while (hv_channel_by_relid(host, host->last_relid) ||
		 host->abandoned[host->last_relid]);
	return host->last_relid;
}

static void put_guid(uint8_t *wire, const char *text)
{
	QemuUUID uuid;

	if (qemu_uuid_parse(text, &uuid))
		abort();
	uuid = qemu_uuid_bswap(uuid);
	memcpy(wire, uuid.data, 16);
}

static void send_offer(struct hv_channel *ch)
{
	struct vmbus_offer msg = {
		.hdr.type = cpu_to_le32(VMBUS_OFFER_CHANNEL),
		.flags = cpu_to_le16(VMBUS_OFFER_ENUMERATE | VMBUS_OFFER_NAMED_PIPE),
		.pipe_mode = cpu_to_le32(VMBUS_PIPE_MESSAGE),
		.dedicated_interrupt = cpu_to_le16(1),
	};

	ch->relid = new_relid(ch->host);
	ch->state = HV_CH_OFFERED;
	ch->negotiated = false;
	put_guid(msg.type, ch->info->type);
	put_guid(msg.instance, ch->info->instance);
	msg.relid = cpu_to_le32(ch->relid);
	msg.conn = cpu_to_le32(VMBUS_CONN_EVENT_BASE + ch->relid);
	hv_vmbus_send(ch->host, &msg, sizeof(msg));
}

/**
 * hv_channel_offer_all() - REQUESTOFFERS: the guest asks for all offers
 * @host: the host
 */
void hv_channel_offer_all(struct hv_host *host)
{
	struct vmbus_hdr end = { .type = cpu_to_le32(VMBUS_OFFERS_DELIVERED) };
	QDict *ev = hv_event("offers");
	QList *names = qlist_new();
	unsigned int i;

	if (!host->version)
		hv_vmbus_error(host, "the guest asks for offers before contact");
	for (i = 0; i < HV_SVC_COUNT; i++) {
		struct hv_channel *ch = &host->ch[i];

		if (!ch->wanted || ch->state != HV_CH_ABSENT)
			continue;
		send_offer(ch);
		qlist_append_str(names, ch->info->name);
	}
	host->offers_asked = true;
	qdict_put(ev, "channels", names);
	hv_event_send(host, ev);
	hv_vmbus_send(host, &end, sizeof(end));
}

/**
 * hv_channel_event() - start an event about a channel
 * @ch: the channel
 * @name: of the event
 *
 * Return: the event, for hv_event_send().
 */
QDict *hv_channel_event(const struct hv_channel *ch, const char *name)
{
	QDict *ev = hv_event(name);

	qdict_put_str(ev, "channel", ch->info->name);
	qdict_put_int(ev, "relid", ch->relid);
	return ev;
}

/**
 * hv_channel_offer() - offer a channel, now or as soon as that is possible
 * @ch: the channel
 * @wait_released: wait until the guest has released a rescinded one
 * @pending: set to whether it waits
 * @err: set to the text of the error, to be freed with g_free()
 *
 * Return: 0 or -1.
 */
int hv_channel_offer(struct hv_channel *ch, bool wait_released, bool *pending, char **err)
{
	*pending = false;
	if (ch->state != HV_CH_ABSENT && ch->state != HV_CH_RESCINDED) {
		*err = g_strdup_printf("channel %s is %s", ch->info->name,
				       hv_channel_state_name(ch));
		return -1;
	}
	ch->wanted = true;
	/* A guest that has not requested the offers yet gets this one with the others. */
	if (!ch->host->offers_asked || (ch->state == HV_CH_RESCINDED && wait_released)) {
		ch->offer_pending = ch->state == HV_CH_RESCINDED;
		*pending = true;
		return 0;
	}
	if (ch->state == HV_CH_RESCINDED)
		ch->host->abandoned[ch->relid] = true;
	send_offer(ch);
	hv_event_send(ch->host, hv_channel_event(ch, "offer"));
	return 0;
}

/**
 * hv_channel_shut() - mark a channel as no longer open, for any reason
 * @ch: the channel
 * @state: its new state
 *
 * Return: list of the requests that stay unanswered, by seq; the caller's to put or free.
 */
QList *hv_channel_shut(struct hv_channel *ch, enum hv_channel_state state)
{
	ch->state = state;
	ch->negotiated = false;
	ch->signalled = false;
	ch->hold = false;
	ch->faked = false;
	ch->broken = false;
	ch->ring_gpadl = 0;
	ch->in.pfn = NULL;
	ch->out.pfn = NULL;
	return hv_request_drop_all(ch);
}

/**
 * hv_channel_rescind() - rescind an offer
 * @ch: the channel
 * @err: set to the text of the error, to be freed with g_free()
 *
 * The rings are not read again. Return: 0 or -1.
 */
int hv_channel_rescind(struct hv_channel *ch, char **err)
{
	struct vmbus_relid_msg msg = { .hdr.type = cpu_to_le32(VMBUS_RESCIND_OFFER) };
	QDict *ev;

	if (ch->state == HV_CH_ABSENT || ch->state == HV_CH_RESCINDED) {
		*err = g_strdup_printf("channel %s is %s", ch->info->name,
				       hv_channel_state_name(ch));
		return -1;
	}
	ch->wanted = false;
	ev = hv_channel_event(ch, "rescinded");
	qdict_put(ev, "dropped", hv_channel_shut(ch, HV_CH_RESCINDED));
	hv_event_send(ch->host, ev);
	msg.relid = cpu_to_le32(ch->relid);
	hv_vmbus_send(ch->host, &msg, sizeof(msg));
	return 0;
}

/**
 * hv_channel_close() - CLOSECHANNEL
 * @host: the host
 * @payload: the message
 * @size: its bytes
 */
void hv_channel_close(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_relid_msg *msg = (const void *)payload;
	uint32_t relid = le32_to_cpu(msg->relid);
	struct hv_channel *ch = hv_channel_by_relid(host, relid);
	enum hv_channel_state state;
	QDict *ev;

	if (!ch) {
		if (relid >= HV_RELIDS || !host->abandoned[relid])
			hv_vmbus_error(host, "close of relid %u, which is not offered", relid);
		return;
	}
	state = ch->state == HV_CH_RESCINDED ? HV_CH_RESCINDED : HV_CH_CLOSED;
	/* Answers that the guest wrote before it closed the channel still count. */
	if (ch->state == HV_CH_OPEN)
		hv_packet_drain(ch);
	else if (state != HV_CH_RESCINDED && ch->state != HV_CH_OPENING)
		hv_vmbus_error(host, "close of %s, which is %s", ch->info->name,
			       hv_channel_state_name(ch));
	ev = hv_channel_event(ch, "close");
	qdict_put(ev, "dropped", hv_channel_shut(ch, state));
	hv_event_send(host, ev);
}

/**
 * hv_channel_modify() - MODIFYCHANNEL: the guest moves its interrupts to another processor
 * @host: the host
 * @payload: the message
 * @size: its bytes
 */
void hv_channel_modify(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_modify *msg = (const void *)payload;
	struct vmbus_modify_response res = {
		.hdr.type = cpu_to_le32(VMBUS_MODIFY_RESPONSE),
		.relid = msg->relid,
	};
	struct hv_channel *ch = hv_channel_by_relid(host, le32_to_cpu(msg->relid));
	uint32_t vcpu = le32_to_cpu(msg->vcpu);

	if (!ch || vcpu >= host->vps) {
		hv_vmbus_error(host, "modify of relid %u to processor %u",
			       le32_to_cpu(msg->relid), vcpu);
		return;
	}
	ch->vcpu = vcpu;
	if (host->version >= VMBUS_V5_3)
		hv_vmbus_send(host, &res, sizeof(res));
}

/**
 * hv_channel_released() - RELID_RELEASED: the guest has forgotten a channel
 * @host: the host
 * @payload: the message
 * @size: its bytes
 *
 * Also comes for every channel after UNLOAD, when the host no longer knows these relids.
 */
void hv_channel_released(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_relid_msg *msg = (const void *)payload;
	uint32_t relid = le32_to_cpu(msg->relid);
	struct hv_channel *ch = hv_channel_by_relid(host, relid);
	QDict *ev = hv_event("relid_released");

	qdict_put_int(ev, "relid", relid);
	if (ch)
		qdict_put_str(ev, "channel", ch->info->name);
	hv_event_send(host, ev);
	hv_gpadl_drop_relid(host, relid);
	if (relid < HV_RELIDS)
		host->abandoned[relid] = false;
	if (!ch)
		return;
	/* Not only rescinded ones: guests release all when their VMBus module is unloaded. */
	if (ch->state == HV_CH_OPEN || ch->state == HV_CH_OPENING) {
		hv_vmbus_error(host, "release of %s, which is %s", ch->info->name,
			       hv_channel_state_name(ch));
		return;
	}
	ch->state = HV_CH_ABSENT;
	ch->relid = 0;
	if (ch->offer_pending) {
		ch->offer_pending = false;
		send_offer(ch);
		hv_event_send(host, hv_channel_event(ch, "offer"));
	}
}

/**
 * hv_channel_drop_all() - the guest is gone, or has left VMBus
 * @host: the host
 *
 * Return: list of the requests that stay unanswered, by seq; the caller's to put or free.
 */
QList *hv_channel_drop_all(struct hv_host *host)
{
	QList *all = qlist_new();
	unsigned int i;

	for (i = 0; i < HV_SVC_COUNT; i++) {
		struct hv_channel *ch = &host->ch[i];
		QList *dropped = hv_channel_shut(ch, HV_CH_ABSENT);
		QObject *seq;

		ch->relid = 0;
		ch->offer_pending = false;
		while ((seq = qlist_pop(dropped)))
			qlist_append_obj(all, seq);
		qobject_unref(dropped);
	}
	memset(host->abandoned, 0, sizeof(host->abandoned));
	host->offers_asked = false;
	return all;
}
