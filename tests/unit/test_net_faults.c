/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults before a net backend on a socket, whose other end the test has: it sends and receives
 * numbered packets there, and on the datapath's side. Seeds are fixed, and so is what they do.
 */
#include "virtio/net_faults.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/must.h"
#include "virtio/defs.h"
#include "virtio/fd.h"
#include "virtio/net_backend.h"
#include "virtio/pcg32.h"
#include "vmm/core/error.h"

#define BIT(name) (1ULL << (name))

enum {
	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME = 100,
	PACKETS_MAX = 20000,
	PATIENCE_MS = 20000,
	QUEUES = 2,
};

struct packet {
	struct virtio_net_hdr_v1 header;
	uint32_t number;
	uint8_t rest[FRAME - sizeof(uint32_t)];
};

static struct net_backend *backend;
static int peer; /* of the backend that is behind the faults */
static struct error err;

static void begin(struct net_faults_config config)
{
	struct net_backend *inner;
	int ends[2];

	config.name = "net0";
	config.queue_pairs = 1;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(fd_backend_create(ends[0], &inner, &err), 0);
	close(ends[0]);
	peer = ends[1];
	ck_assert_msg(net_faults_create(&config, inner, &backend, &err) == 0, "%s", err.text);
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
}

static void end(void)
{
	backend->ops->destroy(backend);
	close(peer);
}

static uint64_t counted(enum net_faults_direction direction, enum net_faults_counter counter)
{
	uint64_t counters[NET_FAULTS_COUNTERS];

	net_faults_count(backend, direction, counters);
	return counters[counter];
}

/* False: there is no room. */
static bool put(enum net_faults_direction direction, uint32_t number)
{
	struct packet packet = {.number = number};
	const struct iovec iov = {&packet, sizeof(packet)};
	ssize_t ret;

	memset(packet.rest, (int)number, sizeof(packet.rest));
	if (direction == NET_FAULTS_TRANSMIT) {
		ret = backend->ops->send(backend, 0, &iov, 1);
	} else {
		ret = send(peer, &packet, sizeof(packet), MSG_DONTWAIT);
		ret = ret < 0 ? -errno : ret;
	}
	MUST(ret == sizeof(packet) || ret == -EAGAIN);
	return ret > 0;
}

/* False: there is none. */
static bool get(enum net_faults_direction direction, struct packet *packet)
{
	const struct iovec iov = {packet, sizeof(*packet)};
	ssize_t ret;

	if (direction == NET_FAULTS_RECEIVE) {
		ret = backend->ops->receive(backend, 0, &iov, 1);
	} else {
		ret = recv(peer, packet, sizeof(*packet), MSG_DONTWAIT);
		ret = ret < 0 ? -errno : ret;
	}
	MUST(ret == sizeof(*packet) || ret == -EAGAIN);
	return ret > 0;
}

/* Wait until there is something to receive, or a moment: counters tell by nothing else. */
static void rest(enum net_faults_direction direction)
{
	struct pollfd pfd = {
		.fd = direction == NET_FAULTS_RECEIVE ? backend->ops->fd(backend, 0) : peer,
		.events = POLLIN,
	};

	poll(&pfd, 1, 1);
}

/* How many packets the wire has been given, of which @received came out. None may wait in it. */
static uint64_t accounted(enum net_faults_direction direction, uint32_t received)
{
	uint64_t counters[NET_FAULTS_COUNTERS];

	net_faults_count(backend, direction, counters);
	return received + counters[NET_FAULTS_LOST] + counters[NET_FAULTS_DROPPED] -
	       counters[NET_FAULTS_DUPLICATED];
}

/* Have @n packets pass, but for what is lost. The numbers of those that came, in their order. */
static uint32_t pass(enum net_faults_direction direction, uint32_t n, uint32_t *numbers)
{
	uint32_t sent = 0, received = 0;
	struct packet packet;

	for (int tries = 0; accounted(direction, received) != n; tries++) {
		MUST(tries < PATIENCE_MS);
		for (; sent < n && put(direction, sent); sent++)
			tries = 0;
		for (; get(direction, &packet); tries = 0) {
			MUST(received < PACKETS_MAX);
			numbers[received++] = packet.number;
		}
		rest(direction);
	}
	return received;
}

