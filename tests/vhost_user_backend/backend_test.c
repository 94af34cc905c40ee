/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back-end against a scripted front-end: packets go through it, violations are seen, lies are
 * told as ordered, and what was in flight when it was killed is served again. BACKEND is its path.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/system/process.h"
#include "tests/unit/driver.h"
#include "tests/vhost_user_backend/message.h"

enum {
	MEMORY = 4 << 20,
	MEMORY_AT = 16 << 20,
	RINGS_AT = MEMORY_AT,
	RING_STEP = 64 << 10,
	BUFFERS_AT = MEMORY_AT + (1 << 20),
	BUFFER = 2048,
	SIZE = 64,
	RX = 0,
	TX = 1,
	PATIENCE_MS = 5000,
	HEADER = 12,
};

#define BIT(n) (1ULL << (n))

static const uint64_t basic = BIT(VIRTIO_F_VERSION_1) | BIT(F_PROTOCOL_FEATURES) |
			      BIT(VIRTIO_NET_F_MRG_RXBUF);
static const uint64_t protocol = BIT(PROTOCOL_F_REPLY_ACK) | BIT(PROTOCOL_F_INFLIGHT_SHMFD) |
				 BIT(PROTOCOL_F_MQ) | BIT(PROTOCOL_F_BACKEND_REQ);

static struct process process;
static struct guest_memory mem;
static struct driver_ring rings[2];
static int front, kicks[2], calls[2], far, far_of_backend, inflight_fd = -1;
static union payload inflight;

/* --- the back-end --- */

static void start(const char *option, const char *value)
{
	const char *argv[12] = {need_env("BACKEND"), "--fd"};
	char fd[16], mode[32];
	int pair[2], n = 2;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	/* It gets its own end alone, so that it ends with a test that fails. */
	ck_assert_int_eq(fcntl(pair[1], F_SETFD, 0), 0);
	front = pair[0];
	snprintf(fd, sizeof(fd), "%d", pair[1]);
	snprintf(mode, sizeof(mode), "socketpair/fd=%d", far_of_backend);
	argv[n++] = fd;
	if (option) {
		argv[n++] = option;
		argv[n++] = value;
	}
	argv[n++] = mode;
	process_start(&process, argv, -1);
	close(pair[1]);
}

static void expect_end(int status, const char *text)
{
	int got;

	shutdown(front, SHUT_WR);
	got = process_wait(&process);
	close(front);
	ck_assert_msg(got == status, "status %d:\n%s", got, process.text);
	ck_assert_msg(!text || strstr(process.text, text), "not said: %s:\n%s", text, process.text);
}

/*
 * It kills itself, over a packet or a message. Until then the connection stays: a back-end that
 * sees the end of it together with a kick goes without serving the ring, as it may.
 */
static void expect_killed(const char *text)
{
	struct pollfd gone = {.fd = front}; /* POLLHUP comes unasked */

	poll(&gone, 1, PATIENCE_MS);
	/* If it lives, its status says so. */
	expect_end(128 + 9, text);
}

/* --- messages --- */

static void tell(uint32_t request, uint32_t flags, const void *payload, uint32_t size, int fd)
{
	struct header header = {request, FLAG_VERSION | flags, size};

	message_send(front, &header, payload, size, &fd, fd >= 0);
}

static void tell_u64(uint32_t request, uint64_t value)
{
	tell(request, 0, &value, sizeof(value), -1);
}

static void tell_state(uint32_t request, uint32_t index, uint32_t num)
{
	const uint32_t state[2] = {index, num};

	tell(request, 0, state, sizeof(state), -1);
}

static void hear(uint32_t request, union payload *payload, uint32_t size, int *fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct header header;
	struct iovec iov[2] = {{&header, sizeof(header)}, {payload, size}};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control)};

	ck_assert_int_eq(recvmsg(front, &msg, MSG_CMSG_CLOEXEC), sizeof(header) + size);
	ck_assert_uint_eq(header.request, request);
	ck_assert_uint_eq(header.flags, FLAG_VERSION | FLAG_REPLY);
	ck_assert_uint_eq(header.size, size);
	if (fd) {
		ck_assert(msg.msg_controllen);
		memcpy(fd, CMSG_DATA(&control.head), sizeof(*fd));
	}
}

