/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "devices/bus.h"
#include "vmm/core/counter.h"
#include "vmm/core/kvm.h"
#include "vmm/core/thread.h"
#include "vmm/core/timeline.h"

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

static void pause_changed(struct vcpu_shared *shared)
{
	pthread_mutex_lock(&shared->pause_lock);
	pthread_cond_broadcast(&shared->pause_changed);
	pthread_mutex_unlock(&shared->pause_lock);
}

/* Guest code may run, now that @vcpu's in_guest is set; else wait until it may again. */
static bool may_run(struct vcpu *vcpu)
{
	struct vcpu_shared *shared = vcpu->shared;

	if (!atomic_load(&shared->pausing))
		return true;
	atomic_store(&vcpu->in_guest, false);
	pthread_mutex_lock(&shared->pause_lock);
	pthread_cond_broadcast(&shared->pause_changed);
	while (atomic_load(&shared->pausing) && !atomic_load(&shared->stopping))
		pthread_cond_wait(&shared->pause_changed, &shared->pause_lock);
	pthread_mutex_unlock(&shared->pause_lock);
	kvm_vcpu_tell_pause(&vcpu->kvm);
	return false;
}

/*
 * A kick has done what it was for, or would end each run from now on: whoever kicks has set a flag
 * before, which is looked at next.
 */
static void forget_kick(struct vcpu *vcpu)
{
	static const struct timespec now = {0};
	sigset_t kick;

	__atomic_store_n(&vcpu->kvm.run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	sigtimedwait(&kick, NULL, &now);
}

/* KVM_RUN, or a wait instead: -EINTR. */
static int run_once(struct vcpu *vcpu)
{
	int ret = -EINTR;

	atomic_store(&vcpu->in_guest, true);
	if (may_run(vcpu)) {
		if (vcpu->kvm.index == 0)
			timeline_mark_often(vcpu->shared->timeline, TIMELINE_FIRST_INSTRUCTION);
		ret = kvm_vcpu_run(&vcpu->kvm);
	}
	atomic_store(&vcpu->in_guest, false);
	if (atomic_load(&vcpu->shared->pausing))
		pause_changed(vcpu->shared);
	if (ret == -EINTR)
		forget_kick(vcpu);
	return ret;
}

static void *run(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vcpu_shared *shared = vcpu->shared;
	enum arch_exit why = ARCH_EXIT_CONTINUE;
	struct error err = {0};
	int ret;

	atomic_store(&vcpu->tid, gettid());
	ret = kvm_vcpu_unblock_in_run(&vcpu->kvm, KICK_SIGNAL);
	while (!ret && why == ARCH_EXIT_CONTINUE && !atomic_load(&shared->stopping)) {
		ret = run_once(vcpu);
		/*
		 * -EAGAIN: it has waited to be started by the guest. The first one never does; KVM
		 * can't do what it has to, as to start a thread of its own.
		 */
		if (ret == -EINTR || (ret == -EAGAIN && vcpu->kvm.index > 0)) {
			ret = 0;
		} else if (!ret) {
			counter_add(&vcpu->exits, 1);
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

/*
 * End what they run. The flag ends a run that is about to begin, the signal one that is under way.
 * The signal stays pending until then, so once is enough.
 */
static void kick_all(struct vcpu *vcpus, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!vcpus[i].started)
			continue;
		__atomic_store_n(&vcpus[i].kvm.run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(vcpus[i].thread, KICK_SIGNAL);
	}
}

void vcpu_shared_init(struct vcpu_shared *shared)
{
	pthread_mutex_init(&shared->coalesced_lock, NULL);
	pthread_mutex_init(&shared->pause_lock, NULL);
	pthread_cond_init(&shared->pause_changed, NULL);
}

void vcpu_shared_destroy(struct vcpu_shared *shared)
{
	pthread_mutex_destroy(&shared->coalesced_lock);
	pthread_mutex_destroy(&shared->pause_lock);
	pthread_cond_destroy(&shared->pause_changed);
}

static bool any_in_guest(const struct vcpu *vcpus, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (atomic_load(&vcpus[i].in_guest))
			return true;
	}
	return false;
}

void vcpu_pause_all(struct vcpu *vcpus, unsigned int n, struct vcpu_shared *shared)
{
	atomic_store(&shared->pausing, true);
	kick_all(vcpus, n);
	pthread_mutex_lock(&shared->pause_lock);
	/* Unless somebody resumes them meanwhile. */
	while (atomic_load(&shared->pausing) && any_in_guest(vcpus, n))
		pthread_cond_wait(&shared->pause_changed, &shared->pause_lock);
	pthread_mutex_unlock(&shared->pause_lock);
}

void vcpu_resume_all(struct vcpu_shared *shared)
{
	atomic_store(&shared->pausing, false);
	pause_changed(shared);
}

void vcpu_stop_all(struct vcpu *vcpus, unsigned int n, struct vcpu_shared *shared)
{
	atomic_store(&shared->stopping, true);
	kick_all(vcpus, n);
	pause_changed(shared);
}

void vcpu_join_all(struct vcpu *vcpus, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (vcpus[i].started)
			pthread_join(vcpus[i].thread, NULL);
		vcpus[i].started = false;
	}
}