static uint32_t pass_with(struct net_faults_config config, enum net_faults_direction direction,
			  uint32_t n, uint32_t *numbers)
{
	uint32_t received;

	begin(config);
	received = pass(direction, n, numbers);
	end();
	return received;
}

/* The numbers that its author's demonstration (pcg32-demo) prints. */
START_TEST(generator)
{
	static const uint32_t expected[] = {0xa15c02b7, 0x7b47f409, 0xba1d3330,
					    0x83d2f293, 0xbfa4784b, 0xcbed606e};
	struct pcg32 pcg = pcg32_seed(42, 54);

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		ck_assert_uint_eq(pcg32_next(&pcg), expected[i]);
	ck_assert_uint_eq(pcg32_below(UINT32_MAX, 7), 6);
	ck_assert_uint_eq(pcg32_below(0, 7), 0);
	ck_assert_uint_eq(pcg32_below(1u << 31, 7), 3);
}
END_TEST

START_TEST(same_seed_same_sequence)
{
	static uint32_t one[PACKETS_MAX], two[PACKETS_MAX];
	struct net_faults_config config = {.loss = 200000, .duplicate = 100000, .seed = 7};
	const enum net_faults_direction direction = (enum net_faults_direction)_i;
	const enum net_faults_direction other = (enum net_faults_direction) !_i;
	uint32_t n = pass_with(config, direction, 2000, one);

	ck_assert_uint_gt(n, 1500);
	ck_assert_uint_lt(n, 2000);
	ck_assert_uint_eq(pass_with(config, direction, 2000, two), n);
	ck_assert_mem_eq(one, two, n * sizeof(one[0]));

	/* The directions are wires of their own. */
	memset(two, 0, sizeof(two));
	pass_with(config, other, 2000, two);
	ck_assert_mem_ne(one, two, n * sizeof(one[0]));

	config.seed = 8;
	memset(two, 0, sizeof(two));
	pass_with(config, direction, 2000, two);
	ck_assert_mem_ne(one, two, n * sizeof(one[0]));
}
END_TEST

/* With other faults besides the same packets are lost. */
START_TEST(one_fault_leaves_the_others_alone)
{
	static uint32_t one[PACKETS_MAX], two[PACKETS_MAX];
	struct net_faults_config config = {.loss = 300000, .seed = 3};
	uint32_t n = pass_with(config, NET_FAULTS_RECEIVE, 1000, one);

	config.delay_ns = 1000;
	config.packets = (struct net_faults_rate){1000000, 10};
	config.duplicate = NET_FAULTS_ALL;
	ck_assert_uint_eq(pass_with(config, NET_FAULTS_RECEIVE, 1000, two), 2 * n);
	for (uint32_t i = 0; i < n; i++)
		MUST(two[2UL * i] == one[i] && two[2UL * i + 1] == one[i]);
}
END_TEST

/* Of 10000 so many, and three standard deviations more or less. */
static void expect_about(enum net_faults_counter counter, uint64_t expected, uint64_t deviation)
{
	uint64_t is = counted(NET_FAULTS_RECEIVE, counter);

	ck_assert_msg(is > expected - 3 * deviation && is < expected + 3 * deviation,
		      "counter %d is %llu", counter, (unsigned long long)is);
}

