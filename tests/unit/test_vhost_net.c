/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's vhost-net between a driver's rings and a tap, whose other end is a packet socket; in
 * a network namespace of this test's own. Where there is no /dev/vhost-net only what can go wrong
 * is tested (the lab runs the rest).
 */
#include "virtio/datapath_vhost_net.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/driver.h"
#include "tests/unit/must.h"
#include "tests/unit/own_network.h"
#include "virtio/datapath.h"
#include "virtio/datapath_inprocess.h"
#include "virtio/fd.h"
#include "virtio/net_backend.h"
#include "virtio/rarp.h"
#include "virtio/tap.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"

#define BIT(name) (1ULL << (name))

enum {
	RX,
	TX,
	PAIRS = 2, /* at most */
	RINGS = 2 * PAIRS,
	MEMORY = 16 << 20, /* of it half below and half above a hole */
	HIGH = 1 << 30,
	SIZE = 64,
	RING_AT = 0x10000, /* one every RING_STEP */
	RING_STEP = 0x10000,
	DATA_AT = HIGH, /* one area every DATA_STEP */
	DATA_STEP = 1 << 20,
	BUFFER = 2048,
	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME = 100,
	NUMBER = ETH_HLEN,  /* where a frame has its number */
	ETHERTYPE = 0x88b5, /* for local experiments (IEEE 802): none but ours */
	PATIENCE_MS = 20000,
};

static const uint8_t mac[6] = {2, 0, 0, 1, 2, 3};

static struct error err;
static struct guest_memory mem;
static struct net_backend *backend;
static struct loop *loop;
static pthread_t loop_thread;
static bool loop_runs;
static struct datapath *dp;
static uint64_t features;
static struct driver_ring rings[RINGS];
static int kick_fd[RINGS], call_fd[RINGS];
static _Atomic uint32_t interrupt_status;
static _Atomic(const char *) broken[RINGS];
static int broken_fd; /* eventfd */
static int wire;      /* packet socket on the tap */
static char message[512];

static void log_message(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	ck_assert_int_eq(level, LOG_LEVEL_WARNING);
	strncpy(message, text, sizeof(message) - 1);
}

static const struct logger logger = {log_message, NULL};

/* --- the tap, and its other end --- */

static int packet_socket(uint16_t ethertype)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ethertype),
		.sll_ifindex = (int)if_nametoindex("tap0"),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void make_frame(uint8_t frame[FRAME], unsigned int number)
{
	for (unsigned int i = 0; i < FRAME; i++)
		frame[i] = (uint8_t)(i + number);
	memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, mac, ETH_ALEN);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	memcpy(frame + NUMBER, &number, sizeof(number));
}

static bool is_frame(const uint8_t *got, size_t len, unsigned int number)
{
	uint8_t frame[FRAME];

	make_frame(frame, number);
	return len == FRAME && memcmp(got, frame, FRAME) == 0;
}

static void wait_for(int fd, const char *what)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	if (poll(&pfd, 1, PATIENCE_MS) <= 0)
		ck_abort_msg("no wake-up: %s", what);
}

static bool quiet(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, 50) == 0;
}

static void wire_send(unsigned int number)
{
	uint8_t frame[FRAME];

	make_frame(frame, number);
	MUST(write(wire, frame, FRAME) == FRAME);
}

static void wire_expect(unsigned int number)
{
	uint8_t got[2 * FRAME];
	ssize_t len;

	wait_for(wire, "packet on the wire");
	len = read(wire, got, sizeof(got));
	MUST(len > 0);
	if (!is_frame(got, (size_t)len, number))
		ck_abort_msg("packet %u is not the next one", number);
}

/* Packets are lost until the kernel has noticed, up to a second later, that the tap has a carrier.
 */
static void wait_for_carrier(void)
{
	struct virtio_net_hdr_v1 header;
	const struct iovec iov = {&header, HEADER};
	struct pollfd fds[PAIRS];

	for (unsigned int i = 0; i < PAIRS; i++)
		fds[i] = (struct pollfd){.fd = backend->ops->fd(backend, i), .events = POLLIN};
	do
		wire_send(0);
	while (poll(fds, PAIRS, 100) == 0);
	for (unsigned int i = 0; i < PAIRS; i++) {
		while (poll(&fds[i], 1, 0) == 1)
			backend->ops->receive(backend, i, &iov, 1);
	}
}

