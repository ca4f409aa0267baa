// SPDX-License-Identifier: GPL-2.0-only
/*
 * The synthetic interrupt controller, host to guest: message slots and event flags of each
 * virtual processor. Only the SINT that VMBus uses is ever written.
 */
#include "host.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "hw/i386/apic.h"

#define SYNIC_ENABLE		1ull
#define SINT_MASKED		(1ull << 16)
#define SINT_POLLING		(1ull << 18)
#define SLOT_SIZE		256
#define SLOT_TYPE		0
#define SLOT_FLAGS		5
#define SLOT_PENDING		1
#define MSG_TYPE_VMBUS		1

struct slot {
	uint32_t type;
	uint8_t size;
	uint8_t flags;
	uint16_t reserved;
	uint64_t sender;
	uint8_t payload[HV_MSG_PAYLOAD];
} QEMU_PACKED;

QEMU_BUILD_BUG_ON(sizeof(struct slot) != SLOT_SIZE);

/**
 * hv_synic_init() - set up one SynIC per virtual processor
 * @host: the host, with its number of processors known
 */
void hv_synic_init(struct hv_host *host)
{
	unsigned int i;

	host->vp = g_new0(struct hv_vp, host->vps);
	for (i = 0; i < host->vps; i++)
		QSIMPLEQ_INIT(&host->vp[i].queue);
	hv_synic_reset(host);
}

/**
 * hv_synic_reset() - restore the state after power on
 * @host: the host
 */
void hv_synic_reset(struct hv_host *host)
{
	unsigned int i, sint;

	for (i = 0; i < host->vps; i++) {
		struct hv_vp *vp = &host->vp[i];
		struct hv_msg *msg;

		while ((msg = QSIMPLEQ_FIRST(&vp->queue))) {
			QSIMPLEQ_REMOVE_HEAD(&vp->queue, next);
			g_free(msg);
		}
		vp->scontrol = 0;
		vp->siefp = 0;
		vp->simp = 0;
		for (sint = 0; sint < HV_SINTS; sint++)
			vp->sint[sint] = SINT_MASKED;
	}
}

static bool page_enabled(const struct hv_vp *vp, uint64_t page)
{
	return (vp->scontrol & SYNIC_ENABLE) && (page & SYNIC_ENABLE);
}

static void raise_sint(unsigned int vcpu, const struct hv_vp *vp)
{
	uint64_t sint = vp->sint[HV_VMBUS_SINT];
	CPUState *cpu = qemu_get_cpu(vcpu);

	if (!cpu || (sint & (SINT_MASKED | SINT_POLLING)) || (sint & 0xff) < 16)
		return;
	/* physical destination, fixed delivery, edge */
	apic_deliver_irq(X86_CPU(cpu)->apic_id, 0, 0, sint & 0xff, 0);
}

static hwaddr slot_address(const struct hv_vp *vp)
{
	return (vp->simp & ~(uint64_t)(HV_PAGE - 1)) + HV_VMBUS_SINT * SLOT_SIZE;
}

static uint32_t slot_type(hwaddr at)
{
	return address_space_ldl_le(&address_space_memory, at + SLOT_TYPE,
				    MEMTXATTRS_UNSPECIFIED, NULL);
}

/* If the guest has not read the last message, it is asked to signal when it has. */
static bool slot_busy(hwaddr at)
{
	if (!slot_type(at))
		return false;
	address_space_stb(&address_space_memory, at + SLOT_FLAGS, SLOT_PENDING,
			  MEMTXATTRS_UNSPECIFIED, NULL);
	/* Check again: the guest may have emptied the slot before it saw the flag. */
	smp_mb();
	return slot_type(at) != 0;
}

/**
 * hv_synic_deliver() - put the next queued message in its slot, if that is free
 * @host: the host
 * @vcpu: whose queue
 *
 * Called when a message is queued and at every end of message.
 */
