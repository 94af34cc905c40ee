/* SPDX-License-Identifier: Apache-2.0 */
/* Where the rings are: outside of memory, over each other, over the guest, of any size (2.6). */
#include "hostile/hostile.h"

#include "lib/barrier.h"
#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_mmio.h"

enum area {
	DESCRIPTORS,
	DRIVER,
	DEVICE,
};

/* An argument: a queue, an area of it, and where that is. */
#define AREA(queue, area, place) ((queue) << 16 | (area) << 8 | (place))

/* Code that nobody calls: a page of the guest's program. */
static uint8_t program[PAGE_SIZE] __attribute__((section(".text.hostile"), aligned(PAGE_SIZE)));

static void set_area(struct virtio_queue_areas *areas, enum area area, uint64_t address)
{
	if (area == DESCRIPTORS)
		areas->descriptors = address;
	else if (area == DRIVER)
		areas->driver = address;
	else
		areas->device = address;
}

static uint64_t area_of(const struct virtio_queue_areas *areas, enum area area)
{
	return area == DESCRIPTORS ? areas->descriptors
	       : area == DRIVER	   ? areas->driver
				   : areas->device;
}

/* The device, started with one queue that has these areas, and the other one as it should be. */
static void start_with(unsigned int queue, uint16_t size, const struct virtio_queue_areas *areas)
{
	negotiate(0);
	set_up_queue(1 - queue, QUEUE_SIZE);
	device.transport->enable_queue(&device, (uint16_t)queue, size, areas);
	virtio_driver_ok(&device);
	kick(queue);
}

static void area_at(uint64_t arg)
{
	unsigned int queue = (unsigned int)(arg >> 16);
	struct virtio_queue_areas areas;
	uint64_t address = place_address((enum place)(arg & 0xff));

	negotiate(0); /* new_areas() asks for the format */
	new_areas(&areas);
	/* The last bytes are too few for each of them. */
	set_area(&areas, (enum area)(arg >> 8 & 0xff), address & ~1ull);
	start_with(queue, QUEUE_SIZE, &areas);
}

/* The control queue, which another thread of the device looks at. */
static void control_area_at(uint64_t arg)
{
	struct virtio_queue_areas areas;

	negotiate(FEATURE(VIRTIO_NET_F_CTRL_VQ));
	for (uint16_t queue = 0; queue < 2; queue++)
		set_up_queue(queue, QUEUE_SIZE);
	new_areas(&areas);
	set_area(&areas, (enum area)(arg >> 8 & 0xff),
		 place_address((enum place)(arg & 0xff)) & ~1ull);
	device.transport->enable_queue(&device, 2, QUEUE_SIZE, &areas);
	virtio_driver_ok(&device);
	kick(2);
}

/* 2.6, 2.8.10.1: alignments are 16 or 2 or 4. */
static void area_unaligned(uint64_t arg)
{
	unsigned int queue = (unsigned int)(arg >> 16);
	enum area area = (enum area)(arg >> 8 & 0xff);
	struct virtio_queue_areas areas;

	negotiate(0);
	new_areas(&areas);
	set_area(&areas, area, area_of(&areas, area) + (arg & 0xff));
	start_with(queue, QUEUE_SIZE, &areas);
}

/* Descriptors that can be sent, wherever they are; all available, in both formats. */
static void fill(const struct virtio_queue_areas *areas)
{
	for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
		struct piece piece = {(uintptr_t)scratch, FRAME_MIN, 0};

		if (ring_features != 0)
			piece.flags = PACKED_AVAIL;
		set_table((void *)areas->descriptors, i, piece, 0);
	}
	if (ring_features == 0) {
		volatile struct split_available *available = (void *)areas->driver;

		for (uint16_t i = 0; i < QUEUE_SIZE; i++)
			available->ring[i] = i;
		barrier_write();
		available->idx = QUEUE_SIZE;
	}
}

static void overlap(enum area area, enum area over, uint64_t offset)
{
	struct virtio_queue_areas areas;

	negotiate(0);
	new_areas(&areas);
	set_area(&areas, area, area_of(&areas, over) + offset);
	fill(&areas);
	start_with(TRANSMIT, QUEUE_SIZE, &areas);
}

static void device_over_driver(uint64_t offset)
{
	overlap(DEVICE, DRIVER, offset);
}

static void device_over_descriptors(uint64_t offset)
{
	overlap(DEVICE, DESCRIPTORS, offset);
}

static void driver_over_descriptors(uint64_t offset)
{
	overlap(DRIVER, DESCRIPTORS, offset);
}

static void all_at(uint64_t address)
{
	const struct virtio_queue_areas areas = {address, address, address};

	negotiate(0);
	fill(&areas);
	start_with(TRANSMIT, QUEUE_SIZE, &areas);
}

static void all_in_one(uint64_t arg)
{
	(void)arg;
	all_at((uintptr_t)scratch);
}

static void over_program(uint64_t arg)
{
	(void)arg;
	all_at((uintptr_t)program);
}

static void rings_share(uint64_t arg)
{
	struct virtio_queue_areas areas;

	(void)arg;
	negotiate(0);
	new_areas(&areas);
	fill(&areas);
	for (uint16_t queue = 0; queue < 2; queue++)
		device.transport->enable_queue(&device, queue, QUEUE_SIZE, &areas);
	virtio_driver_ok(&device);
	kick(TRANSMIT);
	kick(RECEIVE);
}

