/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that lies. Each case sets up the network device, shows it something bad on a ring, and
 * expects that it sets DEVICE_NEEDS_RESET (virtio 1.3, 2.1.1), and that it works again after a
 * reset. The sections are those that the driver violates.
 */
#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_net.h"

enum {
	RECEIVE = 0,
	TRANSMIT = 1,
	SIZE = 64,
	PATIENCE_MS = 500,
};

#define BEYOND_MEMORY	  0x4000000000ull /* 256 GiB: no test machine has as much */
#define DEVICE_HOLE	  0xc0000000ull
#define TABLE_DESCRIPTORS 4

static struct virtio_device device;
static struct virtqueue queues[2];
static uint8_t *buffer;		       /* of one page, all zeroes: a header and a frame */
static struct split_descriptor *table; /* for indirect descriptors */

static struct split_descriptor *descriptors(unsigned int queue)
{
	return queues[queue].split.descriptors;
}

static void set_descriptor(struct split_descriptor *descriptor, uint64_t addr, uint32_t len,
			   uint16_t flags, uint16_t next)
{
	*descriptor =
		(struct split_descriptor){.addr = addr, .len = len, .flags = flags, .next = next};
}

/* Make @count heads available, all of them @head, and kick. */
static void show(unsigned int queue, uint16_t head, uint16_t count)
{
	struct split_ring *ring = &queues[queue].split;

	for (uint16_t i = 0; i < SIZE; i++)
		ring->available->ring[i] = head;
	barrier_write();
	ring->available->idx = (uint16_t)(ring->available->idx + count);
	barrier_full();
	device.transport->notify(&device, (uint16_t)queue, queue);
}

/* The page of @buffer as a chain of one. */
static void show_descriptor(unsigned int queue, uint64_t addr, uint32_t len, uint16_t flags,
			    uint16_t next)
{
	set_descriptor(&descriptors(queue)[0], addr, len, flags, next);
	show(queue, 0, 1);
}

static void show_table(uint32_t len, uint16_t flags)
{
	show_descriptor(TRANSMIT, (uintptr_t)table, len, SPLIT_INDIRECT | flags, 1);
}

static void head_out_of_range(void)
{
	show(TRANSMIT, SIZE, 1);
}

static void index_jump(void)
{
	set_descriptor(&descriptors(TRANSMIT)[0], (uintptr_t)buffer, 100, 0, 0);
	show(TRANSMIT, 0, SIZE + 1);
}

static void loop_to_itself(void)
{
	show_descriptor(TRANSMIT, (uintptr_t)buffer, 100, SPLIT_NEXT, 0);
}

static void loop_of_two(void)
{
	set_descriptor(&descriptors(TRANSMIT)[1], (uintptr_t)buffer, 100, SPLIT_NEXT, 0);
	show_descriptor(TRANSMIT, (uintptr_t)buffer, 100, SPLIT_NEXT, 1);
}

static void next_out_of_range(void)
{
	show_descriptor(TRANSMIT, (uintptr_t)buffer, 100, SPLIT_NEXT, SIZE);
}

static void address_beyond_memory(void)
{
	show_descriptor(TRANSMIT, BEYOND_MEMORY, 100, 0, 0);
}

static void address_in_hole(void)
{
	show_descriptor(TRANSMIT, DEVICE_HOLE, 100, 0, 0);
}

static void address_wraps(void)
{
	show_descriptor(TRANSMIT, UINT64_MAX - 50, 100, 0, 0);
}

static void length_beyond_memory(void)
{
	show_descriptor(TRANSMIT, (uintptr_t)buffer, UINT32_MAX, 0, 0);
}

static void table_with_next(void)
{
	set_descriptor(&table[0], (uintptr_t)buffer, 100, 0, 0);
	show_table(sizeof(table[0]), SPLIT_NEXT);
}

static void table_of_odd_length(void)
{
	set_descriptor(&table[0], (uintptr_t)buffer, 100, 0, 0);
	show_table(sizeof(table[0]) + 1, 0);
}

static void table_empty(void)
{
	show_table(0, 0);
}

static void table_in_table(void)
{
	set_descriptor(&table[0], (uintptr_t)(table + 1), sizeof(table[0]), SPLIT_INDIRECT, 0);
	set_descriptor(&table[1], (uintptr_t)buffer, 100, 0, 0);
	show_table(sizeof(table[0]), 0);
}

static void table_next_out_of_range(void)
{
	set_descriptor(&table[0], (uintptr_t)buffer, 100, SPLIT_NEXT, TABLE_DESCRIPTORS);
	show_table(TABLE_DESCRIPTORS * sizeof(table[0]), 0);
}

static void table_beyond_memory(void)
{
	show_descriptor(TRANSMIT, BEYOND_MEMORY, sizeof(table[0]), SPLIT_INDIRECT, 0);
}

