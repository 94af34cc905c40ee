/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the control queue that are cut, too long, unknown, or nonsense (5.1.6.5). */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/string.h"

#define CTRL_VQ FEATURE(VIRTIO_NET_F_CTRL_VQ)
#define EVERY_COMMAND                                                                   \
	(CTRL_VQ | FEATURE(VIRTIO_NET_F_CTRL_RX) | FEATURE(VIRTIO_NET_F_CTRL_VLAN) |    \
	 FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) |    \
	 FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) | FEATURE(VIRTIO_NET_F_STATUS) |          \
	 FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | FEATURE(VIRTIO_NET_F_GUEST_CSUM) | \
	 FEATURE(VIRTIO_NET_F_NOTF_COAL) | FEATURE(VIRTIO_NET_F_VQ_NOTF_COAL))
#define STEERING (CTRL_VQ | FEATURE(VIRTIO_NET_F_RSS))

#define SCRATCH ((uintptr_t)scratch)

enum {
	COMMANDS_PER_CLASS = 8,
	CLASSES = 8,
	DATA_MAX = 80, /* more than any command needs that has a fixed length */
};

/* --- a command by hand --- */

static void add_command(const struct segment *segments, unsigned int n_out, unsigned int n_in)
{
	expect(virtqueue_add(&net.control, segments, n_out, n_in, scratch),
	       "no room for a command");
	virtqueue_publish(&net.control);
}

static void wait_for_command(void)
{
	deadline_t d = deadline(PATIENCE_MS);
	void *token;
	uint32_t len;

	while (!virtqueue_take(&net.control, &token, &len))
		expect(!deadline_passed(d), "a command doesn't come back");
}

/* One of @len bytes, the first two of them class and command. Returns the answer. */
static uint8_t command(unsigned int class, unsigned int number, uint32_t len)
{
	volatile uint8_t *ack = scratch + sizeof(scratch) - 1;
	struct segment segments[] = {{scratch, len}, {(void *)ack, 1}};

	scratch[0] = (uint8_t) class;
	scratch[1] = (uint8_t)number;
	*ack = NET_CTRL_SILENCE;
	add_command(segments, 1, 1);
	wait_for_command();
	return *ack;
}

static void must_refuse(unsigned int class, unsigned int number, uint32_t len)
{
	uint8_t ack = command(class, number, len);

	expect(ack == NET_CTRL_ERR, "class %u command %u with %u bytes: the answer is %u", class,
	       number, len, ack);
}

static void fill(uint8_t value)
{
	memset(scratch, value, sizeof(scratch));
}

/* --- tricks --- */

static void each_class(uint64_t len)
{
	fill(0);
	for (unsigned int class = CLASSES; class < 256; class ++)
		must_refuse(class, 0, (uint32_t)len);
}

static void each_command(uint64_t len)
{
	fill(0);
	for (unsigned int class = 0; class < CLASSES; class ++)
		for (unsigned int number = COMMANDS_PER_CLASS; number < 256; number += 9)
			must_refuse(class, number, (uint32_t)len);
}

static void no_header(uint64_t len)
{
	fill(0);
	must_refuse(0, 0, (uint32_t)len);
}

/* Every length, of what is all zeroes or all ones: the answer is any, but there is one. */
static void each_length(uint64_t value)
{
	for (unsigned int class = 0; class < CLASSES; class ++)
		for (unsigned int number = 0; number < 4; number++)
			for (uint32_t len = 2; len < DATA_MAX; len += len < 12 ? 1 : 13) {
				fill((uint8_t)value);
				expect(command(class, number, len) <= NET_CTRL_ERR, "no answer");
			}
}

static void too_long(uint64_t len)
{
	fill(0);
	for (unsigned int class = 0; class < CLASSES; class ++)
		must_refuse(class, 0, (uint32_t)len);
}

/* All memory, often: more than a command can have. */
static void larger_than_memory(uint64_t arg)
{
	volatile uint8_t *ack = scratch + sizeof(scratch) - 1;
	struct segment segments[32];

	(void)arg;
	fill(0);
	for (unsigned int i = 0; i < 31; i++)
		segments[i] = (struct segment){(void *)(start_of_memory() + PAGE_SIZE), 64 << 20};
	segments[31] = (struct segment){(void *)ack, 1};
	*ack = NET_CTRL_SILENCE;
	add_command(segments, 31, 1);
	wait_for_command();
	expect(*ack == NET_CTRL_ERR, "the answer is %u", *ack);
}

static void no_room_for_answer(uint64_t arg)
{
	struct segment segment = {scratch, 3};

	(void)arg;
	fill(0);
	add_command(&segment, 1, 0);
	wait_for_command();
}

static void only_room_for_answer(uint64_t len)
{
	struct segment segment = {scratch, (uint32_t)len};

	add_command(&segment, 0, 1);
	wait_for_command();
}

