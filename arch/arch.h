/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every architecture gives to the rest of xvmm. arch/<isa>/ implements it; nothing above knows
 * which one it is built for.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices/pci.h"
#include "vmm/core/kvm.h"
#include "vmm/core/memory.h"

struct bus;
struct error;

/* --- the platform: what there is at which address --- */

enum arch_device_kind {
	ARCH_DEVICE_SERIAL,
	ARCH_DEVICE_POWER, /* its interrupt is the power button; registers: devices/acpi_pm.h */
	ARCH_DEVICE_PVPANIC,
	ARCH_DEVICE_DEBUG_EXIT,
	ARCH_DEVICE_GUEST_MARK,
	ARCH_DEVICE_VIRTIO_MMIO, /* the last one */
};

enum {
	ARCH_DEVICE_KINDS = ARCH_DEVICE_VIRTIO_MMIO + 1,
};

enum {
	ARCH_NO_GSI = UINT32_MAX,
};

/* One device, as the guest shall find it. */
struct arch_device {
	enum arch_device_kind kind;
	bool pio; /* @base is a port number */
	uint64_t base;
	uint64_t size; /* 0: it has no registers here, only the interrupt */
	uint32_t gsi;  /* or ARCH_NO_GSI */
	bool level;    /* the interrupt stays asserted until the guest ends it; else an edge */
};

/*
 * Where device @index (from 0) of @kind goes. -ENOSPC when the platform has no more room for this
 * kind; the error says how many there may be.
 */
int arch_place_device(enum arch_device_kind kind, unsigned int index, struct arch_device *device,
		      struct error *err);

/* Registers that a machine has, apart from its devices. 0, or a negative errno as bus_add()'s. */
int arch_add_registers(struct bus *pio, struct error *err);

/* The PCI host bridge, where there is one. */
struct arch_pci {
	struct pci_places places;
	uint32_t gsi[4]; /* that interrupt pins raise: INTA of slot n raises gsi[n % 4] */
};

/* For a VM whose memory ends at @memory_end. */
void arch_place_pci(uint64_t memory_end, struct arch_pci *pci);

/* --- memory --- */

/*
 * Where @size bytes of memory go, around the holes. Returns the number of ranges (at most
 * MEMORY_MAX_REGIONS), or a negative errno with an error that gives the limits.
 */
int arch_memory_ranges(uint64_t size, struct memory_range ranges[MEMORY_MAX_REGIONS],
		       struct error *err);

/* --- virtual machine --- */

/* The most vCPUs that this architecture's code can describe to a guest. */
unsigned int arch_max_cpus(void);

/* Interrupt controller and what else must be there before the first vCPU. */
int arch_vm_init(struct kvm_vm *vm, struct error *err);

/* What takes all vCPUs to be there, and none to have run. */
int arch_vm_complete(struct kvm_vm *vm, struct error *err);

/*
 * Send the first vCPU an interrupt that it can't mask, as the NMI button of a PC does. Returns 0;
 * -EOPNOTSUPP where the architecture has none; or another negative errno. Any thread.
 */
int arch_vm_inject_nmi(const struct kvm_vm *vm, struct error *err);

/* The architecture, as QEMU calls its targets. */
extern const char arch_name[];

/*
 * True if this machine's KVM can run an operating system's kernel. Where it can't, *@why (static)
 * says why; small guests may still run.
 */
bool arch_can_run_linux(const char **why);

/* The machine, for the firmware tables. */
struct arch_platform {
	const struct kvm_vm *vm; /* after arch_vm_init(); NULL: there will be none */
	unsigned int cpus;
	const struct arch_device *devices;
	size_t n_devices;
	const struct arch_pci *pci; /* NULL: there is none */
};

/* What a kernel is told besides, by the tables of some architectures. */
struct arch_handover {
	const char *cmdline;
	struct memory_range initrd; /* in guest memory already; size 0: none */
};

/* Firmware tables, written to @mem; *@tables: where they begin (RSDP, device tree). */
int arch_write_tables(const struct guest_memory *mem, const struct arch_platform *platform,
		      const struct arch_handover *handover, gpa_t *tables, struct error *err);

/* --- vCPUs --- */

enum boot_protocol {
	BOOT_PROTOCOL_AUTO,    /* the kernel file decides */
	BOOT_PROTOCOL_LINUX64, /* arch/x86/boot.rst, "64-bit Boot Protocol"; arm64/booting.rst */
	BOOT_PROTOCOL_PVH,     /* x86: Xen, docs/misc/pvh.pandoc */
};

/* How the first vCPU enters the kernel. */
struct arch_entry {
	enum boot_protocol protocol; /* not AUTO */
	gpa_t entry;
	gpa_t params; /* LINUX64: struct boot_params or device tree; PVH: struct hvm_start_info */
};

/* What all @cpus vCPUs of a VM have in common: KVM takes a while to say what this host has. */
struct arch_cpu_model;
int arch_cpu_model_create(const struct kvm_vm *vm, unsigned int cpus, struct arch_cpu_model **model,
			  struct error *err);
void arch_cpu_model_destroy(struct arch_cpu_model *model); /* accepts NULL */

/* Features, topology, interrupt controller of a vCPU that was just created. */
int arch_vcpu_init(const struct kvm_vcpu *vcpu, struct arch_cpu_model *model, struct error *err);

/* Registers of the first vCPU, and what they point to in @mem. Others wait for the guest. */
int arch_vcpu_set_entry(const struct kvm_vcpu *vcpu, const struct guest_memory *mem,
			const struct arch_entry *entry, struct error *err);

enum arch_exit {
	ARCH_EXIT_CONTINUE, /* handled: run on */
	ARCH_EXIT_POWER_OFF,
	ARCH_EXIT_RESET,
	ARCH_EXIT_TRIPLE_FAULT,
	ARCH_EXIT_UNSUPPORTED, /* the guest did what this KVM can't run; @err says what */
	ARCH_EXIT_HOST_FAILED, /* not the guest's doing; @err says what */
};

/* Handle the exit in @vcpu->run after KVM_RUN returned 0. The vCPU's thread. */
enum arch_exit arch_vcpu_handle_exit(const struct kvm_vcpu *vcpu, const struct bus *mmio,
				     const struct bus *pio, struct error *err);

#endif
