// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket: lines of JSON in, lines of JSON out. Output is buffered here, so that a
 * client that does not read can't stop the machine. If the buffer is full, events are lost, and the
 * client gets an error event that says so.
 */
#include "host.h"
#include "qapi/qmp/qjson.h"
#include "qemu/units.h"

#define LINE_MAX_BYTES		(4 * MiB)
#define OUT_MAX_BYTES		(256 * MiB)

/**
 * hv_now_us() - the host's time
 * @host: the host
 *
 * Return: microseconds since the device was made.
 */
int64_t hv_now_us(struct hv_host *host)
{
	return get_clock() / 1000 - host->ctl.start_us;
}

static gboolean control_flush(void *do_not_use, GIOCondition cond, void *opaque);

static void control_write(struct hv_control *ctl)
{
	while (ctl->out->len && !ctl->watch) {
		int n = qemu_chr_fe_write(&ctl->chr, (const uint8_t *)ctl->out->str,
					  MIN(ctl->out->len, INT_MAX));

		if (n > 0)
			g_string_erase(ctl->out, 0, n);
		if (n <= 0 || ctl->out->len)
			ctl->watch = qemu_chr_fe_add_watch(&ctl->chr, G_IO_OUT | G_IO_HUP,
							   control_flush, ctl);
		if (n <= 0 && !ctl->watch)
			break;
	}
}

static gboolean control_flush(void *do_not_use, GIOCondition cond, void *opaque)
{
	struct hv_control *ctl = opaque;

	ctl->watch = 0;
	control_write(ctl);
	return G_SOURCE_REMOVE;
}

static void control_line(struct hv_host *host, const QDict *obj)
{
	struct hv_control *ctl = &host->ctl;
	GString *text;

	if (!qemu_chr_fe_backend_open(&ctl->chr))
		return;
	if (ctl->out->len > OUT_MAX_BYTES) {
		ctl->overflow = true;
		return;
	}
	text = qobject_to_json(QOBJECT(obj));
	g_string_append_len(ctl->out, text->str, text->len);
	g_string_append_c(ctl->out, '\n');
	g_string_free(text, TRUE);
	control_write(ctl);
}

/**
 * hv_event() - start an event
 * @name: its name
 *
 * Return: the event, for hv_event_send().
 */
QDict *hv_event(const char *name)
{
	QDict *ev = qdict_new();

	qdict_put_str(ev, "event", name);
	return ev;
}

/**
 * hv_event_send() - send an event to the client, if there is one
 * @host: the host
 * @ev: the event; taken over
 */
void hv_event_send(struct hv_host *host, QDict *ev)
{
	qdict_put_int(ev, "t", hv_now_us(host));
	if (host->ctl.overflow && host->ctl.out->len < OUT_MAX_BYTES / 2) {
		host->ctl.overflow = false;
		hv_vmbus_error(host, "the client did not read: events were lost");
	}
	control_line(host, ev);
	qobject_unref(ev);
}

/**
 * hv_control_reply() - send the reply to a command
 * @host: the host
 * @reply: the reply; taken over
 */
void hv_control_reply(struct hv_host *host, QDict *reply)
{
	qdict_put_int(reply, "t", hv_now_us(host));
	control_line(host, reply);
	qobject_unref(reply);
}

/**
 * hv_put_hex() - add bytes, as hex digits
 * @d: to be added to
 * @key: name
 * @data: the bytes
 * @len: how many
 */
void hv_put_hex(QDict *d, const char *key, const void *data, size_t len)
{
	g_autofree char *hex = g_malloc(2 * len + 1);
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++) {
		hex[2 * i] = digits[p[i] >> 4];
		hex[2 * i + 1] = digits[p[i] & 0xf];
	}
	hex[2 * len] = '\0';
	qdict_put_str(d, key, hex);
}

/**
 * hv_error_event() - report what a guest did wrong on a channel
 * @ch: the channel
 * @kind: like "missing"
 * @req: the request it concerns, or NULL
 * @fmt: format of the text
 */
void hv_error_event(struct hv_channel *ch, const char *kind, const struct hv_request *req,
		    const char *fmt, ...)
{
	QDict *ev = hv_event("error");
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = g_strdup_vprintf(fmt, args);
	va_end(args);
	qdict_put_str(ev, "kind", kind);
	qdict_put_str(ev, "channel", ch->info->name);
	if (req)
		qdict_put_int(ev, "seq", req->seq);
	qdict_put_str(ev, "detail", text);
	hv_event_send(ch->host, ev);
}

static int control_can_read(void *opaque)
{
	return 65536;
}

static void control_read(void *opaque, const uint8_t *buf, int size)
{
	struct hv_host *host = opaque;
	GString *in = host->ctl.in;
	char *end;

	g_string_append_len(in, (const char *)buf, size);
	while ((end = memchr(in->str, '\n', in->len))) {
		g_autofree char *line = g_strndup(in->str, end - in->str);

		g_string_erase(in, 0, end - in->str + 1);
		if (line[strspn(line, " \t\r")])
			hv_command(host, line);
	}
	if (in->len > LINE_MAX_BYTES) {
		g_string_truncate(in, 0);
		hv_vmbus_error(host, "a command without end was thrown away");
	}
}

static void say_hello(struct hv_host *host)
{
	QDict *ev = hv_event("hello");

	qdict_put_int(ev, "version", 1);
	qdict_put_str(ev, "vmbus", host->vmbus_prop);
	qdict_put_bool(ev, "aeoi", host->aeoi);
	qdict_put_str(ev, "ic", host->ic_prop);
	qdict_put_int(ev, "vcpus", host->vps);
	hv_event_send(host, ev);
}

static void control_event(void *opaque, QEMUChrEvent event)
{
	struct hv_host *host = opaque;
	struct hv_control *ctl = &host->ctl;

	switch (event) {
	case CHR_EVENT_OPENED:
		say_hello(host);
		break;
	case CHR_EVENT_CLOSED:
		if (ctl->watch)
			g_source_remove(ctl->watch);
		ctl->watch = 0;
		g_string_truncate(ctl->in, 0);
		g_string_truncate(ctl->out, 0);
		break;
	default:
		break;
	}
}

/**
 * hv_control_init() - connect the control socket, if there is one
 * @host: the host
 */
void hv_control_init(struct hv_host *host)
{
	host->ctl.in = g_string_new(NULL);
	host->ctl.out = g_string_new(NULL);
	host->ctl.start_us = get_clock() / 1000;
	if (qemu_chr_fe_backend_connected(&host->ctl.chr))
		qemu_chr_fe_set_handlers(&host->ctl.chr, control_can_read, control_read,
					 control_event, NULL, host, NULL, true);
}
