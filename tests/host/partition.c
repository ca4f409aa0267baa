// SPDX-License-Identifier: GPL-2.0-only
/*
 * The partition as the processor sees it: CPUID leaves and synthetic MSRs.
 *
 * Numbers from the Hypervisor Top Level Functional Specification. These are called on the
 * threads of the virtual CPUs, without the big lock.
 */
#include "host.h"
#include "hw/core/cpu.h"
#include "hw/acpi/aml-build.h"
#include "exec/address-spaces.h"
#include "sysemu/runstate.h"
#include "hw/hvhost/hvhost.h"

#define MSR_GUEST_OS_ID		0x40000000
#define MSR_HYPERCALL		0x40000001
#define MSR_VP_INDEX		0x40000002
#define MSR_RESET		0x40000003
#define MSR_TIME_REF_COUNT	0x40000020
#define MSR_SCONTROL		0x40000080
#define MSR_SVERSION		0x40000081
#define MSR_SIEFP		0x40000082
#define MSR_SIMP		0x40000083
#define MSR_EOM			0x40000084
#define MSR_SINT0		0x40000090
#define MSR_CRASH_P0		0x40000100
#define MSR_CRASH_CTL		0x40000105

#define FEATURE_TIME_REF_COUNT	(1u << 1)
#define FEATURE_SYNIC		(1u << 2)
#define FEATURE_HYPERCALL	(1u << 5)
#define FEATURE_VP_INDEX	(1u << 6)
#define FEATURE_RESET		(1u << 7)
#define PRIV_POST_MESSAGES	(1u << 4)
#define PRIV_SIGNAL_EVENTS	(1u << 5)
#define MISC_CRASH_MSRS		(1u << 10)
#define HINT_NO_AUTO_EOI	(1u << 9)
#define CRASH_NOTIFY		(1ull << 63)
#define CRASH_NOTIFY_MSG	(1ull << 62)

#define CRASH_LOG_MAX		(2 * HV_PAGE)

/* QEMU's calls pass no pointer to our state. A machine has only one host. */
static struct hv_host *the_host;

/**
 * hv_partition_bind() - set the host that QEMU's calls are for
 * @host: the host, never freed before QEMU ends
 */
void hv_partition_bind(struct hv_host *host)
{
	the_host = host;
}

/**
 * hv_partition_reset() - forget what the guest told the hypervisor
 * @host: the host
 */
void hv_partition_reset(struct hv_host *host)
{
	host->guest_os_id = 0;
	host->hypercall = 0;
	memset(host->crash, 0, sizeof(host->crash));
}

static void partition_version(const struct hv_host *host, uint32_t *eax, uint32_t *ebx)
{
	static const struct {
		uint32_t build, version;
	} gen[] = {
		{ 9600, 6 << 16 | 3 },
		{ 14393, 10 << 16 },
		{ 17763, 10 << 16 },
	};

	*eax = gen[host->ic].build;
	*ebx = gen[host->ic].version;
}

/**
 * hvhost_cpuid() - answer a CPUID leaf of the hypervisor range
 * @leaf: the leaf asked for
 * @eax: result
 * @ebx: result
 * @ecx: result
 * @edx: result
 *
 * Context: any thread; touches nothing that changes while the guest runs.
 * Return: true when answered here.
 */
bool hvhost_cpuid(uint32_t leaf, uint32_t *eax, uint32_t *ebx, uint32_t *ecx, uint32_t *edx)
{
	const struct hv_host *host = the_host;

	if (!host || leaf < 0x40000000 || leaf > 0x400000ff)
		return false;
	*eax = 0;
	*ebx = 0;
	*ecx = 0;
	*edx = 0;
	switch (leaf) {
	case 0x40000000:
		*eax = 0x40000006;
		memcpy(ebx, "Micr", 4);
		memcpy(ecx, "osof", 4);
		memcpy(edx, "t Hv", 4);
		break;
	case 0x40000001:
		memcpy(eax, "Hv#1", 4);
		break;
	case 0x40000002:
		partition_version(host, eax, ebx);
		break;
	case 0x40000003:
		*eax = FEATURE_TIME_REF_COUNT | FEATURE_SYNIC | FEATURE_HYPERCALL |
		       FEATURE_VP_INDEX | FEATURE_RESET;
		*ebx = PRIV_POST_MESSAGES | PRIV_SIGNAL_EVENTS;
		*edx = MISC_CRASH_MSRS;
		break;
	case 0x40000004:
		*eax = host->aeoi ? 0 : HINT_NO_AUTO_EOI;
		*ebx = UINT32_MAX;	/* the guest never reports long waits for spin locks */
		break;
	case 0x40000005:
		*eax = host->vps;
		*ebx = host->vps;
		break;
	}
	return true;
}

