/* SPDX-License-Identifier: Apache-2.0 */
/* A net backend on one end of a pair of sockets; the test has the other end. */
#include "virtio/fd.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtio/net_backend.h"
#include "vmm/core/error.h"

#define BIT(name) (1ULL << (name))

enum {
	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME = 100,
};

struct packet {
	struct virtio_net_hdr_v1 header;
	uint8_t frame[FRAME];
};

static struct net_backend *backend;
static int ends[2];

static void open_pair(int type)
{
	struct error err;

	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_msg(fd_backend_create(ends[0], &backend, &err) == 0, "%s", err.text);
	/* It has a copy. */
	close(ends[0]);
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
}

static void set_up(void)
{
	open_pair(SOCK_SEQPACKET);
}

static void tear_down(void)
{
	backend->ops->destroy(backend);
	close(ends[1]);
}

static ssize_t receive(struct packet *packet)
{
	/* In pieces that don't end where the header does. */
	const struct iovec iov[] = {
		{packet, 5},
		{(uint8_t *)packet + 5, 20},
		{(uint8_t *)packet + 25, sizeof(*packet) - 25},
	};

	return backend->ops->receive(backend, 0, iov, 3);
}

static void put(uint8_t flags, uint8_t gso_type)
{
	struct packet packet = {.header = {.flags = flags, .gso_type = gso_type}};

	memset(packet.frame, 0x5a, sizeof(packet.frame));
	ck_assert_int_eq(send(ends[1], &packet, sizeof(packet), 0), sizeof(packet));
}

START_TEST(sends)
{
	struct packet packet = {.header.flags = 1}, got;
	const struct iovec iov[] = {{&packet, 50}, {(uint8_t *)&packet + 50, sizeof(packet) - 50}};

	memset(packet.frame, 0x77, sizeof(packet.frame));
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 2), sizeof(packet));
	ck_assert_int_eq(recv(ends[1], &got, sizeof(got), 0), sizeof(got));
	ck_assert_mem_eq(&got, &packet, sizeof(got));
}
END_TEST

START_TEST(receives)
{
	struct packet got;

	put(0, 0);
	ck_assert_int_eq(receive(&got), sizeof(got));
	ck_assert_uint_eq(got.frame[0], 0x5a);
	ck_assert_uint_eq(got.frame[FRAME - 1], 0x5a);
	ck_assert_int_eq(receive(&got), -EAGAIN);
}
END_TEST

/* A length that no packet has, so that the next one is asked for; and none of it is lost. */
static void expect_dropped(uint8_t flags, uint8_t gso_type)
{
	struct packet got;

	put(flags, gso_type);
	ck_assert_int_lt(receive(&got), HEADER);
	ck_assert_int_eq(receive(&got), -EAGAIN);
}

static void expect_passed(uint8_t flags, uint8_t gso_type)
{
	struct packet got;

	put(flags, gso_type);
	ck_assert_int_eq(receive(&got), sizeof(got));
}

START_TEST(offloads_that_were_not_accepted)
{
	const uint8_t csum = VIRTIO_NET_HDR_F_NEEDS_CSUM, valid = VIRTIO_NET_HDR_F_DATA_VALID;

	expect_passed(valid, 0);
	expect_dropped(csum, 0);
	expect_dropped(csum, VIRTIO_NET_HDR_GSO_TCPV4);
	backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM));
	expect_passed(csum, 0);
	expect_dropped(csum, VIRTIO_NET_HDR_GSO_TCPV4);
	backend->ops->set_features(backend,
				   BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4));
	expect_passed(csum, VIRTIO_NET_HDR_GSO_TCPV4);
	expect_dropped(csum, VIRTIO_NET_HDR_GSO_TCPV6);
	expect_dropped(csum, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	expect_dropped(csum, VIRTIO_NET_HDR_GSO_UDP);
	expect_dropped(csum, 0x7f);
	backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM) |
						    BIT(VIRTIO_NET_F_GUEST_TSO4) |
						    BIT(VIRTIO_NET_F_GUEST_ECN));
	expect_passed(csum, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
}
END_TEST

