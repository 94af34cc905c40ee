/* SPDX-License-Identifier: Apache-2.0 */
/* What the tricks are made of. */
#include "hostile/hostile.h"

#include "lib/barrier.h"
#include "lib/boot_info.h"
#include "lib/guest.h"
#include "lib/smp.h"
#include "lib/string.h"
#include "lib/virtio_mmio.h"
#include "lib/virtio_pci.h"

enum {
	MMIO_SIZE = 0x1000,
	PM_CONTROL = 4, /* of the power management capability, PCI PM 1.2, 3.2 */
};

#define ADDRESS_BEYOND 0x4000000000ull /* 256 GiB: no test machine has as much */
#define ADDRESS_HOLE   0xc8000000ull

struct net witness;
uint8_t scratch[128 << 10] __attribute__((aligned(PAGE_SIZE)));

/* --- places --- */

static uint64_t end_of_memory(void)
{
	uint64_t end = 0;

	for (size_t i = 0; i < boot_info.n_memory; i++) {
		const struct memory_range *range = &boot_info.memory[i];

		if (range->type == MEMORY_RAM && range->base + range->size > end)
			end = range->base + range->size;
	}
	return end;
}

uint64_t start_of_memory(void)
{
	uint64_t start = UINT64_MAX;

	for (size_t i = 0; i < boot_info.n_memory; i++) {
		const struct memory_range *range = &boot_info.memory[i];

		if (range->type == MEMORY_RAM && range->base < start)
			start = range->base;
	}
	return start;
}

static uintptr_t registers_of(const struct virtio_device *of)
{
	return of->pci != NULL ? of->pci->function.bars[0].base : of->base;
}

uint64_t place_address(enum place place)
{
	switch (place) {
	case BEYOND_MEMORY:
		return ADDRESS_BEYOND;
	case LAST_BYTE:
		return end_of_memory() - 1;
	case BEHIND_MEMORY:
		return end_of_memory();
	case IN_HOLE:
		return ADDRESS_HOLE;
	case OWN_REGISTERS:
		return registers_of(&device);
	case OTHER_REGISTERS:
		return registers_of(&witness.device);
	case IN_IRQ_CONTROLLER:
		return irq_controller();
	case IN_CPU_IRQ_CONTROLLER:
		return irq_cpu_controller();
	case HIGH_HALF:
		return 1ull << 63;
	default:
		return UINT64_MAX;
	}
}

/* --- rings --- */

/* Where the device will have marked that the last buffer is used. */
static struct packed_position last_shown[2];

static void put_split(struct split_ring *ring, const struct piece *pieces, unsigned int n)
{
	/* Not the first descriptors: those may be with the device. */
	uint16_t at = (uint16_t)(ring->size - n);

	for (unsigned int i = 0; i < n; i++)
		ring->descriptors[at + i] = (struct split_descriptor){
			.addr = pieces[i].addr,
			.len = pieces[i].len,
			.flags = pieces[i].flags,
			.next = (uint16_t)(at + i + 1),
		};
	ring->available->ring[ring->available_idx++ % ring->size] = at;
	barrier_write();
	ring->available->idx = ring->available_idx;
}

static void put_packed(struct packed_ring *ring, const struct piece *pieces, unsigned int n)
{
	/* From the last one to the first, which makes them available. */
	for (unsigned int i = n; i-- > 0;) {
		struct packed_position at = packed_advance(ring, ring->next, i);
		volatile struct packed_descriptor *descriptor = &ring->descriptors[at.index];

		descriptor->addr = pieces[i].addr;
		descriptor->len = pieces[i].len;
		descriptor->id = (uint16_t)(ring->size - 1);
		barrier_write();
		descriptor->flags = (uint16_t)(pieces[i].flags | packed_available_flags(at));
	}
	ring->next = packed_advance(ring, ring->next, n);
}

void show_raw(unsigned int queue, const struct piece *pieces, unsigned int n)
{
	struct virtqueue *to = &net.queues[queue];

	if (virtio_has(&device, VIRTIO_F_RING_PACKED)) {
		last_shown[queue] = to->packed.next;
		put_packed(&to->packed, pieces, n);
	} else {
		put_split(&to->split, pieces, n);
	}
	barrier_full();
	virtqueue_kick(to);
}

void show(unsigned int queue, const struct piece *pieces, unsigned int n)
{
	struct piece chain[PIECES_MAX];

	expect(n <= PIECES_MAX, "%u pieces", n);
	memcpy(chain, pieces, n * sizeof(pieces[0]));
	for (unsigned int i = 0; i + 1 < n; i++)
		chain[i].flags |= PIECE_NEXT;
	show_raw(queue, chain, n);
}

void show_one(unsigned int queue, uint64_t addr, uint32_t len, uint16_t flags)
{
	show_raw(queue, &(struct piece){addr, len, flags}, 1);
}

bool all_used(unsigned int queue)
{
	const struct virtqueue *of = &net.queues[queue];
	uint16_t flags;

	if (!virtio_has(&device, VIRTIO_F_RING_PACKED))
		return of->split.used->idx == of->split.available_idx;
	flags = of->packed.descriptors[last_shown[queue].index].flags;
	return !!(flags & PACKED_AVAIL) == last_shown[queue].wrap &&
	       !!(flags & PACKED_USED) == last_shown[queue].wrap;
}

void set_table(void *table, unsigned int index, struct piece piece, uint16_t next)
{
	if (virtio_has(&device, VIRTIO_F_RING_PACKED))
		((struct packed_descriptor *)table)[index] = (struct packed_descriptor){
			.addr = piece.addr,
			.len = piece.len,
			.flags = piece.flags,
		};
	else
		((struct split_descriptor *)table)[index] = (struct split_descriptor){
			.addr = piece.addr,
			.len = piece.len,
			.flags = piece.flags,
			.next = next,
		};
}

