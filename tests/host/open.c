// SPDX-License-Identifier: GPL-2.0-only
/*
 * OPENCHANNEL, and the ways in which a host can answer it.
 */
#include "host.h"
#include "vmbus.h"

#define OPEN_REFUSED		0xc0000001

static void open_result(struct hv_channel *ch, uint32_t status)
{
	struct vmbus_open_result res = {
		.hdr.type = cpu_to_le32(VMBUS_OPEN_RESULT),
		.relid = cpu_to_le32(ch->relid),
		.openid = cpu_to_le32(ch->openid),
		.status = cpu_to_le32(status),
	};

	hv_vmbus_send(ch->host, &res, sizeof(res));
}

static bool rings_set(struct hv_channel *ch, const struct vmbus_open *msg)
{
	uint32_t split = le32_to_cpu(msg->in_page);
	struct hv_gpadl *g = hv_gpadl_find(ch->host, le32_to_cpu(msg->gpadl));

	if (!g || g->have != g->pages || g->relid != ch->relid) {
		hv_vmbus_error(ch->host, "open of %s with GPADL 0x%x, which is not its own",
			       ch->info->name, le32_to_cpu(msg->gpadl));
		return false;
	}
	if (split < 2 || split + 2 > g->pages) {
		hv_vmbus_error(ch->host, "open of %s with rings of %u and %u pages",
			       ch->info->name, split, g->pages - split);
		return false;
	}
	ch->ring_gpadl = g->id;
	ch->in.pfn = g->pfn;
	ch->in.size = (split - 1) * HV_PAGE;
	ch->out.pfn = g->pfn + split;
	ch->out.size = (g->pages - split - 1) * HV_PAGE;
	return true;
}

static const char *const open_actions[] = {
	[HV_OPEN_NORMAL] = "normal",
	[HV_OPEN_REFUSE] = "refuse",
	[HV_OPEN_RESCIND_AFTER] = "rescind_after",
	[HV_OPEN_RESCIND_BEFORE] = "rescind_before_result",
	[HV_OPEN_SILENT] = "silent",
};

/**
 * hv_channel_set_next_open() - choose the reaction to the next OPENCHANNEL
 * @ch: the channel
 * @action: name of the action
 * @status: for a refusal, 0 for the usual one
 *
 * Return: false when there is no such action.
 */
bool hv_channel_set_next_open(struct hv_channel *ch, const char *action, uint32_t status)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(open_actions); i++) {
		if (strcmp(open_actions[i], action))
			continue;
		ch->next_open = i;
		ch->next_open_status = status ? status : OPEN_REFUSED;
		return true;
	}
	return false;
}

static void opened(struct hv_channel *ch)
{
	ch->state = HV_CH_OPEN;
	open_result(ch, 0);
	hv_event_send(ch->host, hv_channel_event(ch, "opened"));
}

static void open_act(struct hv_channel *ch, enum hv_open_action action)
{
	g_autofree char *err = NULL;

	switch (action) {
	case HV_OPEN_NORMAL:
		opened(ch);
		hv_ic_opened(ch);
		break;
	case HV_OPEN_REFUSE:
		qobject_unref(hv_channel_shut(ch, HV_CH_CLOSED));
		open_result(ch, ch->next_open_status);
		break;
	case HV_OPEN_RESCIND_AFTER:
		opened(ch);
		hv_channel_rescind(ch, &err);
		break;
	case HV_OPEN_RESCIND_BEFORE:
		hv_channel_rescind(ch, &err);
		open_result(ch, 0);
		break;
	case HV_OPEN_SILENT:
		break;
	}
}

/**
 * hv_channel_open() - OPENCHANNEL
 * @host: the host
 * @payload: the message
 * @size: its bytes
 */
void hv_channel_open(struct hv_host *host, const uint8_t *payload, uint32_t size)
{
	const struct vmbus_open *msg = (const void *)payload;
	struct hv_channel *ch = hv_channel_by_relid(host, le32_to_cpu(msg->relid));
	enum hv_open_action action;
	QDict *ev;

	if (!ch) {
		hv_vmbus_error(host, "open of relid %u, which is not offered",
			       le32_to_cpu(msg->relid));
		return;
	}
	/* The guest may not have seen the rescind yet. */
	if (ch->state == HV_CH_RESCINDED)
		return;
	ch->openid = le32_to_cpu(msg->openid);
	ch->vcpu = le32_to_cpu(msg->vcpu);
	if (ch->state != HV_CH_OFFERED && ch->state != HV_CH_CLOSED) {
		hv_vmbus_error(host, "open of %s, which is %s", ch->info->name,
			       hv_channel_state_name(ch));
		return;
	}
	if (ch->vcpu >= host->vps || !rings_set(ch, msg)) {
		if (ch->vcpu >= host->vps)
			hv_vmbus_error(host, "open of %s for processor %u", ch->info->name,
				       ch->vcpu);
		open_result(ch, OPEN_REFUSED);
		return;
	}
	action = ch->next_open;
	ch->next_open = HV_OPEN_NORMAL;
	ch->state = HV_CH_OPENING;
	ev = hv_channel_event(ch, "open");
	qdict_put_int(ev, "vcpu", ch->vcpu);
	qdict_put_int(ev, "pages", (ch->in.size + ch->out.size) / HV_PAGE + 2);
	qdict_put_str(ev, "action", open_actions[action]);
	hv_event_send(host, ev);
	open_act(ch, action);
}
