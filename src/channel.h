/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ring <-> packets. The one place that talks to VMBus.
 *
 * The interrupt only queues a work; that work, alone on an ordered queue, sends what could not be
 * sent before and then receives, one packet at a time, until the ring is empty; after some of them
 * it queues itself anew, because the owner's clocks use the queue as well. As long as an
 * answer waits for room in the host's ring nothing more is received: so two packet buffers, one
 * being received and one held while the daemon works on it, are all that is ever needed.
 */
#ifndef _HV_VSS_CHANNEL_H
#define _HV_VSS_CHANNEL_H

#include <linux/hyperv.h>
#include <linux/workqueue.h>
#include "ic.h"

struct hv_vss_buffer {
	u8 *raw;			/* vmalloc'ed, as large as the ring */
	struct hv_vss_ic_packet pkt;	/* points into raw */
	bool answer;			/* is an answer that is yet to be sent */
};

struct hv_vss_channel {
	struct vmbus_channel *vmbus;
	struct workqueue_struct *wq;
	struct delayed_work pump;
	bool open;			/* probe, remove, suspend, resume: one at a time */
	bool running;			/* the owner's lock */
	struct hv_vss_buffer *rx;	/* the packet being handled; the owner's lock */
	struct hv_vss_buffer *held;	/* the outstanding request; the owner's lock */
	struct hv_vss_buffer buffers[2];
};

int hv_vss_channel_init(struct hv_vss_channel *ch, struct vmbus_channel *vmbus,
			work_func_t pump);
void hv_vss_channel_free(struct hv_vss_channel *ch);
int hv_vss_channel_open(struct hv_vss_channel *ch);
void hv_vss_channel_close(struct hv_vss_channel *ch);

enum hv_vss_received {
	HV_VSS_EMPTY,		/* nothing left, the next interrupt will tell */
	HV_VSS_PACKET,		/* an in-band packet is in ch->rx */
	HV_VSS_NOT_INBAND,	/* a packet of another type was dropped */
	HV_VSS_GARBAGE,		/* the ring made no sense and was emptied */
};

enum hv_vss_received hv_vss_channel_receive(struct hv_vss_channel *ch);
void hv_vss_channel_hold(struct hv_vss_channel *ch);
bool hv_vss_channel_flush(struct hv_vss_channel *ch);
void hv_vss_channel_retry(struct hv_vss_channel *ch);

#endif /* _HV_VSS_CHANNEL_H */
