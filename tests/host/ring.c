// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ring buffers in guest memory: indices, copying, and when to signal.
 *
 * The first page of a ring holds its indices, the data follow. A packet is a descriptor and
 * its payload, a multiple of 8 bytes, and 8 bytes more that record where it started. One byte
 * always stays free, so that equal indices mean empty. Facts: drivers/hv/ring_buffer.c of the
 * guests, and include/linux/hyperv.h for when to signal.
 */
#include "host.h"
#include "exec/address-spaces.h"

#define RING_TRAILER		8
#define DESC_MIN		16

static hwaddr ring_page(const struct hv_ring *r, unsigned int index)
{
	return r->pfn[index] * HV_PAGE;
}

/**
 * hv_ring_get() - read a word of a ring's control page
 * @r: the ring
 * @offset: which one, HV_RING_*
 *
 * Return: its value; the guest may change it any time.
 */
uint32_t hv_ring_get(const struct hv_ring *r, unsigned int offset)
{
	return address_space_ldl_le(&address_space_memory, ring_page(r, 0) + offset,
				    MEMTXATTRS_UNSPECIFIED, NULL);
}

/**
 * hv_ring_set() - write a word of a ring's control page
 * @r: the ring
 * @offset: which one, HV_RING_*
 * @val: its new value
 */
void hv_ring_set(const struct hv_ring *r, unsigned int offset, uint32_t val)
{
	address_space_stl_le(&address_space_memory, ring_page(r, 0) + offset, val,
			     MEMTXATTRS_UNSPECIFIED, NULL);
}

static uint32_t ring_distance(const struct hv_ring *r, uint32_t read, uint32_t write)
{
	return write >= read ? write - read : r->size - read + write;
}

/**
 * hv_ring_used() - bytes in a ring
 * @r: the ring
 *
 * Return: the bytes, or UINT32_MAX when the guest has set an index out of bounds.
 */
uint32_t hv_ring_used(const struct hv_ring *r)
{
	uint32_t read = hv_ring_get(r, HV_RING_READ_INDEX);
	uint32_t write = hv_ring_get(r, HV_RING_WRITE_INDEX);

	if (read >= r->size || write >= r->size)
		return UINT32_MAX;
	return ring_distance(r, read, write);
}

static uint32_t ring_copy(const struct hv_ring *r, uint32_t at, void *buf, uint32_t len,
			  bool write)
{
	uint8_t *p = buf;

	while (len) {
		uint32_t n = MIN(len, HV_PAGE - at % HV_PAGE);

		address_space_rw(&address_space_memory,
				 ring_page(r, 1 + at / HV_PAGE) + at % HV_PAGE,
				 MEMTXATTRS_UNSPECIFIED, p, n, write);
		p += n;
		len -= n;
		at = (at + n) % r->size;
	}
	return at;
}

/**
 * hv_ring_write() - put a packet into the ring to the guest
 * @r: the ring
 * @packet: descriptor and payload
 * @len: bytes, a multiple of 8
 * @signal: set if the guest has to be signalled, else not changed
 *
 * Return: 0, -EAGAIN if there is no room (the guest will signal when there is), or -EIO if the
 * guest's indices are invalid.
 */
int hv_ring_write(const struct hv_ring *r, const void *packet, uint32_t len, bool *signal)
{
	uint32_t old = hv_ring_get(r, HV_RING_WRITE_INDEX), at, used;
	uint64_t trailer = cpu_to_le64((uint64_t)old << 32);

	used = hv_ring_used(r);
	if (used != UINT32_MAX && r->size - used <= len + RING_TRAILER) {
		hv_ring_set(r, HV_RING_PENDING, len + RING_TRAILER);
		/* Check again: the guest may have made room before it saw the request. */
		smp_mb();
		used = hv_ring_used(r);
		if (used != UINT32_MAX && r->size - used <= len + RING_TRAILER)
			return -EAGAIN;
	}
	if (used == UINT32_MAX)
		return -EIO;
	hv_ring_set(r, HV_RING_PENDING, 0);

	at = ring_copy(r, old, (void *)packet, len, true);
	at = ring_copy(r, at, &trailer, sizeof(trailer), true);
	/* The packet must be visible before the index. */
	smp_mb();
	hv_ring_set(r, HV_RING_WRITE_INDEX, at);
	/* The index must be visible before we check whether the guest is still reading. */
	smp_mb();
	if (!hv_ring_get(r, HV_RING_MASK) && hv_ring_get(r, HV_RING_READ_INDEX) == old)
		*signal = true;
	return 0;
}

/**
 * hv_ring_read() - take a packet out of the ring from the guest
 * @r: the ring
 * @packet: set to a copy, to be freed with g_free()
 * @len: set to its bytes, descriptor included
 * @signal: set if the guest waits for the room that this has made, else not changed
 *
 * Return: 0, -EAGAIN if the ring is empty, or -EIO if its contents are invalid.
 */
int hv_ring_read(const struct hv_ring *r, uint8_t **packet, uint32_t *len, bool *signal)
{
	uint32_t read = hv_ring_get(r, HV_RING_READ_INDEX), used = hv_ring_used(r);
	uint32_t total, before, pending;
	uint8_t desc[DESC_MIN];

	if (!used)
		return -EAGAIN;
	if (used == UINT32_MAX || used < DESC_MIN + RING_TRAILER)
		return -EIO;
	/* The packet must not be read before the index. */
	smp_rmb();
	ring_copy(r, read, desc, sizeof(desc), false);
	total = lduw_le_p(desc + 4) * 8;
	if (total < DESC_MIN || total + RING_TRAILER > used)
		return -EIO;

	*packet = g_malloc(total);
	*len = total;
	ring_copy(r, read, *packet, total, false);
	/* The copy must be complete before the guest may overwrite the packet. */
	smp_mb();
	hv_ring_set(r, HV_RING_READ_INDEX, (read + total + RING_TRAILER) % r->size);
	/* The guest must see the room before we check whether it waits for room. */
	smp_mb();

	/* A writer that found too little room is signalled if this read has made enough. */
	pending = hv_ring_get(r, HV_RING_PENDING);
	before = r->size - used;
	if (pending && before <= pending && before + total + RING_TRAILER > pending)
		*signal = true;
	return 0;
}
