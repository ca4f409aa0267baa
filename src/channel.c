// SPDX-License-Identifier: GPL-2.0-only
/* Ring <-> packets. */
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "channel.h"
#include "compat.h"

/*
 * Bytes of packets a ring takes. A FREEZE has 6304, the largest message of the host's protocol
 * 13312; room for some of them, so that a host that asks many things at once need not wait.
 */
#define RING_DATA	(32 * 1024)

#define RETRY_MS	10

/* Runs in a tasklet, or in the interrupt. */
static void channel_callback(void *context)
{
	struct hv_vss_channel *ch = context;

	mod_delayed_work(ch->wq, &ch->pump, 0);
}

/**
 * hv_vss_channel_init() - allocate all that a channel will ever need
 * @ch: to fill in
 * @vmbus: the channel as offered
 * @pump: the work that receives, in @ch->pump
 *
 * Context: process. Return: 0 or -ENOMEM; after an error there is nothing to free.
 */
int hv_vss_channel_init(struct hv_vss_channel *ch, struct vmbus_channel *vmbus, work_func_t pump)
{
	ch->vmbus = vmbus;
	ch->wq = alloc_ordered_workqueue("hv_vss", WQ_MEM_RECLAIM);
	if (!ch->wq)
		return -ENOMEM;
	INIT_DELAYED_WORK(&ch->pump, pump);
	ch->rx = &ch->buffers[0];
	ch->held = &ch->buffers[1];
	ch->rx->raw = vzalloc(HV_VSS_RING_SIZE(RING_DATA));
	ch->held->raw = vzalloc(HV_VSS_RING_SIZE(RING_DATA));
	if (!ch->rx->raw || !ch->held->raw) {
		hv_vss_channel_free(ch);
		return -ENOMEM;
	}
	return 0;
}

/**
 * hv_vss_channel_free() - undo hv_vss_channel_init()
 * @ch: closed
 *
 * Context: process; waits for the pump.
 */
void hv_vss_channel_free(struct hv_vss_channel *ch)
{
	cancel_delayed_work_sync(&ch->pump);
	destroy_workqueue(ch->wq);
	vfree(ch->rx->raw);
	vfree(ch->held->raw);
}

/**
 * hv_vss_channel_open() - open the rings
 * @ch: initialised, not open
 *
 * The pump may run before this returns; it finds @ch->running false until the owner says otherwise.
 *
 * Context: process; waits for the host. Return: 0 or a negative error.
 */
int hv_vss_channel_open(struct hv_vss_channel *ch)
{
	int ret;

	ch->rx->answer = false;
	ch->held->answer = false;
	hv_vss_compat_max_packet(ch->vmbus, HV_VSS_RING_SIZE(RING_DATA));
	hv_vss_compat_unbatch(ch->vmbus);
	/* An answer is as long as its request, and the longest must fit with room to spare. */
	ret = vmbus_open(ch->vmbus, HV_VSS_RING_SIZE(RING_DATA + PAGE_SIZE),
			 HV_VSS_RING_SIZE(RING_DATA), NULL, 0, channel_callback, ch);
	if (ret) {
		/*
		 * Most kernels forget to take the callback back, and the host may still signal.
		 * Not vmbus_close(): old ones do not see that the channel is not open.
		 */
		ch->vmbus->onchannel_callback = NULL;
		synchronize_rcu();
		return ret;
	}
	ch->open = true;
	return 0;
}

/**
 * hv_vss_channel_close() - close the rings
 * @ch: with @ch->running false, so that the pump leaves the rings alone; may be closed already
 *
 * Context: process; waits for the host unless the channel was rescinded.
 */
void hv_vss_channel_close(struct hv_vss_channel *ch)
{
	if (ch->open)
		vmbus_close(ch->vmbus);
	ch->open = false;
	cancel_delayed_work_sync(&ch->pump);
}

/* Copy from a ring that need not be mapped twice in a row. */
static void ring_peek(const struct hv_ring_buffer_info *ring, u32 from, u8 *to, u32 n)
{
	u32 first = min(n, ring->ring_datasize - from);

	memcpy(to, ring->ring_buffer->buffer + from, first);
	memcpy(to + first, ring->ring_buffer->buffer, n - first);
}

