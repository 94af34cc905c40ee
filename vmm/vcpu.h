/* SPDX-License-Identifier: Apache-2.0 */
/* vCPU threads: they run the guest and dispatch its exits, and never move a packet. */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "vmm/core/error.h"

struct thread_filters;
struct timeline;

/* What the vCPUs of a VM share. Set before the first one runs. */
struct vcpu_shared {
	const struct bus *mmio;
	const struct bus *pio;
	_Atomic bool stopping;
	_Atomic bool pausing;
	pthread_mutex_t pause_lock; /* of who waits for the one or the other to change */
	pthread_cond_t pause_changed;
	struct kvm_coalesced coalesced;	      /* the guest's writes that KVM kept */
	pthread_mutex_t coalesced_lock;	      /* of who dispatches them */
	const struct thread_filters *filters; /* of the vCPUs' threads, or NULL */
	struct timeline *timeline;	      /* borrowed */

	/* A vCPU can't go on: a triple fault or what KVM can't run; any vCPU's thread. */
	void (*ended)(void *opaque, enum arch_exit why, const struct error *err);
	void *opaque;
};

struct vcpu {
	struct kvm_vcpu kvm;
	struct vcpu_shared *shared;
	pthread_t thread;
	bool started;		/* the thread is there */
	_Atomic int tid;	/* of the thread; 0: not yet */
	_Atomic bool in_guest;	/* it is about to run guest code, or does */
	_Atomic uint64_t exits; /* of the guest's that came to this process; its thread counts */
};

/* Run @vcpu in a thread of its own until vcpu_stop(). 0 or a negative errno. */
int vcpu_start(struct vcpu *vcpu, struct vcpu_shared *shared);

/* Make @shared's locks; and destroy them, when all vCPUs have stopped. */
void vcpu_shared_init(struct vcpu_shared *shared);
void vcpu_shared_destroy(struct vcpu_shared *shared);

/*
 * Have no vCPU run guest code: when this returns none does, though one may still be at work on what
 * the guest has done. Those that start later wait. Any thread but a vCPU's.
 */
void vcpu_pause_all(struct vcpu *vcpus, unsigned int n, struct vcpu_shared *shared);
void vcpu_resume_all(struct vcpu_shared *shared);

/* Have all @n @vcpus stop, also those that never started: from now on none begins to run. */
void vcpu_stop_all(struct vcpu *vcpus, unsigned int n, struct vcpu_shared *shared);

/*
 * And wait until their threads are gone. Whatever else a vCPU thread may wait for (the console,
 * memory that is being filled) must have been released before.
 */
void vcpu_join_all(struct vcpu *vcpus, unsigned int n);

#endif
