/* SPDX-License-Identifier: Apache-2.0 */
#include "aarch64/boot.h"

#include "lib/boot_info.h"
#include "lib/fdt.h"
#include "lib/guest.h"

struct boot_info boot_info = {.protocol = "linux64", .cmdline = ""};

/* A number that takes all of a property: one cell or two. */
static uint64_t read_number(const struct fdt_node *node, const char *name)
{
	uint32_t len;

	fdt_property(node, name, &len);
	return fdt_number(node, name, 0, len / 4);
}

static void read_chosen(const struct fdt_node *chosen)
{
	uint32_t len;
	const char *cmdline = fdt_property(chosen, "bootargs", &len);
	uint64_t initrd = read_number(chosen, "linux,initrd-start");

	if (cmdline != NULL)
		boot_info.cmdline = cmdline;
	boot_info.initrd = (const uint8_t *)initrd;
	boot_info.initrd_size = read_number(chosen, "linux,initrd-end") - initrd;
}

void boot_read(const void *tree)
{
	struct fdt_node node;
	size_t n = 0;

	fdt_init(tree);
	if (fdt_find_name("chosen", &node))
		read_chosen(&node);
	for (; fdt_find("device_type", "memory", (unsigned int)n, &node); n++) {
		if (n == sizeof(boot_info.memory) / sizeof(boot_info.memory[0]))
			fatal("memory map: more than %zu entries", n);
		boot_info.memory[n] = (struct memory_range){
			fdt_number(&node, "reg", 0, 2), fdt_number(&node, "reg", 2, 2), MEMORY_RAM};
	}
	boot_info.n_memory = n;
}