static void answer_in_pieces(uint64_t arg)
{
	struct segment segments[30];

	(void)arg;
	fill(0);
	for (unsigned int i = 0; i < 30; i++)
		segments[i] = (struct segment){scratch + i, 1};
	add_command(segments, 15, 15);
	wait_for_command();
}

static void answer_over_command(uint64_t arg)
{
	struct segment segments[] = {{scratch, 3}, {scratch, 3}};

	(void)arg;
	fill(0);
	add_command(segments, 1, 1);
	wait_for_command();
}

/* Data of @len bytes behind the header. */
static void refuse_data(unsigned int class, unsigned int number, const void *data, uint32_t len)
{
	memcpy(scratch + 2, data, len);
	must_refuse(class, number, 2 + len);
}

static void macs_too_many(uint64_t entries)
{
	uint32_t n = (uint32_t)entries;

	fill(0);
	refuse_data(NET_CTRL_MAC, NET_CTRL_MAC_TABLE_SET, &n, sizeof(n));
	memcpy(scratch + 2, &n, sizeof(n));
	must_refuse(NET_CTRL_MAC, NET_CTRL_MAC_TABLE_SET, 2 + 4 + 60);
	fill(0);
	memcpy(scratch + 6, &n, sizeof(n)); /* of those that are multicast */
	must_refuse(NET_CTRL_MAC, NET_CTRL_MAC_TABLE_SET, 2 + 4 + 4 + 60);
}

static void mac_table_of_thousands(uint64_t n)
{
	uint32_t entries = (uint32_t)n;

	fill(0x02);
	memcpy(scratch + 2, &entries, sizeof(entries));
	memset(scratch + 6 + n * 6, 0, 4);
	expect(command(NET_CTRL_MAC, NET_CTRL_MAC_TABLE_SET, 2 + 4 + entries * 6 + 4) ==
		       NET_CTRL_OK,
	       "%u addresses are refused", entries);
}

static void vlan_out_of_range(uint64_t vlan)
{
	uint16_t id = (uint16_t)vlan;

	refuse_data(NET_CTRL_VLAN, NET_CTRL_VLAN_ADD, &id, sizeof(id));
	refuse_data(NET_CTRL_VLAN, NET_CTRL_VLAN_DEL, &id, sizeof(id));
}

static void offloads(uint64_t bits)
{
	refuse_data(NET_CTRL_GUEST_OFFLOADS, NET_CTRL_GUEST_OFFLOADS_SET, &bits, sizeof(bits));
}

static void pairs(uint64_t n)
{
	uint16_t value = (uint16_t)n;

	refuse_data(NET_CTRL_MQ, NET_CTRL_MQ_VQ_PAIRS_SET, &value, sizeof(value));
}

/* Interrupts that wait for ever, which a reset must end. */
static void coalesce(uint64_t limit)
{
	const struct net_coalesce limits = {(uint32_t)limit, (uint32_t)limit};

	for (unsigned int number = 0; number < 2; number++) {
		memcpy(scratch + 2, &limits, sizeof(limits));
		expect(command(NET_CTRL_NOTF_COAL, number, 2 + sizeof(limits)) <= NET_CTRL_ERR,
		       "no answer");
	}
}

static void coalesce_queue(uint64_t queue)
{
	const struct net_coalesce_queue limits = {.queue = (uint16_t)queue};

	refuse_data(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_SET, &limits, sizeof(limits));
	refuse_data(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_GET, &limits, 4);
}

static void rss_mask(uint64_t mask)
{
	fill(0);
	memcpy(scratch + 2 + 4, &mask, 2);
	must_refuse(NET_CTRL_MQ, NET_CTRL_MQ_RSS_CONFIG, 2 + 64);
	must_refuse(NET_CTRL_MQ, NET_CTRL_MQ_RSS_CONFIG, 60000);
}

static void rss_all_ones(uint64_t len)
{
	fill(0xff);
	must_refuse(NET_CTRL_MQ, NET_CTRL_MQ_RSS_CONFIG, (uint32_t)len);
	fill(0xff);
	must_refuse(NET_CTRL_MQ, NET_CTRL_MQ_HASH_CONFIG, (uint32_t)len);
}

static void at_random(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		for (unsigned int k = 0; k < DATA_MAX; k++)
			scratch[k] = (uint8_t)random_number();
		expect(command(random_number() % CLASSES, random_number() % 6,
			       2 + random_number() % (DATA_MAX - 2)) <= NET_CTRL_ERR,
		       "no answer");
	}
}

/* As many as there is room for, and none of them looked at. */
static void add_commands(const struct segment segments[2], uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (virtqueue_add(&net.control, segments, 1, 1, scratch))
			virtqueue_publish(&net.control);
}

static void flood(uint64_t n)
{
	struct segment segments[] = {{scratch, 3}, {scratch + PAGE_SIZE, 1}};

	fill(0);
	add_commands(segments, n);
	for (unsigned int i = 0; i < 500; i++)
		virtqueue_kick(&net.control);
}

