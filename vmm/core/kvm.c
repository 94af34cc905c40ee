/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/memory.h"

enum {
	YOUNG_MS = 8,
};

int kvm_ioctl(int fd, unsigned long request, unsigned long arg)
{
	int ret;

	do
		ret = ioctl(fd, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int open_kvm(struct error *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), code = errno;
	struct stat st;

	if (fd >= 0)
		return fd;
	switch (code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_set(
			err, -code,
			"/dev/kvm: %s: no KVM here; try: modprobe kvm_intel or kvm_amd; in "
			"a virtual machine, nested virtualisation must be on; in a "
			"container, --device /dev/kvm",
			strerror(code));
	case EACCES:
	case EPERM:
		/* Of the group that may, or of root alone. */
		if (stat("/dev/kvm", &st) == 0 && st.st_gid && st.st_mode & S_IWGRP)
			return error_set(err, -code,
					 "/dev/kvm: %s; try: sudo usermod -aG kvm $USER, then log "
					 "in again; or in CI, sudo chmod 0666 /dev/kvm",
					 strerror(code));
		return error_set(err, -code, "/dev/kvm: %s; try: sudo chmod 0666 /dev/kvm",
				 strerror(code));
	default:
		return error_errno(err, "/dev/kvm");
	}
}

/*
 * The widest addresses that all guests were given on arm64, where KVM tells how wide the host's
 * are, or less. Elsewhere KVM has no such types.
 */
static unsigned long machine_type(int kvm_fd)
{
	enum {
		DEFAULT_BITS = 40
	};
	int bits = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 && bits < DEFAULT_BITS ? KVM_VM_TYPE_ARM_IPA_SIZE((unsigned int)bits) : 0;
}

int kvm_vm_open(struct kvm_vm *vm, struct error *err)
{
	int ret;

	*vm = (struct kvm_vm){
		.kvm_fd = -1,
		.vm_fd = -1,
		.routes_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	ret = open_kvm(err);
	if (ret < 0)
		return ret;
	vm->kvm_fd = ret;

	ret = kvm_ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0);
	if (ret < 0) {
		ret = error_set(err, -ENOTSUP, "/dev/kvm: it is not KVM's device: %s",
				strerror(-ret));
		goto fail;
	}
	if (ret != KVM_API_VERSION) {
		ret = error_set(err, -ENOTSUP, "/dev/kvm: API version %d, need %d", ret,
				KVM_API_VERSION);
		goto fail;
	}
	ret = kvm_ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < (int)sizeof(struct kvm_run)) {
		ret = error_set(err, -ENOTSUP, "/dev/kvm: no usable vCPU mapping size");
		goto fail;
	}
	vm->vcpu_mmap = (size_t)ret;
	return 0;
fail:
	kvm_vm_destroy(vm);
	return ret;
}

int kvm_vm_create(struct kvm_vm *vm, struct error *err)
{
	int ret = kvm_ioctl(vm->kvm_fd, KVM_CREATE_VM, machine_type(vm->kvm_fd));

	if (ret >= 0) {
		vm->vm_fd = ret;
		vm->created_ms = counter_now_ms();
		return 0;
	}
	errno = -ret;
	ret = error_errno(err, "/dev/kvm: creating a VM");
	if (ret == -EBUSY)
		error_append(err, ": another hypervisor has the CPU's virtualisation; try: "
				  "end VirtualBox or VMware");
	kvm_vm_destroy(vm);
	return ret;
}

int kvm_vm_check(const struct kvm_vm *vm, int capability)
{
	int ret = kvm_ioctl(vm->vm_fd, KVM_CHECK_EXTENSION, (unsigned long)capability);

	return ret < 0 ? 0 : ret;
}

int kvm_vm_set_memory(struct kvm_vm *vm, const struct guest_memory *mem, struct error *err)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		struct kvm_userspace_memory_region region = {
			.slot = (uint32_t)i,
			.guest_phys_addr = mem->regions[i].range.base,
			.memory_size = mem->regions[i].range.size,
			.userspace_addr = (uintptr_t)mem->regions[i].host,
		};
		int ret = kvm_ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&region);

		if (ret < 0) {
			errno = -ret;
			return error_errno(err, "KVM: %llu MiB of memory at 0x%llx",
					   (unsigned long long)region.memory_size >> 20,
					   (unsigned long long)region.guest_phys_addr);
		}
	}
	return 0;
}

static int set_ioeventfd(const struct kvm_vm *vm, const struct kvm_ioevent *ev, int fd,
			 uint32_t flags)
{
	struct kvm_ioeventfd args = {
		.addr = ev->addr,
		.len = ev->len,
		.fd = fd,
		.datamatch = ev->value,
		.flags = flags,
	};

	if (ev->len)
		args.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (ev->pio)
		args.flags |= KVM_IOEVENTFD_FLAG_PIO;
	return kvm_ioctl(vm->vm_fd, KVM_IOEVENTFD, (uintptr_t)&args);
}

int kvm_vm_add_ioeventfd(const struct kvm_vm *vm, const struct kvm_ioevent *ev, int fd)
{
	return set_ioeventfd(vm, ev, fd, 0);
}

