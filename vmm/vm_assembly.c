/* SPDX-License-Identifier: Apache-2.0 */
/* A VM, put together from its parts. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "boot/boot.h"
#include "devices/serial.h"
#include "virtio/device.h"
#include "virtio/mmio.h"
#include "virtio/pci.h"
#include "vmm/broker.h"
#include "vmm/console.h"
#include "vmm/control.h"
#include "vmm/control_commands.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/memory_fill.h"
#include "vmm/nic.h"
#include "vmm/sandbox.h"
#include "vmm/vm.h"
#include "vmm/vm_parts.h"

enum {
	DEFAULT_CPUS = 1,
};
static const uint64_t default_memory = 512ULL << 20;

/* --- what parts tell --- */

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

	vm_end(vm, restarts && atomic_load(&vm->panicked) ? XVMM_PANIC : reasons[why], value, NULL);
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
	vm_end(watch->opaque, XVMM_PANIC, 0, NULL);
}

static void vcpu_ended(void *opaque, enum arch_exit why, const struct error *err)
{
	switch (why) {
	case ARCH_EXIT_POWER_OFF:
		guest_ended(opaque, GUEST_EXIT_POWER_OFF, 0);
		break;
	case ARCH_EXIT_RESET:
		guest_ended(opaque, GUEST_EXIT_RESET, 0);
		break;
	case ARCH_EXIT_TRIPLE_FAULT:
		vm_end(opaque, XVMM_TRIPLE_FAULT, 0, NULL);
		break;
	default:
		vm_end(opaque, why == ARCH_EXIT_UNSUPPORTED ? XVMM_UNSUPPORTED : XVMM_FAILED, 0,
		       err->text);
		break;
	}
}

static void console_quit(void *opaque)
{
	xvmm_stop(opaque);
}

static void console_power_button(void *opaque)
{
	vm_power_button(opaque);
}

/* --- parts --- */

static const struct thread_filters *filters(const struct xvmm *vm)
{
	return vm->sandbox ? &sandbox_filters : NULL;
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

	if (vm->n_devices == VM_DEVICES_MAX)
		return error_set(err, -ENOSPC, "too many devices");
	vm->devices[vm->n_devices++] = *place;
	return place->size == 0 ? 0 : bus_add(place->pio ? &vm->pio : &vm->mmio, &range, err);
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
	return ret ? error_code(err, ret, "a timer") : 0;
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
		.timeline = vm->timeline,
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
	return ret ? error_code(err, ret, "creating an eventfd") : 0;
}

