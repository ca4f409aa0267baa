/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internals of the emulated Hyper-V host: its state, and the functions that its files share.
 *
 * Everything here runs under the big QEMU lock, so it needs no locks of its own. Functions that
 * QEMU calls without that lock take it (partition.c). No function sleeps. Messages that a guest
 * posts are handled later, in a bottom half.
 */
#ifndef HW_HVHOST_HOST_H
#define HW_HVHOST_HOST_H

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qlist.h"
#include "exec/memory.h"
#include "hw/qdev-core.h"
#include "chardev/char-fe.h"
#include "qom/object.h"
#include "wire.h"

#define HV_SINTS		16
#define HV_VMBUS_SINT		2
#define HV_MSG_PAYLOAD		240
#define HV_RELIDS		64
#define HV_PAGE			4096u
#define HV_HISTORY		4096	/* requests kept, to detect second answers */

#define HV_STATUS_SUCCESS		0
#define HV_STATUS_INVALID_CODE		2
#define HV_STATUS_INVALID_PARAMETER	5
#define HV_STATUS_INVALID_CONNECTION	18

enum hv_service {
	HV_SVC_VSS,
	HV_SVC_HEARTBEAT,
	HV_SVC_SHUTDOWN,
	HV_SVC_KVP,
	HV_SVC_COUNT,
};

enum hv_channel_state {
	HV_CH_ABSENT,		/* not offered; the guest does not know it */
	HV_CH_OFFERED,
	HV_CH_OPENING,		/* OPENCHANNEL was seen, no result was sent */
	HV_CH_OPEN,
	HV_CH_CLOSED,
	HV_CH_RESCINDED,	/* until the guest releases the relid */
};

enum hv_open_action {
	HV_OPEN_NORMAL,
	HV_OPEN_REFUSE,
	HV_OPEN_RESCIND_AFTER,
	HV_OPEN_RESCIND_BEFORE,
	HV_OPEN_SILENT,
};

enum hv_expect {
	HV_EXPECT_DEFAULT,	/* an answer, and it must be right */
	HV_EXPECT_ANSWER,
	HV_EXPECT_NONE,
	HV_EXPECT_ANY,
};

struct hv_host;
struct hv_channel;

QSIMPLEQ_HEAD(hv_msgs, hv_msg);
QSIMPLEQ_HEAD(hv_outgoings, hv_outgoing);
QTAILQ_HEAD(hv_requests, hv_request);
QLIST_HEAD(hv_gpadls, hv_gpadl);

/* One virtual processor's SynIC. */
struct hv_vp {
	uint64_t scontrol;
	uint64_t siefp;
	uint64_t simp;
	uint64_t sint[HV_SINTS];
	struct hv_msgs queue;
};

struct hv_msg {
	QSIMPLEQ_ENTRY(hv_msg) next;
	uint32_t conn;		/* connection id it was posted on (from the guest) */
	uint32_t size;
	uint8_t payload[HV_MSG_PAYLOAD];
};

/* A guest physical address descriptor list: the pages of a ring pair. */
struct hv_gpadl {
	QLIST_ENTRY(hv_gpadl) next;
	uint32_t id;
	uint32_t relid;
	unsigned int pages;
	unsigned int have;
	uint64_t pfn[];
};

/* One direction of a channel. Index and masks live in guest memory, where the guest sees them. */
struct hv_ring {
	uint64_t *pfn;		/* control page first, then data; borrowed from the GPADL */
	uint32_t size;		/* bytes of data */
};

enum hv_req_state {
	HV_REQ_WAITING,
	HV_REQ_EXPIRED,
	HV_REQ_ANSWERED,
};

/* A packet that was sent and may be answered. */
struct hv_request {
	QTAILQ_ENTRY(hv_request) next;
	struct hv_channel *ch;
	enum hv_req_state state;
	enum hv_expect expect;
	bool negotiate;
	bool beat;		/* periodic heartbeat: its answer makes no event */
	uint64_t seq;
	uint64_t reqid;
	uint64_t txid;
	int64_t sent_us;
	QEMUTimer *timer;
	uint64_t timeout_ms;	/* 0 for none */
	uint32_t len;		/* payload bytes, padding not included */
	uint8_t *data;
};

/* A packet that waits for room in the ring to the guest. */
struct hv_outgoing {
	QSIMPLEQ_ENTRY(hv_outgoing) next;
	struct hv_request *req;
	uint32_t len;
	uint8_t data[];
};

