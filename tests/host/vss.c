// SPDX-License-Identifier: GPL-2.0-only
/* Bodies of VSS requests. */
#include "args.h"
#include "build.h"
#include "qapi/qmp/qnum.h"
#include "qapi/qmp/qstring.h"
#include "qemu/uuid.h"

static unsigned int arg_op(struct hv_args *a)
{
	g_autofree char *name = NULL;
	int op;

	if (qobject_to(QNum, qdict_get(a->left, "op")))
		return hv_arg_uint(a, "op", 0, UINT8_MAX);
	name = hv_arg_str(a, "op", NULL);
	op = hv_ic_op_by_name(name);
	if (op < 0) {
		hv_args_error(a, "unknown operation \"%s\"", name);
		return 0;
	}
	return op;
}

static void guid_to_wire(struct hv_args *a, const char *text, uint8_t *wire)
{
	QemuUUID uuid;

	if (qemu_uuid_parse(text, &uuid)) {
		hv_args_error(a, "\"%s\" is not a GUID", text);
		return;
	}
	uuid = qemu_uuid_bswap(uuid);
	memcpy(wire, uuid.data, 16);
}

static void lun_to_wire(struct hv_args *a, QDict *dict, struct vss_lun *lun)
{
	g_autofree char *guid = NULL;
	struct hv_args l;
	char *err;

	hv_args_init(&l, dict);
	lun->bus = hv_arg_uint(&l, "bus", 1, UINT8_MAX);
	guid = hv_arg_str(&l, "controller", NULL);
	guid_to_wire(&l, guid, lun->controller);
	lun->port = hv_arg_uint(&l, "port", 0, UINT8_MAX);
	lun->target = hv_arg_uint(&l, "target", 0, UINT8_MAX);
	lun->lun = hv_arg_uint(&l, "lun", 0, UINT8_MAX);
	if (!hv_args_done(&l, &err)) {
		hv_args_error(a, "luns: %s", err);
		g_free(err);
	}
}

static uint32_t arg_luns(struct hv_args *a, struct vss_lun *luns)
{
	QList *list = hv_arg_list(a, "luns");
	const QListEntry *e;
	uint32_t n = 0;

	if (!list)
		return 0;
	if (qlist_size(list) > VSS_LUNS)
		hv_args_error(a, "more than %u luns", VSS_LUNS);
	QLIST_FOREACH_ENTRY(list, e) {
		QDict *dict = qobject_to(QDict, qlist_entry_obj(e));

		if (!dict)
			hv_args_error(a, "\"luns\" must be a list of objects");
		else if (n < VSS_LUNS)
			lun_to_wire(a, dict, &luns[n++]);
	}
	qobject_unref(list);
	return n;
}

static void freeze_body(struct hv_args *a, GByteArray *body, bool shadow)
{
	static const struct vss_lun no_luns[VSS_LUNS];
	struct vss_freeze_msg msg = { .hdr.op = shadow ? VSS_AUTO_RECOVER : VSS_FREEZE };

	msg.backup_type = cpu_to_le32(hv_arg_uint(a, "backup_type", 0, UINT32_MAX));
	msg.flags = cpu_to_le32(hv_arg_uint(a, "flags", 0, UINT32_MAX));
	msg.lun_count = cpu_to_le32(arg_luns(a, msg.lun));
	g_byte_array_append(body, (const void *)&msg, sizeof(msg));
	if (shadow)
		g_byte_array_append(body, (const void *)no_luns, sizeof(no_luns));
}

static void set_body(struct hv_args *a, GByteArray *body, bool with_type)
{
	static const uint8_t set[16] = "shadow copy set";
	struct vss_set_msg msg = { .hdr.op = with_type ? VSS_CREATE : VSS_DELETE };

	memcpy(msg.set, set, sizeof(set));
	msg.backup_type = cpu_to_le32(hv_arg_uint(a, "backup_type", 0, UINT32_MAX));
	g_byte_array_append(body, (const void *)&msg,
			    with_type ? sizeof(msg) : offsetof(struct vss_set_msg, backup_type));
}

static void cluster_body(struct hv_args *a, GByteArray *body)
{
	struct vss_cluster_msg msg = { .hdr.op = VSS_QUERY_CLUSTER };

	msg.size = cpu_to_le32(sizeof(msg) - sizeof(msg.hdr));
	msg.lun_count = cpu_to_le32(arg_luns(a, msg.lun));
	g_byte_array_append(body, (const void *)&msg, sizeof(msg));
}

/**
 * hv_vss_body() - build the body of a VSS request
 * @a: arguments "op", "luns", "backup_type", "flags"
 * @body: to be appended to
 *
 * The layouts are used as far as they are known. Other operations get a word of flags, like thaw.
 * Return: the operation.
 */
unsigned int hv_vss_body(struct hv_args *a, GByteArray *body)
{
	unsigned int op = arg_op(a);
	struct vss_flags_msg msg = { .hdr.op = op };

	switch (op) {
	case VSS_CREATE:
	case VSS_DELETE:
		set_body(a, body, op == VSS_CREATE);
		break;
	case VSS_FREEZE:
	case VSS_AUTO_RECOVER:
		freeze_body(a, body, op == VSS_AUTO_RECOVER);
		break;
	case VSS_QUERY_CLUSTER:
		cluster_body(a, body);
		break;
	default:
		msg.flags = cpu_to_le32(hv_arg_uint(a, "flags", 0, UINT32_MAX));
		g_byte_array_append(body, (const void *)&msg, sizeof(msg));
	}
	return op;
}
