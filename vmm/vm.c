/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM, from its creation to its end: what the public API does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "boot/boot.h"
#include "vmm/broker.h"
#include "vmm/console.h"
#include "vmm/control.h"
#include "vmm/control_commands.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/memory_fill.h"
#include "vmm/sandbox.h"
#include "vmm/vm.h"
#include "vmm/vm_parts.h"

/* --- how it ends --- */

static const char *const reason_texts[] = {
	[XVMM_POWER_OFF] = "the guest powered off",
	[XVMM_RESET] = "the guest rebooted",
	[XVMM_DEBUG_EXIT] = "the guest wrote to the debug-exit device",
	[XVMM_PANIC] = "the guest's kernel panicked",
	[XVMM_TRIPLE_FAULT] = "the guest's CPU gave up (triple fault)",
	[XVMM_UNSUPPORTED] = "the guest did what this KVM can't run",
	[XVMM_TIMEOUT] = "the time given to the guest ran out",
	[XVMM_STOPPED] = "the guest was stopped",
	[XVMM_FAILED] = "the host failed",
};

void vm_end(struct xvmm *vm, enum xvmm_reason reason, int value, const char *text)
{
	pthread_mutex_lock(&vm->end_lock);
	if (!vm->ended) {
		vm->ended = true;
		timeline_mark(vm->timeline, TIMELINE_ENDED);
		vm->end.reason = reason;
		vm->end.value = value;
		snprintf(vm->end.text, sizeof(vm->end.text), "%s",
			 text ? text : reason_texts[reason]);
	}
	pthread_mutex_unlock(&vm->end_lock);
	loop_stop(vm->loop);
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	vm_end(watch->opaque, XVMM_TIMEOUT, 0, NULL);
}

bool vm_is_heard(const struct xvmm *vm)
{
	return vm->control || vm->broker || vm->user_event;
}

void vm_tell(void *opaque, const char *name, json_t *data)
{
	struct xvmm *vm = opaque;

	if (vm->user_event) {
		char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;

		vm->user_event(vm->user_event_opaque, name, text);
		free(text);
	}
	if (vm->broker)
		broker_event(vm->broker, name, data);
	else
		control_event(vm->control, name, data);
}

/* --- the public API --- */

/* The public names for internal ones. */
_Static_assert((int)XVMM_BOOT_AUTO == (int)BOOT_PROTOCOL_AUTO &&
		       (int)XVMM_BOOT_LINUX == (int)BOOT_PROTOCOL_LINUX64 &&
		       (int)XVMM_BOOT_PVH == (int)BOOT_PROTOCOL_PVH,
	       "the same numbers");
_Static_assert((int)XVMM_LOG_ERROR == (int)LOG_LEVEL_ERROR &&
		       (int)XVMM_LOG_WARNING == (int)LOG_LEVEL_WARNING &&
		       (int)XVMM_LOG_INFO == (int)LOG_LEVEL_INFO,
	       "the same numbers");

static void forward_log(void *opaque, enum log_level level, const char *text)
{
	struct xvmm *vm = opaque;

	vm->user_log(vm->user_log_opaque, (enum xvmm_log_level)level, text);
}

int vm_report(struct xvmm_error *to, const struct error *from)
{
	if (to) {
		to->code = from->code;
		to->usage = from->usage;
		memcpy(to->text, from->text, sizeof(to->text));
	}
	return from->code;
}
_Static_assert(sizeof(((struct xvmm_error *)0)->text) == sizeof(((struct error *)0)->text),
	       "copied as a whole");

int vm_create(const struct xvmm_config *config, struct broker *broker, struct timeline *timeline,
	      struct xvmm **out, struct xvmm_error *error)
{
	struct error err = {0};
	struct xvmm *vm;