/* See hv_vss_ic_ring_bytes() for why. Returns HV_VSS_PACKET if hv_vmbus may look at the ring. */
static enum hv_vss_received ring_check(struct hv_vss_channel *ch)
{
	struct hv_ring_buffer_info *ring = &ch->vmbus->inbound;
	u8 desc[HV_VSS_PACKET_HDR];
	u32 read, write, avail;

	/*
	 * Pairs with the host's: it writes, then looks whether the ring was empty, and signals only
	 * if it was. We have published our read index and must look again after that.
	 */
	mb();
	write = READ_ONCE(ring->ring_buffer->write_index);
	rmb(); /* the packet after the index that covers it */
	read = hv_vss_compat_read_index(ring);
	if (write == read)
		return HV_VSS_EMPTY;
	/* An index outside the ring: nothing can be done about it from here. */
	if (write >= ring->ring_datasize || read >= ring->ring_datasize)
		return HV_VSS_EMPTY;
	avail = write > read ? write - read : write + ring->ring_datasize - read;
	if (avail >= HV_VSS_PACKET_HDR) {
		ring_peek(ring, read, desc, sizeof(desc));
		if (hv_vss_ic_ring_bytes(desc, avail))
			return HV_VSS_PACKET;
	}
	hv_vss_compat_skip_to(ch->vmbus, write);
	return HV_VSS_GARBAGE;
}

/**
 * hv_vss_channel_receive() - take the next packet from the ring
 * @ch: open; @ch->rx must not be an unsent answer
 *
 * Context: owner's lock held. Return: what was found; see enum hv_vss_received.
 */
enum hv_vss_received hv_vss_channel_receive(struct hv_vss_channel *ch)
{
	struct hv_vss_buffer *b = ch->rx;
	enum hv_vss_received ret;
	u32 len = 0;
	u64 id;

	ret = ring_check(ch);
	if (ret != HV_VSS_PACKET)
		return ret;
	if (vmbus_recvpacket_raw(ch->vmbus, b->raw, HV_VSS_RING_SIZE(RING_DATA), &len, &id))
		return HV_VSS_EMPTY;
	if (!len)
		return HV_VSS_EMPTY;
	if (!hv_vss_ic_unwrap(b->raw, len, &b->pkt) || b->pkt.type != HV_VSS_PACKET_INBAND)
		return HV_VSS_NOT_INBAND;
	return HV_VSS_PACKET;
}

/**
 * hv_vss_channel_hold() - keep the packet just received while the daemon works on it
 * @ch: its held buffer must be free
 *
 * Context: owner's lock held.
 */
void hv_vss_channel_hold(struct hv_vss_channel *ch)
{
	swap(ch->rx, ch->held);
}

static bool send(struct hv_vss_channel *ch, struct hv_vss_buffer *b)
{
	int ret;

	if (!b->answer)
		return true;
	ret = vmbus_sendpacket(ch->vmbus, b->pkt.data, b->pkt.len, b->pkt.request_id,
			       VM_PKT_DATA_INBAND, 0);
	/* -ENODEV: rescinded, nobody is there to be told. */
	if (ret && ret != -ENODEV)
		return false;
	b->answer = false;
	return true;
}

/**
 * hv_vss_channel_flush() - send the answers that wait
 * @ch: open
 *
 * Context: owner's lock held. Return: false if one could not be sent (the ring is full).
 */
bool hv_vss_channel_flush(struct hv_vss_channel *ch)
{
	bool held = send(ch, ch->held);

	return send(ch, ch->rx) && held;
}

/**
 * hv_vss_channel_retry() - run the pump again soon, there is an unsent answer
 * @ch: open
 *
 * The host does not signal when it has made room, so this is by time.
 */
void hv_vss_channel_retry(struct hv_vss_channel *ch)
{
	queue_delayed_work(ch->wq, &ch->pump, msecs_to_jiffies(RETRY_MS));
}
