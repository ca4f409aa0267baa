/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only interface between QEMU's patched files and the emulated Hyper-V host. On a machine
 * without a hv-host device these functions do nothing.
 */
#ifndef HW_HVHOST_H
#define HW_HVHOST_H

struct Aml;
struct CPUState;

bool hvhost_cpuid(uint32_t leaf, uint32_t *eax, uint32_t *ebx, uint32_t *ecx, uint32_t *edx);
bool hvhost_rdmsr(struct CPUState *cpu, uint32_t msr, uint64_t *val);
bool hvhost_wrmsr(struct CPUState *cpu, uint32_t msr, uint64_t val);
bool hvhost_auto_eoi(struct CPUState *cpu, int vector);
void hvhost_acpi(struct Aml *dsdt);

#endif
