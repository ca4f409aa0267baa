// SPDX-License-Identifier: GPL-2.0-only
/*
 * GPADLs: lists of guest pages that a guest lends to the host for a channel's rings.
 */
#include "host.h"
#include "vmbus.h"

#define GPADL_MAX_PAGES		8192

static void gpadl_free(struct hv_gpadl *g)
{
	QLIST_REMOVE(g, next);
	g_free(g);
}

/**
 * hv_gpadl_find() - find a GPADL
 * @host: the host
 * @id: the guest's handle
 *
 * Return: the GPADL, complete or not, or NULL.
 */
struct hv_gpadl *hv_gpadl_find(struct hv_host *host, uint32_t id)
{
	struct hv_gpadl *g;

	QLIST_FOREACH(g, &host->gpadls, next) {
		if (g->id == id)
			return g;
	}
	return NULL;
}

static void gpadl_created(struct hv_host *host, const struct hv_gpadl *g)
{
	struct vmbus_gpadl_created res = {
		.hdr.type = cpu_to_le32(VMBUS_GPADL_CREATED),
		.relid = cpu_to_le32(g->relid),
		.gpadl = cpu_to_le32(g->id),
	};
	QDict *ev = hv_event("gpadl");

	qdict_put_int(ev, "gpadl", g->id);
	qdict_put_int(ev, "relid", g->relid);
	qdict_put_int(ev, "pages", g->pages);
	hv_event_send(host, ev);
	hv_vmbus_send(host, &res, sizeof(res));
}

/* Takes page numbers from a message. Those beyond the announced number are padding. */
static void gpadl_add(struct hv_host *host, struct hv_gpadl *g, const uint8_t *pfn,
		      uint32_t bytes)
{
	for (; bytes >= 8 && g->have < g->pages; bytes -= 8, pfn += 8)
		g->pfn[g->have++] = ldq_le_p(pfn);
	if (g->have == g->pages)
		gpadl_created(host, g);
}

/**
 * hv_gpadl_header() - GPADL_HEADER: a new list, with its first pages
 * @host: the host
 * @payload: the message
 * @size: its bytes, at least those of the fixed part
 */
void hv_gpadl_header(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_gpadl_header *msg = (const void *)payload;
	uint32_t id = le32_to_cpu(msg->gpadl), pages;
	struct hv_gpadl *g;

	pages = DIV_ROUND_UP((uint64_t)le32_to_cpu(msg->byte_count) +
			     le32_to_cpu(msg->byte_offset), HV_PAGE);
	if (le16_to_cpu(msg->ranges) != 1 || !pages || pages > GPADL_MAX_PAGES) {
		hv_vmbus_error(host, "GPADL 0x%x of %u ranges, %u pages", id,
			       le16_to_cpu(msg->ranges), pages);
		return;
	}
	if (le16_to_cpu(msg->range_bytes) != 8 + 8 * pages) {
		hv_vmbus_error(host, "GPADL 0x%x of %u pages has %u bytes of ranges", id, pages,
			       le16_to_cpu(msg->range_bytes));
		return;
	}
	if (hv_gpadl_find(host, id)) {
		hv_vmbus_error(host, "GPADL 0x%x exists already", id);
		return;
	}
	g = g_malloc0(sizeof(*g) + pages * sizeof(g->pfn[0]));
	g->id = id;
	g->relid = le32_to_cpu(msg->relid);
	g->pages = pages;
	QLIST_INSERT_HEAD(&host->gpadls, g, next);
	gpadl_add(host, g, (const uint8_t *)msg->pfn, size - sizeof(*msg));
}

/**
 * hv_gpadl_body() - GPADL_BODY: more pages
 * @host: the host
 * @payload: the message
 * @size: its bytes, at least those of the fixed part
 */
void hv_gpadl_body(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_gpadl_body *msg = (const void *)payload;
	struct hv_gpadl *g = hv_gpadl_find(host, le32_to_cpu(msg->gpadl));

	if (!g || g->have == g->pages) {
		hv_vmbus_error(host, "pages for GPADL 0x%x, which %s", le32_to_cpu(msg->gpadl),
			       g ? "is complete" : "does not exist");
		return;
	}
	gpadl_add(host, g, (const uint8_t *)msg->pfn, size - sizeof(*msg));
}

static bool gpadl_in_use(struct hv_host *host, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < HV_SVC_COUNT; i++) {
		if (host->ch[i].state == HV_CH_OPEN && host->ch[i].ring_gpadl == id)
			return true;
	}
	return false;
}

/**
 * hv_gpadl_teardown() - GPADL_TEARDOWN: the guest wants its pages back
 * @host: the host
 * @payload: the message
 * @size: its bytes
 */
void hv_gpadl_teardown(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_gpadl_teardown *msg = (const void *)payload;
	struct vmbus_gpadl_torndown res = {
		.hdr.type = cpu_to_le32(VMBUS_GPADL_TORNDOWN),
		.gpadl = msg->gpadl,
	};
	uint32_t id = le32_to_cpu(msg->gpadl);
	struct hv_gpadl *g = hv_gpadl_find(host, id);
	QDict *ev;

	if (!g) {
		hv_vmbus_error(host, "teardown of GPADL 0x%x, which does not exist", id);
		return;
	}
	if (gpadl_in_use(host, id)) {
		hv_vmbus_error(host, "teardown of GPADL 0x%x, the ring of an open channel", id);
		return;
	}
	ev = hv_event("gpadl_torndown");
	qdict_put_int(ev, "gpadl", id);
	qdict_put_int(ev, "relid", g->relid);
	hv_event_send(host, ev);
	gpadl_free(g);
	hv_vmbus_send(host, &res, sizeof(res));
}

/**
 * hv_gpadl_drop_relid() - forget the GPADLs of a channel
 * @host: the host
 * @relid: the channel; a rescinded one gets no GPADL_TEARDOWN
 */
void hv_gpadl_drop_relid(struct hv_host *host, uint32_t relid)
{
	struct hv_gpadl *g, *tmp;

	QLIST_FOREACH_SAFE(g, &host->gpadls, next, tmp) {
		if (g->relid == relid)
			gpadl_free(g);
	}
}

/**
 * hv_gpadl_drop_all() - forget all GPADLs
 * @host: the host
 */
void hv_gpadl_drop_all(struct hv_host *host)
{
	struct hv_gpadl *g, *tmp;

	QLIST_FOREACH_SAFE(g, &host->gpadls, next, tmp)
		gpadl_free(g);
}
