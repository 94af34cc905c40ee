/* SPDX-License-Identifier: Apache-2.0 */
#include "aarch64/its.h"

#include "aarch64/cpu.h"
#include "aarch64/gic.h"
#include "lib/fdt.h"
#include "lib/guest.h"
#include "lib/string.h"

enum { /* 12.19 */
	GITS_CTLR = 0x0000,
	GITS_TYPER = 0x0008,
	GITS_CBASER = 0x0080,
	GITS_CWRITER = 0x0088,
	GITS_CREADR = 0x0090,
	GITS_BASER = 0x0100, /* 8 of them */
	GITS_TRANSLATER = 0x10040,
	GITS_BASERS = 8,
	GITS_BASER_TYPE_SHIFT = 56,
	GITS_BASER_DEVICES = 1,
	GITS_BASER_COLLECTIONS = 4,
	GITS_TYPER_ADDRESS_SHIFT = 19,
};

#define GITS_VALID	 (1ull << 63)
#define GITS_BASER_64KIB (2ull << 8)
#define CACHED		 (7ull << 59 | 1ull << 10) /* inner write-back, inner shareable */

enum { /* 12.11: of a redistributor */
	GICR_CTLR = 0x0000,
	GICR_TYPER = 0x0008,
	GICR_PROPBASER = 0x0070,
	GICR_PENDBASER = 0x0078,
	GICR_CTLR_LPIS = 1 << 0,
	GICR_TYPER_NUMBER_SHIFT = 8,
};

#define GICR_CACHED	    (7ull << 7 | 1ull << 10)
#define GICR_PENDBASER_ZERO (1ull << 62)

enum its_command { /* 5.3 */
	ITS_SYNC = 0x05,
	ITS_MAPD = 0x08,
	ITS_MAPC = 0x09,
	ITS_MAPTI = 0x0a,
};

enum {
	TABLE_SIZE = 64 << 10,
	QUEUE_SIZE = 4096,
	COMMAND_SIZE = 32,
	DEVICES_MAX = 8,
	EVENT_BITS = 8, /* the event is the LPI's number */
	ENTRY_MAX = 16, /* bytes, of what a GITS_TYPER can say */
	INTID_BITS = 14,
	LPI_ENABLED = 0x80 | 1, /* with its priority */
	COLLECTION = 0,
};
_Static_assert(ITS_LPIS == 1 << EVENT_BITS, "events");

/* What belongs to the interrupt controller, zeroes at first. */
static uint8_t device_table[TABLE_SIZE] __attribute__((aligned(TABLE_SIZE)));
static uint8_t collection_table[TABLE_SIZE] __attribute__((aligned(TABLE_SIZE)));
static uint8_t pending_table[TABLE_SIZE] __attribute__((aligned(TABLE_SIZE)));
static uint8_t configuration[1 << INTID_BITS] __attribute__((aligned(TABLE_SIZE)));
static uint64_t queue[QUEUE_SIZE / 8] __attribute__((aligned(TABLE_SIZE)));
static uint8_t translations[DEVICES_MAX][ITS_LPIS * ENTRY_MAX] __attribute__((aligned(256)));

static uint64_t its;
static uint64_t target; /* the redistributor of the collection, as commands have it */

static void command(uint64_t word0, uint64_t word1, uint64_t word2)
{
	uint64_t at = read64(its + GITS_CWRITER);
	uint64_t next = (at + COMMAND_SIZE) % QUEUE_SIZE;

	memcpy(&queue[at / 8], (uint64_t[]){word0, word1, word2, 0}, COMMAND_SIZE);
	__asm__ volatile("dsb ishst" : : : "memory");
	write64(its + GITS_CWRITER, next);
	for (deadline_t d = deadline(1000); read64(its + GITS_CREADR) != next;)
		if (deadline_passed(d))
			fatal("ITS: command %#lx is not done", word0);
}

/* 5.1.1: the LPIs of this CPU. */
static void init_lpis(uint64_t redistributor)
{
	memset(configuration, LPI_ENABLED, sizeof(configuration));
	write64(redistributor + GICR_PROPBASER,
		(uintptr_t)configuration | GICR_CACHED | (INTID_BITS - 1));
	write64(redistributor + GICR_PENDBASER,
		(uintptr_t)pending_table | GICR_CACHED | GICR_PENDBASER_ZERO);
	write32(redistributor + GICR_CTLR, read32(redistributor + GICR_CTLR) | GICR_CTLR_LPIS);
}

static void give_table(unsigned int index)
{
	uint64_t at = its + GITS_BASER + 8 * (uint64_t)index;
	uint64_t type = read64(at) >> GITS_BASER_TYPE_SHIFT & 7;
	const void *table = type == GITS_BASER_DEVICES	     ? device_table
			    : type == GITS_BASER_COLLECTIONS ? collection_table
							     : NULL;

	if (table != NULL)
		write64(at, (uintptr_t)table | GITS_VALID | CACHED | GITS_BASER_64KIB);
}

static bool find(struct fdt_node *its_node)
{
	return fdt_find("compatible", "arm,gic-v3-its", 0, its_node);
}

bool its_found(void)
{
	struct fdt_node node;

	return find(&node);
}

static void init(void)
{
	uint64_t redistributor = gic_cpu_part();
	struct fdt_node node;

	if (!find(&node))
		fatal("device tree: no ITS");
	its = fdt_number(&node, "reg", 0, 2);
	init_lpis(redistributor);
	for (unsigned int i = 0; i < GITS_BASERS; i++)
		give_table(i);
	write64(its + GITS_CBASER, (uintptr_t)queue | GITS_VALID | CACHED);
	write64(its + GITS_CWRITER, 0);
	write32(its + GITS_CTLR, 1);
	/* Redistributors go by their address, or by their number. */
	target = read64(its + GITS_TYPER) >> GITS_TYPER_ADDRESS_SHIFT & 1
			 ? redistributor
			 : (read64(redistributor + GICR_TYPER) >> GICR_TYPER_NUMBER_SHIFT & 0xffff)
				   << 16;
	command(ITS_MAPC, 0, GITS_VALID | target | COLLECTION);
}

static void map_device(uint32_t device)
{
	static uint32_t devices[DEVICES_MAX];
	static unsigned int n;

	for (unsigned int i = 0; i < n; i++)
		if (devices[i] == device)
			return;
	if (n == DEVICES_MAX)
		fatal("ITS: there is room for %u devices", n);
	command((uint64_t)device << 32 | ITS_MAPD, EVENT_BITS - 1,
		GITS_VALID | (uintptr_t)translations[n]);
	devices[n++] = device;
}

void its_map(uint32_t device, uint32_t lpi, uint64_t *address, uint32_t *data)
{
	if (its == 0)
		init();
	if (lpi >= ITS_LPIS)
		fatal("ITS: there are %u LPIs", ITS_LPIS);
	map_device(device);
	command((uint64_t)device << 32 | ITS_MAPTI, (uint64_t)(GIC_FIRST_LPI + lpi) << 32 | lpi,
		COLLECTION);
	command(ITS_SYNC, 0, target);
	*address = its + GITS_TRANSLATER;
	*data = lpi;
}
