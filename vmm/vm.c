/* SPDX-License-Identifier: Apache-2.0 */
/* A VM, put together from its parts: what the public API does. */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "arch/arch.h"
#include "boot/boot.h"
#include "devices/acpi_pm.h"
#include "devices/bus.h"
#include "devices/debug_exit.h"
#include "devices/pci.h"
#include "devices/pvpanic.h"
#include "devices/serial.h"
#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/device.h"
#include "virtio/mmio.h"
#include "virtio/net.h"
#include "virtio/net_features.h"
#include "virtio/pci.h"
#include "vmm/broker.h"
#include "vmm/console.h"
#include "vmm/control.h"
#include "vmm/control_commands.h"
#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/loop.h"
#include "vmm/core/loop_call.h"
#include "vmm/net_spec.h"
#include "vmm/nic.h"
#include "vmm/sandbox.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"
#include "vmm/xvmm.h"

enum {
	DEVICES_MAX = BUS_MAX_RANGES,
	DEFAULT_CPUS = 1,
};
static const uint64_t default_memory = 512ULL << 20;

struct xvmm {
	struct logger log; /* forwards to the next two */
	void (*user_log)(void *opaque, enum xvmm_log_level level, const char *text);
	void *user_log_opaque;
	struct loop *loop;
	struct loop_caller caller;
	bool sandbox;
	struct broker *broker; /* borrowed; NULL: none */
	bool opens_later;      /* files or sockets, while the guest runs, and has no broker */
	bool confined;	       /* the loop's thread is */
	struct thread_filters filters; /* with a sandbox */
	struct kvm_vm kvm;
	struct guest_memory mem;

	/* What the guest finds at which address. */
	struct arch_device devices[DEVICES_MAX];
	size_t n_devices;
	struct bus mmio;
	struct bus pio;

	struct console *console;
	struct serial *serial;
	int serial_irq; /* eventfd, owned */
	struct acpi_pm acpi_pm;
	int acpi_pm_irq;	    /* eventfd, owned */
	struct loop_watch resample; /* its descriptor, an eventfd, is owned */
	struct pvpanic pvpanic;
	struct debug_exit debug_exit;
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
};

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

static void end_vm(struct xvmm *vm, enum xvmm_reason reason, int value, const char *text)
{
	pthread_mutex_lock(&vm->end_lock);
	if (!vm->ended) {
		vm->ended = true;
		vm->end.reason = reason;
		vm->end.value = value;
		snprintf(vm->end.text, sizeof(vm->end.text), "%s",
			 text ? text : reason_texts[reason]);
	}
	pthread_mutex_unlock(&vm->end_lock);
	loop_stop(vm->loop);
}

static void guest_ended(void *opaque, enum guest_exit why, int value)
{
	static const enum xvmm_reason reasons[] = {
		[GUEST_EXIT_POWER_OFF] = XVMM_POWER_OFF,
		[GUEST_EXIT_RESET] = XVMM_RESET,
		[GUEST_EXIT_PANIC] = XVMM_PANIC,
		[GUEST_EXIT_DEBUG] = XVMM_DEBUG_EXIT,
	};

	struct xvmm *vm = opaque;
	bool restarts = why == GUEST_EXIT_RESET || why == GUEST_EXIT_POWER_OFF;

	end_vm(vm, restarts && atomic_load(&vm->panicked) ? XVMM_PANIC : reasons[why], value, NULL);
}

static void panic_seen(void *opaque)
{
	static const struct itimerspec patience = {.it_value.tv_sec = 1};
	struct xvmm *vm = opaque;

	atomic_store(&vm->panicked, true);
	timerfd_settime(vm->panic_timer.fd, 0, &patience, NULL);
}

static void panic_over(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	end_vm(watch->opaque, XVMM_PANIC, 0, NULL);
}

static void vcpu_ended(void *opaque, enum arch_exit why, const struct error *err)
{
	if (why == ARCH_EXIT_TRIPLE_FAULT)
		end_vm(opaque, XVMM_TRIPLE_FAULT, 0, NULL);
	else
		end_vm(opaque, why == ARCH_EXIT_UNSUPPORTED ? XVMM_UNSUPPORTED : XVMM_FAILED, 0,
		       err->text);
}

