/* SPDX-License-Identifier: Apache-2.0 */
#include "x86_64/boot.h"

#include "lib/boot_info.h"
#include "lib/guest.h"
#include "lib/string.h"

struct boot_info boot_info = {.cmdline = ""};

/* Xen, xen/include/public/arch-x86/hvm/start_info.h */
struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t n_modules;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map; /* from version 1 on, as what follows */
	uint32_t n_memory_map;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t base;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct pvh_memory {
	uint64_t base;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

enum {
	PVH_MAGIC = 0x336ec578,
};

/* Linux, Documentation/arch/x86/zero-page.rst and boot.rst: offsets into struct boot_params. */
enum {
	LINUX_RSDP = 0x070,
	LINUX_INITRD_HIGH = 0x0c0,
	LINUX_INITRD_SIZE_HIGH = 0x0c4,
	LINUX_CMDLINE_HIGH = 0x0c8,
	LINUX_N_E820 = 0x1e8,
	LINUX_BOOT_FLAG = 0x1fe,
	LINUX_HEADER_MAGIC = 0x202,
	LINUX_LOADER_TYPE = 0x210,
	LINUX_INITRD = 0x218,
	LINUX_INITRD_SIZE = 0x21c,
	LINUX_CMDLINE = 0x228,
	LINUX_E820 = 0x2d0,
};

struct linux_e820 {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

static void add_memory(uint64_t base, uint64_t size, uint32_t type)
{
	if (boot_info.n_memory == sizeof(boot_info.memory) / sizeof(boot_info.memory[0]))
		fatal("memory map: more than %zu entries", boot_info.n_memory);
	boot_info.memory[boot_info.n_memory++] = (struct memory_range){base, size, type};
}

static void read_pvh(const struct pvh_start_info *info)
{
	const struct pvh_module *module = (const void *)info->modules;
	const struct pvh_memory *memory = (const void *)info->memory_map;

	boot_info.protocol = "pvh";
	if (info->magic != PVH_MAGIC || info->version < 1)
		fatal("PVH start info: magic %#x version %u", info->magic, info->version);
	if (info->cmdline != 0)
		boot_info.cmdline = (const char *)info->cmdline;
	boot_info.rsdp = info->rsdp;
	if (info->n_modules > 0) {
		boot_info.initrd = (const uint8_t *)module->base;
		boot_info.initrd_size = module->size;
	}
	for (uint32_t i = 0; i < info->n_memory_map; i++)
		add_memory(memory[i].base, memory[i].size, memory[i].type);
}

static uint32_t read32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t read_split(const uint8_t *params, unsigned int low, unsigned int high)
{
	return (uint64_t)read32(params + high) << 32 | read32(params + low);
}

static void read_linux(const uint8_t *params)
{
	const struct linux_e820 *e820 = (const void *)(params + LINUX_E820);
	uint64_t cmdline = read_split(params, LINUX_CMDLINE, LINUX_CMDLINE_HIGH);

	boot_info.protocol = "linux64";
	if (memcmp(params + LINUX_HEADER_MAGIC, "HdrS", 4) != 0 ||
	    memcmp(params + LINUX_BOOT_FLAG, "\x55\xaa", 2) != 0)
		fatal("boot_params: no setup header");
	if (params[LINUX_LOADER_TYPE] == 0)
		fatal("boot_params: type_of_loader is 0, for which Linux ignores the initrd");
	if (cmdline != 0)
		boot_info.cmdline = (const char *)cmdline;
	memcpy(&boot_info.rsdp, params + LINUX_RSDP, sizeof(boot_info.rsdp));
	boot_info.initrd = (const uint8_t *)read_split(params, LINUX_INITRD, LINUX_INITRD_HIGH);
	boot_info.initrd_size = read_split(params, LINUX_INITRD_SIZE, LINUX_INITRD_SIZE_HIGH);
	for (unsigned int i = 0; i < params[LINUX_N_E820]; i++)
		add_memory(e820[i].base, e820[i].size, e820[i].type);
}

void boot_read(unsigned int protocol, uintptr_t data)
{
	if (protocol == BOOT_PVH)
		read_pvh((const void *)data);
	else
		read_linux((const void *)data);
}