/* Each area of one ring is another one of the other ring. */
static void rings_cross(uint64_t arg)
{
	struct virtio_queue_areas areas, other;

	(void)arg;
	negotiate(0);
	new_areas(&areas);
	fill(&areas);
	other = (struct virtio_queue_areas){areas.device, areas.descriptors, areas.driver};
	device.transport->enable_queue(&device, TRANSMIT, QUEUE_SIZE, &areas);
	device.transport->enable_queue(&device, RECEIVE, QUEUE_SIZE, &other);
	virtio_driver_ok(&device);
	kick(TRANSMIT);
	kick(RECEIVE);
}

/* The device writes to what the other device's driver reads. */
static void never_set(uint64_t queue)
{
	const struct virtio_queue_areas areas = {0, 0, 0};

	/* Page 0 is nobody's; for a split ring its used index is written there. */
	start_with((unsigned int)queue, QUEUE_SIZE, &areas);
}

/* --- sizes --- */

static void sized(uint64_t size)
{
	struct virtio_queue_areas areas;

	negotiate(0);
	new_areas(&areas);
	start_with(TRANSMIT, (uint16_t)size, &areas);
}

/* The largest size, with an area that has room for the smallest one, at the end of memory. */
static void largest_at_end(uint64_t area)
{
	uint16_t max = device.transport->queue_max(&device, TRANSMIT);
	struct virtio_queue_areas areas;

	negotiate(0);
	new_areas(&areas);
	set_area(&areas, (enum area)area, place_address(BEHIND_MEMORY) - 16);
	start_with(TRANSMIT, max, &areas);
}

static const struct trick tricks[] = {
	{"2.6", "a descriptor area", area_at, AREA(TRANSMIT, DESCRIPTORS, 0), BREAKS,
	 BARE | EACH_PLACE, 0},
	{"2.6", "a driver area", area_at, AREA(TRANSMIT, DRIVER, 0), BREAKS, BARE | EACH_PLACE, 0},
	{"2.6", "a device area", area_at, AREA(TRANSMIT, DEVICE, 0), BREAKS, BARE | EACH_PLACE, 0},
	{"2.6", "a descriptor area for receiving", area_at, AREA(RECEIVE, DESCRIPTORS, 0), BREAKS,
	 BARE | EACH_PLACE, 0},
	{"2.6", "a control queue's descriptor area", control_area_at, AREA(2, DESCRIPTORS, 0),
	 BREAKS, BARE | EACH_PLACE, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{"2.6", "a control queue's device area", control_area_at, AREA(2, DEVICE, 0), BREAKS,
	 BARE | EACH_PLACE, FEATURE(VIRTIO_NET_F_CTRL_VQ)},
	{"2.6", "a descriptor area across the end of memory", largest_at_end, DESCRIPTORS, BREAKS,
	 BARE, 0},
	{"2.6", "a driver area across the end of memory", largest_at_end, DRIVER, BREAKS,
	 BARE | SPLIT, 0},
	{"2.6", "a device area across the end of memory", largest_at_end, DEVICE, BREAKS,
	 BARE | SPLIT, 0},
	{"2.6", "an unaligned descriptor area", area_unaligned, AREA(TRANSMIT, DESCRIPTORS, 1),
	 BREAKS, BARE, 0},
	{"2.6", "a descriptor area at a multiple of 8", area_unaligned,
	 AREA(TRANSMIT, DESCRIPTORS, 8), BREAKS, BARE, 0},
	{"2.6", "an unaligned driver area", area_unaligned, AREA(TRANSMIT, DRIVER, 1), BREAKS, BARE,
	 0},
	{"2.6", "an unaligned device area", area_unaligned, AREA(TRANSMIT, DEVICE, 1), BREAKS, BARE,
	 0},
	{"2.6", "a device area at a multiple of 2", area_unaligned, AREA(TRANSMIT, DEVICE, 2),
	 BREAKS, BARE, 0},
	{"2.6", "an unaligned area for receiving", area_unaligned, AREA(RECEIVE, DEVICE, 1), BREAKS,
	 BARE, 0},
	{"2.6", "the device area over the driver area", device_over_driver, 0, ANYTHING, BARE, 0},
	{"2.6", "the device area a bit behind the driver area", device_over_driver, 4, ANYTHING,
	 BARE, 0},
	{"2.6", "the device area over the descriptors", device_over_descriptors, 0, ANYTHING, BARE,
	 0},
	{"2.6", "the device area in the descriptors", device_over_descriptors, 256, ANYTHING, BARE,
	 0},
	{"2.6", "the driver area over the descriptors", driver_over_descriptors, 0, ANYTHING, BARE,
	 0},
	{"2.6", "all areas in one place", all_in_one, 0, ANYTHING, BARE, 0},
	{"2.6", "all areas over the guest's program", over_program, 0, ANYTHING, BARE, 0},
	{"2.6", "two rings in one place", rings_share, 0, ANYTHING, BARE, 0},
	{"2.6", "two rings across each other", rings_cross, 0, ANYTHING, BARE, 0},
	{"2.6", "a ring without addresses", never_set, TRANSMIT, ANYTHING, BARE, 0},
	{"2.6", "a receive ring without addresses", never_set, RECEIVE, ANYTHING, BARE, 0},
	{"2.7", "a ring of 3 descriptors", sized, 3, BREAKS, BARE | SPLIT | MMIO, 0},
	{"2.7", "a ring of 3 descriptors, packed", sized, 3, ANYTHING, BARE | PACKED, 0},
	{"2.7", "a ring of 1 descriptor", sized, 1, ANYTHING, BARE, 0},
	{"2.7", "a ring of 0 descriptors", sized, 0, ANYTHING, BARE, 0},
	{"2.7", "a ring of 65535 descriptors", sized, UINT16_MAX, ANYTHING, BARE, 0},
};

const struct trick_group areas_tricks = TRICK_GROUP(tricks);
