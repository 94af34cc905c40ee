/* SPDX-License-Identifier: Apache-2.0 */
/* The in-process datapath between a driver's rings and a backend on a pair of sockets. */
#include "virtio/datapath_inprocess.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/driver.h"
#include "virtio/defs.h"
#include "virtio/net_backend.h"
#include "virtio/net_filter.h"
#include "virtio/net_rss.h"
#include "virtio/queue_stats.h"
#include "vmm/core/fd.h"

#define EVENT_IDX   (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT    (1ULL << VIRTIO_RING_F_INDIRECT_DESC)
#define MRG_RXBUF   (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define GUEST_CSUM  (1ULL << VIRTIO_NET_F_GUEST_CSUM)
#define GUEST_TSO4  (1ULL << VIRTIO_NET_F_GUEST_TSO4)
#define HASH_REPORT (1ULL << VIRTIO_NET_F_HASH_REPORT)

enum {
	RX,
	TX,
	PAIRS = 4, /* at most: receive rings are 2n, transmit rings 2n + 1 */
	RINGS = 2 * PAIRS,
	MEMORY = 128 << 20,
	RING_AT = 0x10000, /* one every RING_STEP */
	RING_STEP = 0x10000,
	TABLES_AT = 0x100000, /* indirect tables */
	DATA_AT = 0x400000,   /* one area every DATA_STEP */
	DATA_STEP = 12 << 20,
	BIG_RING_AT = 0x7000000,
	HEADER = sizeof(struct virtio_net_hdr_v1),
	/* virtio 1.3, 5.1.6.3: the largest packet that a driver must be ready for. */
	LARGEST = HEADER + 14 + 40 + 65535,
	MTU = 1400,
	PATIENCE_MS = 20000, /* a wake-up that takes longer is lost */
};

/* For what is done a million times: Check notes down each ck_assert, and that takes long. */
#define MUST(condition)                                         \
	do {                                                    \
		if (!(condition))                               \
			ck_abort_msg("not so: %s", #condition); \
	} while (0)

/* --- the backend: per queue one end of a pair of sockets; the test has the other, the wire --- */

struct fake {
	struct net_backend backend;
	int fd, wire;		      /* of the first queue, for the tests that know no other */
	int fds[PAIRS], wires[PAIRS]; /* of all */
	unsigned int pairs, queues;   /* that there are, and that are in use */
	uint64_t offers, got;
	int refuses;			       /* settings, with this errno */
	_Atomic int send_error, receive_error; /* returned instead, if not 0 */
	_Atomic unsigned int sends, receives;
	_Atomic unsigned int held; /* from this one on sends wait; 0: none */
	bool destroyed;
};

static uint64_t fake_features(const struct net_backend *backend)
{
	return ((const struct fake *)backend)->offers;
}

static int fake_set_features(struct net_backend *backend, uint64_t features)
{
	struct fake *state = (struct fake *)backend;

	if (state->refuses)
		return state->refuses;
	state->got = features;
	return 0;
}

static int fake_set_queues(struct net_backend *backend, unsigned int n)
{
	struct fake *state = (struct fake *)backend;

	MUST(n > 0 && n <= state->pairs && state->pairs > 1);
	if (state->refuses)
		return state->refuses;
	state->queues = n;
	return 0;
}

static int fake_fd(const struct net_backend *backend, unsigned int queue)
{
	MUST(queue < ((const struct fake *)backend)->pairs);
	return ((const struct fake *)backend)->fds[queue];
}

static ssize_t fake_receive(struct net_backend *backend, unsigned int queue,
			    const struct iovec *iov, unsigned int n)
{
	struct fake *fake = (struct fake *)backend;
	int error = atomic_load(&fake->receive_error);
	ssize_t ret;

	MUST(n <= IOV_MAX);
	atomic_fetch_add(&fake->receives, 1);
	if (error)
		return error;
	ret = readv(fake->fds[queue], iov, (int)n);
	return ret < 0 ? -errno : ret;
}

static ssize_t fake_send(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			 unsigned int n)
{
	struct fake *fake = (struct fake *)backend;
	int error = atomic_load(&fake->send_error);
	unsigned int number, held;
	ssize_t ret;

	MUST(n < IOV_MAX);
	number = atomic_fetch_add(&fake->sends, 1) + 1;
	while ((held = atomic_load(&fake->held)) && number >= held)
		poll(NULL, 0, 1);
	if (error)
		return error;
	ret = writev(fake->fds[queue], iov, (int)n);
	return ret < 0 ? -errno : ret;
}

static void fake_destroy(struct net_backend *backend)
{
	struct fake *fake = (struct fake *)backend;

	for (unsigned int i = 0; i < fake->pairs; i++)
		fd_close(&fake->fds[i]);
	fake->destroyed = true;
}

static const struct net_backend_ops fake_ops = {
	.features = fake_features,
	.set_features = fake_set_features,
	.set_queues = fake_set_queues,
	.fd = fake_fd,
	.receive = fake_receive,
	.send = fake_send,
	.destroy = fake_destroy,
};

/* --- the fixture --- */

static struct guest_memory mem;
static struct fake fake;
static struct datapath *dp;
static uint64_t features;
static struct driver_ring rings[RINGS];
static int kick_fd[RINGS], call_fd[RINGS];
static _Atomic uint32_t interrupt_status;
static bool msix; /* interrupts have no status to be read */
static _Atomic(const char *) broken[RINGS];
static _Atomic unsigned int firsts[RINGS]; /* how often its first packet was told of */
static uint8_t packet[2 * LARGEST], received[2 * LARGEST];

static _Atomic unsigned int gone; /* how often the backend was said to be */

static void backend_gone(void *opaque)
{
	atomic_fetch_add((_Atomic unsigned int *)opaque, 1);
}

static uint64_t counted(unsigned int ring, enum queue_counter counter)
{
	return queue_counted(dp->ops->stats(dp, ring), counter);
}

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	ck_assert_ptr_eq(opaque, &mem);
	ck_assert_ptr_nonnull(why);
	ck_assert_ptr_null(atomic_load(&broken[index]));
	atomic_store(&broken[index], why);
	fd_eventfd_signal(call_fd[index]);
}

static void first_packet(void *opaque, unsigned int index)
{
	ck_assert_ptr_eq(opaque, &mem);
	ck_assert_uint_eq(counted(index, QUEUE_PACKETS), 0);
	atomic_fetch_add(&firsts[index], 1);
}

static void setup_pairs(unsigned int pairs)
{
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config config;
	struct inprocess_config dp_config = {
		.name = "test",
		.queue_pairs = pairs,
		.mem = &mem,
		.backend = &fake.backend,
		.mtu = MTU,
		.backend_gone = backend_gone,
		.opaque = &gone,
	};
	int fds[2];

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
	fake = (struct fake){.backend.ops = &fake_ops, .pairs = pairs, .queues = pairs};
	for (unsigned int i = 0; i < pairs; i++) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
		/* The wire's end blocks; as ours must not, each has a description of its own. */
		ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
		fake.fds[i] = fds[0];
		fake.wires[i] = fds[1];
	}
	fake.fd = fake.fds[0];
	fake.wire = fake.wires[0];
	dp = inprocess_create(&dp_config);
	ck_assert_ptr_nonnull(dp);
	dp->events = (struct datapath_events){ring_broken, first_packet, &mem};
	for (int i = 0; i < RINGS; i++) {
		kick_fd[i] = fd_eventfd();
		call_fd[i] = fd_eventfd();
	}
	for (size_t i = 0; i < sizeof(packet); i++)
		packet[i] = (uint8_t)(i * 7 + i / 251);
	memset(packet, 0, HEADER);
	msix = false;
}

static void setup(void)
{
	setup_pairs(1);
}

static void setup_four(void)
{
	setup_pairs(4);
}

static void teardown(void)
{
	/* Whatever the test was about. */
	for (unsigned int i = 0; i < 2 * fake.pairs; i++) {
		ck_assert_uint_le(firsts[i], 1);
		ck_assert(firsts[i] || !counted(i, QUEUE_PACKETS));
	}
	dp->ops->destroy(dp);
	ck_assert(fake.destroyed);
	for (unsigned int i = 0; i < fake.pairs; i++)
		close(fake.wires[i]);
	for (int i = 0; i < RINGS; i++) {
		close(kick_fd[i]);
		close(call_fd[i]);
	}
	memory_destroy(&mem);
}

static void accept_features(uint64_t accepted)
{
	features = accepted;
	ck_assert_int_eq(dp->ops->set_features(dp, accepted), 0);
	ck_assert_uint_eq(fake.got, accepted);
}

static void ring_init(int ring, uint16_t size, uint16_t start)
{
	driver_ring_init(&rings[ring], &mem, gpa(RING_AT + (uint64_t)ring * RING_STEP), size,
			 features & EVENT_IDX, start);
}

static int start_on_ring(int ring, const struct ring_state *state)
{
	const struct datapath_wires wires = {kick_fd[ring], call_fd[ring],
					     msix ? NULL : &interrupt_status};

	return dp->ops->start_ring(dp, (unsigned int)ring, state, &wires);
}

static void ring_begin(int ring)
{
	struct ring_state state = driver_ring_state(&rings[ring]);

	ck_assert_int_eq(start_on_ring(ring, &state), 0);
}

static struct ring_state ring_stop(int ring)
{
	struct ring_state state;

	dp->ops->stop_ring(dp, (unsigned int)ring, &state);
	return state;
}

static void expose(int ring)
{
	if (driver_expose(&rings[ring]))
		fd_eventfd_signal(kick_fd[ring]);
}

static uint64_t data_at(int ring, uint64_t offset)
{
	return DATA_AT + (uint64_t)ring * DATA_STEP + offset;
}

static void *data(int ring, uint64_t offset)
{
	return memory_translate(&mem, gpa(data_at(ring, offset)), 1);
}

static void assert_counted(unsigned int ring, enum queue_counter counter, uint64_t n)
{
	ck_assert_uint_eq(counted(ring, counter), n);
}

/* Wait for the eventfd or socket @fd; a test that waits too long has failed. */
static void wait_for(int fd, const char *what)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	if (poll(&pfd, 1, PATIENCE_MS) <= 0)
		ck_abort_msg("no wake-up: %s", what);
}

static bool quiet(int fd, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, ms) == 0;
}

/* The next used chain of @ring, waiting for the interrupt as a driver does. */
static uint32_t next_used(int ring, uint32_t *len)
{
	uint32_t id;

	while (!driver_used(&rings[ring], &id, len)) {
		if (driver_enable_interrupts(&rings[ring]))
			continue;
		wait_for(call_fd[ring], ring == TX ? "transmit interrupt" : "receive interrupt");
		fd_eventfd_drain(call_fd[ring]);
		ck_assert(msix || interrupt_status & VIRTIO_MMIO_INT_VRING);
	}
	return id;
}

static const char *wait_broken(int ring)
{
	while (!atomic_load(&broken[ring])) {
		wait_for(call_fd[ring], "ring_broken");
		fd_eventfd_drain(call_fd[ring]);
	}
	return broken[ring];
}

static size_t wire_read(void *to, size_t len)
{
	ssize_t ret;

	wait_for(fake.wire, "packet on the wire");
	ret = read(fake.wire, to, len);
	MUST(ret > 0);
	return (size_t)ret;
}

static void wire_write(const void *from, size_t len)
{
	MUST(write(fake.wire, from, len) == (ssize_t)len);
}

/* CPU time of this process, in ms. */
static long cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Nobody turns on the spot for want of something. */
static void assert_idle(void)
{
	long before = cpu_ms();

	poll(NULL, 0, 200);
	ck_assert_int_lt(cpu_ms() - before, 100);
}

/* How often the thread @name of this process has slept. */
static unsigned long sleeps(const char *name)
{
	char path[64], line[256];
	unsigned long n = 0;
	struct dirent *task;
	DIR *tasks = opendir("/proc/self/task");

	MUST(tasks != NULL);
	while ((task = readdir(tasks)) != NULL) {
		bool found = false;
		FILE *status;

		snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", task->d_name);
		status = task->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (status && fgets(line, sizeof(line), status)) {
			if (strncmp(line, "Name:\t", 6) == 0)
				found = strncmp(line + 6, name, strlen(name)) == 0;
			if (found)
				sscanf(line, "voluntary_ctxt_switches: %lu", &n);
		}
		if (status)
			fclose(status);
	}
	closedir(tasks);
	return n;
}

/* --- transmit --- */

/* Make @len bytes at @offset of the data available as the single descriptor @i. */
static void send_at(uint16_t i, uint64_t offset, uint32_t len)
{
	driver_fill_desc(&rings[TX].desc[i], data_at(TX, offset), len, 0, 0);
	driver_add(&rings[TX], i);
}

