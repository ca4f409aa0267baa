// SPDX-License-Identifier: GPL-2.0-only
/* What the host sends: it is received, sorted, and answered at once or handed to the engine. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/sched.h>
#include "compat/compat.h"
#include "engine.h"
#include "requests.h"

/* Packets to handle before timers may run and the daemon may have the lock. */
#define PUMP_BATCH	32

static int print_versions(char *buf, size_t size, const u32 *v, unsigned int n)
{
	int len = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		len += scnprintf(buf + len, size - len, " %u.%u", v[i] >> 16, v[i] & 0xffff);
	return len;
}

static void negotiate(struct hv_vss_device *hvs, struct hv_vss_buffer *b)
{
	struct hv_vss_ic_versions versions;
	char text[240];
	int len;

	/* A host that negotiates has forgotten its earlier requests. */
	hv_vss_reset(hvs, HV_VSS_CANCEL_RESET);
	hvs->counts[HV_VSS_N_NEGOTIATE]++;
	hv_vss_ic_negotiate(b->pkt.data, b->pkt.len, &versions);
	if (!hvs->negotiated || memcmp(&versions, &hvs->versions, sizeof(versions))) {
		len = scnprintf(text, sizeof(text), "framework");
		len += print_versions(text + len, sizeof(text) - len, versions.fw,
				      versions.fw_count);
		len += scnprintf(text + len, sizeof(text) - len, ", VSS");
		print_versions(text + len, sizeof(text) - len, versions.msg, versions.msg_count);
		pr_info_ratelimited("host offers %s; using %u.%u and %u.%u\n", text,
				    versions.framework >> 16, versions.framework & 0xffff,
				    versions.message >> 16, versions.message & 0xffff);
	}
	hvs->versions = versions;
	hvs->negotiated = true;
	b->answer = true;
	if (!hv_vss_channel_flush(&hvs->channel))
		hv_vss_channel_retry(&hvs->channel);
}

/* Operations for the daemon. */
static void forward(struct hv_vss_device *hvs, const struct hv_vss_ic_request *req)
{
	static const enum hv_vss_event events[] = {
		[HV_VSS_N_HOT_BACKUP] = HV_VSS_EV_CHECK,
		[HV_VSS_N_FREEZE] = HV_VSS_EV_FREEZE,
		[HV_VSS_N_THAW] = HV_VSS_EV_THAW,
	};
	unsigned int done;

	if (hvs->suspending) {
		hv_vss_answer(hvs, hvs->channel.rx, req->op, HV_VSS_E_FAIL);
		return;
	}
	if (req->op == HV_VSS_OP_THAW)
		hv_vss_check_freeze(hvs);
	done = hv_vss_do(hvs, events[hv_vss_op_index(req->op)], req, HV_VSS_CANCEL_HOST);
	if (done & HV_VSS_DO_REJECT && hvs->state != HV_VSS_DETACHED &&
	    hvs->state != HV_VSS_LOST)
		hvs->counts[HV_VSS_N_BUSY]++;
}

/*
 * CREATE, DELETE and BACKUP_COMPLETE only inform, and a file system that was frozen needs no
 * AUTO_RECOVER: all of them succeed without doing anything. An unknown operation is not supported.
 */
static void request(struct hv_vss_device *hvs, const struct hv_vss_ic_request *req)
{
	hvs->counts[hv_vss_op_index(req->op)]++;
	switch (req->op) {
	case HV_VSS_OP_HOT_BACKUP:
	case HV_VSS_OP_FREEZE:
	case HV_VSS_OP_THAW:
		forward(hvs, req);
		return;
	case HV_VSS_OP_CREATE:
	case HV_VSS_OP_DELETE:
	case HV_VSS_OP_GET_DM_INFO:
	case HV_VSS_OP_BACKUP_COMPLETE:
	case HV_VSS_OP_AUTO_RECOVER:
		hv_vss_answer(hvs, hvs->channel.rx, req->op, HV_VSS_S_OK);
		return;
	default:
		hv_vss_answer(hvs, hvs->channel.rx, req->op, HV_VSS_E_NOT_SUPPORTED);
	}
}

static void packet(struct hv_vss_device *hvs)
{
	struct hv_vss_buffer *b = hvs->channel.rx;
	struct hv_vss_ic_request req;

	hv_vss_ic_parse(b->pkt.data, b->pkt.len, &req);
	switch (req.kind) {
	case HV_VSS_IC_RUNT:
		hvs->counts[HV_VSS_N_MALFORMED]++;
		hv_vss_complain(hvs, "dropped %u bytes: shorter than a header (%u bytes)",
				b->pkt.len, HV_VSS_IC_HDR);
		break;
	case HV_VSS_IC_NEGOTIATE:
		negotiate(hvs, b);
		break;
	case HV_VSS_IC_REQUEST:
		request(hvs, &req);
		break;
	case HV_VSS_IC_MALFORMED:
		hvs->counts[HV_VSS_N_MALFORMED]++;
		hv_vss_complain(hvs, "message of %u bytes is too short for its type",
				b->pkt.len);
		hv_vss_answer(hvs, b, HV_VSS_OP_CREATE, HV_VSS_E_FAIL);
		break;
	case HV_VSS_IC_FOREIGN:
		hvs->counts[HV_VSS_N_FOREIGN]++;
		hv_vss_answer(hvs, b, HV_VSS_OP_CREATE, HV_VSS_E_NOT_SUPPORTED);
	}
}

/* Handle one packet. Returns false if there is none, or no room for answers. */
static bool pump_once(struct hv_vss_device *hvs)
{
	if (!hvs->channel.running)
		return false;
	if (!hv_vss_channel_flush(&hvs->channel)) {
		hv_vss_channel_retry(&hvs->channel);
		return false;
	}
	switch (hv_vss_channel_receive(&hvs->channel)) {
	case HV_VSS_EMPTY:
		return false;
	case HV_VSS_PACKET:
		packet(hvs);
		break;
	case HV_VSS_NOT_INBAND:
		hvs->counts[HV_VSS_N_FOREIGN]++;
		break;
	case HV_VSS_GARBAGE:
		hvs->counts[HV_VSS_N_GARBAGE]++;
		hv_vss_complain(hvs, "impossible lengths in the ring: emptied it");
	}
	return true;
}

/**
 * hv_vss_requests_pump() - send pending answers, then receive and handle packets
 * @work: channel.pump of a device
 */
void hv_vss_requests_pump(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device,
						 channel.pump);
	unsigned int n;
	bool more = true;

	mutex_lock(&hvs->lock);
	for (n = 0; more && n < PUMP_BATCH; n++)
		more = pump_once(hvs);
	/* Handle the rest later, after the timers, which share the queue. */
	if (more)
		mod_delayed_work(hvs->channel.wq, &hvs->channel.pump, 0);
	mutex_unlock(&hvs->lock);
}

