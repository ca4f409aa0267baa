/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ring <-> packets. The only place that talks to VMBus.
 *
 * The interrupt only queues a work, the pump. The pump runs on an ordered queue. It sends pending
 * answers, and then receives one packet at a time until the ring is empty. After some packets it
 * queues itself again, because the owner's timers use the same queue. While an answer waits for
 * room in the host's ring, nothing is received. So two packet buffers are enough: one being
 * received, and one held while the daemon works on it.
 */
#ifndef _HV_VSS_CHANNEL_H
#define _HV_VSS_CHANNEL_H

#include <linux/hyperv.h>
#include <linux/workqueue.h>
#include "ic.h"

struct hv_vss_buffer {
	u8 *raw;			/* vmalloc'ed, as large as the largest ring */
	struct hv_vss_ic_packet pkt;	/* points into raw */
	bool answer;			/* an answer that was not sent yet */
};

struct hv_vss_channel {
	struct vmbus_channel *vmbus;
	struct workqueue_struct *wq;
	struct delayed_work pump;
	bool open;			/* changed by probe, remove, suspend, resume only */
	u32 answer_max;			/* bytes; likewise */
	bool running;			/* under the owner's lock */
	struct hv_vss_buffer *rx;	/* the packet being handled; likewise */
	struct hv_vss_buffer *held;	/* the outstanding request; likewise */
	struct hv_vss_buffer buffers[2];
};

int hv_vss_channel_init(struct hv_vss_channel *ch, struct vmbus_channel *vmbus,
			work_func_t pump);
void hv_vss_channel_free(struct hv_vss_channel *ch);
int hv_vss_channel_open(struct hv_vss_channel *ch);
void hv_vss_channel_close(struct hv_vss_channel *ch);

enum hv_vss_received {
	HV_VSS_EMPTY,		/* nothing left; the next interrupt tells of more */
	HV_VSS_PACKET,		/* an in-band packet is in ch->rx */
	HV_VSS_NOT_INBAND,	/* a packet of another type was dropped */
	HV_VSS_GARBAGE,		/* impossible lengths in the ring; it was emptied */
};

enum hv_vss_received hv_vss_channel_receive(struct hv_vss_channel *ch);
void hv_vss_channel_hold(struct hv_vss_channel *ch);
bool hv_vss_channel_flush(struct hv_vss_channel *ch);
void hv_vss_channel_retry(struct hv_vss_channel *ch);

#endif /* _HV_VSS_CHANNEL_H */
