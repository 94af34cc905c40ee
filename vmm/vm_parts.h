/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM is made of, for those that put it together and run it (vmm/vm*.c). */
#ifndef VMM_VM_PARTS_H
#define VMM_VM_PARTS_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "devices/acpi_pm.h"
#include "devices/bus.h"
#include "devices/debug_exit.h"
#include "devices/guest_mark.h"
#include "devices/pci.h"
#include "devices/pvpanic.h"
#include "vmm/core/kvm.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/core/loop_call.h"
#include "vmm/core/memory.h"
#include "vmm/core/thread.h"
#include "vmm/core/timeline.h"
#include "vmm/nic.h"
#include "vmm/vcpu.h"
#include "vmm/xvmm.h"

struct error;
struct memory_fill;

enum {
	VM_DEVICES_MAX = BUS_MAX_RANGES,
};

struct xvmm {
	struct logger log; /* forwards to the next two */
	void (*user_log)(void *opaque, enum xvmm_log_level level, const char *text);
	void *user_log_opaque;
	void (*user_event)(void *opaque, const char *name, const char *data);
	void *user_event_opaque;
	struct timeline *timeline;    /* the next one, or borrowed */
	struct timeline own_timeline; /* where nobody has given one */
	struct loop *loop;
	struct loop_caller caller;
	bool sandbox;
	struct broker *broker; /* borrowed; NULL: none */
	bool opens_later;      /* files or sockets, while the guest runs, and has no broker */
	bool confined;	       /* the loop's thread is */
	struct kvm_vm kvm;
	struct guest_memory mem;
	struct memory_fill *fill; /* of it, by kernel and initrd; owned; NULL: they are there */

	/* What the guest finds at which address. */
	struct arch_device devices[VM_DEVICES_MAX];
	size_t n_devices;
	struct bus mmio;
	struct bus pio;

	struct console *console;
	bool console_complete; /* once the VM has ended */
	struct serial *serial;
	int serial_irq; /* eventfd, owned */
	struct acpi_pm acpi_pm;
	int acpi_pm_irq;	    /* eventfd, owned */
	struct loop_watch resample; /* its descriptor, an eventfd, is owned */
	struct pvpanic pvpanic;
	struct debug_exit debug_exit;
	struct guest_mark guest_mark;
	struct nic **nets; /* network devices, in the order given; owned */
	unsigned int n_nets;
	struct virtio_mmio **mmio_devices; /* on virtio-mmio; owned */
	unsigned int n_mmio_devices;
	bool has_pci;
	struct arch_pci arch_pci;
	struct pci_host pci;
	struct virtio_pci *pci_devices[PCI_SLOTS]; /* by slot; owned */
	unsigned int n_pci_devices;

	struct vcpu *vcpus;
	unsigned int n_vcpus; /* created */
	struct vcpu_shared vcpu_shared;

	struct control *control; /* NULL: none */
	const char *ended_by;	 /* of its commands, as SHUTDOWN names it; NULL: none */

	bool panic_line;	       /* a panic is looked for on the console */
	_Atomic bool panicked;	       /* and was seen there */
	struct loop_watch panic_timer; /* of a timerfd, owned: it had time to say why */

	uint64_t timeout_ms;
	int timer_fd; /* owned */
	struct loop_watch timer;

	pthread_mutex_t
		end_lock; /* of the next two: any thread may end the VM, the first one does */
	bool ended;
	struct xvmm_end end;

	bool begun;	     /* by xvmm_run() or xvmm_start() */
	atomic_bool stopped; /* by xvmm_stop() */

	/* In the background: xvmm_start(). */
	bool started; /* and not waited for yet */
	pthread_t runner;
	int ended_fd; /* eventfd, owned; -1: it never was */
	int run_ret;  /* the runner's, until it is waited for; and the next one */
	struct xvmm_error run_error;
};

/* Put it together as @config says. On failure it is in part, for vm_disassemble(). */
int vm_assemble(struct xvmm *vm, const struct xvmm_config *config, struct error *err);

/* Take it apart, while nothing of it runs. */
void vm_disassemble(struct xvmm *vm);

/*
 * It ends, for the first reason that is told. @text: one line, or NULL for that of @reason. Any
 * thread.
 */
void vm_end(struct xvmm *vm, enum xvmm_reason reason, int value, const char *text);

/*
 * Whether anybody hears what is told: else nothing is made for it, which a confined thread might
 * not be able to.
 */
bool vm_is_heard(const struct xvmm *vm);

/* Tell the clients of the control socket, and the program: control_event(), of an opaque VM. */
void vm_tell(void *vm, const char *name, json_t *data);

/* Tell them of a network device of an opaque VM; see struct nic_parts. */
void vm_net_tell(void *vm, const struct nic *nic, enum nic_event event);

/* The library's words become the caller's, who may want none; @from's code. */
int vm_report(struct xvmm_error *to, const struct error *from);

#endif