static void console_quit(void *opaque)
{
	xvmm_stop(opaque);
}

static void console_power_button(void *opaque)
{
	vm_power_button(opaque);
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	end_vm(watch->opaque, XVMM_TIMEOUT, 0, NULL);
}

/* --- parts --- */

static const struct thread_filters *filters(const struct xvmm *vm)
{
	return vm->sandbox ? &vm->filters : NULL;
}

/* Put @device on the bus at @place, and into the list that the firmware tables are made from. */
static int add_device(struct xvmm *vm, const struct arch_device *place, const struct bus_ops *ops,
		      void *device, struct error *err)
{
	const struct bus_range range = {
		.base = place->base,
		.size = place->size,
		.ops = ops,
		.device = device,
	};

	if (vm->n_devices == DEVICES_MAX)
		return error_set(err, -ENOSPC, "too many devices");
	vm->devices[vm->n_devices++] = *place;
	return bus_add(place->pio ? &vm->pio : &vm->mmio, &range, err);
}

/* An eventfd in *@fd that raises @place's interrupt; @resample_fd for one that stays asserted. */
static int add_interrupt(struct xvmm *vm, const struct arch_device *place, int *fd, int resample_fd,
			 struct error *err)
{
	int ret = *fd = fd_eventfd();

	if (ret >= 0)
		ret = place->level ? kvm_vm_add_level_irqfd(&vm->kvm, place->gsi, *fd, resample_fd)
				   : kvm_vm_add_irqfd(&vm->kvm, place->gsi, *fd);
	if (!ret)
		return 0;
	errno = -ret;
	return error_errno(err, "KVM: creating interrupt %u", place->gsi);
}

static int watch_panic(struct xvmm *vm, struct error *err)
{
	int ret;

	vm->panic_timer = (struct loop_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = panic_over,
		.opaque = vm,
	};
	if (vm->panic_timer.fd < 0)
		return error_errno(err, "creating a timer");
	ret = loop_watch_set(vm->loop, &vm->panic_timer, EPOLLIN);
	return ret ? error_set(err, ret, "a timer: %s", strerror(-ret)) : 0;
}

static int add_console(struct xvmm *vm, const struct xvmm_console *config, struct error *err)
{
	const struct console_config console = {
		.loop = vm->loop,
		.log = &vm->log,
		.in_fd = config->enabled ? config->in_fd : -1,
		.out_fd = config->enabled ? config->out_fd : -1,
		.escape = config->escape,
		.quit = console_quit,
		.power_button = console_power_button,
		.panicked = vm->panic_line ? panic_seen : NULL,
		.opaque = vm,
	};
	struct arch_device place;
	int ret = arch_place_device(ARCH_DEVICE_SERIAL, 0, &place, err);

	if (!ret && vm->panic_line)
		ret = watch_panic(vm, err);
	if (!ret)
		ret = add_interrupt(vm, &place, &vm->serial_irq, -1, err);
	if (!ret)
		ret = console_create(&vm->console, &console, err);
	if (ret)
		return ret;
	vm->serial = serial_create(console_line(vm->console), vm->serial_irq);
	if (!vm->serial)
		return error_set(err, -ENOMEM, "console: out of memory");
	ret = add_device(vm, &place, &serial_bus_ops, vm->serial, err);
	return ret ? ret : console_attach(vm->console, vm->serial, err);
}

static void resample_ready(struct loop_watch *watch, uint32_t events)
{
	struct xvmm *vm = watch->opaque;

	(void)events;
	fd_eventfd_drain(watch->fd);
	acpi_pm_resample(&vm->acpi_pm);
}

static int watch_resample(struct xvmm *vm, struct error *err)
{
	int ret = fd_eventfd();

	if (ret >= 0) {
		vm->resample =
			(struct loop_watch){.fd = ret, .ready = resample_ready, .opaque = vm};
		ret = loop_watch_set(vm->loop, &vm->resample, EPOLLIN);
	}
	return ret ? error_set(err, ret, "creating an eventfd: %s", strerror(-ret)) : 0;
}

