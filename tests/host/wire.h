/* SPDX-License-Identifier: GPL-2.0-only */
/* Integration component packets on the wire, little endian. */
#ifndef HW_HVHOST_WIRE_H
#define HW_HVHOST_WIRE_H

/* A version: framework or message. */
struct ic_ver {
	uint16_t major;
	uint16_t minor;
} QEMU_PACKED;

struct vmpkt_desc {
	uint16_t type;
	uint16_t offset8;	/* of the payload, in units of 8 bytes, like the next */
	uint16_t len8;
	uint16_t flags;
	uint64_t reqid;
} QEMU_PACKED;

#define VMPKT_INBAND		6

struct ic_pipe {
	uint32_t flags;
	uint32_t size;		/* of the IC message: header and body */
} QEMU_PACKED;

#define IC_PIPE_DATA		1

struct ic_hdr {
	struct ic_ver fw;
	uint16_t msgtype;
	struct ic_ver msg;
	uint16_t size;		/* of the body */
	uint32_t status;
	uint8_t txid;
	uint8_t flags;
	uint8_t reserved[2];
} QEMU_PACKED;

enum ic_flags {
	IC_TRANSACTION = 1,
	IC_REQUEST = 2,
	IC_RESPONSE = 4,
};

enum ic_msgtype {
	IC_NEGOTIATE = 0,
	IC_HEARTBEAT = 1,
	IC_KVP = 2,
	IC_SHUTDOWN = 3,
	IC_VSS = 5,
};

/* Payload of a channel packet. */
struct ic_msg {
	struct ic_pipe pipe;
	struct ic_hdr hdr;
	uint8_t body[];
} QEMU_PACKED;

struct ic_negotiate {
	uint16_t fw_count;
	uint16_t msg_count;
	uint32_t reserved;
	struct ic_ver ver[];
} QEMU_PACKED;

struct ic_heartbeat {
	uint64_t seq;
	uint32_t reserved[8];
} QEMU_PACKED;

struct ic_shutdown {
	uint32_t reason;
	uint32_t timeout_s;
	uint32_t flags;
	uint8_t message[2048];
} QEMU_PACKED;

enum kvp_op {
	KVP_GET = 0,
	KVP_ENUMERATE = 3,
};

#define KVP_POOL_GUEST		1	/* what programs in the guest tell the host */
#define KVP_STRING		1	/* type of a value: REG_SZ */

struct kvp_hdr {
	uint8_t op;
	uint8_t pool;
	uint8_t reserved[2];
} QEMU_PACKED;

struct kvp_item {
	uint32_t type;
	uint32_t key_size;	/* in bytes, as the next; with the zero at the end */
	uint32_t value_size;
	uint8_t key[512];	/* UTF-16 */
	uint8_t value[2048];
} QEMU_PACKED;

struct kvp_enumerate_msg {
	struct kvp_hdr hdr;
	uint32_t index;
	struct kvp_item item;
} QEMU_PACKED;

struct kvp_get_msg {
	struct kvp_hdr hdr;
	struct kvp_item item;
} QEMU_PACKED;

enum vss_op {
	VSS_CREATE = 0,
	VSS_DELETE = 1,
	VSS_HOT_BACKUP = 2,
	VSS_GET_DM_INFO = 3,
	VSS_BACKUP_COMPLETE = 4,
	VSS_FREEZE = 5,
	VSS_THAW = 6,
	VSS_AUTO_RECOVER = 7,
	VSS_QUERY_CLUSTER = 8,
};

struct vss_hdr {
	uint8_t op;
	uint8_t reserved[7];
} QEMU_PACKED;

struct vss_flags_msg {		/* HOT_BACKUP, GET_DM_INFO, BACKUP_COMPLETE, THAW */
	struct vss_hdr hdr;
	uint32_t flags;
} QEMU_PACKED;

struct vss_set_msg {		/* CREATE; DELETE without the last member */
	struct vss_hdr hdr;
	uint8_t set[16];
	uint32_t backup_type;
} QEMU_PACKED;

struct vss_lun {
	uint8_t bus;
	uint8_t pad[3];
	uint8_t controller[16];
	uint8_t port;
	uint8_t target;
	uint8_t lun;
	uint8_t pad2;
} QEMU_PACKED;

#define VSS_LUNS		260

struct vss_freeze_msg {		/* AUTO_RECOVER has a second list behind it */
	struct vss_hdr hdr;
	uint32_t backup_type;
	uint32_t flags;
	uint32_t lun_count;
	struct vss_lun lun[VSS_LUNS];
} QEMU_PACKED;

struct vss_cluster_msg {
	struct vss_hdr hdr;
	uint8_t cluster[16];
	uint32_t size;
	uint32_t lun_count;
	struct vss_lun lun[VSS_LUNS];
} QEMU_PACKED;

#endif
