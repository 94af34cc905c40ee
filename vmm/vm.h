/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM, beyond xvmm.h: with a broker; and what the commands of the control socket do to it, by the
 * thread that runs its loop, while it runs.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/boot.h"
#include "vmm/nic.h"
#include "vmm/xvmm.h"

struct broker;
struct error;
struct guest_memory;
struct kvm_vm;
struct logger;
struct net_filter;
struct timeline;

/*
 * xvmm_create(), with @broker (NULL: none) started for @config, which outlives the VM: then it can
 * be confined whatever it may have to open later; and with @timeline (NULL: one of its own), which
 * outlives it, too.
 */
int vm_create(const struct xvmm_config *config, struct broker *broker, struct timeline *timeline,
	      struct xvmm **vm, struct xvmm_error *error);

/* Whether all that the guest wrote to its console has been passed on; once it has ended. */
bool vm_console_complete(const struct xvmm *vm);

/* Where it marks what happens. Any thread may look. */
struct timeline *vm_timeline(const struct xvmm *vm);

/*
 * What the VM's CPUs, memory and kernel are, for those that have no VM: vmm/check.h. A @large guest
 * is to have huge pages, if the host gives them.
 */
int vm_check_cpus(const struct xvmm_config *config, const struct kvm_vm *kvm, struct error *err);
int vm_map_memory(const struct xvmm_config *config, bool large, const struct logger *log,
		  struct guest_memory *mem, struct error *err);
struct boot_config vm_boot_config(const struct xvmm_config *config, const struct logger *log);

/* What can be said of a network device; the strings are valid until the loop goes on. */
struct vm_net_info {
	const char *id;
	const char *backend;  /* as net_spec_backend() says it */
	const char *datapath; /* "in-process", "vhost-net", "vhost-user" */
	uint8_t mac[6];
	bool link_up;	  /* as the guest sees it */
	bool connected;	  /* what it is on is there */
	bool needs_reset; /* it stands still until the guest resets it: DEVICE_NEEDS_RESET */
	bool has_faults;
	struct nic_faults faults; /* if it has */
};

/* Of the network device @index, in the order given; -ENODEV after the last one. */
int vm_net_info(struct xvmm *vm, unsigned int index, struct vm_net_info *info);

/* Which packets the driver of the network device @index wants; -ENODEV after the last one. */
int vm_net_filter(struct xvmm *vm, unsigned int index, struct net_filter *filter);

/*
 * As xvmm_net_switch(). On success the rings paused for *@pause_us microseconds; on every failure
 * *@err is filled.
 */
int vm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net,
		  unsigned int *pause_us, struct error *err);

/* Have the network devices leave guest memory alone, and use it again, for xvmm_pause(). */
void vm_net_pause(struct xvmm *vm, bool pause);

/*
 * The descriptor that a client of the control socket has passed, and called @name: the caller's, in
 * *@fd. 0 or a negative errno.
 */
int vm_take_fd(struct xvmm *vm, const char *name, int *fd, struct error *err);

/* Press the power button, and tell the clients of the control socket. */
void vm_power_button(struct xvmm *vm);

/* Interrupt the first vCPU by what it can't mask. 0 or a negative errno. Any thread. */
int vm_inject_nmi(const struct xvmm *vm, struct error *err);

/* xvmm_stop(), by a command; and its end as if the guest had rebooted. */
void vm_quit(struct xvmm *vm);
void vm_reset(struct xvmm *vm);

/* xvmm_pause() or xvmm_resume(), and tell the clients of the control socket. */
void vm_pause(struct xvmm *vm, bool pause);
bool vm_paused(const struct xvmm *vm);

/* Of vCPU @index; -ENODEV after the last one. */
struct vm_cpu_info {
	int tid;	/* of its thread, as gettid(); 0: it has none yet */
	uint64_t exits; /* of the guest's, that KVM didn't handle itself */
};
int vm_cpu_info(const struct xvmm *vm, unsigned int index, struct vm_cpu_info *info);

#endif