/* The devices by which a guest ends itself, and by which it is asked to. */
static int add_exit_devices(struct xvmm *vm, struct error *err)
{
	const struct guest_exit_sink sink = {guest_ended, vm};
	struct arch_device place;
	int ret;

	ret = arch_place_device(ARCH_DEVICE_ACPI_PM, 0, &place, err);
	if (!ret)
		ret = watch_resample(vm, err);
	if (!ret)
		ret = add_interrupt(vm, &place, &vm->acpi_pm_irq, vm->resample.fd, err);
	if (!ret) {
		acpi_pm_init(&vm->acpi_pm, &sink, vm->acpi_pm_irq);
		ret = add_device(vm, &place, &acpi_pm_bus_ops, &vm->acpi_pm, err);
	}
	if (!ret)
		ret = arch_place_device(ARCH_DEVICE_PVPANIC, 0, &place, err);
	if (!ret) {
		pvpanic_init(&vm->pvpanic, &sink);
		ret = add_device(vm, &place, &pvpanic_bus_ops, &vm->pvpanic, err);
	}
	if (!ret)
		ret = arch_place_device(ARCH_DEVICE_DEBUG_EXIT, 0, &place, err);
	if (!ret) {
		debug_exit_init(&vm->debug_exit, &sink);
		ret = add_device(vm, &place, &debug_exit_bus_ops, &vm->debug_exit, err);
	}
	return ret;
}

static int add_to_mmio(struct xvmm *vm, struct virtio_device *dev, struct error *err)
{
	struct virtio_mmio **mmio = &vm->mmio_devices[vm->n_mmio_devices];
	struct arch_device place;
	int ret = arch_place_device(ARCH_DEVICE_VIRTIO_MMIO, vm->n_mmio_devices, &place, err);

	if (ret) {
		virtio_device_destroy(dev);
		return ret;
	}
	ret = virtio_mmio_create(dev, &vm->kvm, place.base, place.gsi, mmio, err);
	if (ret)
		return ret;
	vm->n_mmio_devices++;
	return add_device(vm, &place, &virtio_mmio_bus_ops, *mmio, err);
}

/* The bridge comes with the first device. */
static int add_pci_host(struct xvmm *vm, struct error *err)
{
	const struct memory_range *last = &vm->mem.regions[vm->mem.n_regions - 1].range;

	arch_place_pci(last->base + last->size, &vm->arch_pci);
	vm->has_pci = true;
	return pci_host_init(&vm->pci, &vm->arch_pci.places, &vm->mmio, &vm->pio, err);
}

static int add_to_pci(struct xvmm *vm, struct virtio_device *dev, struct error *err)
{
	struct virtio_pci_place place = {
		.host = &vm->pci,
		.slot = vm->n_pci_devices + 1,
		.vm = &vm->kvm,
		.loop = vm->loop,
	};
	int ret = 0;

	if (place.slot == PCI_SLOTS)
		ret = error_usage(err, "too many devices: at most %d on virtio-pci", PCI_SLOTS - 1);
	else if (!vm->has_pci)
		ret = add_pci_host(vm, err);
	if (ret) {
		virtio_device_destroy(dev);
		return ret;
	}
	place.gsi = vm->arch_pci.gsi[place.slot % 4];
	ret = virtio_pci_create(dev, &place, &vm->pci_devices[place.slot], err);
	if (!ret)
		vm->n_pci_devices++;
	return ret;
}

static int add_nets(struct xvmm *vm, const struct xvmm_config *config, struct error *err)
{
	const struct nic_parts parts = {
		.mem = &vm->mem,
		.loop = vm->loop,
		.log = &vm->log,
		.thread_filters = filters(vm),
		.opener = broker_opener(vm->broker),
	};
	int ret = 0;

	vm->mmio_devices = calloc(config->n_nets + 1, sizeof(struct virtio_mmio *));
	vm->nets = calloc(config->n_nets + 1, sizeof(struct nic *));
	if (!vm->mmio_devices || !vm->nets)
		return error_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < config->n_nets && !ret; i++) {
		const struct xvmm_net *net = &config->nets[i];
		enum xvmm_transport transport = nic_transport(config, net);

		ret = nic_create(&parts, net, i, transport, &vm->nets[i], err);
		if (ret)
			break;
		vm->n_nets++;
		ret = transport == XVMM_TRANSPORT_PCI
			      ? add_to_pci(vm, nic_device(vm->nets[i]), err)
			      : add_to_mmio(vm, nic_device(vm->nets[i]), err);
	}
	return ret;
}