static void start_tx(uint64_t accepted, uint16_t size)
{
	accept_features(accepted);
	ring_init(TX, size, 65530);
	ring_begin(TX);
}

START_TEST(transmits_header_and_pieces)
{
	struct virtio_net_hdr_v1 header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					   .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					   .gso_size = 1448,
					   .csum_start = 34,
					   .csum_offset = 16};
	uint32_t len = 99;

	start_tx(_i ? EVENT_IDX : 0, 8);
	memcpy(packet, &header, sizeof(header));
	memcpy(data(TX, 3), packet, 2000);
	/* Cut in the midst of the header, too: framing is the driver's (2.7.4). */
	driver_fill_desc(&rings[TX].desc[2], data_at(TX, 3), 5, VRING_DESC_F_NEXT, 7);
	driver_fill_desc(&rings[TX].desc[7], data_at(TX, 8), 500, VRING_DESC_F_NEXT, 0);
	driver_fill_desc(&rings[TX].desc[0], data_at(TX, 508), 1495, 0, 0);
	driver_add(&rings[TX], 2);
	expose(TX);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), 2000);
	ck_assert_mem_eq(received, packet, 2000);
	ck_assert_uint_eq(next_used(TX, &len), 2);
	ck_assert_uint_eq(len, 0);
	ring_stop(TX);
}
END_TEST

START_TEST(transmits_indirect)
{
	struct vring_desc *table = memory_translate(&mem, gpa(TABLES_AT), 4096);
	uint32_t len;

	start_tx(INDIRECT, 8);
	memcpy(data(TX, 0), packet, 1000);
	for (uint16_t i = 0; i < 8; i++)
		driver_fill_desc(&table[i], data_at(TX, 125ULL * i), 125,
				 i < 7 ? VRING_DESC_F_NEXT : 0, i + 1U);
	driver_fill_desc(&rings[TX].desc[4], TABLES_AT, 8 * 16, VRING_DESC_F_INDIRECT, 0);
	driver_add(&rings[TX], 4);
	expose(TX);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), 1000);
	ck_assert_mem_eq(received, packet, 1000);
	ck_assert_uint_eq(next_used(TX, &len), 4);
	ring_stop(TX);
}
END_TEST

START_TEST(transmits_largest)
{
	uint32_t len;

	start_tx(0, 8);
	memcpy(data(TX, 0), packet, LARGEST);
	send_at(1, 0, LARGEST);
	expose(TX);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), LARGEST);
	ck_assert_mem_eq(received, packet, LARGEST);
	next_used(TX, &len);
	ring_stop(TX);
}
END_TEST

/* The next used chain of @ring, looking for it as a driver does that doesn't sleep. */
static uint32_t look_for_used(int ring)
{
	const time_t end = time(NULL) + PATIENCE_MS / 1000;
	uint32_t id, len;

	while (!driver_used(&rings[ring], &id, &len)) {
		ck_assert_int_le(time(NULL), end);
		sched_yield();
	}
	return id;
}

/*
 * A driver may have no more on its way to the device than it was given back; but if it has, it will
 * see for itself.
 */
START_TEST(gives_large_packets_back_at_once)
{
	start_tx(0, 8);
	atomic_store(&fake.held, 2);
	for (uint16_t i = 0; i < 3; i++)
		send_at(i, 0, LARGEST);
	expose(TX);
	ck_assert_uint_eq(look_for_used(TX), 0);
	ck_assert(quiet(call_fd[TX], 20));
	atomic_store(&fake.held, 0);
	ck_assert_uint_eq(look_for_used(TX), 1);
	ck_assert_uint_eq(look_for_used(TX), 2);
	wait_for(call_fd[TX], "transmit interrupt");
	ring_stop(TX);
	ck_assert_uint_eq(fd_eventfd_drain(call_fd[TX]), 1);
}
END_TEST

/* A stream of large packets doesn't keep the driver from all interrupts. */
START_TEST(interrupts_for_a_batch_of_large_packets)
{
	start_tx(0, 128);
	atomic_store(&fake.send_error, -EIO); /* there is no room for so many */
	atomic_store(&fake.held, 65);
	for (uint16_t i = 0; i < 128; i++)
		send_at(i, 0, LARGEST);
	expose(TX);
	wait_for(call_fd[TX], "transmit interrupt");
	for (uint16_t i = 0; i < 64; i++)
		ck_assert_uint_eq(look_for_used(TX), i);
	ck_assert_uint_eq(fd_eventfd_drain(call_fd[TX]), 1);
	atomic_store(&fake.held, 0);
	ring_stop(TX);
}
END_TEST

START_TEST(drops_what_has_no_header)
{
	uint32_t len;

	start_tx(0, 8);
	memcpy(data(TX, 0), packet, 100);
	send_at(0, 0, HEADER - 1);
	send_at(1, 0, 0);
	driver_fill_desc(&rings[TX].desc[2], data_at(TX, 0), 100, VRING_DESC_F_WRITE, 0);
	driver_add(&rings[TX], 2);
	send_at(3, 0, 100);
	expose(TX);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), 100);
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(next_used(TX, &len), i);
		ck_assert_uint_eq(len, 0);
	}
	ck_assert(quiet(fake.wire, 20));
	ring_stop(TX);
	assert_counted(TX, QUEUE_PACKETS, 1);
	assert_counted(TX, QUEUE_BYTES, 100 - HEADER);
	assert_counted(TX, QUEUE_DROPPED_MALFORMED, 3);
}
END_TEST

/* Number packet @i with @n, 100 bytes long. */
static void send_numbered(uint16_t i, uint32_t n)
{
	memset(data(TX, i * 128ULL), 0, 100);
	memcpy(data(TX, i * 128ULL + HEADER), &n, sizeof(n));
	send_at(i, i * 128ULL, 100);
}

static uint32_t wire_number(void)
{
	uint32_t n;

	ck_assert_uint_eq(wire_read(received, sizeof(received)), 100);
	memcpy(&n, received + HEADER, sizeof(n));
	return n;
}

/* Fill the socket until a send can't go on. */
static void fill_wire(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		send_numbered((uint16_t)i, i);
	expose(TX);
	/* It has tried the last one that it took, and is asleep. */
	for (unsigned int before = ~0u; !fake.sends || before != fake.sends; poll(NULL, 0, 50))
		before = fake.sends;
}

