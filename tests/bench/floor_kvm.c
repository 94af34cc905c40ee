/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor_kvm FILE [MEMORY_MIB [irqchip]]: just the system calls without which KVM runs no guest, to
 * the PVH entry of an ELF file and on to its first port output. No VMM can be quicker. With
 * "irqchip" those as well that every guest of ours needs: interrupt controllers and CPUID.
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STATUS_FAILED = 1,
	CPUID_ENTRIES = 256,
	MIB = 1 << 20,
	NOTE_PHYS32_ENTRY = 18, /* Xen's docs/misc/pvh.pandoc */
};

static int need(int result, const char *what)
{
	if (result < 0)
		err(STATUS_FAILED, "%s", what);
	return result;
}

static void *map(int fd, size_t size, int protection, int flags)
{
	void *at = mmap(NULL, size, protection, flags, fd, 0);

	if (at == MAP_FAILED)
		err(STATUS_FAILED, "mmap");
	return at;
}

/* Puts the segments into guest memory; returns the entry. The file is our own: it is trusted. */
static uint32_t load(const char *path, uint8_t *memory)
{
	int fd = need(open(path, O_RDONLY | O_CLOEXEC), path);
	struct stat status;
	const uint8_t *file;
	const Elf64_Ehdr *header;
	const Elf64_Phdr *segments;
	uint32_t entry = 0;

	need(fstat(fd, &status), path);
	file = map(fd, (size_t)status.st_size, PROT_READ, MAP_PRIVATE);
	close(fd);
	header = (const void *)file;
	segments = (const void *)(file + header->e_phoff);
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		const Elf64_Nhdr *note = (const void *)(file + segments[i].p_offset);

		if (segments[i].p_type == PT_LOAD)
			memcpy(memory + segments[i].p_paddr, note, segments[i].p_filesz);
		/* Its only note; name and value follow. */
		if (segments[i].p_type == PT_NOTE && note->n_type == NOTE_PHYS32_ENTRY)
			memcpy(&entry, (const uint8_t *)(note + 1) + 4, sizeof(entry));
	}
	if (entry == 0)
		errx(STATUS_FAILED, "%s: no PVH note", path);
	return entry;
}

static void copy_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	if (cpuid == NULL)
		err(STATUS_FAILED, "calloc");
	cpuid->nent = CPUID_ENTRIES;
	need(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	need(ioctl(vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

/* 32-bit protected mode without paging, flat. */
static void set_registers(int vcpu, uint32_t entry)
{
	struct kvm_segment code = {
		.limit = UINT32_MAX,
		.selector = 8,
		.type = 11,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_regs registers = {.rip = entry, .rflags = 2};
	struct kvm_sregs special;

	data.selector = 16;
	data.type = 3;
	need(ioctl(vcpu, KVM_GET_SREGS, &special), "KVM_GET_SREGS");
	special.cs = code;
	special.ds = special.es = special.fs = special.gs = special.ss = data;
	special.cr0 = 1;
	need(ioctl(vcpu, KVM_SET_SREGS, &special), "KVM_SET_SREGS");
	need(ioctl(vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
}

int main(int argc, char **argv)
{
	bool irqchip = argc > 3 && strcmp(argv[3], "irqchip") == 0;
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 0) : 512) * MIB;
	struct kvm_userspace_memory_region region = {.memory_size = size};
	int kvm, vm, vcpu, run_size;
	uint8_t *memory;
	struct kvm_run *run;

	if (argc < 2)
		errx(STATUS_FAILED, "usage: floor_kvm FILE [MEMORY_MIB [irqchip]]");
	kvm = need(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm = need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	memory = map(-1, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	region.userspace_addr = (uintptr_t)memory;
	need(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	if (irqchip)
		need(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	vcpu = need(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	run_size = need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	run = map(vcpu, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (irqchip)
		copy_cpuid(kvm, vcpu);
	set_registers(vcpu, load(argv[1], memory));
	need(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_IO)
		errx(STATUS_FAILED, "exit reason %u", run->exit_reason);
	return 0;
}