/* --- the fixture --- */

static void make_memory(void)
{
	static const struct memory_range ranges[] = {{0, MEMORY / 2}, {HIGH, MEMORY / 2}};
	static const struct memory_config config;

	ck_assert_int_eq(memory_create(&mem, ranges, 2, &config, NULL), 0);
}

static void setup_tap(void)
{
	err = (struct error){0};
	message[0] = '\0';
	ck_assert_int_eq(tap_make("tap0", IFF_TAP | IFF_MULTI_QUEUE, -1), 0);
	tap_set_up("tap0", true);
	make_memory();
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
	ck_assert_int_eq(tap_create("tap0", PAIRS, NULL, &logger, &backend, NULL), 0);
}

static int create(struct net_backend *of, uint32_t poll_us)
{
	const struct vhost_net_config config = {
		.name = "net0",
		.mem = &mem,
		.loop = loop,
		.log = &logger,
		.backend = of,
		.queue_pairs = PAIRS,
		.poll_us = poll_us,
	};

	return vhost_net_create(&config, &dp, &err);
}

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	MUST(opaque == &mem && why);
	atomic_store(&broken[index], why);
	fd_eventfd_signal(broken_fd);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void setup_with(uint32_t poll_us)
{
	setup_tap();
	if (create(net_backend_share(backend), poll_us))
		ck_abort_msg("%s", err.text);
	dp->events = (struct datapath_events){.ring_broken = ring_broken, .opaque = &mem};
	for (unsigned int i = 0; i < RINGS; i++) {
		kick_fd[i] = fd_eventfd();
		call_fd[i] = fd_eventfd();
	}
	broken_fd = fd_eventfd();
	wire = packet_socket(ETHERTYPE);
	wait_for_carrier();
	ck_assert_int_eq(pthread_create(&loop_thread, NULL, run_loop, loop), 0);
	loop_runs = true;
}

static void setup(void)
{
	setup_with(0);
}

static void setup_polling(void)
{
	setup_with(50);
}

static void teardown(void)
{
	if (loop_runs) {
		loop_stop(loop);
		pthread_join(loop_thread, NULL);
	}
	if (dp)
		dp->ops->destroy(dp);
	net_backend_release(backend);
	loop_destroy(loop);
	memory_destroy(&mem);
	tap_remove("tap0", IFF_TAP | IFF_MULTI_QUEUE);
}

/* --- the driver --- */

static void accept_features(uint64_t accepted)
{
	features = accepted | BIT(VIRTIO_F_VERSION_1);
	ck_assert_int_eq(dp->ops->set_features(dp, features), 0);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 1), 0);
}

static void ring_init(unsigned int ring, uint16_t start)
{
	driver_ring_init(&rings[ring], &mem, gpa(RING_AT + (uint64_t)ring * RING_STEP), SIZE,
			 features & BIT(VIRTIO_RING_F_EVENT_IDX), start);
}

static int start_on(struct datapath *on, unsigned int ring, const struct ring_state *state,
		    bool relayed)
{
	const struct datapath_wires wires = {kick_fd[ring], call_fd[ring],
					     relayed ? &interrupt_status : NULL};

	return on->ops->start_ring(on, ring, state, &wires);
}

/* Where a ring stands that nobody serves. */
static struct ring_state state_of(unsigned int ring)
{
	struct ring_state state = driver_ring_state(&rings[ring]);

	state.next_avail = state.next_used;
	return state;
}

static void ring_begin(unsigned int ring, bool relayed)
{
	const struct ring_state state = state_of(ring);

	ck_assert_int_eq(start_on(dp, ring, &state, relayed), 0);
}

static struct ring_state ring_stop(unsigned int ring)
{
	struct ring_state state;

	dp->ops->stop_ring(dp, ring, &state);
	return state;
}

static void expose(unsigned int ring)
{
	if (driver_expose(&rings[ring]))
		fd_eventfd_signal(kick_fd[ring]);
}

/* The place of buffer @slot of @ring. */
static uint64_t buffer_at(unsigned int ring, unsigned int slot)
{
	return DATA_AT + (uint64_t)ring * DATA_STEP + (uint64_t)slot * BUFFER;
}

