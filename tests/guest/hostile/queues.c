/* SPDX-License-Identifier: Apache-2.0 */
/* Queues that are changed while they run, reset, disabled, kicked too often (2.6, 4.1.5, 4.2.3). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"
#include "lib/virtio_mmio.h"
#include "lib/virtio_pci.h"

#define RING_RESET FEATURE(VIRTIO_F_RING_RESET)

enum {
	STORM = 2000,	  /* kicks */
	NO_QUEUE = 0xfff, /* that a device has */
};

static struct frame frame;

/* --- changes of a running queue --- */

static void size_when_running(uint64_t size)
{
	for (unsigned int queue = 0; queue < 2; queue++) {
		select_queue(queue);
		set_queue_size((uint32_t)size);
	}
}

static void moves_when_running(uint64_t address)
{
	for (unsigned int queue = 0; queue < 2; queue++) {
		select_queue(queue);
		set_queue_addresses(address);
	}
}

static void enabled_when_running(uint64_t value)
{
	for (unsigned int queue = 0; queue < 2; queue++) {
		select_queue(queue);
		set_queue_enabled((uint32_t)value);
	}
}

/* On virtio-mmio that stops the queue, virtio-pci takes no 0 (4.1.4.3.2). */
static void off_and_on(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		select_queue(TRANSMIT);
		set_queue_enabled(0);
		kick(TRANSMIT);
		select_queue(TRANSMIT);
		set_queue_enabled(1);
		kick(TRANSMIT);
	}
}

/* Other rings each time, with the queue off in between. */
static void moves_when_off(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		select_queue(TRANSMIT);
		set_queue_enabled(0);
		set_queue_addresses((uintptr_t)scratch + i * PAGE_SIZE);
		set_queue_enabled(1);
		kick(TRANSMIT);
	}
}

/* --- queue reset --- */

static void reset_without_feature(uint64_t arg)
{
	(void)arg;
	for (unsigned int queue = 0; queue < 2; queue++) {
		select_queue(queue);
		set_queue_reset(1);
	}
}

static void reset_value(uint64_t value)
{
	select_queue(TRANSMIT);
	set_queue_reset((uint32_t)value);
}

static void reset_both(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		for (uint16_t queue = 0; queue < 2; queue++) {
			expect(virtio_reset_queue(&device, queue), "queue %u: no end", queue);
			kick(queue);
		}
}

static void reset_and_set_up(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		size_t mark = alloc_mark();

		kick(TRANSMIT);
		expect(virtio_reset_queue(&device, TRANSMIT), "no end");
		set_up_queue(TRANSMIT, (uint16_t)(1u << i % 7));
		kick(TRANSMIT);
		expect(virtio_reset_queue(&device, TRANSMIT), "no end");
		alloc_release(mark);
	}
	set_up_queue(TRANSMIT, QUEUE_SIZE);
}

static void reset_with_packets(uint64_t arg)
{
	(void)arg;
	for (int i = 0; i < 30; i++)
		show_one(TRANSMIT, (uintptr_t)scratch, FRAME_MAX, 0);
	expect(virtio_reset_queue(&device, TRANSMIT), "no end");
	expect(virtio_reset_queue(&device, RECEIVE), "no end");
}

static void reset_of_a_broken_one(uint64_t arg)
{
	(void)arg;
	show_one(TRANSMIT, place_address(IN_HOLE), FRAME_MIN, 0);
	for (deadline_t d = deadline(PATIENCE_MS); !is_broken();)
		expect(!deadline_passed(d), "it doesn't break");
	expect(virtio_reset_queue(&device, TRANSMIT), "no end");
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	kick(TRANSMIT);
	expect(is_broken(), "a queue's reset heals the device");
}

static void queues_that_are_not_there(uint64_t first)
{
	for (unsigned int queue = (unsigned int)first; queue < first + 16; queue++) {
		select_queue(queue);
		set_queue_size(QUEUE_SIZE);
		set_queue_addresses((uintptr_t)scratch);
		set_queue_enabled(1);
		set_queue_reset(1);
	}
}

/* --- kicks --- */

static void kick_at(unsigned int queue, uint32_t value)
{
	uintptr_t at;

	if (device.pci == NULL) {
		virtio_mmio_write(&device, VIRTIO_MMIO_QUEUE_NOTIFY, value);
		return;
	}
	at = device.pci->notify + queue * device.pci->notify_multiplier;
	if (at < registers() + registers_size())
		poke(at, 2, value);
}

static void storm(unsigned int queue)
{
	for (unsigned int i = 0; i < STORM; i++)
		kick_at(queue, queue);
}

static void storm_on_idle(uint64_t queue)
{
	storm((unsigned int)queue);
}

static void storm_out_of_range(uint64_t arg)
{
	(void)arg;
	for (unsigned int i = 0; i < STORM; i++)
		kick_at(3 + i % NO_QUEUE, 3 + random_number() % 0x10000);
}