	*out = NULL;
	if (!config->kernel) {
		error_usage(&err, "no kernel was given");
		return vm_report(error, &err);
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		error_set(&err, -ENOMEM, "out of memory");
		return vm_report(error, &err);
	}
	vm->kvm = (struct kvm_vm){.kvm_fd = -1, .vm_fd = -1};
	vm->mem.fd = -1;
	vm->serial_irq = vm->acpi_pm_irq = vm->resample.fd = vm->timer_fd = vm->ended_fd = -1;
	vm->timeout_ms = config->timeout_ms;
	vm->panic_line = config->panic_line;
	vm->panic_timer.fd = -1;
	vm->sandbox = config->sandbox;
	vm->broker = broker;
	vm->opens_later = !broker && broker_is_needed(config);
	pthread_mutex_init(&vm->end_lock, NULL);
	vcpu_shared_init(&vm->vcpu_shared);
	timeline_init(&vm->own_timeline, TIMELINE_CREATE, 0);
	vm->timeline = timeline ? timeline : &vm->own_timeline;
	if (config->log) {
		vm->user_log = config->log;
		vm->user_log_opaque = config->log_opaque;
		vm->log = (struct logger){forward_log, vm};
	}
	/* Before a thread is confined: a seed for Jansson's tables takes a random number. */
	if (config->control || config->event)
		json_object_seed(0);
	vm->user_event = config->event;
	vm->user_event_opaque = config->event_opaque;
	if (vm_assemble(vm, config, &err)) {
		xvmm_destroy(vm);
		return vm_report(error, &err);
	}
	*out = vm;
	return 0;
}

int xvmm_create(const struct xvmm_config *config, struct xvmm **vm, struct xvmm_error *error)
{
	return vm_create(config, NULL, NULL, vm, error);
}

int xvmm_confine(struct xvmm *vm, struct xvmm_error *error)
{
	struct error err = {0};
	int ret;

	if (!vm->sandbox)
		error_set(&err, -EINVAL, "the VM was created without a sandbox");
	else if (vm->opens_later)
		error_set(&err, -EOPNOTSUPP,
			  "a VM with a control socket or vhost-user opens something later");
	if (err.code)
		return vm_report(error, &err);
	ret = thread_confine(&sandbox_filters, THREAD_MAIN);
	vm->confined = !ret;
	if (!ret) {
		timeline_mark(vm->timeline, TIMELINE_SANDBOX);
		return 0;
	}
	error_code(&err, ret, "the sandbox");
	error_cure(&err, "--sandbox off");
	return vm_report(error, &err);
}

static int start_timer(struct xvmm *vm, struct error *err)
{
	const struct itimerspec when = {
		.it_value.tv_sec = (time_t)(vm->timeout_ms / 1000),
		.it_value.tv_nsec = (long)(vm->timeout_ms % 1000) * 1000000,
	};
	int ret;

	vm->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (vm->timer_fd < 0)
		return error_errno(err, "creating the timer");
	timerfd_settime(vm->timer_fd, 0, &when, NULL);
	vm->timer = (struct loop_watch){
		.fd = vm->timer_fd,
		.ready = timer_ready,
		.opaque = vm,
	};
	ret = loop_watch_set(vm->loop, &vm->timer, EPOLLIN);
	return ret ? error_code(err, ret, "the timer") : 0;
}

static void fill_ended(void *opaque, const struct error *err)
{
	struct xvmm *vm = opaque;

	if (err)
		vm_end(vm, XVMM_FAILED, 0, err->text);
	else
		timeline_mark(vm->timeline, TIMELINE_KERNEL);
}

static int start_fill(struct xvmm *vm, struct error *err)
{
	const struct memory_fill_config config = {
		.filters = vm->sandbox ? &sandbox_filters : NULL,
		.log = &vm->log,
		.ended = fill_ended,
		.opaque = vm,
	};
	int ret = vm->fill ? memory_fill_start(vm->fill, &config) : 0;

	return ret ? error_code(err, ret, "starting the thread that loads the kernel") : 0;
}