/* The devices by which a guest ends itself, and by which it is asked to. */
static int add_exit_devices(struct xvmm *vm, struct error *err)
{
	const struct guest_exit_sink sink = {guest_ended, vm};
	struct arch_device place;
	int ret;

	ret = arch_place_device(ARCH_DEVICE_POWER, 0, &place, err);
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

static int add_guest_mark(struct xvmm *vm, struct error *err)
{
	struct arch_device place;
	int ret = arch_place_device(ARCH_DEVICE_GUEST_MARK, 0, &place, err);

	guest_mark_init(&vm->guest_mark, vm->timeline);
	return ret ? ret : add_device(vm, &place, &guest_mark_bus_ops, &vm->guest_mark, err);
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

	if (!vm->has_pci)
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

/* Not refused: a program may know why. -1 is one that is yet to be made. */
static void warn_of_shared_fd(const struct xvmm *vm, const struct xvmm_config *config,
			      unsigned int index)
{
	const struct xvmm_net *net = &config->nets[index];

	for (unsigned int i = 0; i < index; i++) {
		if (net->has_fd && net->fd >= 0 && config->nets[i].has_fd &&
		    config->nets[i].fd == net->fd)
			log_warning(
				&vm->log,
				"descriptor %d is of two network devices, of which each gets a part "
				"of its packets; try: one for each",
				net->fd);
	}
}

static int add_nets(struct xvmm *vm, const struct xvmm_config *config, struct error *err)
{
	const struct nic_parts parts = {
		.mem = &vm->mem,
		.loop = vm->loop,
		.log = &vm->log,
		.timeline = vm->timeline,
		.thread_filters = filters(vm),
		.opener = broker_opener(vm->broker),
		.tell = vm_net_tell,
		.opaque = vm,
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
		warn_of_shared_fd(vm, config, i);
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

int vm_map_memory(const struct xvmm_config *config, bool large, const struct logger *log,
		  struct guest_memory *mem, struct error *err)
{
	const struct memory_config memory = {
		.shared = shares_memory(config),
		.hugepages = config->memory_hugepages,
		.ask_huge = large,
		.prealloc = config->memory_prealloc,
		.log = log,
	};
	struct memory_range ranges[MEMORY_MAX_REGIONS];
	int n = arch_memory_ranges(config->memory ? config->memory : default_memory, ranges, err);

	return n < 0 ? n : memory_create(mem, ranges, (size_t)n, &memory, err);
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
	struct arch_cpu_model *model = NULL;
	int ret = vm_check_cpus(config, &vm->kvm, err);

	if (ret)
		return ret;
	vm->vcpus = calloc(n, sizeof(struct vcpu));
	if (!vm->vcpus)
		return error_set(err, -ENOMEM, "out of memory");
	ret = arch_cpu_model_create(&vm->kvm, n, &model, err);
	for (unsigned int i = 0; i < n && !ret; i++) {
		ret = kvm_vcpu_create(&vm->kvm, i, &vm->vcpus[i].kvm, err);
		if (ret)
			break;
		vm->n_vcpus = i + 1;
		ret = arch_vcpu_init(&vm->vcpus[i].kvm, model, err);
	}
	arch_cpu_model_destroy(model);
	if (!ret)
		ret = arch_vm_complete(&vm->kvm, err);
	if (ret)
		return ret;
	vm->vcpu_shared.mmio = &vm->mmio;
	vm->vcpu_shared.pio = &vm->pio;
	vm->vcpu_shared.coalesced = kvm_vcpu_coalesced(&vm->kvm, &vm->vcpus[0].kvm);
	vm->vcpu_shared.filters = filters(vm);
	vm->vcpu_shared.timeline = vm->timeline;
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

/* In the time that KVM takes to make the VM; or later, where that can be had. */
static void begin_to_load(struct xvmm *vm, const struct xvmm_config *config,
			  struct boot_image *image)
{
	if (config->load_on_demand && boot_can_load_later(image) &&
	    memory_fill_create(&vm->mem, &vm->fill) == 0)
		boot_load_later(image, vm->fill);
	else
		boot_load_early(image, &vm->mem);
}

/* Kernel, firmware tables, and the first vCPU's registers. */
static int load(struct xvmm *vm, struct boot_image *image, struct error *err)
{
	const struct arch_platform platform = {
		.vm = &vm->kvm,
		.cpus = vm->n_vcpus,
		.devices = vm->devices,
		.n_devices = vm->n_devices,
		.pci = vm->has_pci ? &vm->arch_pci : NULL,
	};
	struct arch_entry entry;
	int ret = boot_load(image, &vm->mem, err);

	if (!ret)
		ret = boot_hand_over(image, &vm->mem, &platform, &entry, err);
	if (!ret)
		ret = arch_vcpu_set_entry(&vm->vcpus[0].kvm, &vm->mem, &entry, err);
	return ret;
}

struct boot_config vm_boot_config(const struct xvmm_config *config, const struct logger *log)
{
	return (struct boot_config){
		.kernel = config->kernel,
		.initrd = config->initrd,
		.cmdline = config->cmdline ? config->cmdline : "console=ttyS0",
		.protocol = (enum boot_protocol)config->boot,
		.log = log,
	};
}

/*
 * The program's descriptors. Before anything is opened: by the number of one that isn't open, too.
 */
static int check_fds(const struct xvmm_config *config, struct error *err)
{
	const struct xvmm_console *console = &config->console;
	int ret = 0;

	if (console->enabled && console->in_fd >= 0 && fcntl(console->in_fd, F_GETFD) < 0)
		return error_errno(err, "console: input descriptor %d", console->in_fd);
	if (console->enabled && console->out_fd >= 0 && fcntl(console->out_fd, F_GETFD) < 0)
		return error_errno(err, "console: output descriptor %d", console->out_fd);
	for (size_t i = 0; i < config->n_nets && !ret; i++)
		ret = nic_check_fd(&config->nets[i], err);
	return ret;
}

static int check_config(const struct xvmm_config *config, struct error *err)
{
	int ret = 0;

	if (config->memory_shared && config->memory_private)
		return error_usage(err, "memory can't be both shared and private");
	for (unsigned int i = 0; i < config->n_nets && !ret; i++)
		ret = nic_check(config, i, err);
	return ret ? ret : check_fds(config, err);
}

int vm_assemble(struct xvmm *vm, const struct xvmm_config *config, struct error *err)
{
	const struct boot_config boot = vm_boot_config(config, &vm->log);
	struct boot_image *image = NULL;
	int ret;

	ret = check_config(config, err);
	if (!ret && vm->sandbox)
		ret = sandbox_check(err);
	if (!ret)
		ret = boot_open(&boot, &image, err);
	if (!ret)
		ret = loop_create(&vm->loop, err);
	if (!ret)
		ret = loop_caller_init(&vm->caller, vm->loop, err);
	if (!ret)
		ret = kvm_vm_open(&vm->kvm, err);
	if (!ret)
		ret = vm_map_memory(config, boot_is_large(image), &vm->log, &vm->mem, err);
	if (!ret) {
		begin_to_load(vm, config, image);
		ret = kvm_vm_create(&vm->kvm, err);
	}
	if (!ret) {
		timeline_mark(vm->timeline, TIMELINE_KVM);
		ret = kvm_vm_set_memory(&vm->kvm, &vm->mem, err);
	}
	if (!ret) {
		timeline_mark(vm->timeline, TIMELINE_MEMORY);
		ret = arch_vm_init(&vm->kvm, err);
	}
	if (!ret)
		ret = create_vcpus(vm, config, err);
	if (!ret)
		ret = arch_add_registers(&vm->pio, err);
	if (!ret) {
		timeline_mark(vm->timeline, TIMELINE_CPUS);
		ret = add_console(vm, &config->console, err);
	}
	if (!ret)
		ret = add_exit_devices(vm, err);
	if (!ret)
		ret = add_guest_mark(vm, err);
	if (!ret)
		ret = add_nets(vm, config, err);
	if (!ret) {
		timeline_mark(vm->timeline, TIMELINE_DEVICES);
		ret = load(vm, image, err);
	}
	if (!ret) {
		if (!vm->fill)
			timeline_mark(vm->timeline, TIMELINE_KERNEL);
		ret = add_control(vm, config->control, err);
	}
	if (!ret)
		warn_of_kvm(vm, image);
	boot_close(image);
	return ret;
}

void vm_disassemble(struct xvmm *vm)
{
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
	memory_fill_destroy(vm->fill);
	memory_destroy(&vm->mem);
	loop_caller_destroy(&vm->caller);
	loop_destroy(vm->loop);
}