START_TEST(short_message)
{
	struct packet got;

	ck_assert_int_eq(send(ends[1], "abc", 3, 0), 3);
	ck_assert_int_lt(receive(&got), HEADER);
	ck_assert_int_eq(receive(&got), -EAGAIN);
}
END_TEST

/* No more than that: it isn't the end of the connection. */
START_TEST(empty_message)
{
	struct packet got;

	ck_assert_int_eq(send(ends[1], "", 0, 0), 0);
	put(0, 0);
	ck_assert_int_eq(receive(&got), 1);
	ck_assert_int_eq(receive(&got), sizeof(got));
	ck_assert_int_eq(receive(&got), -EAGAIN);
}
END_TEST

START_TEST(no_room)
{
	struct packet packet = {.header.flags = 0};
	const struct iovec iov = {&packet, sizeof(packet)};
	ssize_t ret;

	do
		ret = backend->ops->send(backend, 0, &iov, 1);
	while (ret > 0);
	ck_assert_int_eq(ret, -EAGAIN);
}
END_TEST

START_TEST(peer_gone)
{
	struct packet packet = {.header.flags = 0};
	const struct iovec iov = {&packet, sizeof(packet)};

	close(ends[1]);
	ends[1] = -1;
	ck_assert_int_eq(receive(&packet), -EPIPE);
	ck_assert_int_eq(backend->ops->send(backend, 0, &iov, 1), -EPIPE);
}
END_TEST

/* What the peer sent before it left still comes, though it hasn't read all of ours. */
START_TEST(peer_gone_with_packets_between)
{
	struct packet packet = {.header.flags = 0};
	const struct iovec iov = {&packet, sizeof(packet)};

	ck_assert_int_eq(backend->ops->send(backend, 0, &iov, 1), sizeof(packet));
	put(0, 0);
	close(ends[1]);
	ends[1] = -1;
	ck_assert_int_eq(receive(&packet), 1); /* that is the kernel's ECONNRESET */
	ck_assert_int_eq(receive(&packet), sizeof(packet));
	ck_assert_int_eq(receive(&packet), -EPIPE);
}
END_TEST

/* Of a datagram socket, an empty message is none the less a message. */
START_TEST(datagrams)
{
	struct packet got;

	open_pair(SOCK_DGRAM);
	ck_assert_int_eq(send(ends[1], "", 0, 0), 0);
	put(0, 0);
	ck_assert_int_eq(receive(&got), 1);
	ck_assert_int_eq(receive(&got), sizeof(got));
	tear_down();
}
END_TEST

START_TEST(refused)
{
	struct error err;
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert(!fd_is_socket(file));
	ck_assert_int_eq(fd_backend_create(file, &backend, &err), -ENOTSOCK);
	ck_assert_int_eq(fd_backend_create(-1, &backend, NULL), -EBADF);
	close(file);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert(fd_is_socket(ends[0]));
	ck_assert_int_eq(fd_backend_create(ends[0], &backend, &err), -EPROTOTYPE);
	ck_assert_ptr_nonnull(strstr(err.text, "SOCK_SEQPACKET"));
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("fd");
	TCase *pair = tcase_create("pair"), *others = tcase_create("others");

	tcase_add_checked_fixture(pair, set_up, tear_down);
	tcase_add_test(pair, sends);
	tcase_add_test(pair, receives);
	tcase_add_test(pair, offloads_that_were_not_accepted);
	tcase_add_test(pair, short_message);
	tcase_add_test(pair, empty_message);
	tcase_add_test(pair, no_room);
	tcase_add_test(pair, peer_gone);
	tcase_add_test(pair, peer_gone_with_packets_between);
	suite_add_tcase(suite, pair);
	tcase_add_test(others, datagrams);
	tcase_add_test(others, refused);
	suite_add_tcase(suite, others);
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
