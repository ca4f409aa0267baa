// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls. VMCALL is an invalid instruction under TCG, so the hypercall page holds a port
 * write and a return instead. The port's handler reads the caller's registers. Messages and signals
 * are handled later, in a bottom half.
 */
#include "host.h"
#include "vmbus.h"
#include "cpu.h"
#include "exec/address-spaces.h"

#define HC_PORT			0xec
#define HC_POST_MESSAGE		0x5c
#define HC_SIGNAL_EVENT		0x5d
#define HC_FAST			(1ull << 16)

struct post_message {
	uint32_t conn;
	uint32_t reserved;
	uint32_t type;
	uint32_t size;
	uint8_t payload[HV_MSG_PAYLOAD];
} QEMU_PACKED;

static void guest_read(uint64_t gpa, void *buf, size_t len)
{
	address_space_read(&address_space_memory, gpa, MEMTXATTRS_UNSPECIFIED, buf, len);
}

static uint16_t post_message(struct hv_host *host, uint64_t gpa)
{
	struct post_message in;
	struct hv_msg *msg;

	guest_read(gpa, &in, sizeof(in));
	if (le32_to_cpu(in.size) > HV_MSG_PAYLOAD)
		return HV_STATUS_INVALID_PARAMETER;
	if (!hv_vmbus_conn_ok(host, le32_to_cpu(in.conn)))
		return HV_STATUS_INVALID_CONNECTION;

	msg = g_new0(struct hv_msg, 1);
	msg->conn = le32_to_cpu(in.conn);
	msg->size = le32_to_cpu(in.size);
	memcpy(msg->payload, in.payload, msg->size);
	QSIMPLEQ_INSERT_TAIL(&host->posted, msg, next);
	qemu_bh_schedule(host->bh);
	return HV_STATUS_SUCCESS;
}

static uint16_t signal_event(struct hv_host *host, uint32_t conn)
{
	struct hv_channel *ch = NULL;

	if (conn > VMBUS_CONN_EVENT_BASE)
		ch = hv_channel_by_relid(host, conn - VMBUS_CONN_EVENT_BASE);
	if (!ch)
		return HV_STATUS_INVALID_CONNECTION;
	ch->signalled = true;
	qemu_bh_schedule(host->bh);
	return HV_STATUS_SUCCESS;
}

static uint16_t hypercall(struct hv_host *host, uint64_t control, uint64_t input)
{
	uint64_t param = input;

	switch (control & 0xffff) {
	case HC_POST_MESSAGE:
		if (control & HC_FAST)
			return HV_STATUS_INVALID_PARAMETER;
		return post_message(host, input);
	case HC_SIGNAL_EVENT:
		if (!(control & HC_FAST))
			guest_read(input, &param, sizeof(param));
		return signal_event(host, (uint32_t)param);
	}
	return HV_STATUS_INVALID_CODE;
}

static void hc_port_write(void *opaque, hwaddr addr, uint64_t val, unsigned int size)
{
	CPUX86State *env = current_cpu ? current_cpu->env_ptr : NULL;

	if (!env)
		return;
	env->regs[R_EAX] = hypercall(opaque, env->regs[R_ECX], env->regs[R_EDX]);
}

static uint64_t hc_port_read(void *opaque, hwaddr addr, unsigned int size)
{
	return UINT64_MAX;
}

static const MemoryRegionOps hc_port_ops = {
	.read = hc_port_read,
	.write = hc_port_write,
	.endianness = DEVICE_LITTLE_ENDIAN,
	.valid = { .min_access_size = 1, .max_access_size = 1 },
};

/**
 * hv_hypercall_init() - register the port behind the hypercall page
 * @host: the host
 */
void hv_hypercall_init(struct hv_host *host)
{
	memory_region_init_io(&host->port, OBJECT(host), &hc_port_ops, host, "hv-hypercall", 1);
	memory_region_add_subregion(get_system_io(), HC_PORT, &host->port);
}

/**
 * hv_hypercall_page() - the guest wrote the hypercall MSR
 * @host: the host
 * @val: bit 0 enables, the page's address is in the upper bits
 *
 * A hypervisor maps its own page over the guest's. Here the code is written into the guest's page.
 */
void hv_hypercall_page(struct hv_host *host, uint64_t val)
{
	static const uint8_t code[] = {
		0xf3, 0x0f, 0x1e, 0xfa,		/* endbr64 */
		0xe6, HC_PORT,			/* out %al, $HC_PORT */
		0xc3,				/* ret */
	};

	if (val & 1)
		address_space_write(&address_space_memory, val & ~(uint64_t)(HV_PAGE - 1),
				    MEMTXATTRS_UNSPECIFIED, code, sizeof(code));
	host->hypercall = val;
}
