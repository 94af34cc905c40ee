/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest against a whole network device: virtio-mmio registers, the device, the
 * in-process datapath with its threads, rings and buffers in guest memory, packets from the wire.
 * The input is a list of steps. Afterwards the device must still reset and go away.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/datapath_inprocess.h"
#include "virtio/device.h"
#include "virtio/fd.h"
#include "virtio/mmio.h"
#include "virtio/net.h"
#include "vmm/core/loop.h"

enum {
	MEMORY = 0x40000,
	STEPS_MAX = 512,
	RUNNING = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
};

/* --- the guest --- */

static void set(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	virtio_mmio_bus_ops.write(mmio, offset, (const uint8_t *)&value, 4);
}

static uint32_t get(struct virtio_mmio *mmio, uint64_t offset)
{
	uint32_t value = UINT32_MAX;

	virtio_mmio_bus_ops.read(mmio, offset, (uint8_t *)&value, 4);
	return value;
}

/* What a driver does at first, so that the steps need not find it out. */
static void initialize(struct virtio_mmio *mmio, struct input *in)
{
	uint32_t features = take(in, 4);
	uint32_t sizes[3] = {take(in, 1), take(in, 1), take(in, 1)};
	uint32_t more = sizes[0] / 9; /* packed, in order, queue reset */

	set(mmio, VIRTIO_MMIO_STATUS, 0);
	require(get(mmio, VIRTIO_MMIO_STATUS) == 0);
	set(mmio, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	set(mmio, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set(mmio, VIRTIO_MMIO_DRIVER_FEATURES, features & get(mmio, VIRTIO_MMIO_DEVICE_FEATURES));
	set(mmio, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set(mmio, VIRTIO_MMIO_DRIVER_FEATURES, 1 | (more & 3) << 2 | (more & 4) << 6);
	/* The third queue is the control queue, if that was accepted. */
	for (uint32_t i = 0; i < 3; i++) {
		set(mmio, VIRTIO_MMIO_QUEUE_SEL, i);
		set(mmio, VIRTIO_MMIO_QUEUE_NUM, 1u << sizes[i] % (i < 2 ? 9 : 7));
		set(mmio, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x10000 * i + 0x1000);
		set(mmio, VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x10000 * i + 0x2000);
		set(mmio, VIRTIO_MMIO_QUEUE_USED_LOW, 0x10000 * i + 0x3000);
		set(mmio, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	set(mmio, VIRTIO_MMIO_STATUS, RUNNING);
}

static void write_desc(const struct guest_memory *mem, struct input *in, uint32_t op)
{
	uint32_t at = 0x10000 * (op % 3) + 0x1000 + take(in, 1) * 16;
	uint64_t addr = take(in, 3);
	uint32_t len = take(in, 2);
	uint16_t flags = (uint16_t)take(in, 1);
	uint16_t last = (uint16_t)take(in, 1);
	/* In a packed ring these two are the id and the flags, with USED from bit 6. */
	struct vring_desc desc = {addr, len, flags, (uint16_t)(last | (last & 0x40) << 9)};

	memory_write(mem, gpa(at), &desc, sizeof(desc));
}

static void step(struct virtio_mmio *mmio, const struct guest_memory *mem, struct input *in,
		 int wire, struct loop *loop)
{
	static const unsigned int widths[] = {1, 2, 4, 8};
	static uint8_t packet[70000];
	uint32_t op = take(in, 1), offset, value;
	uint8_t bytes[8] = {0};

	switch (op % 9) {
	case 0: /* any access */
		offset = take(in, 2) % (VIRTIO_MMIO_SIZE - 8);
		virtio_mmio_bus_ops.read(mmio, offset, bytes, widths[op / 9 % 4]);
		break;
	case 1:
		offset = take(in, 2) % (VIRTIO_MMIO_SIZE - 8);
		value = take(in, 4);
		memcpy(bytes, &value, 4);
		virtio_mmio_bus_ops.write(mmio, offset, bytes, widths[op / 9 % 4]);
		break;
	case 2: /* a register */
		set(mmio, take(in, 1) & ~3u, take(in, 1));
		break;
	case 3:
		write_desc(mem, in, op / 9);
		break;
	case 4: /* the available ring: entries, then the index; and a kick */
		offset = 0x10000 * (op / 9 % 3) + 0x2000;
		value = take(in, 1);
		memory_write(mem, gpa(offset + 4 + take(in, 1) * 2), &value, 2);
		value = take(in, 1);
		memory_write(mem, gpa(offset + 2), &value, 2);
		set(mmio, VIRTIO_MMIO_QUEUE_NOTIFY, op / 9 % 3);
		loop_turn(loop);
		break;
	case 5:
		value = take(in, 2);
		memory_write(mem, gpa(take(in, 3)), &value, 2);
		break;
	case 6: /* a packet from the wire, whose header says anything */
		packet[offsetof(struct virtio_net_hdr_v1, flags)] = op / 9 & 1;
		packet[offsetof(struct virtio_net_hdr_v1, gso_type)] = (uint8_t)((op / 18 & 7) |
										 (op / 144) << 7);
		(void)!send(wire, packet, take(in, 2) + (op > 200 ? 4096 : 0), MSG_NOSIGNAL);
		break;
	case 7: /* the wire's other end looks; time goes by */
		while (read(wire, bytes, sizeof(bytes)) > 0)
			;
		if (op > 250)
			shutdown(wire, SHUT_RDWR);
		nanosleep(&(struct timespec){.tv_nsec = op * 1000}, NULL);
		break;
	default:
		initialize(mmio, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config config;
	struct virtio_net_options options = {.id = "net0", .mtu = 1500};
	struct net_backend *backend;
	struct input in = {data, size};
	struct virtio_device *dev;
	struct virtio_mmio *mmio;
	struct datapath *datapath;
	struct guest_memory mem;
	struct loop *loop;
	int wire[2]; /* the device's end, ours */

	require(memory_create(&mem, &range, 1, &config, NULL) == 0);
	require(loop_create(&loop, NULL) == 0);
	options.mem = &mem;
	options.loop = loop;
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, wire) == 0);
	require(fd_backend_create(wire[0], &backend, NULL) == 0);
	close(wire[0]);
	datapath = inprocess_create(&(struct inprocess_config){
		.name = options.id,
		.queue_pairs = 1,
		.mem = &mem,
		.backend = backend,
		.mtu = options.mtu,
	});
	require(datapath != NULL);
	require(virtio_net_create(&options, datapath, NULL, &dev, NULL) == 0);
	require(virtio_mmio_create(dev, NULL, 0xd0000000, 5, &mmio, NULL) == 0);
	initialize(mmio, &in);
	for (int i = 0; in.len && i < STEPS_MAX; i++)
		step(mmio, &mem, &in, wire[1], loop);
	set(mmio, VIRTIO_MMIO_STATUS, 0);
	require(get(mmio, VIRTIO_MMIO_STATUS) == 0);
	require(get(mmio, VIRTIO_MMIO_INTERRUPT_STATUS) == 0);
	virtio_mmio_destroy(mmio);
	close(wire[1]);
	loop_destroy(loop);
	memory_destroy(&mem);
	return 0;
}
