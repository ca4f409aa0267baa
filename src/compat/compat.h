/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that handles differences between kernels.
 *
 * HAVE_* are the answers of compat/probe/. Each file there names the commit behind the difference.
 * Kbuild makes sure that each question has exactly one answer. Macros need no probe: they are
 * tested here.
 */
#ifndef _HV_VSS_COMPAT_H
#define _HV_VSS_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/kconfig.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/ptrace.h>	/* for struct signal_struct, which moved in 4.11 */
#include <linux/rcupdate.h>
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

/* Before 4.16 the bits are called POLL* and are plain integers. */
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

/* Before 5.16; since then a dump sets SIGNAL_GROUP_EXIT, too. */
#ifdef SIGNAL_GROUP_COREDUMP
#define HV_VSS_SIGNAL_GROUP_COREDUMP	SIGNAL_GROUP_COREDUMP
#else
#define HV_VSS_SIGNAL_GROUP_COREDUMP	0
#endif

/* Before 4.14. */
#ifdef SB_RDONLY
#define HV_VSS_SB_RDONLY	SB_RDONLY
#else
#define HV_VSS_SB_RDONLY	MS_RDONLY
#endif

/* Before 4.13. */
#ifndef HAVE_WAIT_QUEUE_ENTRY
#define wait_queue_entry_t	wait_queue_t
#endif

/*
 * In 3.x MODULE_DEVICE_TABLE() derives the name of the type from that of the bus. There is no such
 * type, which old compilers accepted.
 */
#define vmbus_device_id		hv_vmbus_device_id

/*
 * The oldest VMBus protocol with which backups are possible. The host must be Windows Server
 * 2012 R2 or later, the first one with version 5.0 of the VSS messages; it uses VMBus 3.0
 * (VERSION_WIN8_1). A kernel before 3.15 doesn't know that, and uses 2.4 with such a host, as it
 * does with Windows Server 2012. Only the negotiation of the VSS version tells these two hosts
 * apart. hv_utils of such a kernel does not check this, and serves.
 */
#ifdef VERSION_WIN8_1
#define HV_VSS_VMBUS_MIN	(3 << 16)
#else
#define HV_VSS_VMBUS_MIN	(2 << 16 | 4)
#endif

/* One callback for each signal, and no masking, so that the callback can defer its work. */
static inline void hv_vss_compat_unbatch(struct vmbus_channel *channel)
{
#ifdef HAVE_CHANNEL_READ_MODE
	set_channel_read_mode(channel, HV_CALL_DIRECT);
#else
	set_channel_read_state(channel, false);
#endif
}

/*
 * After a channel's callback was unset: wait until it no longer runs, in a tasklet or in the
 * interrupt.
 */
static inline void hv_vss_compat_sync_callbacks(void)
{
#ifdef HAVE_SYNC_SCHED
	synchronize_sched();
#else
	synchronize_rcu();
#endif
}

static inline void hv_vss_compat_max_packet(struct vmbus_channel *channel, u32 bytes)
{
#ifdef HAVE_MAX_PKT_SIZE
	channel->max_pkt_size = bytes;
#endif
}

/* The size of a ring for vmbus_open(), so that @payload bytes of it are data. Macro since 5.10. */
#ifdef VMBUS_RING_SIZE
#define HV_VSS_RING_SIZE(payload)	VMBUS_RING_SIZE(payload)
#else
#define HV_VSS_RING_SIZE(payload)	PAGE_ALIGN(sizeof(struct hv_ring_buffer) + (payload))
#endif

/*
 * Where vmbus_recvpacket() reads next. The guest's own index is safe from the host. Kernels from
 * 4.7 to 4.13 may have it without using it, so its presence alone does not decide.
 */
static inline u32 hv_vss_compat_read_index(const struct hv_ring_buffer_info *ring)
{
#if defined(HAVE_PKT_ITER) && !defined(HAVE_CACHED_READ_INDEX)
	return ring->priv_read_index;
#else
	return READ_ONCE(ring->ring_buffer->read_index);
#endif
}

/* Discard what the host has written up to @index, and tell it that there is room. */
static inline void hv_vss_compat_skip_to(struct vmbus_channel *channel, u32 index)
{
	struct hv_ring_buffer_info *ring = &channel->inbound;

#ifdef HAVE_PKT_ITER
	ring->priv_read_index = index;
	hv_pkt_iter_close(channel);
#else
	/* We can't signal from here; reading the next packet does. */
	mb();
	WRITE_ONCE(ring->ring_buffer->read_index, index);
#endif
}

/* Exported since 4.1, declared in a header until 4.11. Kbuild checks the symbol versions. */
#ifdef HAVE_EXPEDITE
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
#endif

static inline bool hv_vss_compat_expedite(void)
{
#ifdef HAVE_EXPEDITE
	rcu_expedite_gp();
	return true;
#else
	return false;
#endif
}

static inline void hv_vss_compat_unexpedite(void)
{
#ifdef HAVE_EXPEDITE
	rcu_unexpedite_gp();
#endif
}

/* thaw_super(), called as FITHAW of the same kernel calls it. */
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

/*
 * How many freezes of FIFREEZE's kind are on a superblock, as far as it is known: 0 is no proof
 * that there is none. 6.6 and 6.7 have a flag for them that doesn't tell ours from others.
 */
static inline int hv_vss_compat_freezes(struct super_block *sb)
{
	if (READ_ONCE(sb->s_writers.frozen) != SB_FREEZE_COMPLETE)
		return 0;
#if defined(HAVE_FREEZE_UCOUNT)
	return READ_ONCE(sb->s_writers.freeze_ucount);
#elif defined(HAVE_THAW_SUPER_1ARG)
	return 1;
#else
	return 0;
#endif
}