static uint8_t *buffer(unsigned int ring, unsigned int slot)
{
	return memory_translate(&mem, gpa(buffer_at(ring, slot)), BUFFER);
}

/* Chains of one descriptor, whose id is the buffer's slot. */
static bool add(unsigned int ring, uint32_t len, bool in)
{
	struct driver_ring *driver = &rings[ring];
	struct driver_piece piece = {.len = len, .in = in};

	if (!driver->n_free)
		return false;
	piece.addr = buffer_at(ring, driver->free_ids[driver->n_free_ids - 1]);
	return driver_add_chain(driver, &piece, 1) >= 0;
}

static void transmit(unsigned int ring, unsigned int number)
{
	uint8_t *to = buffer(ring, rings[ring].free_ids[rings[ring].n_free_ids - 1]);

	memset(to, 0, HEADER);
	make_frame(to + HEADER, number);
	MUST(add(ring, HEADER + FRAME, false));
	expose(ring);
}

/* As many buffers as go into the ring. */
static void fill(unsigned int ring)
{
	while (add(ring, BUFFER, true))
		;
	expose(ring);
}

/* The id of the next used chain, waiting for the interrupt as a driver does. */
static uint32_t next_used(unsigned int ring, uint32_t *len)
{
	uint32_t id;

	while (!driver_used(&rings[ring], &id, len)) {
		if (driver_enable_interrupts(&rings[ring]))
			continue;
		wait_for(call_fd[ring], ring % 2 ? "transmit interrupt" : "receive interrupt");
		fd_eventfd_drain(call_fd[ring]);
	}
	return id;
}

static void expect_received(unsigned int ring, unsigned int number)
{
	uint32_t len;
	uint32_t id = next_used(ring, &len);
	const struct virtio_net_hdr_v1 *header = (const void *)buffer(ring, id);

	MUST(header->num_buffers == 1);
	MUST(len >= HEADER);
	if (!is_frame(buffer(ring, id) + HEADER, len - HEADER, number))
		ck_abort_msg("packet %u is not the next one", number);
}

static const char *wait_broken(unsigned int ring)
{
	/* What is told comes after what broke. */
	wait_for(broken_fd, "ring_broken");
	fd_eventfd_drain(broken_fd);
	return atomic_load(&broken[ring]);
}

/* --- without the kernel's help --- */

START_TEST(rarp)
{
	static const uint8_t expected[RARP_FRAME_SIZE] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 1, 2, 3, 0x80, 0x35, 0, 1, 8, 0, 6,
		4,    0,    3,	  2,	0,    0,    1, 2, 3, 0, 0, 0, 0,    2,	  0, 0, 1, 2, 3,
	};
	uint8_t frame[RARP_FRAME_SIZE];

	memset(frame, 0xee, sizeof(frame));
	rarp_frame(frame, mac);
	ck_assert_mem_eq(frame, expected, sizeof(frame));
}
END_TEST

START_TEST(rarp_sent)
{
	FD_CLEANUP int fd = packet_socket(ETH_P_RARP);
	uint8_t frame[RARP_FRAME_SIZE], got[2 * RARP_FRAME_SIZE];

	ck_assert_int_eq(rarp_send(backend, HEADER, mac), 0);
	wait_for(fd, "RARP");
	ck_assert_int_eq(read(fd, got, sizeof(got)), RARP_FRAME_SIZE);
	rarp_frame(frame, mac);
	ck_assert_mem_eq(got, frame, sizeof(frame));
}
END_TEST

static void assert_error(struct net_backend *of, int code, const char *text)
{
	ck_assert_int_eq(create(net_backend_share(of), 0), code);
	ck_assert_int_eq(err.code, code);
	ck_assert_str_eq(err.text, text);
	ck_assert_ptr_null(dp);
	/* Without words, too. */
	of = net_backend_share(of);
	ck_assert_int_eq(vhost_net_create(
				 &(const struct vhost_net_config){
					 .name = "net0",
					 .mem = &mem,
					 .loop = loop,
					 .backend = of,
					 .queue_pairs = PAIRS,
				 },
				 &dp, NULL),
			 code);
	ck_assert_uint_eq(of->more_users, 0);
}

/* A /dev of this test's own. */
static void hide_devices(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", "/dev", "tmpfs", MS_NODEV, NULL), 0);
}