static bool shares_memory(const struct xvmm_config *config)
{
	bool shares = config->memory_shared;

	for (size_t i = 0; i < config->n_nets; i++)
		shares = shares || nic_shares_memory(&config->nets[i]);
	return shares;
}

/* Commands come by a socket of our own, or by the broker that has it. */
static int add_control(struct xvmm *vm, const char *path, struct error *err)
{
	const struct broker_service service = {
		.loop = vm->loop,
		.log = &vm->log,
		.commands = control_commands,
		.opaque = vm,
	};
	const struct control_config control = {
		.path = path,
		.loop = vm->loop,
		.log = &vm->log,
		.commands = control_commands,
		.opaque = vm,
	};

	if (vm->broker)
		return broker_serve(vm->broker, &service, err);
	return path ? control_create(&control, &vm->control, err) : 0;
}

/* control_event(), of an opaque VM. */
static void tell(void *opaque, const char *name, json_t *data)
{
	struct xvmm *vm = opaque;

	if (vm->broker)
		broker_event(vm->broker, name, data);
	else
		control_event(vm->control, name, data);
}

int vm_map_memory(const struct xvmm_config *config, struct guest_memory *mem, struct error *err)
{
	const struct memory_config memory = {
		.shared = shares_memory(config),
		.hugepages = config->memory_hugepages,
		.prealloc = config->memory_prealloc,
	};
	struct memory_range ranges[MEMORY_MAX_REGIONS];
	int n = arch_memory_ranges(config->memory ? config->memory : default_memory, ranges, err);

	return n < 0 ? n : memory_create(mem, ranges, (size_t)n, &memory, err);
}

static int create_memory(struct xvmm *vm, const struct xvmm_config *config, struct error *err)
{
	int ret = vm_map_memory(config, &vm->mem, err);

	return ret ? ret : kvm_vm_set_memory(&vm->kvm, &vm->mem, err);
}

int vm_check_cpus(const struct xvmm_config *config, const struct kvm_vm *kvm, struct error *err)
{
	unsigned int n = config->cpus ? config->cpus : DEFAULT_CPUS;
	int limit = kvm_vm_check(kvm, KVM_CAP_MAX_VCPUS);

	if (n > arch_max_cpus() || (int)n > limit)
		return error_usage(err, "%u CPUs: at most %u", n,
				   arch_max_cpus() < (unsigned int)limit ? arch_max_cpus()
									 : (unsigned int)limit);
	return 0;
}

static int create_vcpus(struct xvmm *vm, const struct xvmm_config *config, struct error *err)
{
	unsigned int n = config->cpus ? config->cpus : DEFAULT_CPUS;
	int ret = vm_check_cpus(config, &vm->kvm, err);

	if (ret)
		return ret;
	vm->vcpus = calloc(n, sizeof(struct vcpu));
	if (!vm->vcpus)
		return error_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < n; i++) {
		ret = kvm_vcpu_create(&vm->kvm, i, &vm->vcpus[i].kvm, err);
		if (ret)
			return ret;
		vm->n_vcpus = i + 1;
		ret = arch_vcpu_init(&vm->kvm, &vm->vcpus[i].kvm, n, err);
		if (ret)
			return ret;
	}
	vm->vcpu_shared.mmio = &vm->mmio;
	vm->vcpu_shared.pio = &vm->pio;
	vm->vcpu_shared.coalesced = kvm_vcpu_coalesced(&vm->kvm, &vm->vcpus[0].kvm);
	vm->vcpu_shared.filters = filters(vm);
	vm->vcpu_shared.ended = vcpu_ended;
	vm->vcpu_shared.opaque = vm;
	return 0;
}