START_TEST(waits_for_room)
{
	const int small = 4096;
	uint32_t len, used = 0, id;

	ck_assert_int_eq(setsockopt(fake.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	start_tx(_i ? EVENT_IDX : 0, 256);
	fill_wire(256);
	/* What went out is returned, although the rest waits. */
	while (driver_used(&rings[TX], &id, &len))
		ck_assert_uint_eq(id, used++);
	ck_assert_uint_gt(used, 0);
	ck_assert_uint_lt(used, 256);
	assert_idle();
	for (uint32_t i = 0; i < 256; i++)
		ck_assert_uint_eq(wire_number(), i);
	for (; used < 256; used++)
		ck_assert_uint_eq(next_used(TX, &len), used);
	ring_stop(TX);
	ck_assert_uint_gt(counted(TX, QUEUE_STALLS), 0);
}
END_TEST

START_TEST(stops_while_waiting_for_room)
{
	const int small = 4096;
	struct ring_state state;
	uint32_t len;

	ck_assert_int_eq(setsockopt(fake.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	start_tx(_i ? EVENT_IDX : 0, 256);
	fill_wire(256);
	state = ring_stop(TX);
	ck_assert_uint_eq(state.next_avail, state.next_used);
	ck_assert_int_eq(start_on_ring(TX, &state), 0);
	for (uint32_t i = 0; i < 256; i++)
		ck_assert_uint_eq(wire_number(), i);
	for (uint32_t i = 0; i < 256; i++)
		ck_assert_uint_eq(next_used(TX, &len), i);
	ring_stop(TX);
}
END_TEST

START_TEST(backend_refuses_packets)
{
	uint32_t len;

	start_tx(0, 8);
	atomic_store(&fake.send_error, -EIO);
	send_numbered(0, 0);
	send_numbered(1, 1);
	expose(TX);
	next_used(TX, &len);
	ck_assert_uint_eq(next_used(TX, &len), 1);
	atomic_store(&fake.send_error, 0);
	send_numbered(2, 2);
	expose(TX);
	ck_assert_uint_eq(wire_number(), 2);
	next_used(TX, &len);
	ring_stop(TX);
	assert_counted(TX, QUEUE_PACKETS, 1);
	assert_counted(TX, QUEUE_DROPPED_REFUSED, 2);
}
END_TEST

START_TEST(finds_what_was_there_before)
{
	uint32_t len;

	accept_features(0);
	ring_init(TX, 8, 0);
	send_numbered(0, 5);
	driver_expose(&rings[TX]); /* and no kick */
	ring_begin(TX);
	/* The driver had nothing available at the start, though: begin at its first entry. */
	ring_stop(TX);
	ring_init(TX, 8, 0);
	send_numbered(0, 5);
	driver_expose(&rings[TX]);
	ck_assert_int_eq(
		start_on_ring(TX,
			      &(struct ring_state){.size = 8,
						   .desc = driver_ring_state(&rings[TX]).desc,
						   .driver = driver_ring_state(&rings[TX]).driver,
						   .device = driver_ring_state(&rings[TX]).device}),
		0);
	ck_assert_uint_eq(wire_number(), 5);
	ck_assert_uint_eq(next_used(TX, &len), 0);
	ring_stop(TX);
}
END_TEST

/* --- receive --- */

/* Make @len bytes at @offset of the data available as the single descriptor @i. */
static void buffer_at(uint16_t i, uint64_t offset, uint32_t len)
{
	driver_fill_desc(&rings[RX].desc[i], data_at(RX, offset), len, VRING_DESC_F_WRITE, 0);
	driver_add(&rings[RX], i);
}

static void start_rx(uint64_t accepted, uint16_t size)
{
	accept_features(accepted);
	ring_init(RX, size, 65530);
	ring_begin(RX);
}

/* What comes in between may be the answer to them. */
START_TEST(receives_between_large_packets)
{
	start_rx(0, 8);
	ring_init(TX, 8, 65530);
	ring_begin(TX);
	buffer_at(0, 0, 2000);
	expose(RX);
	atomic_store(&fake.held, 1);
	for (uint16_t i = 0; i < 2; i++)
		send_at(i, 0, LARGEST);
	expose(TX);
	wire_write(packet, 1500);
	atomic_store(&fake.held, 2);
	ck_assert_uint_eq(look_for_used(RX), 0);
	ck_assert_uint_eq(look_for_used(TX), 0);
	atomic_store(&fake.held, 0);
	ck_assert_uint_eq(look_for_used(TX), 1);
	ring_stop(TX);
	ring_stop(RX);
}
END_TEST

enum {
	STREAM = 64, /* packets */
};

static bool asked; /* for a kick, for the last one of them */

/*
 * Transmit packets of @len bytes, one after the other, as fast as can be without finding the thread
 * still busy with the one before. If @answers each has one before the next. For how many of STREAM
 * a kick was asked for.
 */
static unsigned int stream_out(uint32_t len, bool answers)
{
	unsigned int kicks = 0;

	prctl(PR_SET_TIMERSLACK, 1UL); /* ns, of the pauses */
	for (unsigned int n = 0; n < STREAM; n++) {
		send_at((uint16_t)(n % rings[TX].size), 0, len);
		asked = driver_expose(&rings[TX]);
		if (asked) {
			fd_eventfd_signal(kick_fd[TX]);
			kicks++;
		}
		ck_assert_uint_eq(wire_read(received, sizeof(received)), len);
		look_for_used(TX);
		if (answers) {
			wire_write(packet, 100);
			buffer_at((uint16_t)look_for_used(RX), 0, 2000);
			expose(RX);
		} else {
			nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
		}
	}
	return kicks;
}

/* Both rings, that for packets out of @size. */
static void start_both(uint64_t accepted, uint16_t size)
{
	start_rx(accepted, 8);
	for (uint16_t i = 0; i < 8; i++)
		buffer_at(i, 0, 2000);
	expose(RX);
	ring_init(TX, size, 65530);
	ring_begin(TX);
}

/* Until the thread looks for them at intervals, which on a busy machine it may be too late for. */
static void begin_stream(void)
{
	const time_t end = time(NULL) + PATIENCE_MS / 1000;

	while (stream_out(100, false) > STREAM * 3 / 4 || asked)
		ck_assert_int_le(time(NULL), end);
}

START_TEST(a_stream_needs_few_kicks)
{
	unsigned long before;

	msix = true;
	start_both(_i ? EVENT_IDX : 0, 256);
	begin_stream();
	/* And when there are no more of them no longer. */
	poll(NULL, 0, 20);
	before = sleeps("test-q0");
	poll(NULL, 0, 200);
	ck_assert_uint_le(sleeps("test-q0"), before + 2);
	send_at(STREAM % 256, 0, 100);
	ck_assert(driver_expose(&rings[TX]));
	fd_eventfd_signal(kick_fd[TX]);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), 100);
	ring_stop(TX);
	ring_stop(RX);
}
END_TEST

START_TEST(answers_end_a_stream)
{
	msix = true;
	start_both(EVENT_IDX, 256);
	for (int i = 0; i < 10; i++) {
		begin_stream();
		ck_assert_uint_gt(stream_out(100, true), STREAM / 2);
	}
	ring_stop(TX);
	ring_stop(RX);
}
END_TEST

/* What must not wait for it. */
static const struct {
	bool mmio;
	uint16_t size;
	uint32_t len;
	bool answers;
} kicked[] = {
	{true, 256, 100, false},    /* holds interrupts */
	{false, 256, 100, true},    /* both ways */
	{false, 4, 100, false},	    /* the ring may be full before */
	{false, 256, 40000, false}, /* or the driver have no more bytes that it may send */
};

START_TEST(others_are_kicked_for)
{
	msix = !kicked[_i].mmio;
	start_both(EVENT_IDX, kicked[_i].size);
	for (int i = 0; i < 10; i++)
		ck_assert_uint_gt(stream_out(kicked[_i].len, kicked[_i].answers), STREAM / 2);
	ring_stop(TX);
	ring_stop(RX);
}
END_TEST

static struct virtio_net_hdr_v1 header_of(const void *at)
{
	struct virtio_net_hdr_v1 header;

	memcpy(&header, at, sizeof(header));
	return header;
}

START_TEST(receives_into_one_buffer)
{
	const uint64_t accepted[] = {GUEST_CSUM, 0, GUEST_CSUM | MRG_RXBUF | EVENT_IDX, MRG_RXBUF};
	struct virtio_net_hdr_v1 header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID,
					   .num_buffers = 0xdead};
	uint32_t len;

	start_rx(accepted[_i], 8);
	memset(data(RX, 0), 0xaa, 4096);
	buffer_at(3, 0, 2000);
	buffer_at(4, 2000, 2000);
	expose(RX);
	memcpy(packet, &header, sizeof(header));
	wire_write(packet, 1500);
	ck_assert_uint_eq(next_used(RX, &len), 3);
	ck_assert_uint_eq(len, 1500);
	header = header_of(data(RX, 0));
	ck_assert_uint_eq(header.num_buffers, 1);
	/* 5.1.6.4.1: no flags without GUEST_CSUM. */
	ck_assert_uint_eq(header.flags,
			  accepted[_i] & GUEST_CSUM ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
	ck_assert_mem_eq(data(RX, HEADER), packet + HEADER, 1500 - HEADER);
	ck_assert_uint_eq(((uint8_t *)data(RX, 0))[1500], 0xaa);
	wire_write(packet, HEADER); /* an empty packet, if there is such a thing */
	ck_assert_uint_eq(next_used(RX, &len), 4);
	ck_assert_uint_eq(len, HEADER);
	ring_stop(RX);
}
END_TEST

START_TEST(receives_into_pieces)
{
	uint32_t len;

	start_rx(MRG_RXBUF, 8);
	/* The header cut in the midst of num_buffers. */
	driver_fill_desc(&rings[RX].desc[0], data_at(RX, 0), 11,
			 VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 5);
	driver_fill_desc(&rings[RX].desc[5], data_at(RX, 11), 20, VRING_DESC_F_WRITE, 0);
	driver_add(&rings[RX], 0);
	driver_fill_desc(&rings[RX].desc[1], data_at(RX, 31), 1,
			 VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 2);
	driver_fill_desc(&rings[RX].desc[2], data_at(RX, 32), 500, VRING_DESC_F_WRITE, 0);
	driver_add(&rings[RX], 1);
	expose(RX);
	wire_write(packet, 100);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, 31);
	ck_assert_uint_eq(next_used(RX, &len), 1);
	ck_assert_uint_eq(len, 69);
	ck_assert_uint_eq(header_of(data(RX, 0)).num_buffers, 2);
	ck_assert_mem_eq(data(RX, HEADER), packet + HEADER, 100 - HEADER);
	ring_stop(RX);
}
END_TEST

/* Buffers of 4096 bytes, one after the other. */
static void add_pages(uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		buffer_at(i, i * 4096ULL, 4096);
	expose(RX);
}

/* A packet of @len bytes arrived in pages from @first on, which are one piece of memory. */
static void assert_in_pages(uint16_t first, uint32_t len)
{
	uint16_t n = (uint16_t)((len + 4095) / 4096);
	uint32_t total = 0, part;

	for (uint16_t i = 0; i < n; i++) {
		ck_assert_uint_eq(next_used(RX, &part), (uint32_t)(first + i) % rings[RX].size);
		if (i < n - 1)
			ck_assert_uint_eq(part, 4096); /* 5.1.6.4.1: all but the last are full */
		total += part;
	}
	ck_assert_uint_eq(total, len);
	ck_assert_uint_eq(header_of(data(RX, first * 4096ULL)).num_buffers, n);
	ck_assert_mem_eq(data(RX, first * 4096ULL + HEADER), packet + HEADER, len - HEADER);
}

START_TEST(merges_buffers)
{
	start_rx(MRG_RXBUF | (_i ? EVENT_IDX : 0), 64);
	add_pages(64);
	wire_write(packet, LARGEST);
	assert_in_pages(0, LARGEST);
	wire_write(packet, 4096);
	assert_in_pages(17, 4096);
	wire_write(packet, 4097);
	assert_in_pages(18, 4097);
	wire_write(packet, LARGEST);
	assert_in_pages(20, LARGEST);
	ring_stop(RX);
}
END_TEST

START_TEST(receives_largest_without_merging)
{
	uint32_t len;

	start_rx(GUEST_CSUM | GUEST_TSO4, 8);
	for (uint16_t i = 0; i < 8; i++)
		buffer_at(i, i * 66000ULL, LARGEST);
	expose(RX);
	for (uint16_t i = 0; i < 8; i++) {
		wire_write(packet, LARGEST);
		ck_assert_uint_eq(next_used(RX, &len), i);
		ck_assert_uint_eq(len, LARGEST);
		ck_assert_uint_eq(header_of(data(RX, i * 66000ULL)).num_buffers, 1);
		ck_assert_mem_eq(data(RX, i * 66000ULL + HEADER), packet + HEADER,
				 LARGEST - HEADER);
	}
	ring_stop(RX);
}
END_TEST

/* The packet doesn't fit: it waits in the overflow until the driver brings more buffers. */
START_TEST(waits_for_buffers)
{
	const uint32_t len = _i % 2 ? LARGEST : 20000;
	const uint16_t pages = (uint16_t)((len + 4095) / 4096);

	start_rx(MRG_RXBUF | (_i / 2 ? EVENT_IDX : 0), 64);
	add_pages(2);
	wire_write(packet, len);
	ck_assert(quiet(call_fd[RX], 50));
	assert_idle();
	for (uint16_t i = 2; i < pages; i++) {
		buffer_at(i, i * 4096ULL, 4096);
		expose(RX);
		if (i < pages - 1 && i % 4 == 0)
			ck_assert(quiet(call_fd[RX], 5));
	}
	assert_in_pages(0, len);
	/* The next one goes the straight way again. */
	for (uint16_t i = 0; i < 2; i++)
		buffer_at(pages + i, (pages + i) * 4096ULL, 4096);
	expose(RX);
	wire_write(packet, 8000);
	assert_in_pages(pages, 8000);
	ring_stop(RX);
	assert_counted(RX, QUEUE_PACKETS, 2);
	assert_counted(RX, QUEUE_BYTES, len + 8000 - 2 * HEADER);
	ck_assert_uint_gt(counted(RX, QUEUE_STALLS), 0);
}
END_TEST

START_TEST(order_behind_a_waiting_packet)
{
	uint32_t len;

	start_rx(MRG_RXBUF, 16);
	buffer_at(0, 0, 100);
	expose(RX);
	wire_write(packet, 250);
	for (uint8_t i = 0; i < 5; i++) {
		packet[HEADER] = i;
		wire_write(packet, 50);
	}
	ck_assert(quiet(call_fd[RX], 20));
	for (uint16_t i = 1; i < 8; i++)
		buffer_at(i, i * 100ULL, 100);
	expose(RX);
	for (uint32_t i = 0; i < 8; i++) {
		ck_assert_uint_eq(next_used(RX, &len), i);
		ck_assert_uint_eq(len, i < 2 ? 100 : 50);
		if (i >= 3)
			ck_assert_uint_eq(*(uint8_t *)data(RX, i * 100ULL + HEADER), i - 3);
	}
	ring_stop(RX);
}
END_TEST

/* 5.1.6.3.1: a driver that gives too little room loses the packet, no more. */
START_TEST(drops_what_never_fits)
{
	uint32_t len;

	start_rx(_i ? MRG_RXBUF : 0, 2);
	buffer_at(0, 0, 200);
	buffer_at(1, 1000, 200);
	expose(RX);
	memset(packet + HEADER, 1, 1000);
	wire_write(packet, _i ? 401 : 201);
	memset(packet + HEADER, 2, 1000);
	wire_write(packet, 100);
	wire_write(packet, 90);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, 100);
	ck_assert_uint_eq(header_of(data(RX, 0)).num_buffers, 1);
	ck_assert_mem_eq(data(RX, HEADER), packet + HEADER, 100 - HEADER);
	ck_assert_uint_eq(next_used(RX, &len), 1);
	ck_assert_uint_eq(len, 90);
	ring_stop(RX);
	assert_counted(RX, QUEUE_PACKETS, 2);
	assert_counted(RX, QUEUE_DROPPED_NO_BUFFERS, 1);
}
END_TEST

/*
 * Buffers in so many pieces that no more of them can be taken at once: a packet that doesn't fit
 * into those is lost, and the thread doesn't spin over it.
 */
START_TEST(drops_what_is_too_scattered)
{
	enum {
		PIECES = 200,
		SLOTS = 256
	};
	struct vring_desc *table = memory_translate(&mem, gpa(TABLES_AT), PIECES * 16);
	uint32_t len;

	for (uint16_t i = 0; i < PIECES; i++)
		driver_fill_desc(&table[i], data_at(RX, i), 1,
				 VRING_DESC_F_WRITE | (i < PIECES - 1 ? VRING_DESC_F_NEXT : 0),
				 i + 1U);
	start_rx(MRG_RXBUF | INDIRECT | (_i ? EVENT_IDX : 0), SLOTS);
	for (uint16_t i = 0; i < SLOTS; i++) {
		driver_fill_desc(&rings[RX].desc[i], TABLES_AT, PIECES * 16, VRING_DESC_F_INDIRECT,
				 0);
		driver_add(&rings[RX], i);
	}
	expose(RX);
	wire_write(packet, 5000);
	ck_assert(quiet(call_fd[RX], 20));
	assert_idle();
	wire_write(packet, 150);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, 150);
	ring_stop(RX);
}
END_TEST

/* A backend that brings more than any packet can have breaks nothing but that packet. */
START_TEST(drops_the_oversized)
{
	const int large = 1 << 20;
	uint32_t len;

	ck_assert_int_eq(setsockopt(fake.wire, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large)), 0);
	start_rx(_i ? MRG_RXBUF : 0, 64);
	/* Room for almost a largest packet, so that the rest goes to the end of the overflow. */
	for (uint16_t i = 0; i < 16; i++)
		buffer_at(i, i * 4096ULL, 4096);
	expose(RX);
	poll(NULL, 0, 20);
	wire_write(packet, sizeof(packet));
	wire_write(packet, 100);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, 100);
	ring_stop(RX);
	assert_counted(RX, QUEUE_PACKETS, 1);
	assert_counted(RX, QUEUE_DROPPED_MALFORMED, 1);
}
END_TEST

START_TEST(drops_what_came_without_header)
{
	uint32_t len;

	accept_features(0);
	ring_init(RX, 8, 0);
	/* All are there at once: there is one edge for the lot. */
	wire_write(packet, HEADER - 1);
	wire_write(packet, 100);
	wire_write(packet, 1);
	wire_write(packet, 101);
	ring_begin(RX);
	buffer_at(0, 0, 2000);
	buffer_at(1, 2000, 2000);
	expose(RX);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, 100);
	ck_assert_uint_eq(next_used(RX, &len), 1);
	ck_assert_uint_eq(len, 101);
	ring_stop(RX);
	assert_counted(RX, QUEUE_PACKETS, 2);
	assert_counted(RX, QUEUE_DROPPED_MALFORMED, 2);
}
END_TEST