START_TEST(no_device)
{
	hide_devices();
	assert_error(backend, -ENOENT,
		     "net0: /dev/vhost-net: No such file or directory; try: modprobe vhost_net");
}
END_TEST

START_TEST(no_module)
{
	hide_devices();
	/* What nobody listens at, as a device without its driver. */
	ck_assert_int_eq(mknod("/dev/vhost-net", S_IFSOCK | 0600, 0), 0);
	assert_error(backend, -ENXIO,
		     "net0: /dev/vhost-net: No such device or address; try: modprobe vhost_net");
}
END_TEST

START_TEST(no_permission)
{
	hide_devices();
	/* In a user namespace nobody makes devices. */
	if (mknod("/dev/vhost-net", S_IFCHR | 0666, makedev(10, 238)) < 0)
		return;
	assert_error(backend, -EACCES,
		     "net0: /dev/vhost-net: Permission denied; try: sudo chmod 0666 "
		     "/dev/vhost-net");
}
END_TEST

START_TEST(another_device)
{
	hide_devices();
	ck_assert_int_eq(mknod("/dev/vhost-net", S_IFREG | 0600, 0), 0);
	assert_error(backend, -ENOTTY,
		     "net0: /dev/vhost-net: VHOST_SET_OWNER: Inappropriate ioctl for device");
}
END_TEST

START_TEST(no_tap)
{
	struct net_backend *of;
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fd_backend_create(fds[0], &of, NULL), 0);
	assert_error(of, -EOPNOTSUPP,
		     "net0: vhost-net serves a tap only, and this is none; try: vhost=off");
	net_backend_release(of);
}
END_TEST

/* --- with it --- */

START_TEST(offers)
{
	uint64_t offered = dp->ops->features(dp), tap = backend->ops->features(backend);

	ck_assert_uint_eq(dp->ops->max_queue_pairs(dp), PAIRS);
	ck_assert(offered & BIT(VIRTIO_NET_F_MRG_RXBUF));
	ck_assert(offered & BIT(VIRTIO_RING_F_INDIRECT_DESC));
	ck_assert(offered & BIT(VIRTIO_RING_F_EVENT_IDX));
	ck_assert(offered & BIT(VIRTIO_NET_F_MQ));
	ck_assert(!(offered & BIT(VIRTIO_NET_F_HASH_REPORT)));
	ck_assert_uint_eq(tap & ~offered, BIT(VIRTIO_NET_F_HASH_REPORT));
}
END_TEST

START_TEST(transmits)
{
	bool relayed = _i & 1;
	uint32_t len;

	accept_features(_i & 2 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0);
	ring_init(TX, 65530);
	ring_begin(TX, relayed);
	for (unsigned int i = 0; i < 1000; i++) {
		transmit(TX, i);
		wire_expect(i);
		next_used(TX, &len);
	}
	ck_assert_uint_eq(interrupt_status, relayed ? VIRTIO_MMIO_INT_VRING : 0);
	ring_stop(TX);
}
END_TEST

START_TEST(receives)
{
	bool relayed = _i & 1;

	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF) | (_i & 2 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0));
	ring_init(RX, 65530);
	fill(RX);
	ring_begin(RX, relayed);
	for (unsigned int i = 0; i < 1000; i++) {
		wire_send(i);
		expect_received(RX, i);
		fill(RX);
	}
	ck_assert_uint_eq(interrupt_status, relayed ? VIRTIO_MMIO_INT_VRING : 0);
	ring_stop(RX);
}
END_TEST

/* Chains and packets that wait since before the start, with no kick. */
START_TEST(looks_at_once)
{
	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF));
	ring_init(RX, 0);
	ring_init(TX, 0);
	transmit(TX, 1);
	fill(RX);
	wire_send(2);
	fd_eventfd_drain(kick_fd[RX]);
	fd_eventfd_drain(kick_fd[TX]);
	ring_begin(TX, false);
	ring_begin(RX, false);
	wire_expect(1);
	expect_received(RX, 2);
	ring_stop(RX);
	ring_stop(TX);
}
END_TEST

