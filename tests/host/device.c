// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hv-host device: properties, start, reset, and the bottom half in which everything that
 * the guest has posted or signalled is handled.
 */
#include "host.h"
#include "hw/boards.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "sysemu/reset.h"
#include "vmbus.h"

static const struct hv_ver vss_2012r2[] = { { 1, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 0, 0 } };

static const struct hv_ver vss_2016[] = {
	{ 1, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 6, 0 }, { 0, 0 },
};

static const struct hv_ver vss_2019[] = {
	{ 1, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 6, 0 }, { 7, 0 }, { 0, 0 },
};

static const struct hv_ver beat_all[] = { { 1, 0 }, { 3, 0 }, { 0, 0 } };

static const struct hv_ver shutdown_2012r2[] = { { 1, 0 }, { 3, 0 }, { 0, 0 } };

static const struct hv_ver shutdown_2016[] = {
	{ 1, 0 }, { 3, 0 }, { 3, 1 }, { 3, 2 }, { 0, 0 },
};

static const struct hv_ver kvp_all[] = { { 1, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 0, 0 } };

/*
 * Class and instance of each service as guests know them. There is no public list of the versions
 * that each Windows Server offers; these lists have every version that a guest could meet.
 */
const struct hv_service_info hv_services[HV_SVC_COUNT] = {
	[HV_SVC_VSS] = {
		.name = "vss",
		.type = "35fa2e29-ea23-4236-96ae-3a6ebacba440",
		.instance = "2450ee40-33bf-4fbd-892e-9fb06e9214cf",
		.msg = { vss_2012r2, vss_2016, vss_2019 },
	},
	[HV_SVC_HEARTBEAT] = {
		.name = "heartbeat",
		.type = "57164f39-9115-4e78-ab55-382f3bd5422d",
		.instance = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0",
		.msg = { beat_all, beat_all, beat_all },
	},
	[HV_SVC_SHUTDOWN] = {
		.name = "shutdown",
		.type = "0e0b6031-5213-4934-818b-38d90ced39db",
		.instance = "b6650ff7-33bc-4840-8048-e0676786f393",
		.msg = { shutdown_2012r2, shutdown_2016, shutdown_2016 },
	},
	/*
	 * Sends a request only on command. Linux delays its answer to the negotiation until the
	 * daemon has registered (hv_kvp.c, HV_UTIL_NEGO_TIMEOUT).
	 */
	[HV_SVC_KVP] = {
		.name = "kvp",
		.type = "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6",
		.instance = "242ff919-07db-4180-9c2e-b86cb68c8c55",
		.msg = { kvp_all, kvp_all, kvp_all },
		.patient = true,
	},
};

static const char *const ic_names[] = { "2012r2", "2016", "2019" };

/* Packets in the rings first: the guest wrote them before it posted the messages. */
static void host_work(void *opaque)
{
	struct hv_host *host = opaque;
	struct hv_msg *msg;
	unsigned int i;

	for (i = 0; i < HV_SVC_COUNT; i++) {
		struct hv_channel *ch = &host->ch[i];

		if (!ch->signalled)
			continue;
		ch->signalled = false;
		if (ch->state != HV_CH_OPEN)
			continue;
		hv_packet_flush(ch);
		hv_packet_drain(ch);
	}
	while ((msg = QSIMPLEQ_FIRST(&host->posted))) {
		QSIMPLEQ_REMOVE_HEAD(&host->posted, next);
		hv_vmbus_message(host, msg);
		g_free(msg);
	}
}

static void host_reset(void *opaque)
{
	struct hv_host *host = opaque;
	struct hv_msg *msg;
	bool tell;
	QDict *ev;

	while ((msg = QSIMPLEQ_FIRST(&host->posted))) {
		QSIMPLEQ_REMOVE_HEAD(&host->posted, next);
		g_free(msg);
	}
	/* Not at power on, nor for the second reset, which the firmware makes after a first. */
	tell = host->reset_asked || host->guest_os_id;
	host->reset_asked = false;
	ev = hv_event("machine_reset");
	qdict_put(ev, "dropped", hv_channel_drop_all(host));
	hv_gpadl_drop_all(host);
	hv_synic_reset(host);
	hv_partition_reset(host);
	host->version = 0;
	host->vcpu = 0;
	host->conn_id_valid = false;
	host->crashed = false;
	if (tell)
		hv_event_send(host, ev);
	else
		qobject_unref(ev);
}