START_TEST(how_many)
{
	static uint32_t numbers[PACKETS_MAX];
	struct net_faults_config config = {
		.loss = 10000,
		.duplicate = 250000,
		.corrupt = 1000,
		.delay_ns = 1000,
		.reorder = 500000,
		.seed = 1,
	};

	begin(config);
	pass(NET_FAULTS_RECEIVE, 10000, numbers);
	expect_about(NET_FAULTS_LOST, 100, 10);
	expect_about(NET_FAULTS_DUPLICATED, 2475, 43);
	expect_about(NET_FAULTS_CORRUPTED, 10, 3);
	expect_about(NET_FAULTS_REORDERED, 4950, 50);
	ck_assert_uint_eq(counted(NET_FAULTS_RECEIVE, NET_FAULTS_DROPPED), 0);
	ck_assert_uint_eq(counted(NET_FAULTS_TRANSMIT, NET_FAULTS_LOST), 0);
	end();

	ck_assert_uint_eq(pass_with((struct net_faults_config){.loss = NET_FAULTS_ALL},
				    NET_FAULTS_TRANSMIT, 1000, numbers),
			  0);
	/* The draw that is 0 is not less than this. */
	ck_assert_uint_eq(
		pass_with((struct net_faults_config){0}, NET_FAULTS_TRANSMIT, 10000, numbers),
		10000);
	for (uint32_t i = 0; i < 10000; i++)
		MUST(numbers[i] == i);
}
END_TEST

static void await_readable(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	ck_assert_int_eq(poll(&pfd, 1, PATIENCE_MS), 1);
}

static unsigned int different_bits(const struct packet *packet, const struct packet *original)
{
	const uint8_t *a = (const uint8_t *)packet, *b = (const uint8_t *)original;
	unsigned int n = 0;

	for (size_t i = HEADER; i < sizeof(*packet); i++)
		n += (unsigned int)__builtin_popcount(a[i] ^ b[i]);
	return n;
}

static void receive(struct packet *packet)
{
	for (int tries = 0; !get(NET_FAULTS_RECEIVE, packet); tries++) {
		MUST(tries < PATIENCE_MS);
		rest(NET_FAULTS_RECEIVE);
	}
}

/* And what says that the checksum is right is gone. */
START_TEST(corruption)
{
	const struct net_faults_config config = {.corrupt = NET_FAULTS_ALL, .seed = 5};
	struct packet packet, original = {.header.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	uint8_t touched[FRAME] = {0};
	unsigned int n_touched = 0;

	begin(config);
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(send(peer, &original, sizeof(original), 0), sizeof(original));
		receive(&packet);
		MUST(different_bits(&packet, &original) == 1);
		MUST(packet.header.flags == 0 && packet.header.gso_type == 0);
		for (size_t k = 0; k < FRAME; k++)
			touched[k] |= ((const uint8_t *)&packet)[HEADER + k];
	}
	for (size_t k = 0; k < FRAME; k++)
		n_touched += touched[k] != 0;
	ck_assert_uint_eq(n_touched, FRAME);
	/* A header alone has no bit to be changed. */
	ck_assert_int_eq(send(peer, &original, HEADER, 0), HEADER);
	await_readable(backend->ops->fd(backend, 0));
	ck_assert_int_eq(backend->ops->receive(backend, 0, &(struct iovec){&packet, FRAME}, 1),
			 HEADER);
	ck_assert_uint_eq(counted(NET_FAULTS_RECEIVE, NET_FAULTS_CORRUPTED), 2000);
	end();
}
END_TEST

/* Those that aren't delayed come before those that are. */
START_TEST(overtaking)
{
	const struct net_faults_config config = {
		.delay_ns = 1000ULL * 1000000000,
		.reorder = 200000,
		.seed = 2,
	};
	struct packet packet;
	uint32_t sent = 0, before = 0;

	begin(config);
	for (int received = 0; received < 20; sent++) {
		MUST(sent < 300);
		ck_assert(put(NET_FAULTS_RECEIVE, sent));
		rest(NET_FAULTS_RECEIVE);
		if (!get(NET_FAULTS_RECEIVE, &packet))
			continue;
		ck_assert(received == 0 || packet.number > before);
		before = packet.number;
		received++;
	}
	ck_assert_uint_gt(sent, 50);
	end();
}
END_TEST

