/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM handles: /dev/kvm, a VM, a vCPU, and the ioctls that every architecture shares. What belongs
 * to one architecture is in arch/; nobody else issues a KVM ioctl (Documentation/virt/kvm/api.rst).
 */
#ifndef VMM_CORE_KVM_H
#define VMM_CORE_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct guest_memory;

struct kvm_vm {
	int kvm_fd;	     /* /dev/kvm; owned */
	int vm_fd;	     /* owned */
	size_t vcpu_mmap;    /* size of a vCPU's struct kvm_run mapping, in bytes */
	uint64_t created_ms; /* as counter_now_ms() */

	/*
	 * From arch/: how interrupt numbers (GSIs) reach the interrupt controller by default, at
	 * most KVM_IRQCHIP_ROUTES_MAX entries; the first number that is free for messages.
	 */
	unsigned int (*irqchip_routes)(struct kvm_irq_routing_entry *entries);
	uint32_t first_msi_gsi;
	unsigned int irqchip; /* which interrupt controller, where there are several; arch/'s */

	pthread_mutex_t routes_lock;	  /* of the next two */
	struct kvm_msi_route *msi_routes; /* owned; of first_msi_gsi and those that follow */
	unsigned int n_msi_routes;
};

enum {
	KVM_IRQCHIP_ROUTES_MAX = 64,
};

struct kvm_vcpu {
	int fd; /* owned */
	unsigned int index;
	struct kvm_run *run; /* mapped, owned; the vCPU's thread, but for immediate_exit */
	size_t run_size;
};

/*
 * Open /dev/kvm. The error tells a missing device, a missing permission and a wrong API version
 * apart. On failure *@vm is as after kvm_vm_destroy().
 */
int kvm_vm_open(struct kvm_vm *vm, struct error *err);

/*
 * Then create the VM, without memory or vCPUs. The kernel waits there for what it does in its own
 * time (RCU), up to tens of milliseconds. On failure *@vm is as after kvm_vm_destroy().
 */
int kvm_vm_create(struct kvm_vm *vm, struct error *err);

/* Close the VM; its vCPUs must be destroyed already. Accepts a vm whose descriptors are -1. */
void kvm_vm_destroy(struct kvm_vm *vm);

/* KVM_CHECK_EXTENSION on the VM: 0 if there is none, else what the capability says. */
int kvm_vm_check(const struct kvm_vm *vm, int capability);

/* Tell KVM about all regions of @mem, which must outlive the VM. Once, before any vCPU runs. */
int kvm_vm_set_memory(struct kvm_vm *vm, const struct guest_memory *mem, struct error *err);

/*
 * Have KVM signal the eventfd @fd (borrowed until removed) when the guest writes @value with
 * @len bytes (0: any width and value, where KVM can) to the MMIO or port address @addr. 0 or
 * negative errno. Any thread.
 */
struct kvm_ioevent {
	uint64_t addr;
	uint32_t len;
	bool pio;
	uint64_t value;
};
int kvm_vm_add_ioeventfd(const struct kvm_vm *vm, const struct kvm_ioevent *ev, int fd);
int kvm_vm_remove_ioeventfd(const struct kvm_vm *vm, const struct kvm_ioevent *ev, int fd);

/*
 * Have KVM raise an edge on @gsi whenever the eventfd @fd (borrowed until removed) is signalled.
 * 0 or negative errno. Any thread.
 */
int kvm_vm_add_irqfd(const struct kvm_vm *vm, uint32_t gsi, int fd);
/*
 * The same, but the interrupt stays asserted until the guest ends it (EOI) or unmasks it. KVM then
 * signals the eventfd @resample_fd (borrowed, too): whoever still has a reason for the interrupt
 * must signal @fd again. So none is lost on a guest that doesn't listen yet.
 */
int kvm_vm_add_level_irqfd(const struct kvm_vm *vm, uint32_t gsi, int fd, int resample_fd);
int kvm_vm_remove_irqfd(const struct kvm_vm *vm, uint32_t gsi, int fd);

/* A message-signalled interrupt: a write of @data to @address by the device @devid. */
struct kvm_msi_message {
	uint64_t address;
	uint32_t data;
	uint32_t devid; /* PCI: bus << 8 | slot << 3 | function */
};

/*
 * Have @gsi, from then on a number for irqfds, stand for @message. @gsi: from an earlier call, or
 * 0 for a new one. Returns the number, or a negative errno, and then nothing has changed; -ENOTSUP
 * where the architecture has no messages. No ioctl if nothing changes. Any thread.
 */
int kvm_vm_set_msi(struct kvm_vm *vm, uint32_t gsi, const struct kvm_msi_message *message);

/* Give a number back; no irqfd uses it any more. Any thread. */
void kvm_vm_free_msi(struct kvm_vm *vm, uint32_t gsi);

/*
 * Have KVM keep the guest's writes to the @len bytes of MMIO at @addr in a ring, instead of
 * returning from KVM_RUN with each: for registers that may be written late, which is when the next
 * exit of any vCPU is handled. When the ring is full they come as they always did. 0 or negative
 * errno. Any thread.
 */
int kvm_vm_add_coalesced_mmio(const struct kvm_vm *vm, uint64_t addr, uint32_t len);
int kvm_vm_remove_coalesced_mmio(const struct kvm_vm *vm, uint64_t addr, uint32_t len);

/* That ring, one for the VM. It lies in a vCPU's mapping, and goes away with it. */
struct kvm_coalesced {
	struct kvm_coalesced_mmio_ring *ring; /* NULL where KVM has none */
	uint32_t size;			      /* in entries */
};
struct kvm_coalesced kvm_vcpu_coalesced(const struct kvm_vm *vm, const struct kvm_vcpu *vcpu);

/*
 * The oldest write in the ring, or NULL. Any thread may look whether there is one, and finds those
 * that precede, for the guest, the exit which it handles. But one at a time takes them: it is gone
 * with kvm_coalesced_pop(), which comes after it was handled.
 */
const struct kvm_coalesced_mmio *kvm_coalesced_first(const struct kvm_coalesced *coalesced);
void kvm_coalesced_pop(const struct kvm_coalesced *coalesced);

/* Create vCPU @index. On failure *@vcpu is as after kvm_vcpu_destroy(). */
int kvm_vcpu_create(const struct kvm_vm *vm, unsigned int index, struct kvm_vcpu *vcpu,
		    struct error *err);
void kvm_vcpu_destroy(struct kvm_vcpu *vcpu);

/*
 * Run the guest until it exits: 0 with the reason in @vcpu->run, -EINTR if the vCPU was kicked, or
 * another negative errno. The vCPU's thread.
 */
int kvm_vcpu_run(const struct kvm_vcpu *vcpu);

/*
 * Tell the guest, if its clock is KVM's, that this vCPU stood still: its watchdogs take no notice
 * then. Between two runs; the vCPU's thread.
 */
void kvm_vcpu_tell_pause(const struct kvm_vcpu *vcpu);

/*
 * Have kvm_vcpu_run() alone unblock @signal, which the vCPU's thread keeps blocked: sending it to
 * that thread then ends a run with -EINTR, and its handler or default action never comes to pass.
 */
int kvm_vcpu_unblock_in_run(const struct kvm_vcpu *vcpu, int signal);

/* ioctl() that repeats after EINTR and returns a negative errno. For arch/ and this file. */
int kvm_ioctl(int fd, unsigned long request, unsigned long arg);

#endif