static uint64_t ask(uint32_t request)
{
	union payload payload;

	tell(request, 0, NULL, 0, -1);
	hear(request, &payload, 8, NULL);
	return payload.u64;
}

static uint64_t user(gpa_t at)
{
	return (uintptr_t)memory_translate(&mem, at, 1);
}

/* --- setting up --- */

enum stage {
	CONNECTED,
	NEGOTIATED,
	MEMORY_SET,
	RUNNING,
};

static void negotiate(uint64_t features)
{
	ck_assert_uint_eq(ask(VHOST_USER_GET_FEATURES) & features, features);
	ck_assert_uint_eq(ask(VHOST_USER_GET_PROTOCOL_FEATURES) & protocol, protocol);
	tell_u64(VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
	tell(VHOST_USER_SET_OWNER, 0, NULL, 0, -1);
	tell_u64(VHOST_USER_SET_FEATURES, features);
}

static void set_memory(void)
{
	union payload payload = {.memory = {.n = 1}};

	payload.memory.areas[0] = (struct memory_area){MEMORY_AT, MEMORY, user(gpa(MEMORY_AT)), 0};
	tell(VHOST_USER_SET_MEM_TABLE, FLAG_NEED_REPLY, &payload, 40, mem.fd);
	hear(VHOST_USER_SET_MEM_TABLE, &payload, 8, NULL);
	ck_assert_uint_eq(payload.u64, 0);
}

static void start_ring(unsigned int i)
{
	struct ring_state state = driver_ring_state(&rings[i]);
	const uint64_t u64 = i, one = 1;
	union payload payload = {.addr = {.index = i}};
	uint32_t base = state.next_used;

	if (rings[i].packed)
		base |= base << 16;
	payload.addr.desc = user(state.desc);
	payload.addr.avail = user(state.driver);
	payload.addr.used = user(state.device);
	tell_state(VHOST_USER_SET_VRING_NUM, i, SIZE);
	tell_state(VHOST_USER_SET_VRING_BASE, i, base);
	tell(VHOST_USER_SET_VRING_ADDR, 0, &payload, 40, -1);
	tell(VHOST_USER_SET_VRING_CALL, 0, &u64, 8, calls[i]);
	/*
	 * Before it has the kick: one that the last back-end left there starts the ring at once,
	 * and what is transmitted while it is disabled is thrown away ("Ring states").
	 */
	tell_state(VHOST_USER_SET_VRING_ENABLE, i, 1);
	tell(VHOST_USER_SET_VRING_KICK, 0, &u64, 8, kicks[i]);
	ck_assert_int_eq(write(kicks[i], &one, sizeof(one)), sizeof(one));
}

static void set_inflight(void)
{
	union payload payload = {.inflight = {.num_queues = 2, .queue_size = SIZE}};

	if (inflight_fd < 0) {
		tell(VHOST_USER_GET_INFLIGHT_FD, 0, &payload, 24, -1);
		hear(VHOST_USER_GET_INFLIGHT_FD, &inflight, 24, &inflight_fd);
	}
	tell(VHOST_USER_SET_INFLIGHT_FD, 0, &inflight, 24, inflight_fd);
}

static void bring_to(enum stage stage, uint64_t features, bool with_inflight)
{
	if (stage >= NEGOTIATED)
		negotiate(features);
	if (stage >= MEMORY_SET)
		set_memory();
	if (stage >= RUNNING && with_inflight)
		set_inflight();
	for (unsigned int i = 0; stage >= RUNNING && i < 2; i++)
		start_ring(i);
}

static void set_up(void)
{
	const struct memory_range range = {MEMORY_AT, MEMORY};
	const struct memory_config config = {.shared = true};
	int pair[2];

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	far = pair[0];
	far_of_backend = pair[1];
	for (unsigned int i = 0; i < 2; i++) {
		kicks[i] = eventfd(0, EFD_CLOEXEC);
		calls[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

static void init_rings(uint64_t features)
{
	bool event_idx = features & BIT(VIRTIO_RING_F_EVENT_IDX);

	for (unsigned int i = 0; i < 2; i++) {
		gpa_t at = gpa(RINGS_AT + (uint64_t)i * RING_STEP);

		if (features & BIT(VIRTIO_F_RING_PACKED))
			driver_packed_init(&rings[i], &mem, at, SIZE, event_idx, 0x8000 + SIZE - 3);
		else
			driver_ring_init(&rings[i], &mem, at, SIZE, event_idx, 0xfffd);
	}
}

/* --- packets --- */

static gpa_t buffer_at(unsigned int i, unsigned int slot)
{
	return gpa(BUFFERS_AT + (uint64_t)(i * SIZE + slot) * BUFFER);
}

static void kick(unsigned int i)
{
	const uint64_t one = 1;

	if (driver_expose(&rings[i]))
		ck_assert_int_eq(write(kicks[i], &one, sizeof(one)), sizeof(one));
}

static void fill(uint8_t *packet, size_t len, uint8_t number)
{
	memset(packet, 0, HEADER);
	memset(packet + HEADER, number, len - HEADER);
	packet[HEADER] = 2; /* no multicast */
}

/* Make packet @number available, in two pieces. */
static void transmit(uint8_t number)
{
	gpa_t at = buffer_at(TX, number);
	const struct driver_piece pieces[2] = {{at.value, 100, false},
					       {at.value + 100, 1400, false}};

	fill(memory_translate(&mem, at, 1500), 1500, number);
	ck_assert_int_ge(driver_add_chain(&rings[TX], pieces, 2), 0);
}

/* Every used chain is one that was made available. How many were used. */
static unsigned int take_back(unsigned int i)
{
	unsigned int n = 0;

	while (driver_has_used(&rings[i])) {
		uint32_t id, len;

		id = rings[i].packed ? rings[i].ring[rings[i].last_used & 0x7fff].id
				     : rings[i].used->ring[rings[i].last_used % SIZE].id;
		ck_assert_uint_lt(id, SIZE);
		ck_assert_uint_ne(rings[i].slots[id], 0);
		driver_used(&rings[i], &id, &len);
		n++;
	}
	return n;
}

static void wait_used(unsigned int i, unsigned int n)
{
	struct pollfd called = {.fd = calls[i], .events = POLLIN};

	for (unsigned int got = take_back(i); got < n; got += take_back(i)) {
		uint64_t count;

		if (driver_enable_interrupts(&rings[i]))
			continue;
		ck_assert_msg(poll(&called, 1, PATIENCE_MS) == 1, "%u of %u are used", got, n);
		ck_assert_int_eq(read(calls[i], &count, sizeof(count)), sizeof(count));
	}
}

static uint8_t next_from_far(ssize_t len)
{
	uint8_t packet[2048];

	ck_assert_int_eq(recv(far, packet, sizeof(packet), MSG_DONTWAIT), len);
	return packet[len - 1];
}

static void send_from_far(uint8_t number)
{
	uint8_t packet[1500];

	fill(packet, sizeof(packet), number);
	ck_assert_int_eq(send(far, packet, sizeof(packet), 0), sizeof(packet));
}

/* Buffers that a packet needs three of. */
static void offer_buffers(unsigned int n)
{
	while (n--) {
		const struct driver_piece piece = {
			buffer_at(RX, rings[RX].free_ids[rings[RX].n_free_ids - 1]).value, 600,
			true};

		ck_assert_int_ge(driver_add_chain(&rings[RX], &piece, 1), 0);
	}
	kick(RX);
}

/* --- tests --- */

static uint64_t features_of(int i)
{
	return basic | (i & 1 ? BIT(VIRTIO_F_RING_PACKED) : 0) |
	       (i & 2 ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0);
}

START_TEST(test_packets)
{
	uint64_t features = features_of(_i);
	union payload payload;

	init_rings(features);
	start(NULL, NULL);
	bring_to(RUNNING, features, _i & 4);
	for (uint8_t lap = 0; lap < 20; lap++) {
		for (uint8_t k = 0; k < 10; k++)
			transmit(k);
		kick(TX);
		wait_used(TX, 10);
		for (uint8_t k = 0; k < 10; k++)
			ck_assert_uint_eq(next_from_far(1500), k);
		offer_buffers(9);
		for (uint8_t k = 0; k < 3; k++)
			send_from_far(k);
		wait_used(RX, 9);
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t at = rings[i].last_used;

		tell_state(VHOST_USER_GET_VRING_BASE, i, 0);
		hear(VHOST_USER_GET_VRING_BASE, &payload, 8, NULL);
		ck_assert_uint_eq(payload.state.num, _i & 1 ? at | at << 16 : at);
	}
	expect_end(0, NULL);
}
END_TEST

/* Killed while it transmits: each packet is sent, no more than one twice, each chain used once. */
START_TEST(test_killed_transmitting)
{
	static const char *const when[] = {"4,taken", "4,moved", "4,published"};
	uint64_t features = features_of(_i % 4);
	uint8_t seen[8] = {0};
	unsigned int used;

	init_rings(features);
	start("--die-after-packets", when[_i / 4]);
	bring_to(RUNNING, features, true);
	for (uint8_t k = 0; k < 8; k++)
		transmit(k);
	kick(TX);
	expect_killed(NULL);
	used = take_back(TX);
	ck_assert_uint_eq(used, _i / 4 == 2 ? 4 : 3);

	start(NULL, NULL);
	bring_to(RUNNING, features, true);
	wait_used(TX, 8 - used);
	for (int n = 0; n < (_i / 4 == 1 ? 9 : 8); n++)
		seen[next_from_far(1500)]++;
	for (uint8_t k = 0; k < 8; k++)
		ck_assert_uint_ge(seen[k], 1);
	expect_end(0, _i / 4 == 2 ? "ring 1: 0 in flight" : "ring 1: 1 in flight");
}
END_TEST

/* Killed while a packet goes into three buffers: they are the next packet's. */
START_TEST(test_killed_receiving)
{
	static const char *const when[] = {"2,taken", "2,moved", "2,published"};
	uint64_t features = features_of(_i % 4);
	unsigned int used;

	init_rings(features);
	start("--die-after-packets", when[_i / 4]);
	bring_to(RUNNING, features, true);
	offer_buffers(12);
	for (uint8_t k = 0; k < 3; k++)
		send_from_far(k);
	expect_killed(NULL);
	used = take_back(RX);
	ck_assert_uint_eq(used, _i / 4 == 2 ? 6 : 3);

	start(NULL, NULL);
	bring_to(RUNNING, features, true);
	for (uint8_t k = 0; used + 3u * k < 9; k++)
		send_from_far(k);
	wait_used(RX, 12 - used);
	expect_end(0, _i / 4 == 2 ? "ring 0: 0 in flight" : "ring 0: 3 in flight");
}
END_TEST

static const struct wrong {
	const char *text;
	enum stage stage;
	uint32_t request, flags, size;
	uint64_t payload[5];
	bool fd;
} wrongs[] = {
	{"request 99", CONNECTED, 99, 0, 0, {0}, false},
	{"request 4", NEGOTIATED, 4, 0, 0, {0}, false},
	{"request 24", NEGOTIATED, 24, 0, 12, {0}, false},
	{"GET_FEATURES: the version is 3", CONNECTED, 1, 2, 0, {0}, false},
	{"reply flag", CONNECTED, 1, FLAG_REPLY, 0, {0}, false},
	{"reserved bits", CONNECTED, 1, 0x10, 0, {0}, false},
	{"need_reply without REPLY_ACK", CONNECTED, 1, FLAG_NEED_REPLY, 0, {0}, false},
	{"GET_FEATURES: 8 bytes", CONNECTED, 1, 0, 8, {0}, false},
	{"SET_FEATURES before SET_OWNER", CONNECTED, 2, 0, 8, {0}, false},
	{"SET_VRING_NUM before SET_OWNER", CONNECTED, 8, 0, 8, {0}, false},
	{"SET_OWNER: 1 descriptors, not 0", CONNECTED, 3, 0, 0, {0}, true},
	{"SET_OWNER twice", NEGOTIATED, 3, 0, 0, {0}, false},
	{"not offered", NEGOTIATED, 2, 0, 8, {1ULL << 63}, false},
	{"not offered", NEGOTIATED, 16, 0, 8, {1ULL << 63}, false},
	{"SET_PROTOCOL_FEATURES: 0 after", NEGOTIATED, 16, 0, 8, {0}, false},
	{"feature 13 was not negotiated", NEGOTIATED, 34, 0, 0, {0}, false},
	{"SET_MEM_TABLE: 1 descriptors, not 0", NEGOTIATED, 5, 0, 8, {0}, true},
	{"SET_MEM_TABLE: no regions", NEGOTIATED, 5, 0, 8, {0}, false},
	{"SET_MEM_TABLE: 8 bytes", NEGOTIATED, 5, 0, 8, {1}, true},
	{"its size is 0", NEGOTIATED, 5, 0, 40, {1}, true},
	{"wrap around", NEGOTIATED, 5, 0, 40, {1, -4096ULL, 8192}, true},
	{"the file ends", NEGOTIATED, 5, 0, 40, {1, 0, 1 << 20, 0, MEMORY}, true},
	{"before there is memory", NEGOTIATED, 9, 0, 40, {0}, false},
	{"is not in one memory region", MEMORY_SET, 9, 0, 40, {0, 16}, false},
	{"no ring 2", MEMORY_SET, 8, 0, 8, {64ULL << 32 | 2}, false},
	{"SET_VRING_NUM: 0", MEMORY_SET, 8, 0, 8, {0}, false},
	{"starts without SET_VRING_NUM", MEMORY_SET, 12, 0, 8, {NO_FD}, false},
	{"SET_VRING_CALL: 0 descriptors, not 1", MEMORY_SET, 13, 0, 8, {0}, false},
	{"SET_VRING_CALL: 1 descriptors, not 0", MEMORY_SET, 13, 0, 8, {NO_FD}, true},
	{"SET_VRING_ENABLE: 2", MEMORY_SET, 18, 0, 8, {2ULL << 32}, false},
	{"GET_INFLIGHT_FD: 8 bytes", NEGOTIATED, 31, 0, 8, {0}, false},
	{"inflight: 0 queues of 0", NEGOTIATED, 31, 0, 24, {0}, false},
	{"SET_VRING_NUM while ring 0 is started", RUNNING, 8, 0, 8, {64ULL << 32}, false},
	{"moves ring 1", RUNNING, 9, 0, 40, {1}, false},
	{"while a ring is started", RUNNING, 2, 0, 8, {1ULL << 32}, false},
	{"SET_VRING_ADDR: flags 0x1", RUNNING, 9, 0, 40, {1ULL << 32}, false},
};

START_TEST(test_violation)
{
	const struct wrong *wrong = &wrongs[_i];

	init_rings(basic);
	start(NULL, NULL);
	bring_to(wrong->stage, basic, false);
	if (wrong->stage == RUNNING) {
		transmit(0);
		kick(TX);
		wait_used(TX, 1);
	}
	tell(wrong->request, wrong->flags, wrong->payload, wrong->size, wrong->fd ? mem.fd : -1);
	expect_end(3, wrong->text);
	ck_assert_ptr_nonnull(strstr(process.text, "violation: "));
}
END_TEST

static const struct lie {
	const char *text;
	uint32_t request, flags, size;
	uint64_t value;
	ssize_t bytes; /* that come */
} lies[] = {
	{"value=0xffffffffffffffff@GET_FEATURES", 1, 5, 8, UINT64_MAX, 20},
	{"size=4@GET_FEATURES", 1, 5, 4, 0, 16},
	{"huge@GET_FEATURES", 1, 5, UINT32_MAX, 0, 20},
	{"code=11@GET_FEATURES", 11, 5, 8, 0, 20},
	{"flags=2@GET_FEATURES", 1, 2, 8, 0, 20},
	{"fds=5@GET_FEATURES", 1, 5, 8, 0, 20},
	{"truncated@GET_FEATURES", 1, 5, 8, 0, 16},
	{"unasked@GET_FEATURES", 1, 5, 8, 0, 20},
};

START_TEST(test_lie)
{
	struct {
		struct header header;
		uint64_t value;
	} __attribute__((packed)) reply;

	start("--lie", lies[_i].text);
	tell(VHOST_USER_GET_FEATURES, 0, NULL, 0, -1);
	ck_assert_int_eq(recv(front, &reply, sizeof(reply), 0), lies[_i].bytes);
	ck_assert_uint_eq(reply.header.request, lies[_i].request);
	ck_assert_uint_eq(reply.header.flags, lies[_i].flags);
	ck_assert_uint_eq(reply.header.size, lies[_i].size);
	if (lies[_i].value)
		ck_assert_uint_eq(reply.value, lies[_i].value);
	expect_end(0, NULL);
}
END_TEST

START_TEST(test_backend_request)
{
	struct {
		struct header header;
		uint64_t value;
	} __attribute__((packed)) request;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	start("--lie", "request=2@SET_VRING_NUM");
	negotiate(basic);
	tell(VHOST_USER_SET_BACKEND_REQ_FD, 0, NULL, 0, pair[1]);
	tell_state(VHOST_USER_SET_VRING_NUM, 0, SIZE);
	ck_assert_int_eq(recv(pair[0], &request, sizeof(request), 0), sizeof(request));
	ck_assert_uint_eq(request.header.request, 2);
	ck_assert_uint_eq(request.header.flags, FLAG_VERSION | FLAG_NEED_REPLY);
	request.header.flags = FLAG_VERSION;
	ck_assert_int_eq(send(pair[0], &request, sizeof(request), 0), sizeof(request));
	expect_end(3, "the answer to back-end request 2");
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(test_die_and_mute)
{
	struct pollfd quiet;

	start("--die-at", "2");
	ask(VHOST_USER_GET_FEATURES);
	tell(VHOST_USER_GET_PROTOCOL_FEATURES, 0, NULL, 0, -1);
	expect_killed("message 2: GET_PROTOCOL_FEATURES");

	start("--mute-at", "2");
	ask(VHOST_USER_GET_FEATURES);
	tell(VHOST_USER_GET_FEATURES, 0, NULL, 0, -1);
	shutdown(front, SHUT_WR);
	quiet = (struct pollfd){.fd = front, .events = POLLIN};
	ck_assert_int_eq(poll(&quiet, 1, PATIENCE_MS), 1);
	ck_assert_int_eq(recv(front, &quiet, 1, 0), 0);
	expect_end(0, "message 2: GET_FEATURES");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vhost-user-backend");
	TCase *tests = tcase_create("vhost-user-backend");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, test_packets, 0, 8);
	tcase_add_loop_test(tests, test_killed_transmitting, 0, 12);
	tcase_add_loop_test(tests, test_killed_receiving, 0, 12);
	tcase_add_loop_test(tests, test_violation, 0, sizeof(wrongs) / sizeof(wrongs[0]));
	tcase_add_loop_test(tests, test_lie, 0, sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(tests, test_backend_request);
	tcase_add_test(tests, test_die_and_mute);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
