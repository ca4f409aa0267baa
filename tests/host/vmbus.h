/* SPDX-License-Identifier: GPL-2.0-only */
/* VMBus channel messages on the wire, little endian. Facts: the guests' include/linux/hyperv.h. */
#ifndef HW_HVHOST_VMBUS_H
#define HW_HVHOST_VMBUS_H

#define VMBUS_V(major, minor)		((major) << 16 | (minor))
#define VMBUS_V5_0			VMBUS_V(5, 0)
#define VMBUS_V5_3			VMBUS_V(5, 3)

#define VMBUS_CONN_OLD			1
#define VMBUS_CONN_CONTACT		4
#define VMBUS_CONN_OURS			0x2001	/* sent in VERSION_RESPONSE since 5.0 */
#define VMBUS_CONN_EVENT_BASE		0x1000	/* plus relid: to signal a channel */

enum vmbus_msg_type {
	VMBUS_OFFER_CHANNEL = 1,
	VMBUS_RESCIND_OFFER = 2,
	VMBUS_REQUEST_OFFERS = 3,
	VMBUS_OFFERS_DELIVERED = 4,
	VMBUS_OPEN_CHANNEL = 5,
	VMBUS_OPEN_RESULT = 6,
	VMBUS_CLOSE_CHANNEL = 7,
	VMBUS_GPADL_HEADER = 8,
	VMBUS_GPADL_BODY = 9,
	VMBUS_GPADL_CREATED = 10,
	VMBUS_GPADL_TEARDOWN = 11,
	VMBUS_GPADL_TORNDOWN = 12,
	VMBUS_RELID_RELEASED = 13,
	VMBUS_INITIATE_CONTACT = 14,
	VMBUS_VERSION_RESPONSE = 15,
	VMBUS_UNLOAD = 16,
	VMBUS_UNLOAD_RESPONSE = 17,
	VMBUS_MODIFY_CHANNEL = 22,
	VMBUS_MODIFY_RESPONSE = 24,
};

struct vmbus_hdr {
	uint32_t type;
	uint32_t pad;
} QEMU_PACKED;

struct vmbus_relid_msg {	/* RESCIND, CLOSE, RELID_RELEASED */
	struct vmbus_hdr hdr;
	uint32_t relid;
} QEMU_PACKED;

struct vmbus_offer {
	struct vmbus_hdr hdr;
	uint8_t type[16];
	uint8_t instance[16];
	uint64_t reserved[2];
	uint16_t flags;
	uint16_t mmio_mb;
	uint32_t pipe_mode;
	uint8_t user[116];
	uint16_t sub_index;
	uint16_t reserved2;
	uint32_t relid;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	uint16_t dedicated_interrupt;
	uint32_t conn;
} QEMU_PACKED;

#define VMBUS_OFFER_ENUMERATE		0x0001
#define VMBUS_OFFER_NAMED_PIPE		0x0010
#define VMBUS_PIPE_MESSAGE		4

struct vmbus_open {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t openid;
	uint32_t gpadl;
	uint32_t vcpu;
	uint32_t in_page;	/* page of the GPADL where the ring to the guest starts */
	uint8_t user[120];
} QEMU_PACKED;

struct vmbus_open_result {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t openid;
	uint32_t status;
} QEMU_PACKED;

struct vmbus_gpadl_header {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t gpadl;
	uint16_t range_bytes;
	uint16_t ranges;
	uint32_t byte_count;	/* of the first, and here only, range */
	uint32_t byte_offset;
	uint64_t pfn[];
} QEMU_PACKED;

struct vmbus_gpadl_body {
	struct vmbus_hdr hdr;
	uint32_t number;
	uint32_t gpadl;
	uint64_t pfn[];
} QEMU_PACKED;

struct vmbus_gpadl_created {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t gpadl;
	uint32_t status;
} QEMU_PACKED;

struct vmbus_gpadl_teardown {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t gpadl;
} QEMU_PACKED;

struct vmbus_gpadl_torndown {
	struct vmbus_hdr hdr;
	uint32_t gpadl;
} QEMU_PACKED;

struct vmbus_contact {
	struct vmbus_hdr hdr;
	uint32_t version;
	uint32_t vcpu;
	uint64_t interrupt_page;
	uint64_t monitor_page[2];
} QEMU_PACKED;

struct vmbus_version_response {
	struct vmbus_hdr hdr;
	uint8_t supported;
	uint8_t state;
	uint16_t pad;
	uint32_t conn;
} QEMU_PACKED;

struct vmbus_modify {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t vcpu;
} QEMU_PACKED;

struct vmbus_modify_response {
	struct vmbus_hdr hdr;
	uint32_t relid;
	uint32_t status;
} QEMU_PACKED;

#endif