START_TEST(backend_is_gone)
{
	start_rx(_i ? EVENT_IDX : 0, 8);
	buffer_at(0, 0, 2000);
	expose(RX);
	poll(NULL, 0, 10);
	if (_i == 2)
		atomic_store(&fake.receive_error, -EBADFD);
	ck_assert_int_eq(atomic_load(&gone), 0);
	shutdown(fake.wire, SHUT_RDWR);
	while (!atomic_load(&gone))
		poll(NULL, 0, 1);
	assert_idle();
	ck_assert_uint_lt(fake.receives, 10);
	ck_assert_uint_eq(ring_stop(RX).next_avail, 65530);
}
END_TEST

/* Without buffers no packet is taken from the backend. */
START_TEST(leaves_packets_where_they_are)
{
	uint32_t len;

	start_rx(_i ? EVENT_IDX : 0, 8);
	for (uint32_t i = 0; i < 5; i++)
		wire_write(packet, 100 + i);
	assert_idle();
	ck_assert_uint_eq(fake.receives, 0);
	for (uint16_t i = 0; i < 5; i++) {
		buffer_at(i, i * 1000ULL, 1000);
		expose(RX);
		ck_assert_uint_eq(next_used(RX, &len), i);
		ck_assert_uint_eq(len, 100U + i);
	}
	ring_stop(RX);
}
END_TEST

/* Nor does each of them wake the thread. */
START_TEST(packets_without_buffers_wake_nobody)
{
	unsigned long before;
	uint32_t len;

	start_rx(0, 8);
	assert_idle();
	before = sleeps("test-q0");
	ck_assert_uint_gt(before, 0);
	for (int i = 0; i < 50; i++) {
		wire_write(packet, 100);
		poll(NULL, 0, 1);
	}
	ck_assert_uint_le(sleeps("test-q0"), before + 2);
	/* When it has one it looks for a packet; and when it has that, for others. */
	for (uint16_t i = 0; i < 8; i++)
		buffer_at(i, i * 1000ULL, 1000);
	expose(RX);
	for (uint16_t i = 0; i < 8; i++)
		ck_assert_uint_eq(next_used(RX, &len), i);
	ring_stop(RX);
}
END_TEST

/* As long as buffers wait for packets, the driver needs not kick for more of them. */
START_TEST(no_needless_kicks)
{
	accept_features(_i ? EVENT_IDX : 0);
	/* Not past index 0: as long as no event was set, that is it. */
	ring_init(RX, 64, 100);
	ring_begin(RX);
	buffer_at(0, 0, 100);
	expose(RX);
	/* It has the buffer once it looks for a packet. */
	for (int ms = 0; !fake.receives && ms < PATIENCE_MS; ms++)
		poll(NULL, 0, 1);
	for (uint16_t i = 1; i < 64; i++) {
		buffer_at(i, i * 100ULL, 100);
		ck_assert(!driver_expose(&rings[RX]));
	}
	ring_stop(RX);
}
END_TEST

/* However often somebody asks meanwhile, who thereby takes what the eventfd has. */
START_TEST(counts_kicks)
{
	uint64_t since;
	uint32_t len;

	start_tx(0, 8);
	ck_assert_uint_eq(atomic_load(&dp->ops->stats(dp, TX)->progress_ms), 0);
	for (uint16_t i = 0; i < 200; i++) {
		send_numbered(i % 8, i);
		driver_expose(&rings[TX]);
		fd_eventfd_signal(kick_fd[TX]);
		ck_assert_uint_le(counted(TX, QUEUE_KICKS), i + 1U);
		ck_assert_uint_eq(wire_number(), i);
		next_used(TX, &len);
	}
	assert_counted(TX, QUEUE_KICKS, 200);
	since = atomic_load(&dp->ops->stats(dp, TX)->progress_ms);
	ck_assert_uint_gt(since, 0);
	ring_stop(TX);
	assert_counted(TX, QUEUE_KICKS, 200);
}
END_TEST

START_TEST(no_needless_interrupts)
{
	uint32_t len;

	start_rx(0, 64);
	driver_disable_interrupts(&rings[RX]);
	add_pages(64);
	for (int i = 0; i < 64; i++)
		wire_write(packet, 100);
	ck_assert(quiet(call_fd[RX], 50));
	for (uint32_t i = 0; i < 64; i++)
		ck_assert_uint_eq(next_used(RX, &len), i);
	ring_stop(RX);
	assert_counted(RX, QUEUE_PACKETS, 64);
	assert_counted(RX, QUEUE_INTERRUPTS, 0);
	ck_assert_uint_gt(counted(RX, QUEUE_SUPPRESSED), 0);
}
END_TEST

/* --- rings that break --- */

START_TEST(transmit_ring_breaks)
{
	struct ring_state state;
	uint32_t len;

	start_tx(0, 8);
	ring_init(RX, 8, 0);
	ring_begin(RX);
	send_numbered(0, 0);
	send_at(1, MEMORY, 100);
	expose(TX);
	ck_assert_uint_eq(wire_number(), 0);
	ck_assert_str_eq(wait_broken(TX), "a descriptor points outside of memory");
	/* What was finished before is returned. */
	ck_assert_uint_eq(next_used(TX, &len), 0);
	/* The other one goes on. */
	buffer_at(0, 0, 1000);
	expose(RX);
	wire_write(packet, 100);
	next_used(RX, &len);
	ck_assert_ptr_null(broken[RX]);
	state = ring_stop(TX);
	assert_counted(TX, QUEUE_BROKEN, 1);
	ck_assert_uint_eq(state.next_used, 65531);
	ring_stop(RX);
}
END_TEST

START_TEST(receive_ring_breaks)
{
	start_rx(0, 8);
	switch (_i) {
	case 0:
		buffer_at(0, 0, HEADER - 1);
		break;
	case 1:
		driver_fill_desc(&rings[RX].desc[0], data_at(RX, 0), 1000, 0, 0);
		driver_add(&rings[RX], 0);
		break;
	default:
		driver_fill_desc(&rings[RX].desc[0], data_at(RX, 0), 100, VRING_DESC_F_NEXT, 1);
		driver_fill_desc(&rings[RX].desc[1], data_at(RX, 0), 100, VRING_DESC_F_WRITE, 0);
		driver_add(&rings[RX], 0);
		break;
	}
	expose(RX);
	ck_assert_str_eq(wait_broken(RX), "a receive buffer is readable or too small");
	ring_stop(RX);
}
END_TEST

START_TEST(broken_from_the_start)
{
	struct ring_state state;

	accept_features(0);
	ring_init(TX, 8, 0);
	ring_init(RX, 8, 0);
	state = driver_ring_state(&rings[_i]);
	state.driver = gpa(MEMORY);
	ck_assert_int_eq(start_on_ring(_i, &state), 0);
	ck_assert_str_eq(wait_broken(_i), "the driver area is not aligned or not in memory");
	ring_stop(_i);
}
END_TEST

START_TEST(too_large)
{
	struct ring_state state;

	accept_features(0);
	ring_init(_i, 256, 0);
	state = driver_ring_state(&rings[_i]);
	state.size = _i ? 32769 : 65535;
	ck_assert_int_eq(start_on_ring(_i, &state), 0);
	ck_assert_str_eq(wait_broken(_i), "the size is not a power of two up to 32768");
	ring_stop(_i);
}
END_TEST

START_TEST(offered_features)
{
	fake.offers = GUEST_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO6;
	ck_assert_uint_eq(dp->ops->features(dp),
			  fake.offers | MRG_RXBUF | INDIRECT | EVENT_IDX |
				  1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_IN_ORDER |
				  1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS |
				  1ULL << VIRTIO_NET_F_NOTF_COAL |
				  1ULL << VIRTIO_NET_F_VQ_NOTF_COAL | 1ULL << VIRTIO_NET_F_RSS);
	ck_assert_uint_eq(dp->ops->max_queue_pairs(dp), 1);
}
END_TEST

/* --- stop and start --- */

START_TEST(gives_back_waiting_buffers)
{
	struct ring_state state;
	uint32_t len;

	start_rx(MRG_RXBUF, 64);
	add_pages(64);
	wire_write(packet, 5000);
	assert_in_pages(0, 5000);
	for (int i = 0; i < 100; i++) {
		state = ring_stop(RX);
		ck_assert_uint_eq(state.next_avail, (uint16_t)(65530 + 2 + i));
		ck_assert_uint_eq(state.next_used, (uint16_t)(65530 + 2 + i));
		ck_assert_int_eq(start_on_ring(RX, &state), 0);
		wire_write(packet, 300);
		ck_assert_uint_eq(next_used(RX, &len), (uint32_t)(2 + i) % 64);
		ck_assert_uint_eq(len, 300);
		buffer_at((uint16_t)(i % 64), (uint64_t)(i % 64) * 4096, 4096);
		expose(RX);
	}
	ring_stop(RX);
}
END_TEST

/* The wire has nothing any more: all was received. */
static void wait_received(int wire)
{
	int unread = 1;

	for (int ms = 0; unread && ms < PATIENCE_MS; ms++, poll(NULL, 0, 1))
		ck_assert_int_eq(ioctl(wire, SIOCOUTQ, &unread), 0);
	ck_assert_int_eq(unread, 0);
}

/*
 * A packet that waits for buffers in the overflow when the ring stops is the first one after the
 * next start, even of another ring; but no driver gets what was another's.
 */
START_TEST(waiting_packet_is_kept_by_a_stop)
{
	struct ring_state state;
	uint32_t len;

	start_rx(MRG_RXBUF | GUEST_CSUM, 64);
	if (_i == 4)
		ck_assert_int_eq(dp->ops->set_offloads(dp, 0), 0);
	buffer_at(0, 0, 600);
	buffer_at(1, 600, 100);
	expose(RX);
	wire_write(packet, 1000);
	wait_received(fake.wire);
	state = ring_stop(RX);
	ck_assert_uint_eq(state.next_avail, 65530);
	ck_assert_uint_eq(state.next_used, 65530);
	if (_i == 1)
		accept_features(MRG_RXBUF);
	if (_i == 2)
		ring_init(RX, 8, 0);
	if (_i == 3)
		ck_assert_int_eq(dp->ops->set_offloads(dp, 0), 0);
	if (_i == 4) /* what it may have is no less than it was */
		ck_assert_int_eq(dp->ops->set_offloads(dp, GUEST_CSUM), 0);
	if (_i == 2)
		ring_begin(RX);
	else
		ck_assert_int_eq(start_on_ring(RX, &state), 0);
	wire_write(packet, 60);
	if (_i != 1 && _i != 3) {
		for (uint16_t i = _i == 2 ? 0 : 2; i < 4; i++)
			buffer_at(i, i * 1000ULL, 600);
		expose(RX);
		ck_assert_uint_eq(next_used(RX, &len), 0);
		ck_assert_uint_eq(len, 600);
		ck_assert_uint_eq(header_of(data(RX, 0)).num_buffers, _i == 2 ? 2 : 3);
		ck_assert_mem_eq(data(RX, HEADER), packet + HEADER, 600 - HEADER);
		ck_assert_uint_eq(next_used(RX, &len), 1);
		ck_assert_uint_eq(len, _i == 2 ? 400 : 100);
		if (_i != 2)
			next_used(RX, &len);
		next_used(RX, &len);
	} else {
		ck_assert_uint_eq(next_used(RX, &len), 0);
	}
	ck_assert_uint_eq(len, 60);
	ring_stop(RX);
}
END_TEST

/* --- large rings --- */

static void big_ring(int ring)
{
	driver_ring_init(&rings[ring], &mem, gpa(BIG_RING_AT + (uint64_t)ring * 0x200000), 32768,
			 features & EVENT_IDX, 40000);
	ring_begin(ring);
}

START_TEST(receives_into_a_large_ring)
{
	uint32_t len;

	accept_features(EVENT_IDX);
	big_ring(RX);
	for (uint32_t i = 0; i < 32768; i++)
		buffer_at((uint16_t)i, i * 256ULL, 256);
	expose(RX);
	for (uint32_t i = 0; i < 40000; i++) {
		memcpy(packet + HEADER, &i, sizeof(i));
		wire_write(packet, 64);
		MUST(next_used(RX, &len) == i % 32768);
		MUST(len == 64);
		MUST(memcmp(data(RX, i % 32768 * 256ULL + HEADER), &i, sizeof(i)) == 0);
		buffer_at((uint16_t)(i % 32768), i % 32768 * 256ULL, 256);
		expose(RX);
	}
	ck_assert_uint_eq(ring_stop(RX).next_used, (uint16_t)(40000 + 40000));
}
END_TEST

