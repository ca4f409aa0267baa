// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets of a channel: written to the ring to the guest, and read from the ring from the guest.
 */
#include "host.h"

static void capture(struct hv_channel *ch, const char *dir, const uint8_t *packet, uint32_t len)
{
	QDict *ev;

	if (!ch->host->capture)
		return;
	ev = hv_event("packet");
	qdict_put_str(ev, "channel", ch->info->name);
	qdict_put_str(ev, "dir", dir);
	hv_put_hex(ev, "hex", packet, len);
	hv_event_send(ch->host, ev);
}

static void ring_broken(struct hv_channel *ch, const struct hv_ring *r, const char *which)
{
	hv_vmbus_error(ch->host, "channel %s: ring %s the guest: indices read %u, write %u of %u",
		       ch->info->name, which, hv_ring_get(r, HV_RING_READ_INDEX),
		       hv_ring_get(r, HV_RING_WRITE_INDEX), r->size);
}

/**
 * hv_packet_send() - put a packet in the ring to the guest, or in the queue for the ring
 * @req: the packet's request; its channel is open
 * @packet: descriptor and payload
 * @len: bytes, a multiple of 8
 * @queued: set to whether it waits for room
 *
 * Does not signal, so that several packets can share a signal.
 * Return: true if the guest has to be signalled.
 */
bool hv_packet_send(struct hv_request *req, const uint8_t *packet, uint32_t len, bool *queued)
{
	struct hv_channel *ch = req->ch;
	struct hv_outgoing *o;
	bool signal = false;
	int ret = -EAGAIN;

	*queued = false;
	if (QSIMPLEQ_EMPTY(&ch->outgoing))
		ret = hv_ring_write(&ch->out, packet, len, &signal);
	if (!ret) {
		capture(ch, "out", packet, len);
		hv_request_sent(req);
	}
	if (ret == -EIO)
		ring_broken(ch, &ch->out, "to");
	if (ret == -EAGAIN) {
		*queued = true;
		o = g_malloc(sizeof(*o) + len);
		o->req = req;
		o->len = len;
		memcpy(o->data, packet, len);
		QSIMPLEQ_INSERT_TAIL(&ch->outgoing, o, next);
		ch->outgoing_count++;
	}
	return signal;
}

/**
 * hv_packet_flush() - send the packets that wait for room, as far as there is room now
 * @ch: an open channel
 */
void hv_packet_flush(struct hv_channel *ch)
{
	struct hv_outgoing *o;
	bool signal = false;

	while ((o = QSIMPLEQ_FIRST(&ch->outgoing))) {
		int ret = hv_ring_write(&ch->out, o->data, o->len, &signal);

		if (ret == -EAGAIN)
			break;
		if (ret) {
			ring_broken(ch, &ch->out, "to");
		} else {
			capture(ch, "out", o->data, o->len);
			hv_request_sent(o->req);
		}
		QSIMPLEQ_REMOVE_HEAD(&ch->outgoing, next);
		ch->outgoing_count--;
		g_free(o);
	}
	if (signal)
		hv_synic_event(ch->host, ch->vcpu, ch->relid);
}

static int drain_once(struct hv_channel *ch, bool *signal)
{
	uint8_t *packet;
	uint32_t len;
	int ret = hv_ring_read(&ch->in, &packet, &len, signal);

	if (ret)
		return ret;
	capture(ch, "in", packet, len);
	hv_request_answer(ch, packet, len);
	g_free(packet);
	return 0;
}

/**
 * hv_packet_drain() - read all packets that the guest has written
 * @ch: an open channel
 *
 * The guest need not signal while we read, so its ring is masked during that time. Afterwards the
 * ring is checked once more.
 */
void hv_packet_drain(struct hv_channel *ch)
{
	bool signal = false;
	int ret;

	if (ch->hold || ch->broken)
		return;
	do {
		hv_ring_set(&ch->in, HV_RING_MASK, 1);
		do {
			ret = drain_once(ch, &signal);
		} while (!ret);
		hv_ring_set(&ch->in, HV_RING_MASK, 0);
		/* Unmask before the check: a guest that still saw the mask has not signalled. */
		smp_mb();
	} while (ret == -EAGAIN && hv_ring_used(&ch->in));
	if (ret == -EIO) {
		ch->broken = true;
		ring_broken(ch, &ch->in, "from");
	}
	if (signal)
		hv_synic_event(ch->host, ch->vcpu, ch->relid);
}

/**
 * hv_packet_fill() - make the ring from the guest look nearly full
 * @ch: an open channel, held from now on
 * @free: bytes that the guest is to see free
 *
 * Return: false if less is free.
 */
bool hv_packet_fill(struct hv_channel *ch, uint32_t free)
{
	uint32_t write = hv_ring_get(&ch->in, HV_RING_WRITE_INDEX);
	uint32_t used = hv_ring_used(&ch->in);

	if (used == UINT32_MAX || free > ch->in.size - used || !free)
		return false;
	if (!ch->faked)
		ch->real_read = hv_ring_get(&ch->in, HV_RING_READ_INDEX);
	ch->hold = true;
	ch->faked = true;
	/* free = size - (write - read), modulo size */
	hv_ring_set(&ch->in, HV_RING_READ_INDEX, (write + free) % ch->in.size);
	return true;
}

/**
 * hv_packet_release() - end a hold of the ring from the guest and read it
 * @ch: an open channel
 */
void hv_packet_release(struct hv_channel *ch)
{
	uint32_t pending = hv_ring_get(&ch->in, HV_RING_PENDING);
	uint32_t before = ch->in.size - hv_ring_used(&ch->in);

	if (ch->faked)
		hv_ring_set(&ch->in, HV_RING_READ_INDEX, ch->real_read);
	/* The guest must see the room before we read what it has written. */
	smp_mb();
	ch->faked = false;
	ch->hold = false;
	/* The change of the read index has made room, too. */
	if (pending && before <= pending && ch->in.size - hv_ring_used(&ch->in) > pending)
		hv_synic_event(ch->host, ch->vcpu, ch->relid);
	hv_packet_drain(ch);
}