static uint64_t synic_msr_get(const struct hv_vp *vp, uint32_t msr)
{
	switch (msr) {
	case MSR_SCONTROL:
		return vp->scontrol;
	case MSR_SVERSION:
		return 1;
	case MSR_SIEFP:
		return vp->siefp;
	case MSR_SIMP:
		return vp->simp;
	case MSR_SINT0 ... MSR_SINT0 + HV_SINTS - 1:
		return vp->sint[msr - MSR_SINT0];
	}
	return 0;
}

static void synic_msr_set(struct hv_host *host, unsigned int vcpu, uint32_t msr, uint64_t val)
{
	struct hv_vp *vp = &host->vp[vcpu];

	switch (msr) {
	case MSR_SCONTROL:
		vp->scontrol = val;
		break;
	case MSR_SIEFP:
		vp->siefp = val;
		break;
	case MSR_SIMP:
		vp->simp = val;
		break;
	case MSR_SINT0 ... MSR_SINT0 + HV_SINTS - 1:
		vp->sint[msr - MSR_SINT0] = val;
		break;
	}
	/* After an end of message, or when a slot has become usable. */
	hv_synic_deliver(host, vcpu);
}

static uint64_t partition_get(struct hv_host *host, unsigned int vcpu, uint32_t msr)
{
	switch (msr) {
	case MSR_GUEST_OS_ID:
		return host->guest_os_id;
	case MSR_HYPERCALL:
		return host->hypercall;
	case MSR_CRASH_P0 ... MSR_CRASH_P0 + 4:
		return host->crash[msr - MSR_CRASH_P0];
	case MSR_CRASH_CTL:
		return CRASH_NOTIFY | CRASH_NOTIFY_MSG;
	}
	return synic_msr_get(&host->vp[vcpu], msr);
}

static void guest_crashed(struct hv_host *host, uint64_t ctl)
{
	QDict *ev = hv_event("guest_crash");
	QList *params = qlist_new();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(host->crash); i++) {
		g_autofree char *hex = g_strdup_printf("0x%016" PRIx64, host->crash[i]);

		qlist_append_str(params, hex);
	}
	qdict_put(ev, "params", params);

	if ((ctl & CRASH_NOTIFY_MSG) && host->crash[4]) {
		size_t len = MIN(host->crash[4], CRASH_LOG_MAX);
		g_autofree char *log = g_malloc0(len + 1);
		g_autofree char *text = NULL;

		address_space_read(&address_space_memory, host->crash[3],
				   MEMTXATTRS_UNSPECIFIED, log, len);
		text = g_utf8_make_valid(log, strlen(log));
		qdict_put_str(ev, "log", text);
	}
	host->crashed = true;
	hv_event_send(host, ev);
}

static void partition_set(struct hv_host *host, unsigned int vcpu, uint32_t msr, uint64_t val)
{
	switch (msr) {
	case MSR_GUEST_OS_ID:
		host->guest_os_id = val;
		break;
	case MSR_HYPERCALL:
		hv_hypercall_page(host, val);
		break;
	case MSR_RESET:
		if (val & 1)
			qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
		break;
	case MSR_CRASH_P0 ... MSR_CRASH_P0 + 4:
		host->crash[msr - MSR_CRASH_P0] = val;
		break;
	case MSR_CRASH_CTL:
		if (val & CRASH_NOTIFY)
			guest_crashed(host, val);
		break;
	default:
		synic_msr_set(host, vcpu, msr, val);
	}
}

/* Without the lock, because it is the guest's clock source and read very often. */
static bool msr_fast(struct CPUState *cpu, uint32_t msr, uint64_t *val)
{
	switch (msr) {
	case MSR_VP_INDEX:
		*val = cpu->cpu_index;
		return true;
	case MSR_TIME_REF_COUNT:
		*val = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) / 100;
		return true;
	}
	return false;
}