/* A chain of more pieces than one system call takes: all descriptors of the ring. */
static const uint32_t piece_counts[] = {1023, 1024, 1025, 3000, 32768};

static void fill_pieces(int ring, uint32_t n, unsigned int flags)
{
	for (uint32_t i = 0; i < n; i++)
		driver_fill_desc(&rings[ring].desc[i], data_at(ring, i * 2ULL), 2,
				 flags | (i < n - 1 ? VRING_DESC_F_NEXT : 0), i + 1);
	driver_add(&rings[ring], 0);
	expose(ring);
}

START_TEST(transmits_very_many_pieces)
{
	const uint32_t n = piece_counts[_i];
	uint32_t len;

	accept_features(0);
	big_ring(TX);
	memcpy(data(TX, 0), packet, 2 * n);
	fill_pieces(TX, n, 0);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), 2 * n);
	ck_assert_mem_eq(received, packet, 2 * n);
	ck_assert_uint_eq(next_used(TX, &len), 0);
	/* More than any packet has, in many pieces: lost. */
	for (uint32_t i = 0; i < n; i++)
		rings[TX].desc[i].len = 100000;
	rings[TX].desc[0].addr = data_at(TX, 0);
	if (n >= IOV_MAX) {
		driver_add(&rings[TX], 0);
		expose(TX);
		ck_assert_uint_eq(next_used(TX, &len), 0);
		ck_assert(quiet(fake.wire, 10));
	}
	ring_stop(TX);
}
END_TEST

START_TEST(receives_into_very_many_pieces)
{
	const uint32_t n = piece_counts[_i];
	uint32_t len, size = 2 * n < LARGEST ? 2 * n : LARGEST;

	accept_features(0);
	big_ring(RX);
	memset(data(RX, 0), 0xaa, 70000);
	fill_pieces(RX, n, VRING_DESC_F_WRITE);
	wire_write(packet, size);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, size);
	ck_assert_uint_eq(header_of(data(RX, 0)).num_buffers, 1);
	ck_assert_mem_eq(data(RX, HEADER), packet + HEADER, size - HEADER);
	ck_assert_uint_eq(((uint8_t *)data(RX, 0))[size], 0xaa);
	ring_stop(RX);
}
END_TEST

/* The smallest buffers that there may be, merged; the first packet must wait for the last ones. */
START_TEST(merges_very_many_buffers)
{
	const uint32_t n = (LARGEST + HEADER - 1) / HEADER;
	uint32_t len, total = 0;

	accept_features(MRG_RXBUF);
	big_ring(RX);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < n; i++) {
			buffer_at((uint16_t)i, (uint64_t)i * HEADER, HEADER);
			if (i == n - 5) {
				expose(RX);
				if (!round) {
					wire_write(packet, LARGEST);
					wait_received(fake.wire);
				}
			}
		}
		expose(RX);
		if (round)
			wire_write(packet, LARGEST);
		total = 0;
		for (uint32_t i = 0; i < n; i++) {
			MUST(next_used(RX, &len) == i);
			total += len;
		}
		ck_assert_uint_eq(total, LARGEST);
		ck_assert_uint_eq(header_of(data(RX, 0)).num_buffers, n);
		ck_assert_mem_eq(data(RX, HEADER), packet + HEADER, LARGEST - HEADER);
	}
	ring_stop(RX);
}
END_TEST

/* --- settings --- */

/* An IPv4 frame after the header that is negotiated: UDP from @port. */
static size_t put_frame(uint8_t *at, uint16_t port)
{
	static const uint8_t frame[] = {
		2,  0, 0, 0,  0, 1,  2, 0, 0,  0,  0, 2, 8,  0,			   /* Ethernet */
		69, 0, 0, 46, 0, 0,  0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, /* IPv4 */
		0,  0, 0, 9,  0, 26, 0, 0,					   /* UDP */
	};
	size_t header = features & HASH_REPORT ? sizeof(struct virtio_net_hdr_v1_hash) : HEADER;

	memset(at, 0, header + 60);
	memcpy(at + header, frame, sizeof(frame));
	at[header + 34] = (uint8_t)(port >> 8);
	at[header + 35] = (uint8_t)port;
	return header + 60;
}

static const struct net_filter to_us = {.active = true, .mac = {2, 0, 0, 0, 0, 1}};

/* Write a frame to the wire of @pair whose destination's last byte is @to. */
static void write_frame(int pair, uint8_t to, uint16_t port)
{
	uint8_t frame[128];
	size_t len = put_frame(frame, port);

	frame[len - 60 + 5] = to;
	MUST(write(fake.wires[pair], frame, len) == (ssize_t)len);
}

static uint8_t destination(uint64_t offset)
{
	return ((uint8_t *)data(RX, offset + HEADER))[5];
}

/* What is filtered takes no buffer, in one piece or in very small ones. */
START_TEST(filters)
{
	struct net_filter vlans = {.vlan_active = true};
	uint32_t len;

	start_rx(MRG_RXBUF, 64);
	ck_assert_int_eq(dp->ops->set_filter(dp, &to_us), 0);
	for (uint16_t i = 0; i < 6; i++)
		buffer_at(i, i * 1000ULL, _i ? 1000 : 12);
	expose(RX);
	for (int i = 0; i < 200; i++)
		write_frame(0, 2, 0);
	write_frame(0, 1, 0);
	write_frame(0, 2, 0);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(header_of(data(RX, 0)).num_buffers, _i ? 1 : 6);
	if (_i) {
		ck_assert_uint_eq(destination(0), 1);
		write_frame(0, 1, 0);
		ck_assert_uint_eq(next_used(RX, &len), 1);
		/* Nothing is filtered; then only tags. */
		wait_received(fake.wire);
		ck_assert_int_eq(dp->ops->set_filter(dp, &(struct net_filter){0}), 0);
		write_frame(0, 2, 0);
		ck_assert_uint_eq(next_used(RX, &len), 2);
		ck_assert_uint_eq(destination(2000), 2);
		ck_assert_int_eq(dp->ops->set_filter(dp, &vlans), 0);
		write_frame(0, 3, 0);
		ck_assert_uint_eq(next_used(RX, &len), 3);
		/* The next driver has none. */
		ck_assert_int_eq(dp->ops->set_filter(dp, &to_us), 0);
		ring_stop(RX);
		start_rx(MRG_RXBUF, 64);
		buffer_at(0, 0, 1000);
		expose(RX);
		write_frame(0, 2, 0);
		ck_assert_uint_eq(next_used(RX, &len), 0);
		ck_assert_uint_eq(destination(0), 2);
	}
	ring_stop(RX);
	ck_assert_uint_ge(counted(RX, QUEUE_DROPPED_FILTERED), 200);
	assert_counted(RX, QUEUE_PACKETS, _i ? 5 : 1);
}
END_TEST

/* A packet that waits for buffers when the filter changes is not for this driver any more. */
START_TEST(filters_what_waits)
{
	uint32_t len;

	start_rx(MRG_RXBUF, 64);
	buffer_at(0, 0, 20);
	expose(RX);
	write_frame(0, 2, 0);
	wait_received(fake.wire);
	ck_assert_int_eq(dp->ops->set_filter(dp, &to_us), 0);
	buffer_at(1, 1000, 1000);
	expose(RX);
	write_frame(0, 1, 0);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(((uint8_t *)data(RX, 0))[HEADER + 5], 1);
	ck_assert_uint_eq(next_used(RX, &len), 1);
	ring_stop(RX);
}
END_TEST

static const struct net_rss steering = {
	.hash_types = NET_RSS_HASH_TYPES,
	.table_size = 8,
	.unclassified = 3,
	.table = {0, 1, 2, 3, 0, 1, 2, 3},
	.key = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
		0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
		0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa},
};

static uint32_t hash_of(uint16_t port)
{
	uint8_t frame[128];
	size_t len = put_frame(frame, port);
	uint16_t report;
	uint32_t hash = net_rss_hash(&steering, frame + len - 60, 60, &report);

	ck_assert_uint_eq(report, VIRTIO_NET_HASH_REPORT_UDPv4);
	return hash;
}

static void assert_hash(uint64_t at, uint32_t hash, uint16_t report)
{
	struct virtio_net_hdr_v1_hash header;

	memcpy(&header, memory_translate(&mem, gpa(at), sizeof(header)), sizeof(header));
	ck_assert_uint_eq(header.hash_value, hash);
	ck_assert_uint_eq(header.hash_report, report);
	ck_assert_uint_eq(header.padding, 0);
	ck_assert_uint_eq(header.hdr.num_buffers, 1);
}

/* Steered or not, the header says the hash. */
START_TEST(reports_hashes)
{
	struct net_rss only_report = steering;
	uint32_t len;

	only_report.table_size = 0;
	start_rx(HASH_REPORT | MRG_RXBUF, 64);
	memset(data(RX, 0), 0xaa, 4096);
	/* The fields in pieces of a byte, too. */
	for (uint16_t i = 0; i < 30; i++)
		driver_fill_desc(&rings[RX].desc[i], data_at(RX, i), i < 29 ? 1 : 500,
				 VRING_DESC_F_WRITE | (i < 29 ? VRING_DESC_F_NEXT : 0), i + 1U);
	driver_add(&rings[RX], 0);
	for (uint16_t i = 30; i < 34; i++)
		buffer_at(i, i * 1000ULL, 1000);
	expose(RX);
	/* Without a key from the driver there is none. */
	write_frame(0, 1, 1000);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(len, 20 + 60);
	assert_hash(data_at(RX, 0), 0, VIRTIO_NET_HASH_REPORT_NONE);
	ck_assert_int_eq(dp->ops->set_rss(dp, &only_report), 0);
	write_frame(0, 1, 1000);
	ck_assert_uint_eq(next_used(RX, &len), 30);
	assert_hash(data_at(RX, 30000), hash_of(1000), VIRTIO_NET_HASH_REPORT_UDPv4);
	/* Steering with one pair of rings is no more than that. */
	ck_assert_int_eq(dp->ops->set_rss(dp, &(struct net_rss){.table_size = 1, .hash_types = 1}),
			 0);
	write_frame(0, 1, 1000);
	ck_assert_uint_eq(next_used(RX, &len), 31);
	assert_hash(data_at(RX, 31000), 0, VIRTIO_NET_HASH_REPORT_IPv4);
	ck_assert_int_eq(dp->ops->set_rss(dp, NULL), 0);
	write_frame(0, 1, 1000);
	ck_assert_uint_eq(next_used(RX, &len), 32);
	assert_hash(data_at(RX, 32000), 0, VIRTIO_NET_HASH_REPORT_NONE);
	ring_stop(RX);
}
END_TEST

/* 5.1.6.3.1: at least the header of this size. */
START_TEST(hash_makes_the_header_longer)
{
	uint32_t len;

	start_rx(HASH_REPORT, 8);
	ring_init(TX, 8, 0);
	ring_begin(TX);
	send_at(0, 0, 19);
	send_at(1, 0, 20);
	expose(TX);
	ck_assert_uint_eq(wire_read(received, sizeof(received)), 20);
	next_used(TX, &len);
	next_used(TX, &len);
	buffer_at(0, 0, 19);
	expose(RX);
	ck_assert_str_eq(wait_broken(RX), "a receive buffer is readable or too small");
	ring_stop(RX);
	ring_stop(TX);
}
END_TEST

START_TEST(switches_offloads)
{
	const uint64_t on = GUEST_CSUM | GUEST_TSO4 | 1ULL << VIRTIO_NET_F_CSUM;
	struct virtio_net_hdr_v1 header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	uint32_t len;

	start_rx(on, 8);
	for (uint16_t i = 0; i < 4; i++)
		buffer_at(i, i * 1000ULL, 1000);
	expose(RX);
	memcpy(packet, &header, sizeof(header));
	ck_assert_int_eq(dp->ops->set_offloads(dp, 0), 0);
	ck_assert_uint_eq(fake.got, 1ULL << VIRTIO_NET_F_CSUM);
	wire_write(packet, 100);
	next_used(RX, &len);
	ck_assert_uint_eq(header_of(data(RX, 0)).flags, 0);
	/* No more than what was accepted. */
	ck_assert_int_eq(dp->ops->set_offloads(dp, GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_UFO), 0);
	ck_assert_uint_eq(fake.got, 1ULL << VIRTIO_NET_F_CSUM | GUEST_CSUM);
	wire_write(packet, 100);
	next_used(RX, &len);
	ck_assert_uint_eq(header_of(data(RX, 1000)).flags, VIRTIO_NET_HDR_F_DATA_VALID);
	fake.refuses = -EIO;
	ck_assert_int_eq(dp->ops->set_offloads(dp, 0), -EIO);
	wire_write(packet, 100);
	next_used(RX, &len);
	ck_assert_uint_eq(header_of(data(RX, 2000)).flags, VIRTIO_NET_HDR_F_DATA_VALID);
	ring_stop(RX);
}
END_TEST