/* All come, but not in their order. */
START_TEST(jitter)
{
	const struct net_faults_config config = {
		.delay_ns = 50000000, .jitter_ns = 50000000, .seed = 4};
	static uint32_t numbers[PACKETS_MAX];
	bool came[100] = {false};
	unsigned int inversions = 0;

	begin(config);
	/* They wait before the wire, and enter it one right behind the other. */
	ck_assert_int_eq(net_faults_hold(backend, true), 0);
	for (uint32_t i = 0; i < 100; i++)
		ck_assert(put(NET_FAULTS_RECEIVE, i));
	ck_assert_int_eq(net_faults_hold(backend, false), 0);
	for (uint32_t i = 0; i < 100; i++) {
		struct packet packet;

		receive(&packet);
		ck_assert(packet.number < 100 && !came[packet.number]);
		came[packet.number] = true;
		numbers[i] = packet.number;
		inversions += i && numbers[i] < numbers[i - 1];
	}
	ck_assert_uint_gt(inversions, 10);
	end();
}
END_TEST

/* At 1 bit a second one packet takes more time than anybody has: so many as the bucket holds pass.
 */
static void expect_burst(struct net_faults_config config, uint32_t burst)
{
	const uint32_t all = burst + NET_FAULTS_QUEUE + 50;
	uint32_t received = 0;
	struct packet packet;

	begin(config);
	for (uint32_t sent = 0; sent < all; sent++) {
		for (; !put(NET_FAULTS_RECEIVE, sent); received += get(NET_FAULTS_RECEIVE, &packet))
			rest(NET_FAULTS_RECEIVE);
	}
	for (int tries = 0; counted(NET_FAULTS_RECEIVE, NET_FAULTS_DROPPED) < 50; tries++) {
		MUST(tries < PATIENCE_MS);
		usleep(1000);
	}
	for (; get(NET_FAULTS_RECEIVE, &packet); received++)
		ck_assert_uint_eq(packet.number, received);
	ck_assert_uint_eq(received, burst);
	ck_assert_uint_eq(counted(NET_FAULTS_RECEIVE, NET_FAULTS_DROPPED), 50);
	end();
}

START_TEST(rates)
{
	const struct net_faults_rate ten_packets = {1, 10ULL * FRAME * 8};
	const struct net_faults_rate slow = {1, 1};

	expect_burst((struct net_faults_config){.bits = ten_packets}, 10);
	/* Larger than the bucket: it goes when that is full. */
	expect_burst((struct net_faults_config){.bits = slow}, 1);
	/* The narrower one of two. */
	expect_burst((struct net_faults_config){.bits = ten_packets, .packets = {1000000, 0}}, 10);
}
END_TEST

/* What has passed a rate comes in its order, and none is lost: a packet a millisecond. */
START_TEST(rate_goes_on)
{
	static uint32_t numbers[PACKETS_MAX];
	const struct net_faults_config config = {.packets = {1000, 1}};

	ck_assert_uint_eq(pass_with(config, NET_FAULTS_TRANSMIT, 50, numbers), 50);
	for (uint32_t i = 0; i < 50; i++)
		ck_assert_uint_eq(numbers[i], i);
}
END_TEST

/* Who doesn't receive is waited for; nothing is lost but what faults take. */
START_TEST(no_room)
{
	const enum net_faults_direction direction = (enum net_faults_direction)_i;
	uint32_t sent = 0, stuck = 0;
	struct packet packet;

	begin((struct net_faults_config){0});
	for (; stuck < 20; stuck++) {
		for (; put(direction, sent); sent++)
			stuck = 0;
		usleep(1000);
	}
	ck_assert_uint_gt(sent, 100);
	for (uint32_t i = 0; i < sent; i++) {
		while (!get(direction, &packet))
			rest(direction);
		MUST(packet.number == i);
	}
	ck_assert_uint_eq(counted(direction, NET_FAULTS_DROPPED), 0);
	end();
}
END_TEST