/* Say at once what would otherwise show after minutes of emulation. */
static void warn_of_kvm(const struct xvmm *vm, const struct boot_image *image)
{
	static const uint64_t larger_than_any_test_guest = 8ULL << 20;
	const char *why;

	if (!arch_can_run_linux(&why) && boot_kernel_size(image) > larger_than_any_test_guest)
		log_warning(&vm->log, "this kernel will not get far: %s", why);
}

/* Kernel, firmware tables, and the first vCPU's registers. */
static int load(struct xvmm *vm, const struct boot_image *image, struct error *err)
{
	struct arch_entry entry;
	gpa_t tables;
	int ret;

	ret = arch_write_tables(&vm->mem, vm->n_vcpus, vm->devices, vm->n_devices,
				vm->has_pci ? &vm->arch_pci : NULL, &tables, err);
	if (!ret)
		ret = boot_load(image, &vm->mem, tables, &entry, err);
	if (!ret)
		ret = arch_vcpu_set_entry(&vm->vcpus[0].kvm, &vm->mem, &entry, err);
	return ret;
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

static int check_config(const struct xvmm_config *config, struct error *err)
{
	int ret = 0;

	if (config->memory_shared && config->memory_private)
		return error_usage(err, "memory can't be both shared and private");
	for (unsigned int i = 0; i < config->n_nets && !ret; i++)
		ret = nic_check(config, i, err);
	return ret;
}

struct boot_config vm_boot_config(const struct xvmm_config *config)
{
	return (struct boot_config){
		.kernel = config->kernel,
		.initrd = config->initrd,
		.cmdline = config->cmdline ? config->cmdline : "console=ttyS0",
		.protocol = (enum boot_protocol)config->boot,
	};
}

static int create(struct xvmm *vm, const struct xvmm_config *config, struct error *err)
{
	const struct boot_config boot = vm_boot_config(config);
	struct boot_image *image = NULL;
	int ret;

	ret = check_config(config, err);
	if (!ret && vm->sandbox)
		ret = sandbox_filters_create(&vm->filters, err);
	if (!ret)
		ret = boot_open(&boot, &image, err);
	if (!ret)
		ret = loop_create(&vm->loop, err);
	if (!ret)
		ret = loop_caller_init(&vm->caller, vm->loop, err);
	if (!ret)
		ret = kvm_vm_create(&vm->kvm, err);
	if (!ret)
		ret = create_memory(vm, config, err);
	if (!ret)
		ret = arch_vm_init(&vm->kvm, err);
	if (!ret)
		ret = create_vcpus(vm, config, err);
	if (!ret)
		ret = add_console(vm, &config->console, err);
	if (!ret)
		ret = add_exit_devices(vm, err);
	if (!ret)
		ret = add_nets(vm, config, err);
	if (!ret)
		ret = load(vm, image, err);
	if (!ret)
		ret = add_control(vm, config->control, err);
	if (!ret)
		warn_of_kvm(vm, image);
	boot_close(image);
	return ret;
}

/* The library's words become the caller's. */
static int report(struct xvmm_error *to, const struct error *from)
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

int vm_create(const struct xvmm_config *config, struct broker *broker, struct xvmm **out,
	      struct xvmm_error *error)
{
	struct error err = {0};
	struct xvmm *vm;

	*out = NULL;
	if (!config->kernel) {
		error_usage(&err, "no kernel was given");
		return report(error, &err);
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		error_set(&err, -ENOMEM, "out of memory");
		return report(error, &err);
	}
	vm->kvm = (struct kvm_vm){.kvm_fd = -1, .vm_fd = -1};
	vm->mem.fd = -1;
	vm->serial_irq = vm->acpi_pm_irq = vm->resample.fd = vm->timer_fd = -1;
	vm->timeout_ms = config->timeout_ms;
	vm->panic_line = config->panic_line;
	vm->panic_timer.fd = -1;
	vm->sandbox = config->sandbox;
	vm->broker = broker;
	vm->opens_later = !broker && broker_is_needed(config);
	pthread_mutex_init(&vm->end_lock, NULL);
	vcpu_shared_init(&vm->vcpu_shared);
	if (config->log) {
		vm->user_log = config->log;
		vm->user_log_opaque = config->log_opaque;
		vm->log = (struct logger){forward_log, vm};
	}
	if (create(vm, config, &err)) {
		xvmm_destroy(vm);
		return report(error, &err);
	}
	*out = vm;
	return 0;
}

int xvmm_create(const struct xvmm_config *config, struct xvmm **vm, struct xvmm_error *error)
{
	return vm_create(config, NULL, vm, error);
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
		return report(error, &err);
	ret = thread_confine(&vm->filters, THREAD_MAIN);
	vm->confined = !ret;
	if (!ret)
		return 0;
	error_set(&err, ret, "the sandbox: %s; try: --sandbox off", strerror(-ret));
	return report(error, &err);
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
	return ret ? error_set(err, ret, "the timer: %s", strerror(-ret)) : 0;
}

static int start(struct xvmm *vm, struct error *err)
{
	int ret = vm->timeout_ms ? start_timer(vm, err) : 0;

	for (unsigned int i = 0; i < vm->n_vcpus && !ret; i++) {
		ret = vcpu_start(&vm->vcpus[i], &vm->vcpu_shared);
		if (ret) {
			errno = -ret;
			error_errno(err, "starting the thread of vCPU %u", i);
		}
	}
	return ret;
}

int xvmm_run(struct xvmm *vm, struct xvmm_end *end, struct xvmm_error *error)
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
	console_flush(vm->console);
	if (ret)
		return report(error, &err);
	/* loop_stop() without a reason: xvmm_stop(). */
	end_vm(vm, XVMM_STOPPED, 0, NULL);
	if (vm->control || vm->broker)
		control_commands_ended(tell, vm, &vm->end, vm->ended_by);
	*end = vm->end;
	return 0;
}