/* While the link is down packets are lost in both directions; buffers or not. */
START_TEST(link_down_receives_nothing)
{
	uint32_t len;

	start_rx(MRG_RXBUF, 64);
	buffer_at(0, 0, 20);
	expose(RX);
	write_frame(0, 1, 0);
	wait_received(fake.wire); /* and waits for buffers */
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	for (int i = 0; i < 200; i++)
		write_frame(0, 2, 0);
	wait_received(fake.wire);
	for (uint16_t i = 1; i < 5; i++)
		buffer_at(i, i * 1000ULL, 1000);
	expose(RX);
	write_frame(0, 3, 0);
	wait_received(fake.wire);
	assert_idle();
	if (_i) {
		ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	} else {
		/* For the next driver it is up until told otherwise. */
		ring_stop(RX);
		start_rx(MRG_RXBUF, 64);
		for (uint16_t i = 0; i < 2; i++)
			buffer_at(i, i * 1000ULL, i ? 1000 : 20);
		expose(RX);
	}
	write_frame(0, 4, 0);
	ck_assert_uint_eq(next_used(RX, &len), 0);
	ck_assert_uint_eq(((uint8_t *)data(RX, 0))[HEADER + 5], 4);
	ck_assert_uint_eq(next_used(RX, &len), 1);
	ring_stop(RX);
	assert_counted(RX, QUEUE_DROPPED_LINK_DOWN, 201);
	assert_counted(RX, QUEUE_PACKETS, 1);
}
END_TEST

START_TEST(link_down_sends_nothing)
{
	const int small = 4096;
	uint32_t len, sends;

	ck_assert_int_eq(setsockopt(fake.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	start_tx(0, 256);
	fill_wire(256);
	/* What waits for room is lost, too. */
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	sends = fake.sends;
	for (uint32_t i = 0; i < 256; i++)
		ck_assert_uint_eq(next_used(TX, &len), i);
	send_numbered(0, 1000);
	expose(TX);
	ck_assert_uint_eq(next_used(TX, &len), 0);
	ck_assert_uint_eq(fake.sends, sends);
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	while (!quiet(fake.wire, 0))
		ck_assert_uint_lt(wire_number(), 256);
	send_numbered(1, 1001);
	expose(TX);
	ck_assert_uint_eq(wire_number(), 1001);
	next_used(TX, &len);
	ring_stop(TX);
	ck_assert_uint_gt(counted(TX, QUEUE_DROPPED_LINK_DOWN), 0);
	ck_assert_uint_eq(counted(TX, QUEUE_DROPPED_LINK_DOWN) + counted(TX, QUEUE_PACKETS), 258);
}
END_TEST

/* A backend that doesn't work any more: rings are served all the same, as the driver knows them. */
START_TEST(backend_refuses_features)
{
	struct vring_desc *table = memory_translate(&mem, gpa(TABLES_AT), 4096);
	uint32_t len;

	accept_features(0);
	features = INDIRECT;
	fake.refuses = -EBADFD;
	ck_assert_int_eq(dp->ops->set_features(dp, features), -EBADFD);
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	atomic_store(&fake.receive_error, -EBADFD);
	for (int ring = RX; ring <= TX; ring++) {
		ring_init(ring, 8, 0);
		ring_begin(ring);
	}
	buffer_at(0, 0, 1000);
	expose(RX);
	driver_fill_desc(&table[0], data_at(TX, 0), 100, 0, 0);
	driver_fill_desc(&rings[TX].desc[4], TABLES_AT, 16, VRING_DESC_F_INDIRECT, 0);
	driver_add(&rings[TX], 4);
	expose(TX);
	ck_assert_uint_eq(next_used(TX, &len), 4);
	ck_assert_ptr_null(atomic_load(&broken[TX]));
	ck_assert_uint_eq(fake.sends, 0);
	assert_idle();
	ring_stop(RX);
	ring_stop(TX);
	fake.refuses = 0;
	atomic_store(&fake.receive_error, 0);
	start_tx(0, 8);
	send_numbered(0, 7);
	expose(TX);
	ck_assert_uint_eq(wire_number(), 7);
	ring_stop(TX);
}
END_TEST

/* --- several pairs of rings --- */

static void start_four(uint64_t accepted, uint16_t size)
{
	accept_features(accepted);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 1), 0);
	for (int i = 0; i < RINGS; i++) {
		ring_init(i, size, (uint16_t)(65530 + i));
		ring_begin(i);
	}
}

static void stop_four(void)
{
	for (int i = 0; i < RINGS; i++)
		ring_stop(i);
}

/* Buffers of 1000 bytes for receive ring @ring. */
static void add_buffers(int ring, uint16_t first, uint16_t n)
{
	for (uint16_t i = first; i < first + n; i++) {
		driver_fill_desc(&rings[ring].desc[i], data_at(ring, i * 1000ULL), 1000,
				 VRING_DESC_F_WRITE, 0);
		driver_add(&rings[ring], i);
	}
	expose(ring);
}

static void assert_got(int ring, uint32_t id, uint16_t port)
{
	size_t header = features & HASH_REPORT ? 20 : HEADER;
	const uint8_t *at;
	uint32_t len;

	ck_assert_uint_eq(next_used(ring, &len), id);
	ck_assert_uint_eq(len, header + 60);
	at = (const uint8_t *)data(ring, id * 1000ULL) + header + 34;
	ck_assert_uint_eq((unsigned int)(at[0] << 8 | at[1]), port);
}

/* Received is on the first pairs alone; sent is on all. */
START_TEST(uses_as_many_pairs_as_it_is_told)
{
	uint32_t len;

	ck_assert_uint_eq(dp->ops->max_queue_pairs(dp), 4);
	ck_assert(dp->ops->features(dp) >> VIRTIO_NET_F_MQ & 1);
	start_four(0, 64);
	ck_assert_uint_eq(fake.queues, 1);
	for (int pair = 0; pair < 4; pair++) {
		add_buffers(2 * pair, 0, 8);
		write_frame(pair, 1, (uint16_t)pair);
		memcpy(data(2 * pair + 1, 0), packet, 100);
		driver_fill_desc(&rings[2 * pair + 1].desc[0], data_at(2 * pair + 1, 0), 100, 0, 0);
		driver_add(&rings[2 * pair + 1], 0);
		expose(2 * pair + 1);
		next_used(2 * pair + 1, &len);
		wait_for(fake.wires[pair], "packet on the wire");
	}
	assert_got(0, 0, 0);
	for (int pair = 1; pair < 4; pair++)
		ck_assert(quiet(call_fd[2 * pair], 10));
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 3), 0);
	ck_assert_uint_eq(fake.queues, 3);
	assert_got(2, 0, 1);
	assert_got(4, 0, 2);
	ck_assert(quiet(call_fd[6], 10));
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 2), 0);
	fd_eventfd_drain(call_fd[4]);
	write_frame(2, 1, 5);
	write_frame(1, 1, 6);
	assert_got(2, 1, 6);
	ck_assert(quiet(call_fd[4], 10));
	fake.refuses = -EBUSY;
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 4), -EBUSY);
	ck_assert(quiet(call_fd[6], 10));
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 0), -EINVAL);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 5), -EINVAL);
	stop_four();
}
END_TEST

static int ring_of(uint16_t port)
{
	return 2 * (int)net_rss_queue(&steering, hash_of(port), VIRTIO_NET_HASH_REPORT_UDPv4);
}

START_TEST(steers_by_hash)
{
	uint32_t next[RINGS] = {0}, len;
	uint16_t port;

	start_four(_i ? MRG_RXBUF | HASH_REPORT | EVENT_IDX : 0, 256);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 2), 0);
	ck_assert_int_eq(dp->ops->set_rss(dp, &steering), 0);
	for (int pair = 0; pair < 4; pair++)
		add_buffers(2 * pair, 0, 200);
	for (port = 1; port < 200; port++) {
		int ring = ring_of(port);

		write_frame(port % 2, 1, port);
		assert_got(ring, next[ring], port);
		if (_i)
			assert_hash(data_at(ring, next[ring] * 1000ULL), hash_of(port),
				    VIRTIO_NET_HASH_REPORT_UDPv4);
		next[ring]++;
	}
	for (int pair = 0; pair < 4; pair++)
		ck_assert_uint_gt(next[2 * pair], 20);
	/* What has no hash. */
	memset(packet + HEADER, 0, 100);
	wire_write(packet, 100);
	ck_assert_uint_eq(next_used(6, &len), next[6]);
	/* The filter counts here, too. */
	ck_assert_int_eq(dp->ops->set_filter(dp, &to_us), 0);
	/* And the link. */
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	write_frame(0, 1, 5);
	wait_received(fake.wires[0]);
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	while (ring_of(++port) != ring_of(5))
		;
	write_frame(0, 2, port);
	write_frame(0, 1, 5);
	assert_got(ring_of(5), next[ring_of(5)] + (ring_of(5) == 6), 5);
	/* And all is as before without steering. */
	wait_received(fake.wires[1]);
	ck_assert_int_eq(dp->ops->set_rss(dp, NULL), 0);
	write_frame(1, 1, 77);
	for (;;) {
		uint32_t id = next_used(2, &len);

		if (id >= next[2] + (ring_of(5) == 2))
			break;
	}
	stop_four();
}
END_TEST

/* 5.1.4.1: nothing larger than the MTU, but what is to be cut yet; if the driver wants that. */
START_TEST(keeps_to_the_mtu)
{
	static const struct {
		uint8_t gso;
		bool tagged;
		uint16_t len;
		bool passes;
	} frames[] = {
		{VIRTIO_NET_HDR_GSO_NONE, false, MTU + 14, true},
		{VIRTIO_NET_HDR_GSO_NONE, false, MTU + 15, false},
		{VIRTIO_NET_HDR_GSO_ECN, false, MTU + 15, false},
		{VIRTIO_NET_HDR_GSO_TCPV4, false, 9000, true},
		{VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, false, 9000, true},
		{VIRTIO_NET_HDR_GSO_NONE, true, MTU + 18, true},
		{VIRTIO_NET_HDR_GSO_NONE, true, MTU + 19, false},
		{VIRTIO_NET_HDR_GSO_NONE, false, 60, true},
	};
	const size_t header = _i & 1 ? 20 : HEADER;
	uint32_t len, id = 0;

	start_four((_i & 1 ? HASH_REPORT : 0) | (_i & 4 ? 0 : 1ULL << VIRTIO_NET_F_MTU), 64);
	if (_i & 2)
		ck_assert_int_eq(dp->ops->set_rss(dp, &steering), 0);
	for (int ring = 0; ring < RINGS; ring += 2) {
		for (uint16_t i = 0; i < 8; i++) {
			driver_fill_desc(&rings[ring].desc[i], data_at(ring, i * 10000ULL), 10000,
					 VRING_DESC_F_WRITE, 0);
			driver_add(&rings[ring], i);
		}
		expose(ring);
	}
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		memset(packet, 0, header + 14);
		packet[1] = frames[i].gso;
		packet[header + 12] = frames[i].tagged ? 0x81 : 0;
		wire_write(packet, header + frames[i].len);
		if (!frames[i].passes && !(_i & 4))
			continue;
		/* Without a hash it is the last ring's. */
		ck_assert_uint_eq(next_used(_i & 2 ? 6 : RX, &len), id++);
		ck_assert_uint_eq(len, header + frames[i].len);
	}
	stop_four();
	assert_counted(RX, QUEUE_DROPPED_MTU, _i & 4 ? 0 : 3);
}
END_TEST

START_TEST(refuses_wrong_tables)
{
	struct net_rss rss = steering;

	start_four(0, 64);
	rss.table_size = 3;
	ck_assert_int_eq(dp->ops->set_rss(dp, &rss), -EINVAL);
	rss = steering;
	rss.table[7] = 4;
	ck_assert_int_eq(dp->ops->set_rss(dp, &rss), -EINVAL);
	rss = steering;
	rss.unclassified = 4;
	ck_assert_int_eq(dp->ops->set_rss(dp, &rss), -EINVAL);
	rss.table_size = 256;
	ck_assert_int_eq(dp->ops->set_rss(dp, &rss), -EINVAL);
	stop_four();
}
END_TEST