struct hv_channel {
	struct hv_host *host;
	const struct hv_service_info *info;
	enum hv_service svc;
	enum hv_channel_state state;
	uint32_t relid;		/* 0: none known to the guest */
	uint32_t vcpu;
	uint32_t openid;
	uint32_t ring_gpadl;
	bool wanted;		/* offered whenever the guest asks */
	bool offer_pending;	/* offer as soon as the relid is released */
	enum hv_open_action next_open;
	uint32_t next_open_status;
	bool signalled;		/* by the guest, not handled yet */
	bool hold;		/* do not drain the guest's ring */
	bool broken;		/* the guest's ring is invalid */
	bool faked;		/* the guest sees fake_read as our read index */
	uint32_t real_read;
	struct hv_ring in;	/* from the guest */
	struct hv_ring out;	/* to the guest */
	struct hv_outgoings outgoing;
	unsigned int outgoing_count;
	union hv_requests requests;
	unsigned int request_count;
	uint64_t next_reqid;
	uint8_t next_txid;
	bool negotiated;
	struct ic_ver fw;	/* as on the wire */
	struct ic_ver msg;
};

struct hv_ver {
	uint16_t major;
	uint16_t minor;
};

/* The constants of a service. */
struct hv_service_info {
	const char *name;
	const char *type;
	const char *instance;
	/* message versions it offers, by generation of host, ended by version 0 */
	const struct hv_ver *msg[3];
	bool patient;		/* no deadline for the answer to the host's own version offer */
};

struct hv_control {
	CharBackend chr;
	GString *in;
	GString *out;
	guint watch;
	bool overflow;
	int64_t start_us;
};

struct hv_host {
	DeviceState parent;

	struct hv_control ctl;
	char *vmbus_prop;
	char *ic_prop;
	bool aeoi;
	bool auto_negotiate;
	bool with[HV_SVC_COUNT];
	uint32_t beat_ms;
	unsigned int ic;		/* generation: 0 2012 R2, 1 2016, 2 2019 */
	uint32_t vmbus_max;

	MemoryRegion port;
	QEMUBH *bh;
	QEMUTimer *beat;
	uint64_t beat_seq;
	bool quiet;
	bool capture;
	bool crashed;
	bool reset_asked;
	uint64_t last_seq;
	QDict *writes_before;		/* of each disk, when the guest was frozen; or NULL */
	QDict *writes;			/* from then until it was asked to thaw; or NULL */

	/* Set by the guest, cleared by a reset. */
	uint64_t guest_os_id;
	uint64_t hypercall;
	uint64_t crash[5];
	unsigned int vps;
	struct hv_vp *vp;
	struct hv_msgs posted;
	uint32_t version;		/* VMBus version connected, 0 for none */
	uint32_t vcpu;			/* it gets the channel messages */
	bool offers_asked;
	bool abandoned[HV_RELIDS];	/* rescinded, not released, and offered again since */
	uint32_t last_relid;
	bool conn_id_valid;		/* our own connection id was told to the guest */
	struct hv_gpadls gpadls;
	struct hv_channel ch[HV_SVC_COUNT];
};

#define TYPE_HV_HOST "hv-host"
OBJECT_DECLARE_SIMPLE_TYPE(hv_host, HV_HOST)

/* device.c */
extern const struct hv_service_info hv_services[HV_SVC_COUNT];

/* partition.c */
void hv_partition_bind(struct hv_host *host);
void hv_partition_reset(struct hv_host *host);

/* hypercall.c */
void hv_hypercall_init(struct hv_host *host);
void hv_hypercall_page(struct hv_host *host, uint64_t val);

/* synic.c */
void hv_synic_init(struct hv_host *host);
void hv_synic_reset(struct hv_host *host);
void hv_synic_post(struct hv_host *host, unsigned int vcpu, const void *payload, uint32_t size);
void hv_synic_deliver(struct hv_host *host, unsigned int vcpu);
void hv_synic_event(struct hv_host *host, unsigned int vcpu, unsigned int flag);

/* vmbus.c */
uint32_t hv_vmbus_parse_version(const char *text);
char *hv_vmbus_version_text(uint32_t version);
bool hv_vmbus_conn_ok(struct hv_host *host, uint32_t conn);
void hv_vmbus_send(struct hv_host *host, const void *msg, uint32_t size);
void hv_vmbus_message(struct hv_host *host, const struct hv_msg *msg);
void hv_vmbus_error(struct hv_host *host, const char *fmt, ...) G_GNUC_PRINTF(2, 3);

/* gpadl.c */
void hv_gpadl_header(struct hv_host *host, const uint8_t *msg, uint32_t size);
void hv_gpadl_body(struct hv_host *host, const uint8_t *msg, uint32_t size);
void hv_gpadl_teardown(struct hv_host *host, const uint8_t *msg, uint32_t size);
struct hv_gpadl *hv_gpadl_find(struct hv_host *host, uint32_t id);
void hv_gpadl_drop_relid(struct hv_host *host, uint32_t relid);
void hv_gpadl_drop_all(struct hv_host *host);