static int start(struct xvmm *vm, struct error *err)
{
	int ret = vm->timeout_ms ? start_timer(vm, err) : 0;

	/* Stopped before, it doesn't begin. */
	for (unsigned int i = 0; i < vm->n_vcpus && !ret && !atomic_load(&vm->stopped); i++) {
		ret = vcpu_start(&vm->vcpus[i], &vm->vcpu_shared);
		if (ret) {
			errno = -ret;
			error_errno(err, "starting the thread of vCPU %u%s", i,
				    vm->sandbox ? " in its sandbox" : "");
		}
	}
	/* Until then the first one waits, on its first page. */
	return ret ? ret : start_fill(vm, err);
}

static int begin(struct xvmm *vm, struct xvmm_error *error)
{
	struct error err = {0};

	if (vm->begun) {
		error_set(&err, -EALREADY, "the VM was run or started before: a guest runs once");
		return vm_report(error, &err);
	}
	vm->begun = true;
	return 0;
}

static int run(struct xvmm *vm, struct xvmm_error *error)
{
	struct error err = {0};
	int ret;

	/* Before a vCPU runs: who finds it closed can do without a call. */
	loop_caller_open(&vm->caller);
	ret = start(vm, &err);
	if (!ret)
		loop_run(vm->loop);
	loop_caller_close(&vm->caller);
	console_stop(vm->console);
	vcpu_stop_all(vm->vcpus, vm->n_vcpus, &vm->vcpu_shared);
	/* Of vCPUs that wait for memory none sees it empty, now that they are stopped. */
	memory_fill_destroy(vm->fill);
	vm->fill = NULL;
	vcpu_join_all(vm->vcpus, vm->n_vcpus);
	vm->console_complete = console_flush(vm->console);
	if (ret)
		return vm_report(error, &err);
	/* loop_stop() without a reason: xvmm_stop(). */
	vm_end(vm, XVMM_STOPPED, 0, NULL);
	if (vm_is_heard(vm))
		control_commands_ended(vm_tell, vm, &vm->end, vm->ended_by);
	return 0;
}

int xvmm_run(struct xvmm *vm, struct xvmm_end *end, struct xvmm_error *error)
{
	int ret = begin(vm, error);

	if (!ret)
		ret = run(vm, error);
	if (!ret && end)
		*end = vm->end;
	return ret;
}

static void *run_in_background(void *opaque)
{
	struct xvmm *vm = opaque;

	vm->run_ret = run(vm, &vm->run_error);
	fd_eventfd_signal(vm->ended_fd);
	return NULL;
}

int xvmm_start(struct xvmm *vm, struct xvmm_error *error)
{
	static const struct thread_config config = {"vm", THREAD_MAIN, NULL};
	struct error err = {0};
	int ret = begin(vm, error);

	if (ret)
		return ret;
	ret = vm->ended_fd = fd_eventfd();
	if (ret >= 0) {
		/* From now on, not only when the thread comes to it. */
		loop_caller_open(&vm->caller);
		ret = thread_create(&vm->runner, &config, run_in_background, vm);
	}
	if (ret) {
		loop_caller_close(&vm->caller);
		fd_close(&vm->ended_fd);
		vm->begun = false;
		error_code(&err, ret, "starting the VM's thread");
		return vm_report(error, &err);
	}
	vm->started = true;
	return 0;
}

int xvmm_fd(const struct xvmm *vm)
{
	return vm->ended_fd;
}

static void join_runner(struct xvmm *vm)
{
	if (vm->started)
		pthread_join(vm->runner, NULL);
	vm->started = false;
}

int xvmm_wait(struct xvmm *vm, struct xvmm_end *end, struct xvmm_error *error)
{
	struct error err = {0};

	if (vm->ended_fd < 0) {
		error_set(&err, -EINVAL, "the VM was not started");
		return vm_report(error, &err);
	}
	join_runner(vm);
	if (vm->run_ret && error)
		*error = vm->run_error;
	else if (!vm->run_ret && end)
		*end = vm->end;
	return vm->run_ret;
}

