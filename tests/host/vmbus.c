// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMBus channel messages: version negotiation, and dispatch of messages from the guest.
 */
#include "host.h"
#include "vmbus.h"

static const uint32_t known_versions[] = {
	VMBUS_V(0, 13), VMBUS_V(1, 1), VMBUS_V(2, 4), VMBUS_V(3, 0), VMBUS_V(4, 0),
	VMBUS_V(4, 1), VMBUS_V(5, 0), VMBUS_V(5, 1), VMBUS_V(5, 2), VMBUS_V(5, 3),
};

/**
 * hv_vmbus_parse_version() - turn the text of a VMBus version into its number
 * @text: like "5.3"
 *
 * Return: the number, or 0 if there is no such version.
 */
uint32_t hv_vmbus_parse_version(const char *text)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known_versions); i++) {
		g_autofree char *known = hv_vmbus_version_text(known_versions[i]);

		if (!strcmp(known, text))
			return known_versions[i];
	}
	return 0;
}

/**
 * hv_vmbus_version_text() - turn the number of a VMBus version into text
 * @version: major and minor, 16 bits each
 *
 * Return: text to be freed with g_free().
 */
char *hv_vmbus_version_text(uint32_t version)
{
	return g_strdup_printf("%u.%u", version >> 16, version & 0xffff);
}

/**
 * hv_vmbus_error() - report an invalid use of VMBus
 * @host: the host
 * @fmt: format of the text
 */
void hv_vmbus_error(struct hv_host *host, const char *fmt, ...)
{
	QDict *ev = hv_event("error");
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = g_strdup_vprintf(fmt, args);
	va_end(args);
	qdict_put_str(ev, "kind", "vmbus");
	qdict_put_str(ev, "detail", text);
	hv_event_send(host, ev);
}

/**
 * hv_vmbus_conn_ok() - check whether the guest may post messages on a connection
 * @host: the host
 * @conn: connection id
 *
 * Hosts before VMBus 5.0 do not know connection 4; a guest detects by this that they are older. Our
 * own id stays valid after UNLOAD, because the guest still releases its relids on it.
 */
bool hv_vmbus_conn_ok(struct hv_host *host, uint32_t conn)
{
	switch (conn) {
	case VMBUS_CONN_OLD:
		return true;
	case VMBUS_CONN_CONTACT:
		return host->vmbus_max >= VMBUS_V5_0;
	case VMBUS_CONN_OURS:
		return host->conn_id_valid;
	}
	return false;
}

/**
 * hv_vmbus_send() - send a channel message to the processor that made contact
 * @host: the host
 * @msg: the message
 * @size: its bytes
 */
void hv_vmbus_send(struct hv_host *host, const void *msg, uint32_t size)
{
	hv_synic_post(host, host->vcpu, msg, size);
}

static bool version_accepted(const struct hv_host *host, uint32_t version)
{
	unsigned int i;

	if (version > host->vmbus_max)
		return false;
	for (i = 0; i < ARRAY_SIZE(known_versions); i++) {
		if (known_versions[i] == version)
			return true;
	}
	return false;
}

/* Contact without an UNLOAD before: the channels belonged to another kernel. */
static QList *forget_guest(struct hv_host *host)
{
	QList *dropped = hv_channel_drop_all(host);

	hv_gpadl_drop_all(host);
	host->version = 0;
	return dropped;
}