/* The queue that thaw_super() wakes when writers can continue. */
static inline wait_queue_head_t *hv_vss_compat_thaw_queue(struct super_block *sb)
{
#ifdef HAVE_THAW_QUEUE_UNFROZEN
	return &sb->s_writers.wait_unfrozen;
#else
	return &sb->s_writers.rw_sem[SB_FREEZE_WRITE - 1].waiters;
#endif
}

/* The queue where the next freeze waits for a thaw; NULL if that is the same one. */
static inline wait_queue_head_t *hv_vss_compat_freezers_queue(struct super_block *sb)
{
#ifdef HAVE_THAW_QUEUE_UNFROZEN
	return NULL;
#else
	return __var_waitqueue(&sb->s_writers.frozen);
#endif
}

/*
 * Has a frozen superblock become read-only because of an error (errors=remount-ro)? It can't have
 * been remounted: that is refused while frozen. If it was read-only before, the freeze has taken no
 * locks. So the locks tell the two cases apart.
 *
 * thaw_super() mistakes such a superblock for one that was read-only before, and never releases the
 * locks: writers hang for good (CVE-2024-50191 is this fault in ext4). Before 4.4 there are no
 * locks and nothing hangs; there @readonly tells what the superblock was before.
 */
static inline bool hv_vss_compat_failed_while_frozen(struct super_block *sb, bool readonly)
{
	if (READ_ONCE(sb->s_writers.frozen) != SB_FREEZE_COMPLETE ||
	    !(READ_ONCE(sb->s_flags) & HV_VSS_SB_RDONLY))
		return false;
#ifdef HAVE_WRITERS_RWSEM
	if (!sb_start_write_trylock(sb))
		return true;
	sb_end_write(sb);
	return false;
#else
	return !readonly;
#endif
}

/*
 * Is it thawed, but its writers still hang? Then another process has thawed it, or it met an error
 * between our check and our thaw. That thaw has made the mistake described above.
 */
static inline bool hv_vss_compat_has_stale_locks(struct super_block *sb)
{
#ifdef HAVE_WRITERS_RWSEM
	if (READ_ONCE(sb->s_writers.frozen) != SB_UNFROZEN ||
	    !(READ_ONCE(sb->s_flags) & HV_VSS_SB_RDONLY))
		return false;
	if (!sb_start_write_trylock(sb))
		return true;
	sb_end_write(sb);
#endif
	return false;
}

/*
 * Release such locks, as thaw_super() does it. With s_umount held and nothing frozen they have no
 * owner: a freeze sets its state before it takes them, and a thaw releases them before it drops
 * s_umount.
 *
 * Return: 1 if there were some; 0 if not; -EAGAIN if the superblock is busy.
 */
static inline int hv_vss_compat_drop_stale_locks(struct super_block *sb)
{
	int ret = 0;

	if (!hv_vss_compat_has_stale_locks(sb))
		return 0;
	if (!down_write_trylock(&sb->s_umount))
		return -EAGAIN;
#ifdef HAVE_WRITERS_RWSEM
	if (hv_vss_compat_has_stale_locks(sb)) {
		int i;

		for (i = 0; i < SB_FREEZE_LEVELS; i++)
			percpu_rwsem_acquire(&sb->s_writers.rw_sem[i], 0, _THIS_IP_);
		while (i--)
			percpu_up_write(&sb->s_writers.rw_sem[i]);
		ret = 1;
	}
#endif
	up_write(&sb->s_umount);
	return ret;
}

/* Is the block device marked as frozen though its file system is not? */
static inline bool hv_vss_compat_has_stale_count(const struct super_block *sb)
{
#ifdef HAVE_FSFREEZE_COUNT_ATOMIC
	return sb->s_bdev && atomic_read(&sb->s_bdev->bd_fsfreeze_count) > 0 &&
	       READ_ONCE(sb->s_writers.frozen) == SB_UNFROZEN;
#else
	return false;
#endif
}

/*
 * Since 6.8 device mapper can freeze a frozen superblock again. Up to 6.12.116 its thaw fails while
 * our freeze remains, and the count of freezes of the block device then stays too high for good: no
 * later snapshot freezes the file system, and the device can't be mounted again. This corrects the
 * count once the superblock is thawed. With the mutex held no part of it stands for a freeze: a
 * second snapshot has only raised it. Its thaw will find nothing to lower, and that error is
 * ignored. A count below 0 is no freeze: with it newer kernels deny freezes while a file system
 * changes its devices.
 *
 * Return: 1 if there was such a count; 0 if not; -EAGAIN if the device is being frozen or thawed.
 */
static inline int hv_vss_compat_drop_stale_count(struct super_block *sb)
{
#ifdef HAVE_FSFREEZE_COUNT_ATOMIC
	struct block_device *bdev = sb->s_bdev;
	int ret = 0;

	if (!bdev || atomic_read(&bdev->bd_fsfreeze_count) <= 0)
		return 0;
	if (!mutex_trylock(&bdev->bd_fsfreeze_mutex))
		return -EAGAIN;
	if (atomic_read(&bdev->bd_fsfreeze_count) > 0 &&
	    READ_ONCE(sb->s_writers.frozen) == SB_UNFROZEN) {
		atomic_set(&bdev->bd_fsfreeze_count, 0);
		ret = 1;
	}
	mutex_unlock(&bdev->bd_fsfreeze_mutex);
	return ret;
#else
	return 0;
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
