/* SPDX-License-Identifier: Apache-2.0 */
/* A vCPU before its first instruction: features, MSRs, registers. */
#include <asm/kvm.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/cpuid.h"
#include "arch/x86_64/layout.h"
#include "devices/acpi_pm.h"
#include "vmm/core/error.h"

#define MSR_IA32_MISC_ENABLE	 0x1a0
#define MISC_ENABLE_FAST_STRING	 (1u << 0)
#define MSR_IA32_MTRR_DEF_TYPE	 0x2ff
#define MTRR_DEF_TYPE_ENABLE	 (1u << 11)
#define MTRR_DEF_TYPE_WRITE_BACK 6u

#define CR0_PE	 (1u << 0)
#define CR0_ET	 (1u << 4)
#define CR0_PG	 (1u << 31)
#define CR4_PAE	 (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define PTE_PRESENT (1u << 0)
#define PTE_WRITE   (1u << 1)
#define PTE_HUGE    (1u << 7)

#define PAGE_SIZE 4096ULL

/* Intel SDM volume 3, 11.5.1: bit 16 of the LINT0 entry, as the byte that holds it. */
#define APIC_LVT_LINT0	     0x350
#define APIC_LVT_MASKED_BYTE 2
#define APIC_LVT_MASKED	     0x01

/* Selectors that the 64-bit boot protocol asks for; PVH doesn't mind. */
enum {
	SELECTOR_CODE = 0x10,
	SELECTOR_DATA = 0x18,
};

static int fail(struct error *err, int ret, const struct kvm_vcpu *vcpu, const char *what)
{
	errno = -ret;
	return error_errno(err, "KVM: vCPU %u: %s", vcpu->index, what);
}

struct arch_cpu_model {
	unsigned int cpus;
	bool tsc_deadline;
	union cpuid_table cpuid; /* the last vCPU's that was set */
};

int arch_cpu_model_create(const struct kvm_vm *vm, unsigned int cpus, struct arch_cpu_model **out,
			  struct error *err)
{
	struct arch_cpu_model *model = malloc(sizeof(*model));
	int ret;

	*out = NULL;
	if (!model)
		return error_set(err, -ENOMEM, "out of memory");
	model->cpus = cpus;
	model->tsc_deadline = kvm_vm_check(vm, KVM_CAP_TSC_DEADLINE_TIMER) != 0;
	model->cpuid.head.nent = CPUID_MAX_ENTRIES;
	ret = kvm_ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, (uintptr_t)&model->cpuid);
	if (ret) {
		free(model);
		errno = -ret;
		return error_errno(err, "KVM: asking for the supported CPU features");
	}
	*out = model;
	return 0;
}

void arch_cpu_model_destroy(struct arch_cpu_model *model)
{
	free(model);
}

static int set_cpuid(const struct kvm_vcpu *vcpu, struct arch_cpu_model *model, struct error *err)
{
	int ret;

	cpuid_set_vcpu(&model->cpuid, vcpu->index, model->cpus, model->tsc_deadline);
	ret = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, (uintptr_t)&model->cpuid);
	return ret ? fail(err, ret, vcpu, "setting the CPU features") : 0;
}

/* What firmware would have set: Linux turns features off where it finds these MSRs at zero. */
static int set_msrs(const struct kvm_vcpu *vcpu, struct error *err)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)];
	} msrs = {.head.nmsrs = 2};
	int ret;

	msrs.head.entries[0] = (struct kvm_msr_entry){
		.index = MSR_IA32_MISC_ENABLE,
		.data = MISC_ENABLE_FAST_STRING,
	};
	msrs.head.entries[1] = (struct kvm_msr_entry){
		.index = MSR_IA32_MTRR_DEF_TYPE,
		.data = MTRR_DEF_TYPE_ENABLE | MTRR_DEF_TYPE_WRITE_BACK,
	};
	ret = kvm_ioctl(vcpu->fd, KVM_SET_MSRS, (uintptr_t)&msrs);

	if (ret == 2)
		return 0;
	return fail(err, ret < 0 ? ret : -EINVAL, vcpu, "setting the MSRs");
}

/*
 * KVM resets the first CPU's LINT0 to take the PIC's interrupts. Nobody programs a PIC here, and
 * the serial port's edges reach it too: mask it, as firmware without a PIC would.
 */
static int mask_lint0(const struct kvm_vcpu *vcpu, struct error *err)
{
	struct kvm_lapic_state lapic;
	int ret = kvm_ioctl(vcpu->fd, KVM_GET_LAPIC, (uintptr_t)&lapic);

	if (!ret) {
		lapic.regs[APIC_LVT_LINT0 + APIC_LVT_MASKED_BYTE] |= APIC_LVT_MASKED;
		ret = kvm_ioctl(vcpu->fd, KVM_SET_LAPIC, (uintptr_t)&lapic);
	}
	return ret ? fail(err, ret, vcpu, "setting the local APIC") : 0;
}

int arch_vcpu_init(const struct kvm_vcpu *vcpu, struct arch_cpu_model *model, struct error *err)
{
	int ret = set_cpuid(vcpu, model, err);

	if (!ret)
		ret = set_msrs(vcpu, err);
	return ret || vcpu->index > 0 ? ret : mask_lint0(vcpu, err);
}