/* A ring without buffers, or that doesn't run, or breaks, loses its packets and no one else's. */
START_TEST(steering_goes_past_a_full_ring)
{
	uint16_t to_first = 1, to_second = 1;

	while (ring_of(to_first) != 0)
		to_first++;
	while (ring_of(to_second) != 2)
		to_second++;
	start_four(MRG_RXBUF, 64);
	ck_assert_int_eq(dp->ops->set_rss(dp, &steering), 0);
	add_buffers(2, 0, 32);
	if (_i == 1)
		ring_stop(0);
	if (_i == 2) {
		driver_fill_desc(&rings[0].desc[0], MEMORY, 100, VRING_DESC_F_WRITE, 0);
		driver_add(&rings[0], 0);
		expose(0);
		write_frame(0, 1, to_first);
		ck_assert_str_eq(wait_broken(0), "a descriptor points outside of memory");
	}
	for (uint32_t i = 0; i < 30; i++) {
		write_frame(0, 1, to_first);
		write_frame(0, 1, to_second);
		if (_i == 1 && i == 0) {
			/* Its own thread is the one that received. */
			ring_init(0, 64, 0);
			ring_begin(0);
		}
		assert_got(2, i, to_second);
	}
	if (_i != 2) {
		add_buffers(0, 0, 4);
		write_frame(0, 1, to_first);
		assert_got(0, 0, to_first);
	}
	assert_idle();
	stop_four();
	assert_counted(2, QUEUE_PACKETS, 30);
	ck_assert_uint_ge(counted(0, QUEUE_DROPPED_NO_BUFFERS), 30);
}
END_TEST

/* --- coalescing --- */

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Send packet @i once its used entry is there to be seen: interrupts wait, packets don't. */
static void send_seen(uint16_t i)
{
	uint32_t len, id;

	send_numbered(i, i);
	expose(TX);
	ck_assert_uint_eq(wire_number(), i);
	while (!driver_used(&rings[TX], &id, &len))
		sched_yield();
	ck_assert_uint_eq(id, i);
}

static void assert_interrupt(void)
{
	wait_for(call_fd[TX], "interrupt");
	fd_eventfd_drain(call_fd[TX]);
}

/*
 * Of virtio-mmio: a driver that finds by itself what was sent, because it has more to send, is not
 * interrupted for that, unless it was late each time; one that stops is.
 */
START_TEST(interrupts_are_held)
{
	enum {
		PACKETS = 200,
	};

	start_tx(_i ? EVENT_IDX : 0, 256);
	for (uint16_t i = 0; i < PACKETS; i++) {
		ck_assert(!driver_enable_interrupts(&rings[TX]));
		send_seen(i);
	}
	poll(NULL, 0, 20);
	fd_eventfd_drain(call_fd[TX]);
	ck_assert_uint_lt(counted(TX, QUEUE_INTERRUPTS), PACKETS);
	ck_assert(!driver_enable_interrupts(&rings[TX]));
	send_seen(PACKETS);
	assert_interrupt();
	ck_assert(interrupt_status & VIRTIO_MMIO_INT_VRING);
	ring_stop(TX);
}
END_TEST

START_TEST(interrupts_after_packets)
{
	uint32_t len;

	start_tx(0, 256);
	ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 8, 3600U * 1000000), 0);
	for (uint16_t i = 0; i < 40; i++) {
		ck_assert(quiet(call_fd[TX], i % 8 == 7 ? 5 : 0));
		send_seen(i);
		if (i % 8 == 7)
			assert_interrupt();
	}
	ck_assert(quiet(call_fd[TX], 5));
	/* Many at once are counted all the same. */
	for (uint16_t i = 0; i < 24; i++)
		send_numbered(i, i);
	expose(TX);
	for (uint32_t i = 0, id; i < 24; i += driver_used(&rings[TX], &id, &len))
		sched_yield();
	poll(NULL, 0, 20);
	ck_assert_uint_eq(fd_eventfd_drain(call_fd[TX]), 3);
	ring_stop(TX);
}
END_TEST

/* Held up, the second packet may have a delay of its own. A ring that stops owes nothing. */
static void settle_interrupts(void)
{
	struct ring_state state = ring_stop(TX);

	fd_eventfd_drain(call_fd[TX]);
	ck_assert_int_eq(start_on_ring(TX, &state), 0);
}

START_TEST(interrupts_after_time)
{
	const unsigned int delay = 30000;

	start_tx(_i ? EVENT_IDX : 0, 256);
	ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 1000, delay), 0);
	for (uint16_t i = 0; i < 5; i++) {
		uint64_t before = now_us();

		if (_i)
			ck_assert(!driver_enable_interrupts(&rings[TX]));
		send_seen((uint16_t)(2 * i));
		send_seen((uint16_t)(2 * i + 1));
		if (now_us() - before >= delay) {
			settle_interrupts();
			continue;
		}
		assert_interrupt();
		ck_assert_uint_ge(now_us() - before, delay);
	}
	assert_idle();
	/* A driver that wants none gets none. */
	if (!_i) {
		driver_disable_interrupts(&rings[TX]);
		send_seen(100);
		ck_assert(quiet(call_fd[TX], 60));
	}
	ring_stop(TX);
}
END_TEST

/* New limits count for what has been counted, and a ring that stops owes nothing. */
START_TEST(coalescing_changes)
{
	struct ring_state state;

	start_tx(0, 256);
	ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 8, 3600U * 1000000), 0);
	for (uint16_t i = 0; i < 5; i++)
		send_seen(i);
	ck_assert(quiet(call_fd[TX], 5));
	switch (_i) {
	case 0: /* reached already */
		ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 4, 3600U * 1000000), 0);
		break;
	case 1: /* off */
		ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 0, 0), 0);
		break;
	case 2: /* over soon: the thread sleeps by the old limit */
		ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 8, 20000), 0);
		break;
	default:
		state = ring_stop(TX);
		assert_interrupt();
		/* It is still the setting of this ring. */
		ck_assert_int_eq(start_on_ring(TX, &state), 0);
		send_seen(5);
		ck_assert(quiet(call_fd[TX], 20));
		ck_assert_int_eq(dp->ops->set_coalescing(dp, TX, 1, 1), 0);
	}
	assert_interrupt();
	ck_assert(quiet(call_fd[TX], 5));
	ring_stop(TX);
	/* The next driver has none. */
	start_tx(0, 256);
	send_seen(0);
	assert_interrupt();
	ring_stop(TX);
}
END_TEST

/* Packets that another ring's thread brings. */
START_TEST(coalesces_steered_packets)
{
	uint64_t before;
	uint16_t port = 1;

	while (ring_of(port) != 4)
		port++;
	start_four(0, 64);
	ck_assert_int_eq(dp->ops->set_rss(dp, &steering), 0);
	ck_assert_int_eq(dp->ops->set_coalescing(dp, 4, 10, 50000), 0);
	add_buffers(4, 0, 20);
	for (uint32_t round = 0; round < 3; round++) {
		uint32_t id, len;

		before = now_us();
		write_frame(0, 1, port);
		while (!driver_used(&rings[4], &id, &len))
			sched_yield();
		wait_for(call_fd[4], "interrupt");
		fd_eventfd_drain(call_fd[4]);
		ck_assert_uint_ge(now_us() - before, 50000);
	}
	stop_four();
}
END_TEST

/* --- traffic --- */

/*
 * Numbered packets in both directions at once, by four threads: two drivers that sleep until they
 * are interrupted, and two that are the wire. Any lost wake-up lets one of them wait in vain; any
 * packet lost, repeated or out of order is found by its number.
 */
enum {
	SLOT = 256, /* bytes of data a descriptor */
	TRAFFICS = 7,
	OUT_ONLY = 2, /* of the four threads */
};

static uint32_t traffic;     /* packets in each direction */
static uint32_t buffer_size; /* of a receive buffer */
static atomic_bool traffic_over[2];

/* A nap now and then, so that both sides go to sleep at all kinds of moments. */
static void nap(unsigned int *seed)
{
	unsigned int r = (unsigned int)rand_r(seed);

	if (r % 4096 == 0)
		nanosleep(&(struct timespec){.tv_nsec = (long)(r / 4096 % 200000)}, NULL);
	else if (r % 64 == 0)
		sched_yield();
}

static void fill_number(uint8_t *at, uint32_t n, uint32_t len)
{
	memset(at, 0, HEADER);
	memcpy(at + HEADER, &n, sizeof(n));
	memset(at + HEADER + sizeof(n), (int)(n & 0xff), len - HEADER - sizeof(n));
}

static uint32_t length_of(uint32_t n)
{
	return HEADER + 14 + n * 31 % 200; /* at least as much as a filter must see */
}

static void assert_number(const uint8_t *at, uint32_t n, size_t len)
{
	uint32_t is;

	memcpy(&is, at + HEADER, sizeof(is));
	if (is != n)
		ck_abort_msg("packet %u instead of %u", is, n);
	MUST(len == length_of(n));
	for (size_t i = HEADER + sizeof(n); i < len; i++)
		MUST(at[i] == (n & 0xff));
}

static void *tx_driver(void *opaque)
{
	struct driver_ring *ring = &rings[TX];
	unsigned int seed = 1;
	uint32_t id, len, sent = 0, done = 0;

	(void)opaque;
	driver_disable_interrupts(ring);
	while (done < traffic) {
		uint32_t batch = 1 + (uint32_t)rand_r(&seed) % 40;

		for (; batch && sent < traffic && sent - done < ring->size; batch--, sent++) {
			uint16_t i = (uint16_t)(sent % ring->size);

			fill_number(data(TX, (uint64_t)i * SLOT), sent, length_of(sent));
			send_at(i, (uint64_t)i * SLOT, length_of(sent));
		}
		expose(TX);
		nap(&seed);
		while (driver_used(ring, &id, &len)) {
			MUST(id == done % ring->size);
			done++;
		}
		/* Wait for room, or for the end. */
		if (sent - done < ring->size && sent < traffic)
			continue;
		if (done < traffic && !driver_enable_interrupts(ring)) {
			wait_for(call_fd[TX], "transmit interrupt");
			fd_eventfd_drain(call_fd[TX]);
		}
		driver_disable_interrupts(ring);
	}
	atomic_store(&traffic_over[TX], true);
	return NULL;
}

static void *wire_reader(void *opaque)
{
	static uint8_t buffer[2048];
	unsigned int seed = 2;

	(void)opaque;
	for (uint32_t n = 0; n < traffic; n++) {
		size_t len = wire_read(buffer, sizeof(buffer));

		assert_number(buffer, n, len);
		nap(&seed);
	}
	return NULL;
}

static void *wire_writer(void *opaque)
{
	static uint8_t buffer[2048];
	unsigned int seed = 3;

	(void)opaque;
	for (uint32_t n = 0; n < traffic; n++) {
		fill_number(buffer, n, length_of(n));
		wire_write(buffer, length_of(n));
		nap(&seed);
	}
	return NULL;
}

/* Add the @len bytes in slot @id to the packet in @buffer; true once it is complete. */
static bool gather(uint32_t id, uint32_t len, uint8_t *buffer, size_t *total, unsigned int *left)
{
	const uint8_t *at = data(RX, (uint64_t)id * SLOT);

	if (!*left)
		*left = header_of(at).num_buffers;
	memcpy(buffer + *total, at, len);
	*total += len;
	--*left;
	if (*left)
		MUST(len == buffer_size);
	return !*left;
}

static void *rx_driver(void *opaque)
{
	static uint8_t buffer[2048];
	struct driver_ring *ring = &rings[RX];
	unsigned int seed = 4, left = 0;
	uint32_t id, len, n = 0, done = 0, given = 0;
	size_t total = 0;

	(void)opaque;
	driver_disable_interrupts(ring);
	while (n < traffic) {
		uint32_t batch = 1 + (uint32_t)rand_r(&seed) % 40;

		for (; batch && given - done < ring->size; batch--, given++) {
			uint16_t i = (uint16_t)(given % ring->size);

			buffer_at(i, (uint64_t)i * SLOT, buffer_size);
		}
		expose(RX);
		nap(&seed);
		while (driver_used(ring, &id, &len)) {
			MUST(id == done % ring->size);
			done++;
			if (gather(id, len, buffer, &total, &left)) {
				assert_number(buffer, n++, total);
				total = 0;
			}
		}
		/* Sleep with all buffers given, or with few of them: both must wake. */
		if (given - done < ring->size && rand_r(&seed) % 8)
			continue;
		if (given == done || left)
			continue;
		if (given - done < (SLOT + buffer_size - 1) / buffer_size)
			continue; /* a packet may need that many */
		if (n < traffic && !driver_enable_interrupts(ring)) {
			wait_for(call_fd[RX], "receive interrupt");
			fd_eventfd_drain(call_fd[RX]);
		}
		driver_disable_interrupts(ring);
	}
	atomic_store(&traffic_over[RX], true);
	return NULL;
}