void new_areas(struct virtio_queue_areas *areas)
{
	if (virtio_has(&device, VIRTIO_F_RING_PACKED)) {
		struct packed_ring ring;

		packed_ring_init(&ring, QUEUE_SIZE, false, false);
		packed_ring_areas(&ring, areas);
	} else {
		struct split_ring ring;

		split_ring_init(&ring, QUEUE_SIZE, false, false);
		split_ring_areas(&ring, areas);
	}
}

void kick(unsigned int queue)
{
	device.transport->notify(&device, (uint16_t)queue, queue);
}

/* --- waiting, and chance --- */

void pause_ms(unsigned int milliseconds)
{
	for (deadline_t d = deadline(milliseconds); !deadline_passed(d);)
		;
}

bool is_broken(void)
{
	return device.transport->status(&device) & VIRTIO_NEEDS_RESET;
}

/* The same numbers in each run: a linear congruential generator. */
uint32_t random_number(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

/* --- registers --- */

uint64_t peek(uintptr_t address, unsigned int width)
{
	switch (width) {
	case 1:
		return *(volatile uint8_t *)address;
	case 2:
		return *(volatile uint16_t *)address;
	case 4:
		return *(volatile uint32_t *)address;
	default:
		return *(volatile uint64_t *)address;
	}
}

void poke(uintptr_t address, unsigned int width, uint64_t value)
{
	switch (width) {
	case 1:
		*(volatile uint8_t *)address = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)address = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)address = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)address = value;
	}
}

uintptr_t registers(void)
{
	return registers_of(&device);
}

size_t registers_size(void)
{
	return device.pci != NULL ? device.pci->function.bars[0].size : MMIO_SIZE;
}

void copy_registers(uint64_t len)
{
	memcpy(scratch, (const void *)registers(), len);
}

/* --- the registers of a queue, on either transport --- */

void select_queue(unsigned int queue)
{
	if (device.pci != NULL)
		device.pci->common->queue_select = (uint16_t)queue;
	else
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_SEL, queue);
}

void set_queue_size(uint32_t size)
{
	if (device.pci != NULL)
		device.pci->common->queue_size = (uint16_t)size;
	else
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_SIZE, size);
}

void set_queue_enabled(uint32_t value)
{
	if (device.pci != NULL)
		device.pci->common->queue_enable = (uint16_t)value;
	else
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_READY, value);
}

void set_queue_reset(uint32_t value)
{
	if (device.pci != NULL)
		device.pci->common->queue_reset = (uint16_t)value;
	else
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_RESET, value);
}

void set_queue_addresses(uint64_t address)
{
	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int half = 0; half < 2; half++) {
			uint32_t value = (uint32_t)(address >> 32 * half);

			if (device.pci != NULL)
				poke((uintptr_t)&device.pci->common->queue_desc + 8 * i + 4 * half,
				     4, value);
			else
				virtio_mmio_write(&device,
						  VIRTIO_MMIO_QUEUE_DESC_LOW + 0x10 * i + 4 * half,
						  value);
		}
}

/* --- the PCI function --- */

/* As virtio_connect() has left it. */
struct function_state {
	bool known;
	bool msix;
	uint32_t command;
	struct pci_msix_entry entry;
};

static void save_function(struct virtio_pci *pci, struct function_state *state)
{
	*state = (struct function_state){
		.known = true,
		.msix = pci->msix_on,
		.command = pci_read(&pci->function, PCI_COMMAND, 2),
		.entry =
			{
				.address = pci->msix_table[0].address,
				.data = pci->msix_table[0].data,
			},
	};
}

static void restore_vectors(struct virtio_pci *pci, const struct function_state *state)
{
	unsigned int n = (pci_read(&pci->function, pci->msix + PCI_MSIX_CONTROL, 2) &
			  PCI_MSIX_SIZE_MASK) +
			 1;

	virtio_pci_set_msix(pci, false);
	for (unsigned int i = 0; i < n; i++) {
		pci->msix_table[i].control = PCI_MSIX_VECTOR_MASKED;
		pci->msix_table[i].address = state->entry.address;
		pci->msix_table[i].address_high = state->entry.address_high;
		pci->msix_table[i].data = state->entry.data;
	}
	pci->msix_table[0].control = state->msix ? 0 : PCI_MSIX_VECTOR_MASKED;
	virtio_pci_set_msix(pci, state->msix);
}

void restore_function(void)
{
	static struct function_state state;
	struct pci_function *function;
	unsigned int power;

	if (device.pci == NULL)
		return;
	if (!state.known)
		save_function(device.pci, &state);
	function = &device.pci->function;
	power = pci_find_capability(function, PCI_CAP_POWER, 0);
	pci_write(function, power + PM_CONTROL, 2, 0);
	pci_write(function, PCI_COMMAND, 2, 0);
	pci_write(function, PCI_BAR0, 4, (uint32_t)function->bars[0].base);
	pci_write(function, PCI_BAR0 + 4, 4, (uint32_t)(function->bars[0].base >> 32));
	pci_write(function, PCI_COMMAND, 2, state.command);
	restore_vectors(device.pci, &state);
}

/* --- the second CPU --- */

static void (*volatile scribble)(void);
static volatile bool scribbling;

static void other_cpu(unsigned int cpu)
{
	void (*act)(void);

	(void)cpu;
	while ((act = scribble) != NULL)
		act();
	scribbling = false;
	halt();
}

void scribbling_begins(void (*act)(void))
{
	scribble = act;
	scribbling = smp_start(1, other_cpu);
	expect(scribbling, "the second CPU doesn't start");
}

void scribbling_ends(void)
{
	scribble = NULL;
	while (scribbling)
		;
}