static void transmit_writable(void)
{
	show_descriptor(TRANSMIT, (uintptr_t)buffer, 100, SPLIT_WRITE, 0);
}

static void transmit_too_short(void)
{
	show_descriptor(TRANSMIT, (uintptr_t)buffer, NET_HEADER_SIZE - 1, 0, 0);
}

static void readable_after_writable(void)
{
	set_descriptor(&descriptors(TRANSMIT)[1], (uintptr_t)buffer, 100, 0, 0);
	show_descriptor(TRANSMIT, (uintptr_t)buffer, 100, SPLIT_WRITE | SPLIT_NEXT, 1);
}

static const struct {
	const char *name;
	void (*act)(void);
	/* The ring is fine, and what is in the buffer is not: the buffer may just come back. */
	bool may_drop;
} cases[] = {
	{"2.7.13 head out of range", head_out_of_range, false},
	{"2.7.13 available index jumps by more than the queue's size", index_jump, false},
	{"2.7.5.1 descriptor is its own next", loop_to_itself, false},
	{"2.7.5.1 loop of two descriptors", loop_of_two, false},
	{"2.7.5 next out of range", next_out_of_range, false},
	{"2.7.5 address beyond memory", address_beyond_memory, false},
	{"2.7.5 address in the hole below 4 GiB", address_in_hole, false},
	{"2.7.5 address and length wrap around", address_wraps, false},
	{"2.7.5 buffer ends beyond memory", length_beyond_memory, false},
	{"2.7.5.3.1 INDIRECT together with NEXT", table_with_next, false},
	{"2.7.5.3 indirect table of 17 bytes", table_of_odd_length, false},
	{"2.7.5.3 indirect table of no bytes", table_empty, false},
	{"2.7.5.3.1 indirect table in an indirect table", table_in_table, false},
	{"2.7.5.3 next out of an indirect table", table_next_out_of_range, false},
	{"2.7.5.3 indirect table beyond memory", table_beyond_memory, false},
	{"5.1.6.2 transmit buffer is for writing", transmit_writable, true},
	{"5.1.6.2 transmit buffer is shorter than a header", transmit_too_short, true},
	{"2.7.4.2 readable descriptor after a writable one", readable_after_writable, false},
};

static void start(void)
{
	uint64_t wanted = VIRTIO_FEATURE(VIRTIO_NET_F_MAC) | VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC);

	if (!virtio_negotiate(&device, wanted) || !virtio_has(&device, VIRTIO_F_INDIRECT_DESC))
		fatal("virtio-net: no indirect descriptors");
	for (uint16_t i = 0; i < 2; i++)
		virtqueue_init(&queues[i], &device, i, SIZE);
	virtio_driver_ok(&device);
}

/* 2.1.2: the device also tells by a configuration change notification. Returns what is missing. */
static const char *wait_for_needs_reset(bool may_drop)
{
	deadline_t d = deadline(PATIENCE_MS);
	uint32_t causes = 0;

	while (!(device.transport->status(&device) & VIRTIO_NEEDS_RESET)) {
		if (may_drop && queues[TRANSMIT].split.used->idx != 0)
			return "";
		if (deadline_passed(d))
			return ": DEVICE_NEEDS_RESET is not set";
	}
	while (!((causes |= device.transport->take_causes(&device)) & VIRTIO_CAUSE_CONFIG))
		if (deadline_passed(d))
			return ": no configuration change notification";
	return "";
}

/* A header and 60 bytes, which must come back. */
static bool can_send(void)
{
	struct segment segment = {.data = buffer, .len = NET_HEADER_SIZE + 60};
	void *token;
	uint32_t len;

	if (!virtqueue_add(&queues[TRANSMIT], &segment, 1, 0, buffer))
		return false;
	virtqueue_publish(&queues[TRANSMIT]);
	for (deadline_t d = deadline(PATIENCE_MS); !deadline_passed(d);)
		if (virtqueue_take(&queues[TRANSMIT], &token, &len))
			return token == buffer;
	return false;
}

int main(void)
{
	size_t mark;

	if (!virtio_find(VIRTIO_ID_NET, 0, &device))
		fatal("no network device");
	buffer = alloc_pages(PAGE_SIZE);
	table = alloc_pages(PAGE_SIZE);
	mark = alloc_mark();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *failure;

		start();
		cases[i].act();
		failure = wait_for_needs_reset(cases[i].may_drop);
		alloc_release(mark);
		start();
		if (failure[0] == '\0' && !can_send())
			failure = ": it does not work again after a reset";
		alloc_release(mark);
		check(failure[0] == '\0', "%s%s", cases[i].name, failure);
	}
	return check_done();
}