static bool parse_properties(struct hv_host *host, Error **errp)
{
	unsigned int i;

	host->vmbus_max = hv_vmbus_parse_version(host->vmbus_prop);
	if (!host->vmbus_max) {
		error_setg(errp, "hv-host: there is no VMBus version \"%s\"", host->vmbus_prop);
		return false;
	}
	for (i = 0; i < ARRAY_SIZE(ic_names); i++) {
		if (!strcmp(ic_names[i], host->ic_prop)) {
			host->ic = i;
			return true;
		}
	}
	error_setg(errp, "hv-host: ic must be 2012r2, 2016 or 2019, not \"%s\"", host->ic_prop);
	return false;
}

static void host_realize(DeviceState *dev, Error **errp)
{
	struct hv_host *host = HV_HOST(dev);
	MachineState *machine = MACHINE(qdev_get_machine());
	bool ambiguous = false;

	object_resolve_path_type("", TYPE_HV_HOST, &ambiguous);
	if (ambiguous) {
		error_setg(errp, "hv-host: a machine has one host");
		return;
	}
	if (!parse_properties(host, errp))
		return;
	host->vps = machine->smp.max_cpus;
	host->bh = qemu_bh_new(host_work, host);
	QSIMPLEQ_INIT(&host->posted);
	QLIST_INIT(&host->gpadls);
	hv_channel_init(host);
	hv_synic_init(host);
	hv_hypercall_init(host);
	hv_control_init(host);
	hv_ic_beat_init(host);
	qemu_register_reset(host_reset, host);
	hv_partition_bind(host);
}

static Property host_properties[] = {
	DEFINE_PROP_CHR("chardev", struct hv_host, ctl.chr),
	DEFINE_PROP_STRING("vmbus", struct hv_host, vmbus_prop),
	DEFINE_PROP_STRING("ic", struct hv_host, ic_prop),
	DEFINE_PROP_BOOL("aeoi", struct hv_host, aeoi, true),
	DEFINE_PROP_BOOL("auto-negotiate", struct hv_host, auto_negotiate, true),
	DEFINE_PROP_BOOL("vss", struct hv_host, with[HV_SVC_VSS], true),
	DEFINE_PROP_BOOL("heartbeat", struct hv_host, with[HV_SVC_HEARTBEAT], true),
	DEFINE_PROP_BOOL("shutdown", struct hv_host, with[HV_SVC_SHUTDOWN], true),
	DEFINE_PROP_BOOL("kvp", struct hv_host, with[HV_SVC_KVP], false),
	DEFINE_PROP_UINT32("heartbeat-ms", struct hv_host, beat_ms, 2000),
	DEFINE_PROP_END_OF_LIST(),
};

static void host_instance_init(Object *obj)
{
	struct hv_host *host = HV_HOST(obj);

	host->vmbus_prop = g_strdup("5.3");
	host->ic_prop = g_strdup("2016");
}

static void host_class_init(ObjectClass *class, void *data)
{
	DeviceClass *dc = DEVICE_CLASS(class);

	dc->desc = "Hyper-V host, emulated";
	dc->realize = host_realize;
	dc->hotpluggable = false;
	dc->user_creatable = true;
	device_class_set_props(dc, host_properties);
	set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo host_type = {
	.name = TYPE_HV_HOST,
	.parent = TYPE_DEVICE,
	.instance_size = sizeof(struct hv_host),
	.instance_init = host_instance_init,
	.class_init = host_class_init,
};

static void host_register(void)
{
	type_register_static(&host_type);
}

type_init(host_register)
