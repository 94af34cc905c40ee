/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/x86_64/linux_params.h"

#include <errno.h>
#include <stddef.h>

#include "arch/x86_64/layout.h"
#include "boot/x86_64/handover.h"
#include "vmm/core/error.h"

#define LOADER_UNDEFINED 0xff	    /* boot.rst, type_of_loader: no assigned number */
#define HEADER_MAGIC	 0x53726448 /* "HdrS" */
#define HEADER_VERSION	 0x020c	    /* what this file fills in: boot protocol 2.12 */
#define HEADER_BOOT_FLAG 0xaa55

_Static_assert(sizeof(struct boot_params) == 4096, "zero-page.rst: one page");
_Static_assert(offsetof(struct boot_params, acpi_rsdp_addr) == 0x70, "zero-page.rst");
_Static_assert(offsetof(struct boot_params, e820_entries) == 0x1e8, "zero-page.rst");
_Static_assert(offsetof(struct boot_params, e820_table) == 0x2d0, "zero-page.rst");
_Static_assert(sizeof(struct boot_e820_entry) == 20, "zero-page.rst");
_Static_assert((int)MEMORY_MAP_MAX_ENTRIES <= E820_MAX_ENTRIES_ZEROPAGE, "e820_table is too small");

int linux_params_write(const struct guest_memory *mem, const struct setup_header *header,
		       const struct handover *handover, struct error *err)
{
	struct boot_params params = {0};

	if (header) {
		params.hdr = *header;
	} else {
		/* What Linux looks at to believe that somebody filled this in. */
		params.hdr.boot_flag = HEADER_BOOT_FLAG;
		params.hdr.header = HEADER_MAGIC;
		params.hdr.version = HEADER_VERSION;
		params.hdr.loadflags = LOADED_HIGH;
	}
	params.hdr.type_of_loader = LOADER_UNDEFINED;
	params.hdr.cmd_line_ptr = (uint32_t)handover->cmdline.value;
	params.hdr.ramdisk_image = (uint32_t)handover->initrd.base;
	params.hdr.ramdisk_size = (uint32_t)handover->initrd.size;
	params.acpi_rsdp_addr = handover->tables.value;

	for (size_t i = 0; i < handover->map.n; i++) {
		const struct memory_map_entry *entry = &handover->map.entries[i];

		params.e820_table[i] = (struct boot_e820_entry){
			.addr = entry->range.base,
			.size = entry->range.size,
			.type = entry->type,
		};
	}
	params.e820_entries = (uint8_t)handover->map.n;

	if (memory_write(mem, gpa(LAYOUT_ZERO_PAGE), &params, sizeof(params)))
		return error_set(err, -EFAULT, "the guest has no memory for its boot parameters");
	return 0;
}
