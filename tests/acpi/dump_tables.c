/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the ACPI tables of a VM to files, as a guest would find them: from the RSDP on.
 *
 *   dump_tables CPUS NICS PCI DIRECTORY
 *
 * DIRECTORY/<signature>.dat, one for each table. PCI: 1 for a VM with a PCI host bridge, else 0.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "vmm/core/error.h"
#include "vmm/core/memory.h"

enum {
	MAX_DEVICES = 64,
};

static int fail(const char *what)
{
	fprintf(stderr, "dump_tables: %s\n", what);
	return -1;
}

/* One of each, and @nics on virtio-mmio. Returns the number of devices, or -1. */
static int place_devices(unsigned int nics, struct arch_device devices[MAX_DEVICES])
{
	static const enum arch_device_kind single[] = {ARCH_DEVICE_SERIAL, ARCH_DEVICE_POWER,
						       ARCH_DEVICE_PVPANIC, ARCH_DEVICE_DEBUG_EXIT,
						       ARCH_DEVICE_GUEST_MARK};
	struct error err = {0};
	int n = 0;

	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
		if (arch_place_device(single[i], 0, &devices[n++], &err))
			return fail(err.text);
	}
	for (unsigned int i = 0; i < nics; i++) {
		if (n == MAX_DEVICES)
			return fail("too many NICs");
		if (arch_place_device(ARCH_DEVICE_VIRTIO_MMIO, i, &devices[n++], &err))
			return fail(err.text);
	}
	return n;
}

/* Write the table at @addr to its file and give it (to free) to the caller. */
static struct acpi_header *dump(const struct guest_memory *mem, gpa_t addr, const char *directory)
{
	struct acpi_header head;
	struct acpi_header *table;
	char path[4096];
	FILE *file;

	if (memory_read(mem, addr, &head, sizeof(head)) || head.length < sizeof(head)) {
		fail("a pointer leads to no table");
		return NULL;
	}
	table = malloc(head.length);
	if (!table || memory_read(mem, addr, table, head.length)) {
		fail("a table reaches out of memory");
		goto error;
	}
	snprintf(path, sizeof(path), "%s/%.4s.dat", directory, head.signature);
	file = fopen(path, "we");
	if (!file || fwrite(table, head.length, 1, file) != 1 || fclose(file)) {
		fail(path);
		goto error;
	}
	return table;
error:
	free(table);
	return NULL;
}

static int dump_all(const struct guest_memory *mem, gpa_t tables, const char *directory)
{
	struct acpi_rsdp rsdp;
	struct acpi_header *xsdt;
	size_t n;
	int ret = 0;

	if (memory_read(mem, tables, &rsdp, sizeof(rsdp)))
		return fail("no RSDP");
	xsdt = dump(mem, gpa(rsdp.xsdt_address), directory);
	if (!xsdt)
		return -1;
	n = (xsdt->length - sizeof(*xsdt)) / sizeof(uint64_t);
	for (size_t i = 0; i < n && !ret; i++) {
		struct acpi_header *table;
		uint64_t entry;

		memcpy(&entry, (const char *)(xsdt + 1) + i * sizeof(entry), sizeof(entry));
		table = dump(mem, gpa(entry), directory);
		if (!table)
			ret = -1;
		if (table && !memcmp(table->signature, "FACP", 4)) {
			struct acpi_header *dsdt =
				dump(mem, gpa(((struct acpi_fadt *)table)->x_dsdt), directory);

			ret = dsdt ? 0 : -1;
			free(dsdt);
		}
		free(table);
	}
	free(xsdt);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct memory_config config = {0};
	struct memory_range ranges[MEMORY_MAX_REGIONS];
	struct arch_device devices[MAX_DEVICES];
	struct arch_pci pci;
	struct guest_memory mem = {.fd = -1};
	struct error err = {0};
	struct arch_platform platform = {.devices = devices};
	gpa_t tables;
	int n, ret;

	if (argc != 5) {
		fprintf(stderr, "usage: dump_tables CPUS NICS PCI DIRECTORY\n");
		return 2;
	}
	platform.cpus = (unsigned int)strtoul(argv[1], NULL, 10);
	n = place_devices((unsigned int)strtoul(argv[2], NULL, 10), devices);
	if (n < 0)
		return 1;
	ret = arch_memory_ranges(64 << 20, ranges, &err);
	if (ret > 0)
		ret = memory_create(&mem, ranges, (size_t)ret, &config, &err);
	platform.n_devices = (size_t)n;
	arch_place_pci(64 << 20, &pci);
	if (strcmp(argv[3], "1") == 0)
		platform.pci = &pci;
	if (!ret)
		ret = arch_write_tables(&mem, &platform, &(struct arch_handover){0}, &tables, &err);
	if (ret)
		fail(err.text);
	else
		ret = dump_all(&mem, tables, argv[4]);
	memory_destroy(&mem);
	return ret ? 1 : 0;
}