void xvmm_stop(struct xvmm *vm)
{
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
	else
		vcpu_resume_all(&vm->vcpu_shared);
	if (paused != pause)
		tell(vm, pause ? "STOP" : "RESUME", NULL);
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
	end_vm(vm, XVMM_RESET, 0, "the guest was reset");
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
	tell(vm, "POWERDOWN", NULL);
	xvmm_power_button(vm);
}

void vm_quit(struct xvmm *vm)
{
	vm->ended_by = "host-qmp-quit";
	xvmm_stop(vm);
}

static struct nic *find_net(const struct xvmm *vm, const char *id)
{
	for (unsigned int i = 0; i < vm->n_nets; i++) {
		if (strcmp(nic_device(vm->nets[i])->name, id) == 0)
			return vm->nets[i];
	}
	return NULL;
}

int vm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net,
		  unsigned int *pause_us, struct error *err)
{
	struct nic *nic = find_net(vm, id);

	return nic ? nic_switch(nic, net, pause_us, err)
		   : error_set(err, -ENODEV, "there is no network device '%s'", id);
}

struct switch_call {
	struct xvmm *vm;
	const char *id;
	const struct xvmm_net *net;
	struct error err;
	int ret;
};

static void call_switch(void *argument)
{
	struct switch_call *call = argument;
	unsigned int pause_us;

	call->ret = vm_net_switch(call->vm, call->id, call->net, &pause_us, &call->err);
}

int xvmm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net,
		    struct xvmm_error *error)
{
	struct switch_call call = {.vm = vm, .id = id, .net = net};

	if (vm->confined && !vm->broker)
		call.ret = error_set(&call.err, -EPERM,
				     "after xvmm_confine() nothing can be opened");
	else if (!loop_call(&vm->caller, call_switch, &call))
		call.ret = error_set(&call.err, -EAGAIN, "the VM doesn't run");
	return call.ret ? report(error, &call.err) : 0;
}

int xvmm_net_set_link(struct xvmm *vm, const char *id, bool up)
{
	const struct nic *nic = find_net(vm, id);

	if (!nic)
		return -ENODEV;
	virtio_net_set_link(nic_device(nic), up);
	return 0;
}

int xvmm_net_announce(struct xvmm *vm, const char *id)
{
	const struct nic *nic = find_net(vm, id);

	return nic ? virtio_net_announce(nic_device(nic)) : -ENODEV;
}