/* A segment descriptor (Intel SDM volume 3, 3.4.5) that says what @seg says. */
static uint64_t gdt_entry(const struct kvm_segment *seg)
{
	uint64_t limit = seg->g ? seg->limit >> 12 : seg->limit;

	return (limit & 0xffff) | (seg->base & 0xffffff) << 16 | (uint64_t)seg->type << 40 |
	       (uint64_t)seg->s << 44 | (uint64_t)seg->dpl << 45 | (uint64_t)seg->present << 47 |
	       (limit >> 16 & 0xf) << 48 | (uint64_t)seg->l << 53 | (uint64_t)seg->db << 54 |
	       (uint64_t)seg->g << 55 | (seg->base >> 24 & 0xff) << 56;
}

/* Flat segments, 32-bit or 64-bit code, and the table in memory that says the same. */
static int set_segments(struct kvm_sregs *sregs, bool long_mode, const struct guest_memory *mem)
{
	const struct kvm_segment code = {
		.limit = UINT32_MAX,
		.selector = SELECTOR_CODE,
		.type = 0xb, /* execute, read, accessed */
		.present = 1,
		.db = !long_mode,
		.s = 1,
		.l = long_mode,
		.g = 1,
	};
	const struct kvm_segment data = {
		.limit = UINT32_MAX,
		.selector = SELECTOR_DATA,
		.type = 0x3, /* read, write, accessed */
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	const uint64_t gdt[] = {0, 0, gdt_entry(&code), gdt_entry(&data)};

	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	/* Hardware wants a TSS; an empty one will do (PVH asks for just this). */
	sregs->tr = (struct kvm_segment){.limit = 0x67, .type = 0xb, .present = 1};
	sregs->gdt.base = LAYOUT_GDT;
	sregs->gdt.limit = sizeof(gdt) - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	return memory_write(mem, gpa(LAYOUT_GDT), gdt, sizeof(gdt));
}

/* Map the first 4 GiB one to one with 2 MiB pages. */
static int set_page_tables(struct kvm_sregs *sregs, const struct guest_memory *mem)
{
	const uint64_t directories = 4, entries = 512;
	uint64_t *pml4 = memory_translate(mem, gpa(LAYOUT_PAGE_TABLES),
					  (2 + directories) * PAGE_SIZE);
	uint64_t *pdpt, *pd;

	if (!pml4)
		return -EFAULT;
	pdpt = pml4 + entries;
	pd = pdpt + entries;
	pml4[0] = (LAYOUT_PAGE_TABLES + PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < directories; i++)
		pdpt[i] = (LAYOUT_PAGE_TABLES + (2 + i) * PAGE_SIZE) | PTE_PRESENT | PTE_WRITE;
	for (uint64_t i = 0; i < directories * entries; i++)
		pd[i] = i << 21 | PTE_PRESENT | PTE_WRITE | PTE_HUGE;
	sregs->cr3 = LAYOUT_PAGE_TABLES;
	return 0;
}

/*
 * A guest may also reboot by jumping to the BIOS in real mode (Linux: reboot=bios, which it may
 * choose itself). There is none; what it finds instead writes to the reset register.
 */
static int set_bios_reset(const struct guest_memory *mem)
{
	static const uint8_t code[] = {
		0xba,
		(LAYOUT_PORT_ACPI_PM + ACPI_PM_RESET) & 0xff, /* mov dx, port */
		(LAYOUT_PORT_ACPI_PM + ACPI_PM_RESET) >> 8,
		0xb0,
		ACPI_PM_RESET_VALUE, /* mov al, value */
		0xee,		     /* out dx, al */
		0xf4,		     /* hlt */
	};

	return memory_write(mem, gpa(LAYOUT_BIOS_RESET), code, sizeof(code));
}

int arch_vcpu_set_entry(const struct kvm_vcpu *vcpu, const struct guest_memory *mem,
			const struct arch_entry *entry, struct error *err)
{
	bool long_mode = entry->protocol == BOOT_PROTOCOL_LINUX64;
	struct kvm_regs regs = {
		.rflags = 2, /* the bit that is always set */
		.rip = entry->entry.value,
		.rsi = long_mode ? entry->params.value : 0,
		.rbx = long_mode ? 0 : entry->params.value,
	};
	struct kvm_sregs sregs;
	int ret = kvm_ioctl(vcpu->fd, KVM_GET_SREGS, (uintptr_t)&sregs);

	if (ret)
		return fail(err, ret, vcpu, "reading the registers");
	ret = set_segments(&sregs, long_mode, mem);
	if (!ret)
		ret = set_bios_reset(mem);
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (!ret && long_mode) {
		ret = set_page_tables(&sregs, mem);
		sregs.cr0 |= CR0_PG;
		sregs.cr4 |= CR4_PAE;
		sregs.efer |= EFER_LME | EFER_LMA;
	}
	if (!ret)
		ret = kvm_ioctl(vcpu->fd, KVM_SET_SREGS, (uintptr_t)&sregs);
	if (!ret)
		ret = kvm_ioctl(vcpu->fd, KVM_SET_REGS, (uintptr_t)&regs);
	return ret ? fail(err, ret, vcpu, "setting the registers") : 0;
}
