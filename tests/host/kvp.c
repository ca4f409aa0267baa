// SPDX-License-Identifier: GPL-2.0-only
/* Data exchange (KVP): requests for a guest's key-value pairs, and what the answers say. */
#include "args.h"
#include "build.h"

/* Returns the bytes that it takes. */
static uint32_t put_text(uint8_t *to, size_t room, struct hv_args *a, const char *text)
{
	g_autofree gunichar2 *wide = NULL;
	glong n = 0, i;

	wide = g_utf8_to_utf16(text, -1, NULL, &n, NULL);
	if (!wide || (n + 1) * 2 > room) {
		hv_args_error(a, "\"%s\" is too long for a key", text);
		return 0;
	}
	for (i = 0; i < n; i++)
		stw_le_p(to + 2 * i, wide[i]);
	return (n + 1) * 2;
}

/**
 * hv_kvp_body() - build the body of a request for key-value pairs
 * @a: arguments "op", "pool", and "index" or "key"
 * @body: to be appended to
 *
 * Windows reads a pool by asking for index 0, 1, ... until the guest has no more items.
 */
void hv_kvp_body(struct hv_args *a, GByteArray *body)
{
	g_autofree char *op = hv_arg_str(a, "op", "enumerate");
	struct kvp_enumerate_msg enumerate = { .hdr.op = KVP_ENUMERATE };
	struct kvp_get_msg get = { .hdr.op = KVP_GET };
	uint8_t pool = hv_arg_uint(a, "pool", KVP_POOL_GUEST, UINT8_MAX);

	if (!strcmp(op, "enumerate")) {
		enumerate.hdr.pool = pool;
		enumerate.index = cpu_to_le32(hv_arg_uint(a, "index", 0, UINT32_MAX));
		g_byte_array_append(body, (const void *)&enumerate, sizeof(enumerate));
	} else if (!strcmp(op, "get")) {
		g_autofree char *key = hv_arg_str(a, "key", NULL);

		get.hdr.pool = pool;
		if (key)
			get.item.key_size = cpu_to_le32(put_text(get.item.key,
								 sizeof(get.item.key), a, key));
		g_byte_array_append(body, (const void *)&get, sizeof(get));
	} else {
		hv_args_error(a, "unknown operation \"%s\"", op);
	}
}

/**
 * hv_kvp_item() - the item in a request or an answer
 * @payload: its payload
 * @len: bytes
 *
 * Return: the item, or NULL if there is none, or a part of it.
 */
const struct kvp_item *hv_kvp_item(const uint8_t *payload, uint32_t len)
{
	const struct ic_msg *msg = (const void *)payload;
	const struct kvp_enumerate_msg *enumerate = (const void *)msg->body;
	const struct kvp_get_msg *get = (const void *)msg->body;

	if (len < sizeof(*msg) + sizeof(get->hdr))
		return NULL;
	if (get->hdr.op == KVP_ENUMERATE && len >= sizeof(*msg) + sizeof(*enumerate))
		return &enumerate->item;
	if (get->hdr.op == KVP_GET && len >= sizeof(*msg) + sizeof(*get))
		return &get->item;
	return NULL;
}

static void put_string(QDict *ev, const char *name, const uint8_t *wire, uint32_t room,
		       uint32_t size)
{
	g_autofree gunichar2 *wide = g_new0(gunichar2, room / 2 + 1);
	g_autofree char *text = NULL;
	uint32_t i;

	for (i = 0; i < MIN(size, room) / 2; i++)
		wide[i] = lduw_le_p(wire + 2 * i);
	text = g_utf16_to_utf8(wide, -1, NULL, NULL, NULL);
	if (text)
		qdict_put_str(ev, name, text);
	else
		qdict_put_null(ev, name);
}

/**
 * hv_kvp_put_answer() - add what an answer says to its event
 * @ev: the event
 * @payload: the answer
 * @len: its bytes
 */
void hv_kvp_put_answer(QDict *ev, const uint8_t *payload, uint32_t len)
{
	const struct ic_msg *msg = (const void *)payload;
	const struct kvp_item *item = hv_kvp_item(payload, len);

	if (!item || msg->hdr.status)
		return;
	qdict_put_int(ev, "type", le32_to_cpu(item->type));
	put_string(ev, "key", item->key, sizeof(item->key), le32_to_cpu(item->key_size));
	put_string(ev, "value", item->value, sizeof(item->value), le32_to_cpu(item->value_size));
}
