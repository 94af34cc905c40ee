/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/x86_64/pvh.h"

#include <errno.h>

#include "arch/x86_64/layout.h"
#include "boot/x86_64/handover.h"
#include "vmm/core/error.h"

/* How it lies in its page. */
struct page {
	struct pvh_start_info info;
	struct pvh_module module;
	struct pvh_memory memory[MEMORY_MAP_MAX_ENTRIES];
};
_Static_assert(sizeof(struct page) <= 4096, "layout.h gives it one page");

int pvh_write(const struct guest_memory *mem, const struct handover *handover, struct error *err)
{
	struct page page = {
		.info =
			{
				.magic = PVH_MAGIC,
				.version = 1,
				.cmdline = handover->cmdline.value,
				.rsdp = handover->tables.value,
				.memory_map = LAYOUT_PVH_START_INFO + offsetof(struct page, memory),
				.memory_map_entries = (uint32_t)handover->map.n,
			},
	};

	if (handover->initrd.size) {
		page.info.n_modules = 1;
		page.info.modules = LAYOUT_PVH_START_INFO + offsetof(struct page, module);
		page.module.base = handover->initrd.base;
		page.module.size = handover->initrd.size;
	}
	for (size_t i = 0; i < handover->map.n; i++) {
		const struct memory_map_entry *entry = &handover->map.entries[i];

		page.memory[i] = (struct pvh_memory){
			.base = entry->range.base,
			.size = entry->range.size,
			.type = entry->type,
		};
	}
	if (memory_write(mem, gpa(LAYOUT_PVH_START_INFO), &page, sizeof(page)))
		return error_set(err, -EFAULT, "the guest has no memory for its start info");
	return 0;
}
