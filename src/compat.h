/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows that kernels differ.
 *
 * HAVE_* are the answers of compat/probe/, see there for who introduced what; Kbuild has seen to it
 * that each question has exactly one. What is a macro is asked for here.
 */
#ifndef _HV_VSS_COMPAT_H
#define _HV_VSS_COMPAT_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/kconfig.h>
#include <linux/poll.h>
#include <linux/version.h>
#include <linux/wait.h>
#include "hv_vss_probe.h"

#define HV_VSS_OLDEST_KERNEL	KERNEL_VERSION(3, 10, 0)

#if HV_VSS_OLDEST_KERNEL > LINUX_VERSION_CODE
#error "hv_vss needs Linux 3.10 or later"
#endif

#if !IS_ENABLED(CONFIG_HYPERV)
#error "this kernel is built without Hyper-V support (CONFIG_HYPERV)"
#endif

/* Before 3.19. */
#ifndef READ_ONCE
#define READ_ONCE(x)		ACCESS_ONCE(x)
#endif
#ifndef WRITE_ONCE
#define WRITE_ONCE(x, v)	(ACCESS_ONCE(x) = (v))
#endif

/* Before 3.11. */
#ifndef DEVICE_ATTR_RO
#define DEVICE_ATTR_RO(_name) \
	struct device_attribute dev_attr_##_name = __ATTR_RO(_name)
#endif

/* Before 4.16 the bits were called POLL* and were plain integers. */
#ifndef HAVE_POLL_T
#define __poll_t		unsigned int
#ifndef EPOLLIN
#define EPOLLIN			POLLIN
#define EPOLLERR		POLLERR
#define EPOLLHUP		POLLHUP
#define EPOLLOUT		POLLOUT
#define EPOLLRDNORM		POLLRDNORM
#define EPOLLWRNORM		POLLWRNORM
#endif
#endif

/* Before 4.13. */
#ifndef HAVE_WAIT_QUEUE_ENTRY
#define wait_queue_entry_t	wait_queue_t
#endif

/*
 * In 3.x MODULE_DEVICE_TABLE() takes the type to be called after the bus; old compilers did
 * not mind that there is none of that name.
 */
#define vmbus_device_id		hv_vmbus_device_id

void hv_vss_remove(struct hv_device *dev);

/* hv_vss_remove() with the return type that struct hv_driver wants. */
#ifdef HAVE_REMOVE_VOID
static inline void hv_vss_compat_remove(struct hv_device *dev)
{
	hv_vss_remove(dev);
}
#else
static inline int hv_vss_compat_remove(struct hv_device *dev)
{
	hv_vss_remove(dev);
	return 0;
}
#endif

/* Callback once per signal and no masking, so that it can leave the work to others. */
static inline void hv_vss_compat_unbatch(struct vmbus_channel *channel)
{
#ifdef HAVE_CHANNEL_READ_MODE
	set_channel_read_mode(channel, HV_CALL_DIRECT);
#else
	set_channel_read_state(channel, false);
#endif
}

static inline void hv_vss_compat_max_packet(struct vmbus_channel *channel, u32 bytes)
{
#ifdef HAVE_MAX_PKT_SIZE
	channel->max_pkt_size = bytes;
#endif
}

/* Bytes to ask vmbus_open() for, so that @payload of them are data. The macro came in 5.10. */
#ifdef VMBUS_RING_SIZE
#define HV_VSS_RING_SIZE(payload)	VMBUS_RING_SIZE(payload)
#else
#define HV_VSS_RING_SIZE(payload)	PAGE_ALIGN(sizeof(struct hv_ring_buffer) + (payload))
#endif

/*
 * Where vmbus_recvpacket() reads next. The guest's own index is out of the host's reach, but which
 * of the two kernels between 4.7 and 4.13 go by is not told by its presence.
 */
static inline u32 hv_vss_compat_read_index(const struct hv_ring_buffer_info *ring)
{
#if defined(HAVE_PKT_ITER) && !defined(HAVE_CACHED_READ_INDEX)
	return ring->priv_read_index;
#else
	return READ_ONCE(ring->ring_buffer->read_index);
#endif
}

/* Throw away what the host has written up to @index, and let it know that there is room. */
static inline void hv_vss_compat_skip_to(struct vmbus_channel *channel, u32 index)
{
	struct hv_ring_buffer_info *ring = &channel->inbound;

#ifdef HAVE_PKT_ITER
	ring->priv_read_index = index;
	hv_pkt_iter_close(channel);
#else
	/* No way to signal from here; the next packet that is read does. */
	mb();
	WRITE_ONCE(ring->ring_buffer->read_index, index);
#endif
}

/* thaw_super(), the way FITHAW of the same kernel calls it. */
#if defined(HAVE_THAW_SUPER_1ARG)
#define hv_vss_compat_thaw_with(fn, sb)	((fn)(sb))
#elif defined(HAVE_THAW_SUPER_HOLDER)
#define hv_vss_compat_thaw_with(fn, sb)	((fn)(sb, FREEZE_HOLDER_USERSPACE))
#else
#define hv_vss_compat_thaw_with(fn, sb)	((fn)(sb, FREEZE_HOLDER_USERSPACE, NULL))
#endif

static inline int hv_vss_compat_thaw(struct super_block *sb)
{
#ifdef HAVE_SOP_THAW_SUPER
	if (sb->s_op->thaw_super)
		return hv_vss_compat_thaw_with(sb->s_op->thaw_super, sb);
#endif
	return hv_vss_compat_thaw_with(thaw_super, sb);
}

/* What thaw_super() wakes when the superblock can be written to again. */
static inline wait_queue_head_t *hv_vss_compat_thaw_queue(struct super_block *sb)
{
#ifdef HAVE_THAW_QUEUE_UNFROZEN
	return &sb->s_writers.wait_unfrozen;
#else
	return &sb->s_writers.rw_sem[SB_FREEZE_WRITE - 1].waiters;
#endif
}

static inline bool hv_vss_compat_can_freeze(const struct super_block *sb)
{
#ifdef HAVE_SOP_THAW_SUPER
	if (sb->s_op->freeze_super)
		return true;
#endif
	return sb->s_op->freeze_fs;
}

#endif /* _HV_VSS_COMPAT_H */