START_TEST(no_offloads)
{
	const uint64_t all = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
			     BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO4);
	struct packet packet, partial = {.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};

	begin((struct net_faults_config){0});
	ck_assert_uint_eq(backend->ops->features(backend), 0);
	/* A driver may have accepted them elsewhere; who is behind doesn't get to know. */
	ck_assert_int_eq(backend->ops->set_features(backend, all), 0);
	ck_assert_int_eq(send(peer, &partial, sizeof(partial), 0), sizeof(partial));
	ck_assert(put(NET_FAULTS_RECEIVE, 9));
	receive(&packet);
	ck_assert_uint_eq(packet.number, 9);
	end();
}
END_TEST

START_TEST(new_driver)
{
	struct packet packet;

	begin((struct net_faults_config){0});
	ck_assert(put(NET_FAULTS_RECEIVE, 1));
	await_readable(backend->ops->fd(backend, 0));
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	ck_assert(!get(NET_FAULTS_RECEIVE, &packet));
	ck_assert(put(NET_FAULTS_RECEIVE, 2));
	receive(&packet);
	ck_assert_uint_eq(packet.number, 2);
	end();
}
END_TEST

START_TEST(peer_goes)
{
	const struct net_faults_config config = {.delay_ns = 10000000};
	struct pollfd pfd;
	struct packet packet = {0};
	const struct iovec iov = {&packet, sizeof(packet)};

	begin(config);
	for (uint32_t i = 0; i < 5; i++)
		ck_assert(put(NET_FAULTS_RECEIVE, i));
	close(peer);
	pfd = (struct pollfd){.fd = backend->ops->fd(backend, 0)};
	ck_assert_int_eq(poll(&pfd, 1, PATIENCE_MS), 1);
	ck_assert(pfd.revents & POLLHUP);
	/* It told so after all that came before it. */
	for (uint32_t i = 0; i < 5; i++) {
		ck_assert(get(NET_FAULTS_RECEIVE, &packet));
		ck_assert_uint_eq(packet.number, i);
	}
	ck_assert_int_eq(backend->ops->receive(backend, 0, &iov, 1), -EPIPE);
	ck_assert_int_eq(backend->ops->send(backend, 0, &iov, 1), -EPIPE);
	backend->ops->destroy(backend);
}
END_TEST

START_TEST(held)
{
	struct packet packet;

	begin((struct net_faults_config){0});
	ck_assert_int_eq(net_faults_hold(backend, true), 0);
	ck_assert(put(NET_FAULTS_RECEIVE, 1));
	/* Not even so does it begin again. */
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	rest(NET_FAULTS_RECEIVE);
	ck_assert(!get(NET_FAULTS_RECEIVE, &packet));
	ck_assert_int_eq(net_faults_hold(backend, false), 0);
	receive(&packet);
	ck_assert_uint_eq(packet.number, 1);
	end();
}
END_TEST

/* --- several queues --- */

/* A backend of two queues, each a socket. */
struct fake {
	struct net_backend backend;
	int ends[QUEUES][2];
	unsigned int receiving;
};

static struct fake fake;

static uint64_t fake_features(const struct net_backend *self)
{
	(void)self;
	return 0;
}

static int fake_set_features(struct net_backend *self, uint64_t features)
{
	(void)self;
	return features ? -EOPNOTSUPP : 0;
}

static int fake_set_queues(struct net_backend *self, unsigned int n)
{
	((struct fake *)self)->receiving = n;
	return n > QUEUES ? -EINVAL : 0;
}

static int fake_fd(const struct net_backend *self, unsigned int queue)
{
	return ((const struct fake *)self)->ends[queue][0];
}

static ssize_t fake_receive(struct net_backend *self, unsigned int queue, const struct iovec *iov,
			    unsigned int n)
{
	ssize_t ret = readv(fake_fd(self, queue), iov, (int)n);

	return ret < 0 ? -errno : ret;
}

static ssize_t fake_send(struct net_backend *self, unsigned int queue, const struct iovec *iov,
			 unsigned int n)
{
	ssize_t ret = writev(fake_fd(self, queue), iov, (int)n);

	return ret < 0 ? -errno : ret;
}