void hv_synic_deliver(struct hv_host *host, unsigned int vcpu)
{
	struct hv_vp *vp = &host->vp[vcpu];
	struct hv_msg *msg = QSIMPLEQ_FIRST(&vp->queue);
	struct slot slot = { 0 };
	hwaddr at = slot_address(vp);

	if (!msg || !page_enabled(vp, vp->simp) || slot_busy(at))
		return;

	QSIMPLEQ_REMOVE_HEAD(&vp->queue, next);
	slot.size = msg->size;
	slot.flags = QSIMPLEQ_EMPTY(&vp->queue) ? 0 : SLOT_PENDING;
	memcpy(slot.payload, msg->payload, msg->size);
	g_free(msg);

	/* The type makes the message visible, so it is written last. */
	address_space_write(&address_space_memory, at, MEMTXATTRS_UNSPECIFIED, &slot,
			    sizeof(slot));
	/* as explained above */
	smp_wmb();
	address_space_stl_le(&address_space_memory, at + SLOT_TYPE, MSG_TYPE_VMBUS,
			     MEMTXATTRS_UNSPECIFIED, NULL);
	raise_sint(vcpu, vp);
}

/**
 * hv_synic_post() - send a channel message to a virtual processor
 * @host: the host
 * @vcpu: its number; if there is none with it, nothing is sent
 * @payload: the message
 * @size: its bytes, at most HV_MSG_PAYLOAD
 */
void hv_synic_post(struct hv_host *host, unsigned int vcpu, const void *payload, uint32_t size)
{
	struct hv_msg *msg;

	assert(size <= HV_MSG_PAYLOAD);
	if (vcpu >= host->vps) {
		hv_vmbus_error(host, "message for processor %u, there are %u", vcpu, host->vps);
		return;
	}
	msg = g_new0(struct hv_msg, 1);
	msg->size = size;
	memcpy(msg->payload, payload, size);
	QSIMPLEQ_INSERT_TAIL(&host->vp[vcpu].queue, msg, next);
	hv_synic_deliver(host, vcpu);
}

struct event {
	struct hv_host *host;
	unsigned int flag;
};

static void event_on_cpu(CPUState *cpu, run_on_cpu_data data)
{
	struct event *ev = data.host_ptr;
	struct hv_vp *vp = &ev->host->vp[cpu->cpu_index];
	hwaddr at, len = sizeof(uint32_t);
	uint32_t *word = NULL;

	if (page_enabled(vp, vp->siefp)) {
		at = (vp->siefp & ~(uint64_t)(HV_PAGE - 1)) + HV_VMBUS_SINT * SLOT_SIZE +
		     ev->flag / 32 * 4;
		word = address_space_map(&address_space_memory, at, &len, true,
					 MEMTXATTRS_UNSPECIFIED);
	}
	if (word && len == sizeof(*word))
		qatomic_or(word, cpu_to_le32(1u << ev->flag % 32));
	if (word) {
		address_space_unmap(&address_space_memory, word, len, true, len);
		raise_sint(cpu->cpu_index, vp);
	}
	g_free(ev);
}

/**
 * hv_synic_event() - set an event flag and interrupt the guest
 * @host: the host
 * @vcpu: which processor's flags
 * @flag: number of the flag, the relid of a channel
 *
 * The guest may clear flags at the same time. With one processor TCG executes atomic instructions
 * as plain ones. So the flag is set on that processor's thread, between two instructions.
 */
void hv_synic_event(struct hv_host *host, unsigned int vcpu, unsigned int flag)
{
	struct event *ev;
	CPUState *cpu;

	cpu = vcpu < host->vps ? qemu_get_cpu(vcpu) : NULL;
	if (!cpu)
		return;
	ev = g_new0(struct event, 1);
	ev->host = host;
	ev->flag = flag;
	async_run_on_cpu(cpu, event_on_cpu, RUN_ON_CPU_HOST_PTR(ev));
}