int kvm_vm_remove_ioeventfd(const struct kvm_vm *vm, const struct kvm_ioevent *ev, int fd)
{
	return set_ioeventfd(vm, ev, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

/*
 * Closing a VM waits for what the kernel has put off since the VM's interrupt controllers were
 * made, which takes some of its timer's ticks (RCU). A doorbell that goes away hurries it; once it
 * is over, that would only cost time.
 */
static void hurry_young(const struct kvm_vm *vm)
{
	const struct kvm_ioevent nowhere = {.addr = UINT64_MAX - 7, .len = 4};
	int fd;

	if (counter_now_ms() - vm->created_ms >= YOUNG_MS)
		return;
	fd = fd_eventfd();
	if (fd >= 0 && kvm_vm_add_ioeventfd(vm, &nowhere, fd) == 0)
		kvm_vm_remove_ioeventfd(vm, &nowhere, fd);
	fd_close(&fd);
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
	if (vm->vm_fd >= 0)
		hurry_young(vm);
	fd_close(&vm->vm_fd);
	fd_close(&vm->kvm_fd);
	free(vm->msi_routes);
	vm->msi_routes = NULL;
	vm->n_msi_routes = 0;
}

static int set_irqfd(const struct kvm_vm *vm, const struct kvm_irqfd *args)
{
	return kvm_ioctl(vm->vm_fd, KVM_IRQFD, (uintptr_t)args);
}

int kvm_vm_add_irqfd(const struct kvm_vm *vm, uint32_t gsi, int fd)
{
	return set_irqfd(vm, &(struct kvm_irqfd){.fd = (uint32_t)fd, .gsi = gsi});
}

int kvm_vm_add_level_irqfd(const struct kvm_vm *vm, uint32_t gsi, int fd, int resample_fd)
{
	return set_irqfd(vm, &(struct kvm_irqfd){
				     .fd = (uint32_t)fd,
				     .gsi = gsi,
				     .flags = KVM_IRQFD_FLAG_RESAMPLE,
				     .resamplefd = (uint32_t)resample_fd,
			     });
}

int kvm_vm_remove_irqfd(const struct kvm_vm *vm, uint32_t gsi, int fd)
{
	return set_irqfd(vm, &(struct kvm_irqfd){
				     .fd = (uint32_t)fd,
				     .gsi = gsi,
				     .flags = KVM_IRQFD_FLAG_DEASSIGN,
			     });
}

struct kvm_msi_route {
	bool used;
	struct kvm_msi_message message;
};

/* KVM takes the whole table at once. */
static int commit_routes(const struct kvm_vm *vm)
{
	bool has_devid = kvm_vm_check(vm, KVM_CAP_MSI_DEVID);
	struct kvm_irq_routing *table;
	int ret;

	table = calloc(1, sizeof(*table) + (KVM_IRQCHIP_ROUTES_MAX + vm->n_msi_routes) *
						   sizeof(table->entries[0]));
	if (!table)
		return -ENOMEM;
	table->nr = vm->irqchip_routes(table->entries);
	for (uint32_t i = 0; i < vm->n_msi_routes; i++) {
		const struct kvm_msi_message *message = &vm->msi_routes[i].message;

		if (!vm->msi_routes[i].used)
			continue;
		table->entries[table->nr++] = (struct kvm_irq_routing_entry){
			.gsi = vm->first_msi_gsi + i,
			.type = KVM_IRQ_ROUTING_MSI,
			.flags = has_devid ? KVM_MSI_VALID_DEVID : 0,
			.u.msi.address_lo = (uint32_t)message->address,
			.u.msi.address_hi = (uint32_t)(message->address >> 32),
			.u.msi.data = message->data,
			.u.msi.devid = has_devid ? message->devid : 0,
		};
	}
	ret = kvm_ioctl(vm->vm_fd, KVM_SET_GSI_ROUTING, (uintptr_t)table);
	free(table);
	return ret;
}

/* The index of a route that is free, or a negative errno. */
static int free_route(struct kvm_vm *vm)
{
	struct kvm_msi_route *routes;
	unsigned int n = vm->n_msi_routes;

	for (unsigned int i = 0; i < n; i++) {
		if (!vm->msi_routes[i].used)
			return (int)i;
	}
	routes = realloc(vm->msi_routes, (n + 1) * sizeof(*routes));
	if (!routes)
		return -ENOMEM;
	routes[n] = (struct kvm_msi_route){0};
	vm->msi_routes = routes;
	vm->n_msi_routes = n + 1;
	return (int)n;
}

static int set_msi(struct kvm_vm *vm, uint32_t gsi, const struct kvm_msi_message *message)
{
	int index = gsi ? (int)(gsi - vm->first_msi_gsi) : free_route(vm);
	struct kvm_msi_route *route, old;
	int ret;

	if (index < 0)
		return index;
	route = &vm->msi_routes[index];
	old = *route;
	if (!old.used || old.message.address != message->address ||
	    old.message.data != message->data || old.message.devid != message->devid) {
		*route = (struct kvm_msi_route){.used = true, .message = *message};
		ret = commit_routes(vm);
		if (ret) {
			*route = old;
			return ret;
		}
	}
	return (int)vm->first_msi_gsi + index;
}

int kvm_vm_set_msi(struct kvm_vm *vm, uint32_t gsi, const struct kvm_msi_message *message)
{
	int ret;

	if (!vm->irqchip_routes)
		return -ENOTSUP;
	pthread_mutex_lock(&vm->routes_lock);
	ret = set_msi(vm, gsi, message);
	pthread_mutex_unlock(&vm->routes_lock);
	return ret;
}

void kvm_vm_free_msi(struct kvm_vm *vm, uint32_t gsi)
{
	pthread_mutex_lock(&vm->routes_lock);
	/* KVM forgets it with the next change: until then nobody can raise it. */
	vm->msi_routes[gsi - vm->first_msi_gsi].used = false;
	pthread_mutex_unlock(&vm->routes_lock);
}

static int set_coalesced_mmio(const struct kvm_vm *vm, unsigned long request, uint64_t addr,
			      uint32_t len)
{
	struct kvm_coalesced_mmio_zone zone = {.addr = addr, .size = len};

	return kvm_ioctl(vm->vm_fd, request, (uintptr_t)&zone);
}

int kvm_vm_add_coalesced_mmio(const struct kvm_vm *vm, uint64_t addr, uint32_t len)
{
	return set_coalesced_mmio(vm, KVM_REGISTER_COALESCED_MMIO, addr, len);
}

int kvm_vm_remove_coalesced_mmio(const struct kvm_vm *vm, uint64_t addr, uint32_t len)
{
	return set_coalesced_mmio(vm, KVM_UNREGISTER_COALESCED_MMIO, addr, len);
}

struct kvm_coalesced kvm_vcpu_coalesced(const struct kvm_vm *vm, const struct kvm_vcpu *vcpu)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t offset = (size_t)kvm_vm_check(vm, KVM_CAP_COALESCED_MMIO) * page;
	struct kvm_coalesced coalesced = {NULL, 0};

	/* The capability is the page of the mapping that the ring is in. */
	if (offset == 0 || offset + page > vcpu->run_size)
		return coalesced;
	coalesced.ring = (struct kvm_coalesced_mmio_ring *)((char *)vcpu->run + offset);
	coalesced.size = (uint32_t)((page - sizeof(*coalesced.ring)) /
				    sizeof(coalesced.ring->coalesced_mmio[0]));
	return coalesced;
}

const struct kvm_coalesced_mmio *kvm_coalesced_first(const struct kvm_coalesced *coalesced)
{
	const struct kvm_coalesced_mmio_ring *ring = coalesced->ring;
	uint32_t first;

	if (!ring)
		return NULL;
	/* Acquire: pairs with the release in kvm_coalesced_pop(), also for who only looks. */
	first = __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE);
	/* Acquire: KVM writes the entry before the index behind it. */
	if (first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
		return NULL;
	return &ring->coalesced_mmio[first];
}

void kvm_coalesced_pop(const struct kvm_coalesced *coalesced)
{
	struct kvm_coalesced_mmio_ring *ring = coalesced->ring;

	/* Release: KVM may use the entry again, and its effect shows to who finds it gone. */
	__atomic_store_n(&ring->first, (ring->first + 1) % coalesced->size, __ATOMIC_RELEASE);
}

int kvm_vcpu_create(const struct kvm_vm *vm, unsigned int index, struct kvm_vcpu *vcpu,
		    struct error *err)
{
	*vcpu = (struct kvm_vcpu){.fd = -1, .index = index, .run_size = vm->vcpu_mmap};
	vcpu->fd = kvm_ioctl(vm->vm_fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0) {
		errno = -vcpu->fd;
		vcpu->fd = -1;
		return error_errno(err, "KVM: creating vCPU %u", index);
	}
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		int ret = error_errno(err, "KVM: mapping vCPU %u", index);

		vcpu->run = NULL;
		kvm_vcpu_destroy(vcpu);
		return ret;
	}
	return 0;
}

void kvm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	vcpu->run = NULL;
	fd_close(&vcpu->fd);
}

int kvm_vcpu_run(const struct kvm_vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

void kvm_vcpu_tell_pause(const struct kvm_vcpu *vcpu)
{
	kvm_ioctl(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

int kvm_vcpu_unblock_in_run(const struct kvm_vcpu *vcpu, int signal)
{
	/* The kernel's sigset_t is 8 bytes on every 64-bit Linux; glibc's is larger. */
	enum {
		KERNEL_SIGSET_SIZE = 8
	};
	union {
		struct kvm_signal_mask mask;
		uint8_t room[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_SIZE];
	} args = {.mask.len = KERNEL_SIGSET_SIZE};
	sigset_t current;

	pthread_sigmask(SIG_SETMASK, NULL, &current);
	sigdelset(&current, signal);
	memcpy(args.mask.sigset, &current, KERNEL_SIGSET_SIZE);
	return kvm_ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, (uintptr_t)&args);
}