static void storm_of_values(uint64_t arg)
{
	(void)arg;
	for (unsigned int i = 0; i < STORM; i++)
		kick_at(i % 3, random_number());
}

static void storm_after_reset(uint64_t arg)
{
	(void)arg;
	for (unsigned int queue = 0; queue < 3; queue++)
		storm(queue);
}

static void storm_on_reset_queue(uint64_t arg)
{
	(void)arg;
	expect(virtio_reset_queue(&device, TRANSMIT), "no end");
	storm(TRANSMIT);
}

static void storm_on_broken(uint64_t arg)
{
	(void)arg;
	show_one(TRANSMIT, place_address(IN_HOLE), FRAME_MIN, 0);
	storm(TRANSMIT);
}

static void storm_before_driver_ok(uint64_t arg)
{
	(void)arg;
	negotiate(0);
	for (uint16_t queue = 0; queue < 2; queue++) {
		set_up_queue(queue, QUEUE_SIZE);
		storm(queue);
	}
	make_frame(&frame, FRAME_MIN);
	show_one(TRANSMIT, (uintptr_t)&frame, FRAME_MIN, 0);
	pause_ms(2);
	expect(!all_used(TRANSMIT), "it is sent before DRIVER_OK");
}

static void positions(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		kick_at(TRANSMIT, random_number() << 16 | TRANSMIT);
}

static const struct trick tricks[] = {
	{"4.2.2.2", "another size, on a running queue", size_when_running, 16, GOES_ON, 0, 0},
	{"4.2.2.2", "the size 0, on a running queue", size_when_running, 0, GOES_ON, 0, 0},
	{"4.2.2.2", "the size 65535, on a running queue", size_when_running, 65535, GOES_ON, 0, 0},
	{"4.2.2.2", "other addresses, on a running queue", moves_when_running, 0x1234560, GOES_ON,
	 0, 0},
	{"4.2.2.2", "addresses beyond memory, on a running queue", moves_when_running,
	 UINT64_MAX & ~0xfull, GOES_ON, 0, 0},
	{"4.2.2.2", "a queue that runs is enabled", enabled_when_running, 1, GOES_ON, 0, 0},
	{"4.2.2.2", "a queue that runs is enabled with 2", enabled_when_running, 2, ANYTHING, 0, 0},
	{"4.2.2.2", "a queue is disabled and enabled, often", off_and_on, 20, ANYTHING, 0, 0},
	{"4.2.2.2", "a queue moves, often", moves_when_off, 20, ANYTHING, 0, 0},
	{"2.6.1", "a queue is reset, without the feature", reset_without_feature, 0, GOES_ON, 0, 0},
	{"2.6.1", "a queue is reset with 0", reset_value, 0, GOES_ON, 0, RING_RESET},
	{"2.6.1", "a queue is reset with 2", reset_value, 2, ANYTHING, 0, RING_RESET},
	{"2.6.1", "both queues are reset, often, and kicked", reset_both, 20, ANYTHING, 0,
	 RING_RESET},
	{"2.6.1", "a queue is reset and set up, often, in other sizes", reset_and_set_up, 14,
	 GOES_ON, 0, RING_RESET},
	{"2.6.1", "queues are reset while they have packets", reset_with_packets, 0, ANYTHING, 0,
	 RING_RESET},
	{"2.6.1", "a broken queue is reset", reset_of_a_broken_one, 0, ANYTHING, 0, RING_RESET},
	{"4.2.2.2", "queues that don't exist", queues_that_are_not_there, 3, GOES_ON, 0,
	 RING_RESET},
	{"4.2.2.2", "queues far out of range", queues_that_are_not_there, 0xffe0, GOES_ON, 0,
	 RING_RESET},
	{"2.3", "kicks of an idle transmit queue", storm_on_idle, TRANSMIT, GOES_ON, 0, 0},
	{"2.3", "kicks of an idle receive queue", storm_on_idle, RECEIVE, GOES_ON, 0, 0},
	{"2.3", "kicks of queues that don't exist", storm_out_of_range, 0, GOES_ON, 0, 0},
	{"2.3", "kicks with any value", storm_of_values, 0, GOES_ON, 0, 0},
	{"2.3", "kicks after a reset", storm_after_reset, 0, ANYTHING, BARE, 0},
	{"2.3", "kicks of a queue after its reset", storm_on_reset_queue, 0, ANYTHING, 0,
	 RING_RESET},
	{"2.3", "kicks of a broken queue", storm_on_broken, 0, BREAKS, 0, 0},
	{"3.1.1", "kicks before DRIVER_OK", storm_before_driver_ok, 0, ANYTHING, BARE, 0},
	{"2.9", "kicks with positions that are nowhere", positions, STORM, GOES_ON, 0,
	 FEATURE(VIRTIO_F_NOTIFICATION_DATA)},
};

const struct trick_group queues_tricks = TRICK_GROUP(tricks);
