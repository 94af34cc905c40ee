/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "devices/bus.h"
#include "vmm/core/kvm.h"
#include "vmm/core/thread.h"

/*
 * Ends a KVM_RUN. It stays blocked in the vCPU's thread everywhere else, so no handler is needed
 * and the signal means nothing to the rest of the process.
 */
#define KICK_SIGNAL SIGRTMIN

/*
 * The writes that KVM kept are older than what a vCPU exits with now: they come first. Not more
 * than the ring holds: another vCPU may go on writing for ever.
 */
static void dispatch_coalesced(struct vcpu_shared *shared)
{
	const struct kvm_coalesced_mmio *write;

	if (!kvm_coalesced_first(&shared->coalesced))
		return;
	pthread_mutex_lock(&shared->coalesced_lock);
	for (uint32_t n = 0; n < shared->coalesced.size; n++) {
		write = kvm_coalesced_first(&shared->coalesced);
		if (!write)
			break;
		bus_write(shared->mmio, write->phys_addr, write->data, write->len);
		kvm_coalesced_pop(&shared->coalesced);
	}
	pthread_mutex_unlock(&shared->coalesced_lock);
}

static void *run(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vcpu_shared *shared = vcpu->shared;
	enum arch_exit why = ARCH_EXIT_CONTINUE;
	struct error err = {0};
	int ret;

	ret = kvm_vcpu_unblock_in_run(&vcpu->kvm, KICK_SIGNAL);
	while (!ret && why == ARCH_EXIT_CONTINUE && !atomic_load(&shared->stopping)) {
		ret = kvm_vcpu_run(&vcpu->kvm);
		if (ret == -EINTR || ret == -EAGAIN) {
			ret = 0;
		} else if (!ret) {
			dispatch_coalesced(shared);
			why = arch_vcpu_handle_exit(&vcpu->kvm, shared->mmio, shared->pio, &err);
		}
	}
	if (ret) {
		errno = -ret;
		error_errno(&err, "KVM: running vCPU %u", vcpu->kvm.index);
		why = ARCH_EXIT_HOST_FAILED;
	}
	if (why != ARCH_EXIT_CONTINUE)
		shared->ended(shared->opaque, why, &err);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct vcpu_shared *shared)
{
	char name[16];
	const struct thread_config config = {name, THREAD_VCPU, shared->filters};
	int ret;

	snprintf(name, sizeof(name), "vcpu%u", vcpu->kvm.index);
	vcpu->shared = shared;
	ret = thread_create(&vcpu->thread, &config, run, vcpu);
	vcpu->started = !ret;
	return ret;
}

void vcpu_stop_all(struct vcpu *vcpus, unsigned int n, struct vcpu_shared *shared)
{
	atomic_store(&shared->stopping, true);
	for (unsigned int i = 0; i < n; i++) {
		if (!vcpus[i].started)
			continue;
		/*
		 * The flag ends a run that is about to begin, the signal one that is under way. The
		 * signal stays pending until then, so once is enough.
		 */
		__atomic_store_n(&vcpus[i].kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(vcpus[i].thread, KICK_SIGNAL);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (vcpus[i].started)
			pthread_join(vcpus[i].thread, NULL);
		vcpus[i].started = false;
	}
}