int xvmm_net_stats(struct xvmm *vm, const char *id, unsigned int queue,
		   struct xvmm_queue_stats *stats)
{
	const struct nic *nic = find_net(vm, id);
	uint64_t counters[QUEUE_COUNTERS], progress_ms;
	int ret = nic ? virtio_net_queue_stats(nic_device(nic), queue, counters, &progress_ms)
		      : -ENODEV;

	if (ret)
		return ret;
	*stats = (struct xvmm_queue_stats){
		.packets = counters[QUEUE_PACKETS],
		.bytes = counters[QUEUE_BYTES],
		.dropped_link_down = counters[QUEUE_DROPPED_LINK_DOWN],
		.dropped_filtered = counters[QUEUE_DROPPED_FILTERED],
		.dropped_mtu = counters[QUEUE_DROPPED_MTU],
		.dropped_no_buffers = counters[QUEUE_DROPPED_NO_BUFFERS],
		.dropped_malformed = counters[QUEUE_DROPPED_MALFORMED],
		.dropped_refused = counters[QUEUE_DROPPED_REFUSED],
		.kicks = counters[QUEUE_KICKS],
		.interrupts = counters[QUEUE_INTERRUPTS],
		.interrupts_suppressed = counters[QUEUE_SUPPRESSED],
		.stalls = counters[QUEUE_STALLS],
		.broken = counters[QUEUE_BROKEN],
		.idle_ms = progress_ms ? (int64_t)(counter_now_ms() - progress_ms) : -1,
	};
	return 0;
}

int vm_net_info(struct xvmm *vm, unsigned int index, struct vm_net_info *info)
{
	const struct nic *nic = index < vm->n_nets ? vm->nets[index] : NULL;
	struct virtio_device *dev;
	uint16_t status = 0;

	if (!nic)
		return -ENODEV;
	dev = nic_device(nic);
	*info = (struct vm_net_info){
		.id = dev->name,
		.backend = nic_backend(nic),
		.datapath = virtio_net_datapath(dev)->kind,
	};
	virtio_device_read_config(dev, offsetof(struct virtio_net_config, mac), info->mac,
				  sizeof(info->mac));
	virtio_device_read_config(dev, offsetof(struct virtio_net_config, status), &status,
				  sizeof(status));
	info->link_up = le16toh(status) & VIRTIO_NET_S_LINK_UP;
	info->needs_reset = atomic_load(&dev->status) & VIRTIO_CONFIG_S_NEEDS_RESET;
	return 0;
}

void xvmm_destroy(struct xvmm *vm)
{
	if (!vm)
		return;
	control_destroy(vm->control);
	if (vm->broker)
		broker_silence(vm->broker);
	for (unsigned int i = 0; i < vm->n_mmio_devices; i++)
		virtio_mmio_destroy(vm->mmio_devices[i]);
	free(vm->mmio_devices);
	for (unsigned int i = 0; i < PCI_SLOTS; i++)
		virtio_pci_destroy(vm->pci_devices[i]);
	for (unsigned int i = 0; i < vm->n_nets; i++)
		nic_destroy(vm->nets[i]);
	free(vm->nets);
	if (vm->has_pci)
		pci_host_destroy(&vm->pci);
	console_destroy(vm->console);
	serial_destroy(vm->serial);
	for (unsigned int i = 0; i < vm->n_vcpus; i++)
		kvm_vcpu_destroy(&vm->vcpus[i].kvm);
	free(vm->vcpus);
	/* The VM takes its irqfds and ioeventfds along. */
	kvm_vm_destroy(&vm->kvm);
	fd_close(&vm->serial_irq);
	fd_close(&vm->acpi_pm_irq);
	fd_close(&vm->resample.fd);
	fd_close(&vm->timer_fd);
	fd_close(&vm->panic_timer.fd);
	memory_destroy(&vm->mem);
	loop_caller_destroy(&vm->caller);
	loop_destroy(vm->loop);
	sandbox_filters_destroy(&vm->filters);
	vcpu_shared_destroy(&vm->vcpu_shared);
	pthread_mutex_destroy(&vm->end_lock);
	free(vm);
}

uint64_t xvmm_net_feature(const char *name)
{
	return net_features_find(name);
}

const char *xvmm_version(void)
{
	return XVMM_VERSION;
}