/* What the kernel took from the tap, but had no buffer for, is not lost; nor is it in the ring. */
START_TEST(stops)
{
	struct ring_state state;

	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF));
	ring_init(RX, 100);
	for (int i = 0; i < 3; i++)
		ck_assert(add(RX, BUFFER, true));
	expose(RX);
	ring_begin(RX, true);
	for (unsigned int i = 0; i < 40; i++)
		wire_send(i);
	for (unsigned int i = 0; i < 3; i++)
		expect_received(RX, i);
	state = ring_stop(RX);
	ck_assert_uint_eq(state.next_avail, 103);
	ck_assert_uint_eq(state.next_used, 103);
	ck_assert_uint_eq(state.desc.value, rings[RX].at.value);
	fill(RX);
	fd_eventfd_signal(kick_fd[RX]);
	ck_assert(quiet(call_fd[RX]));
	ck_assert(!driver_has_used(&rings[RX]));
	ck_assert_int_eq(start_on(dp, RX, &state, true), 0);
	for (unsigned int i = 3; i < 40; i++)
		expect_received(RX, i);
	ring_stop(RX);
}
END_TEST

/* The rings go back and forth between the kernel and us while packets pass: all do, and once. */
START_TEST(switches)
{
	const struct inprocess_config config = {
		.name = "net0",
		.queue_pairs = PAIRS,
		.mem = &mem,
		.backend = net_backend_share(backend),
	};
	struct datapath *both[] = {dp, inprocess_create(&config)};
	unsigned int sent[2] = {0}, got[2] = {0};
	struct ring_state states[2];
	bool relayed = _i;

	ck_assert_ptr_nonnull(both[1]);
	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned int ring = RX; ring <= TX; ring++) {
		ring_init(ring, 65000);
		states[ring] = state_of(ring);
	}
	fill(RX);
	for (unsigned int round = 0; round < 400; round++) {
		struct datapath *now = both[round % 2];
		uint32_t len;

		MUST(!now->ops->set_features(now, features));
		MUST(!now->ops->set_queue_pairs(now, 1));
		for (unsigned int ring = RX; ring <= TX; ring++)
			MUST(!start_on(now, ring, &states[ring], relayed));
		/* Some wait when it stops; all that are sent are awaited now and then. */
		for (unsigned int i = 0; i < 10; i++) {
			wire_send(sent[RX]++);
			transmit(TX, sent[TX]++);
		}
		while (got[RX] + 10 < sent[RX] || (round % 50 == 0 && got[RX] < sent[RX]))
			expect_received(RX, got[RX]++);
		fill(RX);
		while (rings[TX].n_free < SIZE / 2)
			next_used(TX, &len);
		while (got[TX] + 10 < sent[TX])
			wire_expect(got[TX]++);
		for (unsigned int ring = RX; ring <= TX; ring++)
			now->ops->stop_ring(now, ring, &states[ring]);
	}
	for (unsigned int ring = RX; ring <= TX; ring++)
		MUST(!start_on(dp, ring, &states[ring], relayed));
	while (got[RX] < sent[RX])
		expect_received(RX, got[RX]++);
	while (got[TX] < sent[TX])
		wire_expect(got[TX]++);
	ck_assert(quiet(wire));
	ck_assert(!driver_has_used(&rings[RX]));
	ring_stop(RX);
	ring_stop(TX);
	both[1]->ops->destroy(both[1]);
}
END_TEST

START_TEST(link_down)
{
	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF));
	ring_init(RX, 0);
	ring_init(TX, 0);
	fill(RX);
	ring_begin(RX, false);
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	/* One begins while it is down. */
	ring_begin(TX, false);
	transmit(TX, 1);
	wire_send(2);
	ck_assert(quiet(wire));
	ck_assert(quiet(call_fd[RX]));
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	wire_expect(1);
	wire_send(3);
	expect_received(RX, 3);
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	wire_send(4);
	expect_received(RX, 4);
	ring_stop(RX);
	ring_stop(TX);
}
END_TEST