static bool msr_ours(struct CPUState *cpu, uint32_t msr)
{
	return the_host && msr >= 0x40000000 && msr <= 0x40000fff &&
	       (unsigned int)cpu->cpu_index < the_host->vps;
}

/**
 * hvhost_rdmsr() - read a synthetic MSR
 * @cpu: the processor that reads
 * @msr: its number
 * @val: result
 *
 * Context: thread of @cpu, takes the big lock.
 * Return: true when it was one of ours.
 */
bool hvhost_rdmsr(struct CPUState *cpu, uint32_t msr, uint64_t *val)
{
	if (!msr_ours(cpu, msr))
		return false;
	if (msr_fast(cpu, msr, val))
		return true;
	qemu_mutex_lock_iothread();
	*val = partition_get(the_host, cpu->cpu_index, msr);
	qemu_mutex_unlock_iothread();
	return true;
}

/**
 * hvhost_wrmsr() - write a synthetic MSR
 * @cpu: the processor that writes
 * @msr: its number
 * @val: the value
 *
 * Context: thread of @cpu, takes the big lock.
 * Return: true when it was one of ours.
 */
bool hvhost_wrmsr(struct CPUState *cpu, uint32_t msr, uint64_t val)
{
	if (!msr_ours(cpu, msr))
		return false;
	qemu_mutex_lock_iothread();
	partition_set(the_host, cpu->cpu_index, msr, val);
	qemu_mutex_unlock_iothread();
	return true;
}

/**
 * hvhost_auto_eoi() - check whether a vector ends its own interrupt on delivery
 * @cpu: the processor
 * @vector: the vector about to be delivered
 *
 * Context: big lock held.
 * Return: true when a SINT with AutoEOI is routed to it: then it never enters the APIC's ISR.
 */
bool hvhost_auto_eoi(struct CPUState *cpu, int vector)
{
	const uint64_t masked = 1 << 16, auto_eoi = 1 << 17;
	unsigned int i;

	if (!the_host || (unsigned int)cpu->cpu_index >= the_host->vps)
		return false;
	for (i = 0; i < HV_SINTS; i++) {
		uint64_t sint = the_host->vp[cpu->cpu_index].sint[i];

		if ((sint & 0xff) == vector && (sint & auto_eoi) && !(sint & masked))
			return true;
	}
	return false;
}

/* The same place as on Hyper-V: above 4 GiB, and above all memory of our guests. */
#define MMIO_BEGIN	0xfe0000000ULL
#define MMIO_LENGTH	0x20000000ULL
#define VMBUS_IRQ	5

static Aml *mmio_window(void)
{
	Aml *crs = aml_resource_template();

	aml_append(crs, aml_qword_memory(AML_POS_DECODE, AML_MIN_FIXED, AML_MAX_FIXED,
					 AML_NON_CACHEABLE, AML_READ_WRITE, 0, MMIO_BEGIN,
					 MMIO_BEGIN + MMIO_LENGTH - 1, 0, MMIO_LENGTH));
	return crs;
}

/**
 * hvhost_acpi() - add the device by which guests find VMBus
 * @dsdt: the table under construction
 *
 * Linux up to 4.4 does not load hv_vmbus if the device has no interrupt, although it does not use
 * the interrupt. It oopses if no ancestor of the device has a window for MMIO.
 */
void hvhost_acpi(struct Aml *dsdt)
{
	Aml *scope, *module, *dev, *crs;

	if (!the_host)
		return;
	scope = aml_scope("\\_SB");
	module = aml_device("VMOD");
	aml_append(module, aml_name_decl("_HID", aml_string("ACPI0004")));
	aml_append(module, aml_name_decl("_UID", aml_int(0)));
	aml_append(module, aml_name_decl("_CRS", mmio_window()));
	dev = aml_device("VMBS");
	aml_append(dev, aml_name_decl("_HID", aml_string("VMBus")));
	aml_append(dev, aml_name_decl("_UID", aml_int(0)));
	aml_append(dev, aml_name_decl("_STA", aml_int(0xf)));
	crs = aml_resource_template();
	aml_append(crs, aml_irq_no_flags(VMBUS_IRQ));
	aml_append(dev, aml_name_decl("_CRS", crs));
	aml_append(module, dev);
	aml_append(scope, module);
	aml_append(dsdt, scope);
}
