// SPDX-License-Identifier: GPL-2.0-only
/* Ring <-> packets. See channel.h. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "channel.h"
#include "compat/compat.h"

/*
 * Bytes of packets that the rings hold. A FREEZE has 6304 bytes, the largest message of the host's
 * protocol 13312. An answer is as long as its request.
 *
 * vmbus_open() needs one block of memory for both rings, with a page for the indices of each. The
 * kernel can always find a block of 8 pages: it reclaims memory, and kills a process if it must,
 * before it gives up. In a small guest that has been up for long there may be no larger block.
 * hv_utils needs 8 pages, so we must work with 8, or installing this module would break backups
 * there. The answer to a message of more than 8 KiB is then cut off. No host has been seen to send
 * one, and all that an answer changes is at its front.
 */
struct hv_vss_rings {
	u32 in;
	u32 out;
};

static const struct hv_vss_rings shapes[] = {
	{ 28 * 1024, 28 * 1024 },	/* 16 pages: room for several requests */
	{ 16 * 1024, 8 * 1024 },	/* 8 pages */
};

#define LARGEST_IN	HV_VSS_RING_SIZE(28 * 1024)

/* vmbus_sendpacket() adds descriptor, padding and indices; and a ring never gets quite full. */
#define PACKET_EXTRA	(HV_VSS_PACKET_HDR + 24)

#define RETRY_MS	10

/* Runs in a tasklet, or in the interrupt. */
static void channel_callback(void *context)
{
	struct hv_vss_channel *ch = context;

	mod_delayed_work(ch->wq, &ch->pump, 0);
}

/**
 * hv_vss_channel_init() - allocate all memory that a channel will ever need
 * @ch: to fill in
 * @vmbus: the offered channel
 * @pump: the work that receives; becomes @ch->pump
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
	ch->rx->raw = vzalloc(LARGEST_IN);
	ch->held->raw = vzalloc(LARGEST_IN);
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

/*
 * vmbus_open() logs a call trace if it gets no memory. So we first check silently whether there is
 * a large block. It may be gone a moment later, but mostly is not.
 */
static bool memory_for(u32 bytes)
{
	unsigned int order = get_order(bytes);
	unsigned long block;

	if (order <= PAGE_ALLOC_COSTLY_ORDER)
		return true;
	block = __get_free_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, order);
	if (block)
		free_pages(block, order);
	return block;
}

static int open_rings(struct hv_vss_channel *ch, const struct hv_vss_rings *r)
{
	u32 in = HV_VSS_RING_SIZE(r->in);
	u32 out = HV_VSS_RING_SIZE(r->out);
	int ret;

	if (!memory_for(in + out))
		return -ENOMEM;
	ch->answer_max = r->out - PACKET_EXTRA;
	hv_vss_compat_max_packet(ch->vmbus, in);
	hv_vss_compat_unbatch(ch->vmbus);
	ret = vmbus_open(ch->vmbus, out, in, NULL, 0, channel_callback, ch);
	/*
	 * Linux 3.x (read in 3.16) never resets the state after an error. Reset it only if memory
	 * was short. If the host has refused, vmbus_open() keeps the rings, too: each retry would
	 * leak them.
	 */
	if (ret == -ENOMEM && ch->vmbus->state == CHANNEL_OPENING_STATE)
		ch->vmbus->state = CHANNEL_OPEN_STATE;
	return ret;
}

/**
 * hv_vss_channel_open() - open the rings
 * @ch: initialised, not open
 *
 * The pump may run before this returns, but does nothing until the owner sets @ch->running. Can be
 * called again after an error.
 *
 * Context: process; waits for the host. Return: 0; -ENOMEM; another negative error if the host
 * refuses.
 */
int hv_vss_channel_open(struct hv_vss_channel *ch)
{
	unsigned int i;
	int ret = -ENOMEM;

	ch->rx->answer = false;
	ch->held->answer = false;
	for (i = 0; i < ARRAY_SIZE(shapes) && ret == -ENOMEM; i++)
		ret = open_rings(ch, &shapes[i]);
	if (ret) {
		/*
		 * Most kernels don't unset the callback, and the host may still signal. Don't use
		 * vmbus_close(): on old kernels it does not check whether the channel is open.
		 */
		WRITE_ONCE(ch->vmbus->onchannel_callback, NULL);
		hv_vss_compat_sync_callbacks();
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
	if (ch->open) {
		vmbus_close(ch->vmbus);
		/* Old kernels may interrupt a callback that runs, and not wait for its end. */
		hv_vss_compat_sync_callbacks();
	}
	ch->open = false;
	cancel_delayed_work_sync(&ch->pump);
}

/* Copy from a ring that may not be mapped twice in a row, so the copy wraps around by itself. */
static void ring_peek(const struct hv_ring_buffer_info *ring, u32 from, u8 *to, u32 n)
{
	u32 first = min(n, ring->ring_datasize - from);

	memcpy(to, ring->ring_buffer->buffer + from, first);
	memcpy(to + first, ring->ring_buffer->buffer, n - first);
}

/* See hv_vss_ic_ring_bytes() for why. Returns HV_VSS_PACKET if hv_vmbus can read the ring. */
static enum hv_vss_received ring_check(struct hv_vss_channel *ch)
{
	struct hv_ring_buffer_info *ring = &ch->vmbus->inbound;
	u8 desc[HV_VSS_PACKET_HDR];
	u32 read, write, avail;

	/*
	 * Pairs with the host's barrier: the host writes, then checks whether the ring was empty,
	 * and signals only if it was. We have published our read index, so we must read the write
	 * index again after that.
	 */
	mb();
	write = READ_ONCE(ring->ring_buffer->write_index);
	rmb(); /* read the packet after the index that covers it */
	read = hv_vss_compat_read_index(ring);
	if (write == read)
		return HV_VSS_EMPTY;
	/* An index outside the ring can't be repaired from here. */
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
 * hv_vss_channel_receive() - read the next packet from the ring
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
	if (vmbus_recvpacket_raw(ch->vmbus, b->raw, LARGEST_IN, &len, &id))
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
	ret = vmbus_sendpacket(ch->vmbus, b->pkt.data, min(b->pkt.len, ch->answer_max),
			       b->pkt.request_id, VM_PKT_DATA_INBAND, 0);
	/* -ENODEV: rescinded, the host no longer wants an answer. */
	if (ret && ret != -ENODEV)
		return false;
	b->answer = false;
	return true;
}

/**
 * hv_vss_channel_flush() - send the pending answers
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
 * hv_vss_channel_retry() - run the pump again soon, because an answer is pending
 * @ch: open
 *
 * The host does not signal when it has made room, so a timer is needed.
 */
void hv_vss_channel_retry(struct hv_vss_channel *ch)
{
	queue_delayed_work(ch->wq, &ch->pump, msecs_to_jiffies(RETRY_MS));
}