static void fake_destroy(struct net_backend *self)
{
	for (int i = 0; i < QUEUES; i++)
		close(((struct fake *)self)->ends[i][0]);
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

/* Which of 64 packets of @queue are lost, as bits. */
static uint64_t lost_of(unsigned int queue)
{
	struct packet packet = {0};
	const struct iovec iov = {&packet, sizeof(packet)};
	uint64_t lost = 0, before;

	for (uint32_t i = 0; i < 64; i++) {
		before = counted(NET_FAULTS_RECEIVE, NET_FAULTS_LOST);
		packet.number = i;
		MUST(send(fake.ends[queue][1], &packet, sizeof(packet), 0) == sizeof(packet));
		for (int tries = 0;; tries++) {
			MUST(tries < PATIENCE_MS);
			if (backend->ops->receive(backend, queue, &iov, 1) > 0)
				break;
			if (counted(NET_FAULTS_RECEIVE, NET_FAULTS_LOST) != before) {
				lost |= 1ULL << i;
				break;
			}
			usleep(100);
		}
	}
	return lost;
}

START_TEST(queues)
{
	const struct net_faults_config config = {
		.name = "a-long-name-of-a-device", .queue_pairs = QUEUES, .loss = 500000};
	struct packet packet = {0};
	const struct iovec iov = {&packet, sizeof(packet)};

	fake = (struct fake){.backend.ops = &fake_ops};
	for (int i = 0; i < QUEUES; i++)
		ck_assert_int_eq(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fake.ends[i]), 0);
	ck_assert_int_eq(net_faults_create(&config, &fake.backend, &backend, &err), 0);
	/* No packet moves before there is a driver. */
	ck_assert_int_eq(backend->ops->set_queues(backend, 2), 0);
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_F_VERSION_1)), -EOPNOTSUPP);
	ck_assert_int_eq(send(fake.ends[0][1], &packet, sizeof(packet), 0), sizeof(packet));
	ck_assert_int_eq(backend->ops->receive(backend, 0, &iov, 1), -EAGAIN);
	ck_assert_int_eq(read(fake.ends[0][0], &packet, sizeof(packet)), sizeof(packet));
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	ck_assert_uint_ne(lost_of(0), lost_of(1));
	/* What waits for a queue that isn't used any more is not for its next user. */
	while (counted(NET_FAULTS_RECEIVE, NET_FAULTS_LOST) < 1000) {
		struct pollfd pfd = {.fd = backend->ops->fd(backend, 1), .events = POLLIN};

		ck_assert_int_eq(send(fake.ends[1][1], &packet, sizeof(packet), 0), sizeof(packet));
		if (poll(&pfd, 1, 1) > 0)
			break;
	}
	ck_assert_int_eq(backend->ops->set_queues(backend, 1), 0);
	ck_assert_uint_eq(fake.receiving, 1);
	ck_assert_int_eq(backend->ops->receive(backend, 1, &iov, 1), -EAGAIN);
	ck_assert_int_eq(backend->ops->set_queues(backend, 3), -EINVAL);
	/* Any queue sends. */
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(backend->ops->send(backend, 1, &iov, 1), sizeof(packet));
	await_readable(fake.ends[1][1]);
	backend->ops->destroy(backend);
	for (int i = 0; i < QUEUES; i++)
		close(fake.ends[i][1]);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("net_faults");
	TCase *tests = tcase_create("net_faults");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, generator);
	tcase_add_loop_test(tests, same_seed_same_sequence, 0, NET_FAULTS_DIRECTIONS);
	tcase_add_test(tests, one_fault_leaves_the_others_alone);
	tcase_add_test(tests, how_many);
	tcase_add_test(tests, corruption);
	tcase_add_test(tests, overtaking);
	tcase_add_test(tests, jitter);
	tcase_add_test(tests, rates);
	tcase_add_test(tests, rate_goes_on);
	tcase_add_loop_test(tests, no_room, 0, NET_FAULTS_DIRECTIONS);
	tcase_add_test(tests, no_offloads);
	tcase_add_test(tests, new_driver);
	tcase_add_test(tests, peer_goes);
	tcase_add_test(tests, held);
	tcase_add_test(tests, queues);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