static const struct {
	uint64_t features;
	uint16_t size;
} traffics[TRAFFICS] = {
	{0, 256},
	{EVENT_IDX, 256},
	{MRG_RXBUF, 256},
	{EVENT_IDX | MRG_RXBUF, 256},
	{EVENT_IDX | MRG_RXBUF, 8},
	{0, 4},
	{EVENT_IDX, 1},
};

/* Settings that change nothing in what arrives, as often as they can be made. */
static void change_settings(unsigned int *seed)
{
	static const struct net_filter filter = {.active = true, .promisc = true}, none;
	uint32_t r = (uint32_t)rand_r(seed);

	switch (r % 4) {
	case 0:
		MUST(dp->ops->set_filter(dp, r & 16 ? &filter : &none) == 0);
		break;
	case 1:
		MUST(dp->ops->set_rss(dp, NULL) == 0);
		break;
	case 2:
		MUST(dp->ops->set_queue_pairs(dp, 1) == 0);
		break;
	default:
		MUST(dp->ops->set_coalescing(dp, r / 64 % 2, r / 128 % 10, r / 2048 % 300) == 0);
		break;
	}
}

/* The first @n of the threads. */
static void start_traffic(pthread_t *threads, int n, int which, uint32_t buffer)
{
	static void *(*const run[4])(void *) = {tx_driver, wire_reader, wire_writer, rx_driver};

	const uint16_t size = traffics[which].size;

	traffic = size < 16 ? 5000 : 20000;
	buffer_size = buffer;
	accept_features(traffics[which].features);
	for (int i = 0; i < 2; i++) {
		ring_init(i, size, (uint16_t)(65000 + 300 * i));
		ring_begin(i);
	}
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run[i], NULL), 0);
}

/* Both ways; then out only, by MSI-X, where the thread looks at intervals. */
START_TEST(no_wakeup_is_lost)
{
	const int which = _i % TRAFFICS, n = _i < TRAFFICS ? 4 : OUT_ONLY;
	pthread_t threads[4];

	msix = n == OUT_ONLY;

	/* If they merge, short buffers: a packet takes one to four. */
	start_traffic(threads, n, which, traffics[which].features & MRG_RXBUF ? 64 : SLOT);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		ring_stop(i);
}
END_TEST

START_TEST(stop_and_start_lose_nothing)
{
	unsigned int seed = 5, stops = 0;
	pthread_t threads[4];

	/* One buffer is enough for a packet: none can be waiting for more of them. */
	start_traffic(threads, 4, _i, SLOT);
	for (; stops < 1000 || !traffic_over[RX] || !traffic_over[TX]; stops++) {
		int which = rand_r(&seed) % 2;
		struct ring_state state = ring_stop(which);

		/* All that was taken is returned, and the other way round. */
		ck_assert_uint_eq(state.next_avail, state.next_used);
		ck_assert_uint_eq(__atomic_load_n(&rings[which].used->idx, __ATOMIC_RELAXED),
				  state.next_used);
		if (stops % 16 == 0)
			nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
		ck_assert_int_eq(start_on_ring(which, &state), 0);
		nanosleep(&(struct timespec){.tv_nsec = rand_r(&seed) % 1000000}, NULL);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		ring_stop(i);
}
END_TEST

/* Settings change under constant traffic: no call waits for long, and nothing is lost. */
START_TEST(settings_change_under_traffic)
{
	unsigned int seed = 6, changes = 0;
	pthread_t threads[4];

	start_traffic(threads, 4, _i, SLOT);
	while (!traffic_over[RX] || !traffic_over[TX]) {
		uint64_t before = now_us();

		change_settings(&seed);
		ck_assert_uint_lt(now_us() - before, PATIENCE_MS * 1000 / 4);
		if (++changes % 8 == 0)
			nanosleep(&(struct timespec){.tv_nsec = rand_r(&seed) % 300000}, NULL);
	}
	ck_assert_uint_gt(changes, 100);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		ring_stop(i);
}
END_TEST

/*
 * All queues of the backend bring flows for all rings: each flow stays in order and arrives on its
 * ring, whatever else goes on. What is lost was lost for want of buffers, and there are enough of
 * those at the end.
 */
enum {
	FLOWS = 16,
};

static _Atomic bool wires_over;
static uint32_t flow_packets;

static void *flow_writer(void *opaque)
{
	int pair = *(int *)opaque;
	uint8_t frame[128];
	unsigned int seed = (unsigned int)pair;

	for (uint32_t n = 1; n <= flow_packets; n++) {
		for (uint16_t flow = (uint16_t)pair; flow < FLOWS; flow += PAIRS) {
			size_t len = put_frame(frame, (uint16_t)(flow + 1));

			memcpy(frame + len - 4, &n, sizeof(n));
			MUST(write(fake.wires[pair], frame, len) == (ssize_t)len);
		}
		nap(&seed);
	}
	return NULL;
}

/* The driver of one receive ring: counts the packets of each flow. */
static void *flow_driver(void *opaque)
{
	int ring = *(int *)opaque;
	uint32_t last[FLOWS + 1] = {0}, id, len;

	for (;;) {
		bool over = atomic_load(&wires_over);
		unsigned int got = 0;

		while (got < 16 && driver_used(&rings[ring], &id, &len)) {
			const uint8_t *at = data(ring, id * 1000ULL);
			uint32_t n;
			uint16_t port;

			MUST(len == HEADER + 60);
			memcpy(&n, at + len - 4, sizeof(n));
			port = (uint16_t)(at[HEADER + 34] << 8 | at[HEADER + 35]);
			MUST(port >= 1 && port <= FLOWS && ring_of(port) == ring);
			MUST(n > last[port] && n <= flow_packets);
			last[port] = n;
			driver_add(&rings[ring], (uint16_t)id);
			got++;
		}
		if (got) {
			expose(ring);
			continue;
		}
		if (over)
			return NULL;
		if (!driver_enable_interrupts(&rings[ring])) {
			struct pollfd pfd = {.fd = call_fd[ring], .events = POLLIN};

			poll(&pfd, 1, 20);
			fd_eventfd_drain(call_fd[ring]);
		}
	}
}

START_TEST(steering_keeps_order)
{
	pthread_t writers[PAIRS], drivers[PAIRS];
	int pairs[PAIRS], receive_rings[PAIRS];
	unsigned int seed = 7;

	flow_packets = 3000;
	start_four(EVENT_IDX | MRG_RXBUF, 256);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 4), 0);
	ck_assert_int_eq(dp->ops->set_rss(dp, &steering), 0);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = i;
		receive_rings[i] = 2 * i;
		add_buffers(2 * i, 0, 256);
		ck_assert_int_eq(pthread_create(&drivers[i], NULL, flow_driver, &receive_rings[i]),
				 0);
		ck_assert_int_eq(pthread_create(&writers[i], NULL, flow_writer, &pairs[i]), 0);
	}
	for (int i = 0; i < 300; i++) {
		int ring = 2 * (rand_r(&seed) % PAIRS);

		if (_i) {
			struct ring_state state = ring_stop(ring);

			ck_assert_uint_eq(state.next_avail, state.next_used);
			ck_assert_int_eq(start_on_ring(ring, &state), 0);
		}
		ck_assert_int_eq(dp->ops->set_coalescing(dp, (unsigned int)ring,
							 (uint32_t)i % 3 * 10,
							 (uint32_t)i % 5 * 100),
				 0);
		if (i % 10 == 0)
			ck_assert_int_eq(dp->ops->set_rss(dp, &steering), 0);
		nanosleep(&(struct timespec){.tv_nsec = rand_r(&seed) % 500000}, NULL);
	}
	for (int i = 0; i < PAIRS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < PAIRS; i++)
		wait_received(fake.wires[i]);
	stop_four();
	atomic_store(&wires_over, true);
	for (int i = 0; i < PAIRS; i++)
		pthread_join(drivers[i], NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("datapath_inprocess");
	TCase *tx = tcase_create("transmit"), *rx = tcase_create("receive");
	TCase *rest = tcase_create("rings"), *stress = tcase_create("traffic");
	TCase *large = tcase_create("large rings"), *settings = tcase_create("settings");
	TCase *many = tcase_create("several pairs");
	TCase *all[] = {tx, rx, rest, stress, large, settings, many};
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		tcase_add_checked_fixture(all[i], all[i] == many ? setup_four : setup, teardown);
		tcase_set_timeout(all[i], 100);
		suite_add_tcase(suite, all[i]);
	}
	tcase_add_loop_test(tx, transmits_header_and_pieces, 0, 2);
	tcase_add_test(tx, transmits_indirect);
	tcase_add_test(tx, transmits_largest);
	tcase_add_test(tx, gives_large_packets_back_at_once);
	tcase_add_test(tx, interrupts_for_a_batch_of_large_packets);
	tcase_add_test(tx, drops_what_has_no_header);
	tcase_add_loop_test(tx, waits_for_room, 0, 2);
	tcase_add_loop_test(tx, stops_while_waiting_for_room, 0, 2);
	tcase_add_test(tx, backend_refuses_packets);
	tcase_add_test(tx, finds_what_was_there_before);
	tcase_add_loop_test(rx, receives_into_one_buffer, 0, 4);
	tcase_add_test(rx, receives_between_large_packets);
	tcase_add_test(rx, receives_into_pieces);
	tcase_add_loop_test(rx, merges_buffers, 0, 2);
	tcase_add_test(rx, receives_largest_without_merging);
	tcase_add_loop_test(rx, waits_for_buffers, 0, 4);
	tcase_add_test(rx, order_behind_a_waiting_packet);
	tcase_add_loop_test(rx, drops_what_never_fits, 0, 2);
	tcase_add_loop_test(rx, drops_what_is_too_scattered, 0, 2);
	tcase_add_loop_test(rx, drops_the_oversized, 0, 2);
	tcase_add_test(rx, drops_what_came_without_header);
	tcase_add_loop_test(rx, backend_is_gone, 0, 3);
	tcase_add_loop_test(rx, leaves_packets_where_they_are, 0, 2);
	tcase_add_test(rx, packets_without_buffers_wake_nobody);
	tcase_add_loop_test(rx, no_needless_kicks, 0, 2);
	tcase_add_loop_test(rest, a_stream_needs_few_kicks, 0, 2);
	tcase_add_test(rest, answers_end_a_stream);
	tcase_add_loop_test(rest, others_are_kicked_for, 0, sizeof(kicked) / sizeof(kicked[0]));
	tcase_add_test(rx, no_needless_interrupts);
	tcase_add_test(rx, counts_kicks);
	tcase_add_test(rest, transmit_ring_breaks);
	tcase_add_loop_test(rest, receive_ring_breaks, 0, 3);
	tcase_add_loop_test(rest, broken_from_the_start, 0, 2);
	tcase_add_loop_test(rest, too_large, 0, 2);
	tcase_add_test(rest, offered_features);
	tcase_add_test(rest, gives_back_waiting_buffers);
	tcase_add_loop_test(rest, waiting_packet_is_kept_by_a_stop, 0, 5);
	tcase_add_test(large, receives_into_a_large_ring);
	tcase_add_loop_test(large, transmits_very_many_pieces, 0, 5);
	tcase_add_loop_test(large, receives_into_very_many_pieces, 0, 5);
	tcase_add_test(large, merges_very_many_buffers);
	tcase_add_loop_test(settings, filters, 0, 2);
	tcase_add_test(settings, filters_what_waits);
	tcase_add_test(settings, reports_hashes);
	tcase_add_test(settings, hash_makes_the_header_longer);
	tcase_add_test(settings, switches_offloads);
	tcase_add_loop_test(settings, link_down_receives_nothing, 0, 2);
	tcase_add_test(settings, link_down_sends_nothing);
	tcase_add_test(settings, backend_refuses_features);
	tcase_add_loop_test(settings, interrupts_are_held, 0, 2);
	tcase_add_test(settings, interrupts_after_packets);
	tcase_add_loop_test(settings, interrupts_after_time, 0, 2);
	tcase_add_loop_test(settings, coalescing_changes, 0, 4);
	tcase_add_test(many, uses_as_many_pairs_as_it_is_told);
	tcase_add_loop_test(many, steers_by_hash, 0, 2);
	tcase_add_loop_test(many, keeps_to_the_mtu, 0, 6);
	tcase_add_test(many, refuses_wrong_tables);
	tcase_add_loop_test(many, steering_goes_past_a_full_ring, 0, 3);
	tcase_add_test(many, coalesces_steered_packets);
	tcase_add_loop_test(many, steering_keeps_order, 0, 2);
	tcase_add_loop_test(stress, settings_change_under_traffic, 0, TRAFFICS);
	tcase_add_loop_test(stress, no_wakeup_is_lost, 0, 2 * TRAFFICS);
	tcase_add_loop_test(stress, stop_and_start_lose_nothing, 0, TRAFFICS);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