void xvmm_stop(struct xvmm *vm)
{
	atomic_store(&vm->stopped, true);
	loop_stop(vm->loop);
}

void xvmm_power_button(struct xvmm *vm)
{
	acpi_pm_power_button(&vm->acpi_pm);
}

void vm_pause(struct xvmm *vm, bool pause)
{
	const bool paused = vm_paused(vm);

	if (pause)
		vcpu_pause_all(vm->vcpus, vm->n_vcpus, &vm->vcpu_shared);
	vm_net_pause(vm, pause);
	if (!pause)
		vcpu_resume_all(&vm->vcpu_shared);
	if (paused != pause)
		vm_tell(vm, pause ? "STOP" : "RESUME", NULL);
}

bool vm_paused(const struct xvmm *vm)
{
	return atomic_load(&vm->vcpu_shared.pausing);
}

static void call_pause(void *vm)
{
	vm_pause(vm, true);
}

static void call_resume(void *vm)
{
	vm_pause(vm, false);
}

void xvmm_pause(struct xvmm *vm)
{
	if (loop_call(&vm->caller, call_pause, vm))
		return;
	/* Then its vCPUs begin so; and if they have begun meanwhile: */
	atomic_store(&vm->vcpu_shared.pausing, true);
	loop_call(&vm->caller, call_pause, vm);
}

void xvmm_resume(struct xvmm *vm)
{
	if (!loop_call(&vm->caller, call_resume, vm))
		vcpu_resume_all(&vm->vcpu_shared);
}

void vm_reset(struct xvmm *vm)
{
	vm->ended_by = "host-qmp-system-reset";
	vm_end(vm, XVMM_RESET, 0, "the guest was reset");
}

int vm_cpu_info(const struct xvmm *vm, unsigned int index, struct vm_cpu_info *info)
{
	if (index >= vm->n_vcpus)
		return -ENODEV;
	*info = (struct vm_cpu_info){
		.tid = atomic_load(&vm->vcpus[index].tid),
		.exits = atomic_load(&vm->vcpus[index].exits),
	};
	return 0;
}

void vm_power_button(struct xvmm *vm)
{
	vm_tell(vm, "POWERDOWN", NULL);
	xvmm_power_button(vm);
}

int vm_inject_nmi(const struct xvmm *vm, struct error *err)
{
	return arch_vm_inject_nmi(&vm->kvm, err);
}

void vm_quit(struct xvmm *vm)
{
	vm->ended_by = "host-qmp-quit";
	xvmm_stop(vm);
}

void xvmm_destroy(struct xvmm *vm)
{
	if (!vm)
		return;
	if (vm->started)
		xvmm_stop(vm);
	join_runner(vm);
	fd_close(&vm->ended_fd);
	vm_disassemble(vm);
	vcpu_shared_destroy(&vm->vcpu_shared);
	timeline_destroy(&vm->own_timeline);
	pthread_mutex_destroy(&vm->end_lock);
	free(vm);
}

bool vm_console_complete(const struct xvmm *vm)
{
	return vm->console_complete;
}

struct timeline *vm_timeline(const struct xvmm *vm)
{
	return vm->timeline;
}

int xvmm_timeline(const struct xvmm *vm, unsigned int index, struct xvmm_mark *mark)
{
	struct timeline_mark from;
	int ret = timeline_get(vm->timeline, index, &from);

	if (ret)
		return ret;
	*mark = (struct xvmm_mark){
		.name = timeline_event_name(from.event),
		.ns = from.ns,
		.value = from.value,
	};
	memcpy(mark->device, from.device, sizeof(mark->device));
	return 0;
}
_Static_assert(sizeof(((struct xvmm_mark *)0)->device) == TIMELINE_DEVICE_SIZE,
	       "copied as a whole");

const char *xvmm_version(void)
{
	return XVMM_VERSION;
}
