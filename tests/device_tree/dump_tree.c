/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the device tree of a VM to standard output, as a guest would find it.
 *
 *   dump_tree CPUS NICS PCI GIC
 *
 * NICS: on virtio-mmio. PCI: 1 for a VM with a PCI host bridge, else 0. GIC: 2 or 3.
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/gic.h"
#include "arch/arch.h"
#include "vmm/core/error.h"
#include "vmm/core/memory.h"

enum {
	MAX_DEVICES = 64,
};

/* One of each, and @nics on virtio-mmio. Returns the number of devices, or a negative errno. */
static int place_devices(unsigned int nics, struct arch_device devices[MAX_DEVICES],
			 struct error *err)
{
	int n = 0;

	for (unsigned int kind = 0; kind < ARCH_DEVICE_KINDS; kind++) {
		unsigned int count = kind == ARCH_DEVICE_VIRTIO_MMIO ? nics : 1;

		for (unsigned int i = 0; i < count; i++) {
			int ret = arch_place_device((enum arch_device_kind)kind, i, &devices[n++],
						    err);

			if (ret)
				return ret;
		}
	}
	return n;
}

static int write_tree(const struct guest_memory *mem, const struct arch_platform *platform,
		      struct error *err)
{
	const struct arch_handover handover = {.cmdline = "console=ttyS0",
					       .initrd = {0x42000000, 0x1000}};
	gpa_t tables;
	const void *fdt;
	int ret = arch_write_tables(mem, platform, &handover, &tables, err);

	if (ret)
		return ret;
	fdt = memory_translate(mem, tables, sizeof(struct fdt_header));
	return fwrite(fdt, fdt_totalsize(fdt), 1, stdout) == 1 ? 0 : error_errno(err, "stdout");
}

int main(int argc, char **argv)
{
	static const struct memory_config config = {0};
	struct memory_range ranges[MEMORY_MAX_REGIONS];
	struct arch_device devices[MAX_DEVICES];
	struct arch_pci pci;
	struct guest_memory mem = {.fd = -1};
	struct error err = {0};
	struct kvm_vm vm = {.kvm_fd = -1, .vm_fd = -1};
	struct arch_platform platform = {.vm = &vm, .devices = devices};
	int ret;

	if (argc != 5) {
		fprintf(stderr, "usage: dump_tree CPUS NICS PCI GIC\n");
		return 2;
	}
	platform.cpus = (unsigned int)strtoul(argv[1], NULL, 10);
	vm.irqchip = strcmp(argv[4], "2") == 0 ? GIC_V2 : GIC_V3_ITS;
	arch_place_pci(64 << 20, &pci);
	if (strcmp(argv[3], "1") == 0)
		platform.pci = &pci;
	ret = place_devices((unsigned int)strtoul(argv[2], NULL, 10), devices, &err);
	platform.n_devices = ret < 0 ? 0 : (size_t)ret;
	if (ret >= 0)
		ret = arch_memory_ranges(64 << 20, ranges, &err);
	if (ret > 0)
		ret = memory_create(&mem, ranges, (size_t)ret, &config, &err);
	if (!ret)
		ret = write_tree(&mem, &platform, &err);
	if (ret)
		fprintf(stderr, "dump_tree: %s\n", err.text);
	memory_destroy(&mem);
	return ret ? 1 : 0;
}