/* --- a ring that goes away, or is bad --- */

/* The queue is reset with a command in it, and set up again. */
static void reset_with_command(uint64_t n)
{
	struct segment segments[] = {{scratch, 3}, {scratch + PAGE_SIZE, 1}};

	fill(0);
	for (uint64_t i = 0; i < n; i++) {
		size_t mark = alloc_mark();

		add_commands(segments, 4);
		expect(virtio_reset_queue(&device, net.control.index), "no end");
		virtqueue_kick(&net.control);
		virtqueue_init(&net.control, &device, net.control.index, 0);
		if (i + 1 < n) {
			add_commands(segments, 4);
			expect(virtio_reset_queue(&device, net.control.index), "no end");
			alloc_release(mark);
			virtqueue_init(&net.control, &device, net.control.index, 0);
		}
	}
}

static void bad_address(uint64_t place)
{
	struct segment segment = {(void *)place_address((enum place)place), 100};

	add_command(&segment, 1, 0);
}

static void bad_answer_address(uint64_t place)
{
	struct segment segments[] = {{scratch, 3}, {(void *)place_address((enum place)place), 100}};

	fill(0);
	add_command(segments, 1, 1);
}

static const struct trick tricks[] = {
	{"5.1.6.5", "each class that doesn't exist", each_class, 3, GOES_ON, ONCE, EVERY_COMMAND},
	{"5.1.6.5", "commands that don't exist", each_command, 3, GOES_ON, ONCE, EVERY_COMMAND},
	{"5.1.6.5", "a command of 0 bytes", no_header, 0, GOES_ON, 0, CTRL_VQ},
	{"5.1.6.5", "a command of 1 byte", no_header, 1, GOES_ON, 0, CTRL_VQ},
	{"5.1.6.5", "a command without data", no_header, 2, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5", "each length of each command, zeroes", each_length, 0, ANYTHING, ONCE,
	 EVERY_COMMAND},
	{"5.1.6.5", "each length of each command, ones", each_length, 0xff, ANYTHING, ONCE,
	 EVERY_COMMAND},
	{"5.1.6.5", "commands of 1000 bytes", too_long, 1000, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5", "commands of 100 KiB", too_long, 100 << 10, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5", "a command larger than all memory", larger_than_memory, 0, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5", "no room for an answer", no_room_for_answer, 0, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5", "room for an answer, and no command", only_room_for_answer, 100, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5", "command and answer in bytes", answer_in_pieces, 0, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5", "the answer is written over the command", answer_over_command, 0, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5.2", "more addresses than there is data", macs_too_many, 11, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5.2", "addresses whose length overflows", macs_too_many, 0x2aaaaaab, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5.2", "4 G addresses", macs_too_many, UINT32_MAX, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5.2", "10000 addresses", mac_table_of_thousands, 10000, ANYTHING, 0, EVERY_COMMAND},
	{"5.1.6.5.3", "a VLAN out of range", vlan_out_of_range, 4096, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5.3", "a VLAN far out of range", vlan_out_of_range, 65535, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5.8", "offloads that were not negotiated", offloads,
	 FEATURE(VIRTIO_NET_F_GUEST_TSO4), GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5.8", "all offloads", offloads, UINT64_MAX, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5.5", "0 queue pairs", pairs, 0, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5.5", "65535 queue pairs", pairs, 65535, GOES_ON, 0, EVERY_COMMAND},
	{"5.1.6.5.9", "interrupts that wait for ever", coalesce, UINT32_MAX, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5.9", "coalescing for the control queue", coalesce_queue, 2, GOES_ON, 0,
	 EVERY_COMMAND},
	{"5.1.6.5.9", "coalescing for a queue that doesn't exist", coalesce_queue, 65535, GOES_ON,
	 0, EVERY_COMMAND},
	{"5.1.6.5.7", "an indirection table of 3 entries", rss_mask, 2, GOES_ON, 0, STEERING},
	{"5.1.6.5.7", "an indirection table of 65536 entries", rss_mask, 65535, GOES_ON, 0,
	 STEERING},
	{"5.1.6.5.7", "receive-side scaling of ones", rss_all_ones, 1000, GOES_ON, 0, STEERING},
	{"5.1.6.5", "200 commands at random", at_random, 200, ANYTHING, ONCE, EVERY_COMMAND},
	{"5.1.6.5", "a flood of commands", flood, 64, GOES_ON, 0, EVERY_COMMAND},
	{"2.6.1", "the control queue is reset with commands in it", reset_with_command, 10, GOES_ON,
	 0, CTRL_VQ | FEATURE(VIRTIO_F_RING_RESET)},
	{"5.1.6.5", "a command", bad_address, 0, BREAKS, EACH_PLACE, CTRL_VQ},
	{"5.1.6.5", "a command's answer", bad_answer_address, 0, BREAKS, EACH_PLACE, CTRL_VQ},
};

const struct trick_group control_tricks = TRICK_GROUP(tricks);