/* channel.c */
void hv_channel_init(struct hv_host *host);
void hv_channel_offer_all(struct hv_host *host);
int hv_channel_offer(struct hv_channel *ch, bool wait_released, bool *pending, char **err);
int hv_channel_rescind(struct hv_channel *ch, char **err);
QDict *hv_channel_event(const struct hv_channel *ch, const char *name);
QList *hv_channel_shut(struct hv_channel *ch, enum hv_channel_state state);
void hv_channel_close(struct hv_host *host, const uint8_t *msg, uint32_t size);
void hv_channel_modify(struct hv_host *host, const uint8_t *msg, uint32_t size);
void hv_channel_released(struct hv_host *host, const uint8_t *msg, uint32_t size);
QList *hv_channel_drop_all(struct hv_host *host);
struct hv_channel *hv_channel_by_relid(struct hv_host *host, uint32_t relid);
struct hv_channel *hv_channel_by_name(struct hv_host *host, const char *name);
const char *hv_channel_state_name(const struct hv_channel *ch);

/* open.c */
bool hv_channel_set_next_open(struct hv_channel *ch, const char *action, uint32_t status);
void hv_channel_open(struct hv_host *host, const uint8_t *msg, uint32_t size);

/* ring.c */
uint32_t hv_ring_get(const struct hv_ring *r, unsigned int offset);
void hv_ring_set(const struct hv_ring *r, unsigned int offset, uint32_t val);
uint32_t hv_ring_used(const struct hv_ring *r);
int hv_ring_write(const struct hv_ring *r, const void *packet, uint32_t len, bool *signal);
int hv_ring_read(const struct hv_ring *r, uint8_t **packet, uint32_t *len, bool *signal);

#define HV_RING_WRITE_INDEX	0
#define HV_RING_READ_INDEX	4
#define HV_RING_MASK		8
#define HV_RING_PENDING		12

/* packet.c */
bool hv_packet_send(struct hv_request *req, const uint8_t *packet, uint32_t len, bool *queued);
void hv_packet_flush(struct hv_channel *ch);
void hv_packet_drain(struct hv_channel *ch);
void hv_packet_release(struct hv_channel *ch);
bool hv_packet_fill(struct hv_channel *ch, uint32_t free);

/* request.c */
struct hv_request *hv_request_new(struct hv_channel *ch, const uint8_t *data, uint32_t len);
void hv_request_sent(struct hv_request *req);
void hv_request_answer(struct hv_channel *ch, const uint8_t *packet, uint32_t len);
QList *hv_request_drop_all(struct hv_channel *ch);

/* kvp.c */
const struct kvp_item *hv_kvp_item(const uint8_t *payload, uint32_t len);
void hv_kvp_put_answer(QDict *ev, const uint8_t *payload, uint32_t len);

/* disks.c */
void hv_disks_frozen(struct hv_host *host);
void hv_disks_thawing(struct hv_host *host);
QDict *hv_disks_writes(struct hv_host *host);
void hv_disks_forget(struct hv_host *host);

/* check.c */
QList *hv_check_answer(const struct hv_request *req, const uint8_t *packet, uint32_t len);

/* ic.c */
void hv_ic_opened(struct hv_channel *ch);
void hv_ic_negotiated(struct hv_channel *ch, const struct hv_request *req,
		      const uint8_t *payload, uint32_t len, QList *problems);
const char *hv_ic_op_name(unsigned int op);
int hv_ic_op_by_name(const char *name);
void hv_ic_beat_start(struct hv_host *host);
void hv_ic_beat_init(struct hv_host *host);

/* build.c */
struct hv_packet {
	struct hv_channel *ch;
	uint8_t *bytes;		/* descriptor and payload */
	uint32_t len;
	uint32_t payload;	/* bytes of payload, padding not included */
	uint64_t timeout_ms;
	enum hv_expect expect;
	bool negotiate;
	bool beat;
	struct hv_request *req;	/* once sent */
};

int hv_build(struct hv_host *host, const QDict *cmd, struct hv_packet *pkt, char **err);
void hv_build_negotiate(struct hv_channel *ch, struct hv_packet *pkt);
void hv_build_heartbeat(struct hv_channel *ch, uint64_t seq, struct hv_packet *pkt);
void hv_build_free(struct hv_packet *pkt);
bool hv_build_send(struct hv_channel *ch, struct hv_packet *pkt, bool *queued);

/* control.c */
void hv_control_init(struct hv_host *host);
int64_t hv_now_us(struct hv_host *host);
QDict *hv_event(const char *name);
void hv_event_send(struct hv_host *host, QDict *ev);
void hv_control_reply(struct hv_host *host, QDict *reply);
void hv_put_hex(QDict *d, const char *key, const void *data, size_t len);
void hv_error_event(struct hv_channel *ch, const char *kind, const struct hv_request *req,
		    const char *fmt, ...) G_GNUC_PRINTF(4, 5);

/* command.c */
void hv_command(struct hv_host *host, const char *line);

#endif