static void initiate_contact(struct hv_host *host, const struct hv_msg *posted)
{
	const struct vmbus_contact *msg = (const void *)posted->payload;
	struct vmbus_version_response res = { .hdr.type = cpu_to_le32(VMBUS_VERSION_RESPONSE) };
	uint32_t version = le32_to_cpu(msg->version), vcpu = le32_to_cpu(msg->vcpu);
	bool accepted = version_accepted(host, version);
	g_autofree char *text = hv_vmbus_version_text(version);
	QDict *ev;

	if (version >= VMBUS_V5_0 && posted->conn != VMBUS_CONN_CONTACT) {
		hv_vmbus_error(host, "contact for VMBus %s on connection %u", text, posted->conn);
		accepted = false;
	}
	if (vcpu >= host->vps) {
		hv_vmbus_error(host, "contact from processor %u, there are %u", vcpu, host->vps);
		return;
	}
	qobject_unref(forget_guest(host));
	/* Older guests name no processor: all messages to them go to the first one. */
	host->vcpu = version >= VMBUS_V(3, 0) ? vcpu : 0;
	res.supported = accepted;
	if (accepted)
		host->version = version;
	if (accepted && version >= VMBUS_V5_0) {
		host->conn_id_valid = true;
		res.conn = cpu_to_le32(VMBUS_CONN_OURS);
	}

	ev = hv_event("contact");
	qdict_put_str(ev, "asked", text);
	qdict_put_bool(ev, "accepted", accepted);
	qdict_put_int(ev, "vcpu", host->vcpu);
	qdict_put_int(ev, "conn_id", posted->conn);
	hv_event_send(host, ev);
	hv_vmbus_send(host, &res, sizeof(res));
}

static void unload(struct hv_host *host)
{
	struct vmbus_hdr res = { .type = cpu_to_le32(VMBUS_UNLOAD_RESPONSE) };
	QDict *ev = hv_event("unload");

	qdict_put(ev, "dropped", forget_guest(host));
	hv_event_send(host, ev);
	hv_vmbus_send(host, &res, sizeof(res));
}

static void other_message(struct hv_host *host, const struct hv_msg *posted, uint32_t type)
{
	QDict *ev = hv_event("message");

	qdict_put_int(ev, "type", type);
	hv_put_hex(ev, "hex", posted->payload, posted->size);
	hv_event_send(host, ev);
}

static const struct handler {
	enum vmbus_msg_type type;
	uint32_t min_size;
	void (*handle)(struct hv_host *host, const uint8_t *msg, uint32_t size);
} handlers[] = {
	{ VMBUS_OPEN_CHANNEL, sizeof(struct vmbus_open), hv_channel_open },
	{ VMBUS_CLOSE_CHANNEL, sizeof(struct vmbus_relid_msg), hv_channel_close },
	{ VMBUS_GPADL_HEADER, sizeof(struct vmbus_gpadl_header), hv_gpadl_header },
	{ VMBUS_GPADL_BODY, sizeof(struct vmbus_gpadl_body), hv_gpadl_body },
	{ VMBUS_GPADL_TEARDOWN, sizeof(struct vmbus_gpadl_teardown), hv_gpadl_teardown },
	{ VMBUS_RELID_RELEASED, sizeof(struct vmbus_relid_msg), hv_channel_released },
	{ VMBUS_MODIFY_CHANNEL, sizeof(struct vmbus_modify), hv_channel_modify },
};

static void dispatch(struct hv_host *host, const struct hv_msg *posted, uint32_t type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(handlers); i++) {
		const struct handler *h = &handlers[i];

		if (h->type != type)
			continue;
		if (posted->size < h->min_size) {
			hv_vmbus_error(host, "message type %u has only %u bytes", type,
				       posted->size);
			return;
		}
		h->handle(host, posted->payload, posted->size);
		return;
	}
	other_message(host, posted, type);
}

/**
 * hv_vmbus_message() - handle a channel message that the guest has posted
 * @host: the host
 * @posted: the message
 *
 * Context: bottom half, big lock held.
 */
void hv_vmbus_message(struct hv_host *host, const struct hv_msg *posted)
{
	const struct vmbus_hdr *hdr = (const void *)posted->payload;
	uint32_t type;

	if (posted->size < sizeof(*hdr)) {
		hv_vmbus_error(host, "message of only %u bytes", posted->size);
		return;
	}
	type = le32_to_cpu(hdr->type);
	switch (type) {
	case VMBUS_INITIATE_CONTACT:
		if (posted->size < sizeof(struct vmbus_contact))
			hv_vmbus_error(host, "contact of only %u bytes", posted->size);
		else
			initiate_contact(host, posted);
		break;
	case VMBUS_REQUEST_OFFERS:
		hv_channel_offer_all(host);
		break;
	case VMBUS_UNLOAD:
		unload(host);
		break;
	default:
		dispatch(host, posted, type);
	}
}