/* From now on the kernel refuses this thread what connects rings with a tap, and parts them. */
static void refuse_set_backend(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VHOST_NET_SET_BACKEND, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EFAULT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {sizeof(steps) / sizeof(steps[0]), steps};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

/* A setting that can't be made changes nothing; a ring that was stopped is not touched. */
START_TEST(does_not_let_go)
{
	struct ring_state state;

	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF));
	ring_init(RX, 0);
	ring_init(TX, 0);
	fill(RX);
	ring_begin(RX, false);
	ring_begin(TX, false);
	refuse_set_backend();
	ck_assert_int_eq(dp->ops->set_link(dp, false), -EFAULT);
	wire_send(1);
	expect_received(RX, 1);
	transmit(TX, 1);
	wire_expect(1);
	state = ring_stop(RX);
	wire_send(2);
	ck_assert(quiet(call_fd[RX]));
	ck_assert(!driver_has_used(&rings[RX]));
	/* The other ring goes with it, and says so. */
	wait_for(broken_fd, "a ring that broke");
	ck_assert_ptr_nonnull(atomic_load(&broken[TX]));
	ck_assert_int_lt(start_on(dp, RX, &state, false), 0);
	ck_assert_int_lt(dp->ops->set_features(dp, features), 0);
	ring_stop(TX);
}
END_TEST

START_TEST(too_old_for_the_driver)
{
	struct ring_state state;

	if (dp->ops->features(dp) & BIT(VIRTIO_F_RING_PACKED))
		return;
	ck_assert_int_eq(
		dp->ops->set_features(dp, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED)),
		-EOPNOTSUPP);
	ck_assert_str_eq(
		message,
		"net0: vhost-net: this kernel can't serve a driver that has accepted packed");
	/* Its rings start and stop, and no packet passes. */
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	ck_assert_int_lt(dp->ops->set_link(dp, true), 0);
	driver_packed_init(&rings[TX], &mem, gpa(RING_AT), 60, false, 0x8000);
	ring_begin(TX, false);
	transmit(TX, 1);
	ck_assert(quiet(wire));
	state = ring_stop(TX);
	ck_assert_uint_eq(state.next_avail, 0x8000);
	/* The next driver is another one. */
	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF));
	ring_init(TX, 0);
	ring_begin(TX, false);
	transmit(TX, 2);
	wire_expect(2);
	ring_stop(TX);
}
END_TEST

START_TEST(wrong_from_the_start)
{
	struct ring_state state, after;

	accept_features(0);
	ring_init(RX, 0);
	state = state_of(RX);
	state.driver = gpa(MEMORY / 2 - 4);
	ck_assert_int_eq(start_on(dp, RX, &state, false), 0);
	ck_assert_ptr_nonnull(wait_broken(RX));
	after = ring_stop(RX);
	ck_assert_uint_eq(after.next_avail, 0);
	ck_assert_uint_eq(after.driver.value, state.driver.value);
	ck_assert_str_eq(message, "");
}
END_TEST

/* One ring breaks; the other goes on, and so does the one that comes after it. */
START_TEST(breaks_the_rules)
{
	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF));
	ring_init(RX, 0);
	ring_init(TX, 0);
	fill(RX);
	ring_begin(RX, true);
	ring_begin(TX, true);
	transmit(TX, 1);
	wire_expect(1);
	if (_i)
		rings[TX].desc[rings[TX].free_ids[rings[TX].n_free_ids - 1]].addr = HIGH - FRAME;
	else
		rings[TX].avail_idx += SIZE + 1;
	if (_i) {
		struct driver_piece piece = {HIGH - FRAME, FRAME, false};

		ck_assert_int_ge(driver_add_chain(&rings[TX], &piece, 1), 0);
	}
	driver_expose(&rings[TX]);
	fd_eventfd_signal(kick_fd[TX]);
	ck_assert_str_eq(wait_broken(TX),
			 "vhost-net: the kernel can't serve it: it breaks the rules");
	atomic_store(&broken[TX], NULL);
	/* It is told once. */
	fd_eventfd_signal(kick_fd[TX]);
	ck_assert(quiet(broken_fd));
	wire_send(2);
	expect_received(RX, 2);
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	ring_stop(TX);
	ring_init(TX, 0);
	ring_begin(TX, true);
	transmit(TX, 3);
	wire_expect(3);
	ring_stop(RX);
	ring_stop(TX);
	ck_assert(quiet(broken_fd));
	ck_assert_str_eq(message, "");
}
END_TEST

/* An ioctl fails, here since the kernel has the ring already: the log says which one. */
START_TEST(refused)
{
	struct ring_state state;

	accept_features(0);
	ring_init(TX, 0);
	state = state_of(TX);
	ck_assert_int_eq(start_on(dp, TX, &state, false), 0);
	/* Only a confused caller comes to this, and the ring is lost to it. */
	ck_assert_int_eq(start_on(dp, TX, &state, false), -EEXIST);
	ck_assert_int_eq(start_on(dp, TX, &state, false), -EBUSY);
	ck_assert_str_eq(message, "net0: vhost-net: VHOST_SET_VRING_NUM for the transmit ring 1: "
				  "Device or resource busy");
}
END_TEST

START_TEST(settings)
{
	uint64_t offloads = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4);

	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF) | offloads);
	ring_init(RX, 0);
	fill(RX);
	ring_begin(RX, true);
	wire_send(1);
	expect_received(RX, 1);
	ck_assert_int_eq(dp->ops->set_offloads(dp, 0), 0);
	wire_send(2);
	expect_received(RX, 2);
	ck_assert_int_eq(dp->ops->set_offloads(dp, offloads), 0);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 0), -EINVAL);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, PAIRS + 1), -EINVAL);
	wire_send(3);
	expect_received(RX, 3);
	ck_assert_int_eq(dp->ops->announce(dp, mac), 0);
	ring_stop(RX);
}
END_TEST

/* All pairs send; the tap chooses on which of those in use it receives, by what is sent there. */
START_TEST(several_pairs)
{
	uint32_t len;

	accept_features(BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_MQ));
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, PAIRS), 0);
	for (unsigned int ring = 0; ring < RINGS; ring++) {
		ring_init(ring, 0);
		if (ring % 2 == RX)
			fill(ring);
		ring_begin(ring, ring < 2);
	}
	for (unsigned int i = 0; i < 100; i++) {
		transmit(2 * (i % PAIRS) + TX, i);
		wire_expect(i);
		next_used(2 * (i % PAIRS) + TX, &len);
	}
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 1), 0);
	for (unsigned int i = 0; i < 20; i++) {
		wire_send(i);
		expect_received(RX, i);
	}
	ck_assert(!driver_has_used(&rings[2 + RX]));
	for (unsigned int ring = 0; ring < RINGS; ring++)
		ring_stop(ring);
}
END_TEST

static void add_kernel_tests(Suite *suite)
{
	TCase *tc = tcase_create("vhost-net"), *polling = tcase_create("vhost-net, polling");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 100);
	tcase_add_test(tc, offers);
	tcase_add_loop_test(tc, transmits, 0, 4);
	tcase_add_loop_test(tc, receives, 0, 4);
	tcase_add_test(tc, looks_at_once);
	tcase_add_test(tc, stops);
	tcase_add_loop_test(tc, switches, 0, 2);
	tcase_add_test(tc, link_down);
	tcase_add_test(tc, does_not_let_go);
	tcase_add_test(tc, too_old_for_the_driver);
	tcase_add_test(tc, wrong_from_the_start);
	tcase_add_loop_test(tc, breaks_the_rules, 0, 2);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, settings);
	tcase_add_test(tc, several_pairs);
	suite_add_tcase(suite, tc);
	tcase_add_checked_fixture(polling, setup_polling, teardown);
	tcase_set_timeout(polling, 100);
	tcase_add_loop_test(polling, transmits, 0, 4);
	tcase_add_loop_test(polling, receives, 0, 4);
	tcase_add_test(polling, switches);
	suite_add_tcase(suite, polling);
}

int main(void)
{
	bool has_device = access("/dev/vhost-net", R_OK | W_OK) == 0;
	SRunner *runner;
	Suite *suite;
	TCase *tc;
	int failed;

	if (!has_device)
		printf("skipped, but for errors: /dev/vhost-net: %s; try: modprobe vhost_net\n",
		       strerror(errno));
	if (!enter_network_with_taps())
		return SKIP;
	suite = suite_create("vhost-net");
	tc = tcase_create("without the device");
	/* The kernel's own packets are in the way. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	tcase_add_checked_fixture(tc, setup_tap, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, rarp);
	tcase_add_test(tc, rarp_sent);
	tcase_add_test(tc, no_device);
	tcase_add_test(tc, no_module);
	tcase_add_test(tc, no_permission);
	tcase_add_test(tc, another_device);
	tcase_add_test(tc, no_tap);
	suite_add_tcase(suite, tc);
	if (has_device)
		add_kernel_tests(suite);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	if (failed)
		return EXIT_FAILURE;
	return has_device ? EXIT_SUCCESS : SKIP;
}
