/* SPDX-License-Identifier: Apache-2.0 */
/* Taps of the kernel's own, in a network namespace of this test's own. */
#include "virtio/tap.h"

#include <arpa/inet.h>
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/unit/own_network.h"
#include "virtio/defs.h"
#include "virtio/net_backend.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"

#define BIT(name) (1ULL << (name))

enum {
	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME = 100,
	ETHERTYPE = 0x88b5, /* for local experiments (IEEE 802): none but ours */
};

static char message[512];
static struct error err;
static struct net_backend *backend;

static void log_message(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	ck_assert_int_eq(level, LOG_LEVEL_WARNING);
	ck_assert_str_eq(message, "");
	strncpy(message, text, sizeof(message) - 1);
}

static const struct logger logger = {log_message, NULL};

static void setup(void)
{
	message[0] = '\0';
	err = (struct error){0};
	backend = NULL;
	ck_assert_int_eq(tap_make("tap0", IFF_TAP, -1), 0);
	tap_set_up("tap0", true);
}

static void teardown(void)
{
	if (backend)
		backend->ops->destroy(backend);
	tap_remove("tap0", IFF_TAP);
	tap_remove("tap1", IFF_TAP);
	tap_remove("many0", IFF_TAP | IFF_MULTI_QUEUE);
	tap_remove("tun0", IFF_TUN);
}

static void create(void)
{
	if (tap_create("tap0", 1, NULL, &logger, &backend, &err))
		ck_abort_msg("%s", err.text);
}

static void assert_error_of(const char *name, unsigned int queue_pairs, int code, const char *text)
{
	ck_assert_int_eq(tap_create(name, queue_pairs, NULL, &logger, &backend, &err), code);
	ck_assert_int_eq(err.code, code);
	ck_assert_str_eq(err.text, text);
	ck_assert_str_eq(message, "");
	/* Without words, too. */
	ck_assert_int_eq(tap_create(name, queue_pairs, NULL, NULL, &backend, NULL), code);
	ck_assert_ptr_null(backend);
}

static void assert_error(const char *name, int code, const char *text)
{
	assert_error_of(name, 1, code, text);
}

/* --- errors --- */

START_TEST(missing)
{
	assert_error("tap9", -ENODEV,
		     "tap9: no such network interface; try: ip tuntap add tap9 mode tap && "
		     "ip link set tap9 up");
	ck_assert(!err.usage);
	/* It doesn't come into being by that. */
	ck_assert_uint_eq(if_nametoindex("tap9"), 0);
}
END_TEST

START_TEST(name_too_long)
{
	assert_error("sixteen-letters-", -EINVAL,
		     "sixteen-letters-: an interface name has at most 15 characters");
	ck_assert(err.usage);
}
END_TEST

START_TEST(busy)
{
	struct net_backend *first;

	ck_assert_int_eq(tap_create("tap0", 1, NULL, NULL, &first, &err), 0);
	assert_error("tap0", -EBUSY,
		     "tap0: in use by another process; try: another tap, or end that process");
	first->ops->destroy(first);
	create();
}
END_TEST

static void drop_net_admin(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2];

	ck_assert_int_eq((int)syscall(SYS_capget, &header, caps), 0);
	caps[0].effective &= ~(1u << CAP_NET_ADMIN);
	ck_assert_int_eq((int)syscall(SYS_capset, &header, caps), 0);
}

START_TEST(another_owner)
{
	/* In a user namespace with one user there is no other. */
	if (tap_make("tap1", IFF_TAP, 1234))
		return;
	drop_net_admin();
	assert_error("tap1", -EPERM,
		     "tap1: Operation not permitted: it belongs to uid 1234; try: ip link del "
		     "tap1; ip tuntap add tap1 mode tap user $USER");
}
END_TEST

START_TEST(own)
{
	ck_assert_int_eq(tap_make("tap1", IFF_TAP, 0), 0);
	tap_set_up("tap1", true);
	drop_net_admin();
	ck_assert_int_eq(tap_create("tap1", 1, NULL, &logger, &backend, &err), 0);
}
END_TEST

START_TEST(not_multi_queue)
{
	assert_error_of(
		"tap0", 4, -EINVAL,
		"tap0: it has one queue, and several were asked for; try: ip link del tap0; ip "
		"tuntap add tap0 mode tap multi_queue");
	assert_error_of("tap9", 4, -ENODEV,
			"tap9: no such network interface; try: ip tuntap add tap9 mode tap "
			"multi_queue && ip link set tap9 up");
}
END_TEST

/* The kernel would let two processes share one. */
START_TEST(multi_queue_busy)
{
	struct net_backend *first;

	ck_assert_int_eq(tap_make("many0", IFF_TAP | IFF_MULTI_QUEUE, -1), 0);
	ck_assert_int_eq(tap_create("many0", _i ? 3 : 1, NULL, NULL, &first, &err), 0);
	if (_i)
		ck_assert_int_eq(first->ops->set_queues(first, 1), 0);
	assert_error_of("many0", 2, -EBUSY,
			"many0: in use by another process; try: another tap, or end that process");
	first->ops->destroy(first);
	tap_set_up("many0", true);
	ck_assert_int_eq(tap_create("many0", 2, NULL, &logger, &backend, &err), 0);
}
END_TEST

START_TEST(tun)
{
	ck_assert_int_eq(tap_make("tun0", IFF_TUN, -1), 0);
	assert_error("tun0", -EINVAL,
		     "tun0: it is a tun device, not a tap; try: ip tuntap del tun0 mode "
		     "tun; ip tuntap add tun0 mode tap");
}
END_TEST

START_TEST(no_tap_at_all)
{
	assert_error("lo", -EINVAL, "lo: it is not a tap device");
}
END_TEST

START_TEST(no_permission)
{
	/* In a user namespace with one user there is no other. */
	if (seteuid(65534) < 0)
		return;
	if (eaccess("/dev/net/tun", R_OK | W_OK) < 0)
		assert_error("tap0", -EACCES,
			     "tap0: /dev/net/tun: Permission denied; try: sudo chmod 0666 "
			     "/dev/net/tun");
	ck_assert_int_eq(seteuid(0), 0);
	prctl(PR_SET_DUMPABLE, 1); /* for LeakSanitizer */
}
END_TEST

START_TEST(interface_down)
{
	tap_set_up("tap0", false);
	create();
	ck_assert_str_eq(message, "tap0: the interface is down, so no packet passes; try: ip link "
				  "set tap0 up");
}
END_TEST

START_TEST(interface_up)
{
	create();
	ck_assert_str_eq(message, "");
}
END_TEST

/* Let socket() fail with EPERM for netlink, as where xvmm is confined. */
static void deny_netlink(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* Without being told it finds out which kind of tap it is. */
START_TEST(without_netlink)
{
	ck_assert_int_eq(tap_make("many0", IFF_TAP | IFF_MULTI_QUEUE, -1), 0);
	deny_netlink();
	assert_error("tap9", -ENODEV,
		     "tap9: no such network interface; try: ip tuntap add tap9 mode tap && "
		     "ip link set tap9 up");
	assert_error("lo", -EINVAL, "lo: it is not a tap device");
	for (unsigned int n = 1; n <= 2; n++) {
		if (tap_create("many0", n, NULL, &logger, &backend, &err))
			ck_abort_msg("%u queues: %s", n, err.text);
		backend->ops->destroy(backend);
		backend = NULL;
	}
	create();
}
END_TEST

/* No descriptor is left, which isn't that the interface is missing. */
START_TEST(no_descriptors)
{
	struct rlimit before, none;
	int ret;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ret = tap_create("tap0", 1, NULL, &logger, &backend, &err);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(ret, -EMFILE);
	ck_assert_ptr_nonnull(strstr(err.text, "Too many open files"));
}
END_TEST

/* --- what it is set to --- */

static const char *tap_name = "tap0";

static uint32_t ethtool(uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq ifr = tap_request(tap_name, 0);
	FD_CLEANUP int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ifr.ifr_data = (char *)&value;
	ck_assert_int_eq(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	return value.data;
}

static int header_size_of(int fd)
{
	int size = 0;

	ck_assert_int_eq(ioctl(fd, TUNGETVNETHDRSZ, &size), 0);
	return size;
}

START_TEST(header_size)
{
	int fd;

	create();
	fd = backend->ops->fd(backend, 0);
	ck_assert_int_eq(header_size_of(fd), HEADER);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_HASH_REPORT)), 0);
	ck_assert_int_eq(header_size_of(fd), sizeof(struct virtio_net_hdr_v1_hash));
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	ck_assert_int_eq(header_size_of(fd), HEADER);
}
END_TEST

START_TEST(offloads)
{
	const uint64_t transmit = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) |
				  BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN) |
				  BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_HASH_REPORT);
	const uint64_t receive = BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
				 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
				 BIT(VIRTIO_NET_F_GUEST_UFO);
	const uint64_t uso = BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_GUEST_USO4) |
			     BIT(VIRTIO_NET_F_GUEST_USO6);
	uint64_t offered;

	create();
	/* Every kernel that we know of can do them all, USO only a newer one (Linux 6.2). */
	offered = backend->ops->features(backend);
	ck_assert_uint_eq(offered & ~uso, transmit | receive);
	ck_assert(!(offered & uso) || (offered & uso) == uso);
	/* None is on until a driver accepts it. */
	ck_assert_uint_eq(ethtool(ETHTOOL_GTXCSUM), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTSO), 0);
	ck_assert_int_eq(backend->ops->set_features(backend, transmit), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTXCSUM), 0);
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM)), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTXCSUM), 1);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTSO), 0);
	ck_assert_int_eq(backend->ops->set_features(backend, offered), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTSO), 1);
	/* What has no meaning by itself is left out. */
	ck_assert_int_eq(
		backend->ops->set_features(backend, receive & ~BIT(VIRTIO_NET_F_GUEST_CSUM)), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTSO), 0);
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM) |
								     BIT(VIRTIO_NET_F_GUEST_ECN) |
								     BIT(VIRTIO_NET_F_GUEST_USO4)),
			 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTXCSUM), 1);
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTXCSUM), 0);
	ck_assert_uint_eq(ethtool(ETHTOOL_GTSO), 0);
}
END_TEST

/* --- packets --- */

static uint8_t frame[FRAME];

static int packet_socket_on(const char *name, uint16_t ethertype)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ethertype),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	for (size_t i = 0; i < FRAME; i++)
		frame[i] = (uint8_t)i;
	memset(frame, 0xff, 6);
	frame[12] = (uint8_t)(ethertype >> 8);
	frame[13] = (uint8_t)ethertype;
	return fd;
}

static int packet_socket(void)
{
	return packet_socket_on("tap0", ETHERTYPE);
}

static void wait_for(int fd, short events)
{
	struct pollfd pfd = {.fd = fd, .events = events};

	ck_assert_int_eq(poll(&pfd, 1, 5000), 1);
	ck_assert(pfd.revents & events);
}

START_TEST(sends)
{
	FD_CLEANUP int fd = packet_socket();
	struct virtio_net_hdr_v1 header = {0};
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, 5},
			      {(char *)&header + 5, HEADER - 5},
			      {frame, 40},
			      {frame + 40, FRAME - 40}};

	create();
	wait_for(backend->ops->fd(backend, 0), POLLOUT);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 4), HEADER + FRAME);
	wait_for(fd, POLLIN);
	ck_assert_int_eq(read(fd, got, sizeof(got)), FRAME);
	ck_assert_mem_eq(got, frame, FRAME);
	/* What the kernel refuses is an error, and does no harm. */
	ck_assert_int_lt(backend->ops->send(backend, 0, iov, 2), 0);
	header.gso_type = 0x7f;
	ck_assert_int_lt(backend->ops->send(backend, 0, iov, 4), 0);
	header.gso_type = 0;
	tap_set_up("tap0", false);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 4), -EIO);
	tap_set_up("tap0", true);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 4), HEADER + FRAME);
}
END_TEST

/* 5.1.6.2.2: a hint. The kernel refuses one that can't be; the packet goes none the less. */
static const uint16_t hdr_lens[] = {0, 1, ETH_HLEN - 1, ETH_HLEN, FRAME, FRAME + 1, UINT16_MAX};

START_TEST(sends_with_any_hdr_len)
{
	FD_CLEANUP int fd = packet_socket();
	struct virtio_net_hdr_v1_hash header = {.hdr.hdr_len = htole16(hdr_lens[_i])};
	uint8_t packet[sizeof(header) + FRAME], got[2 * FRAME];
	const uint64_t features[] = {0, BIT(VIRTIO_NET_F_HASH_REPORT)};

	create();
	for (size_t i = 0; i < 2; i++) {
		const size_t size = i ? sizeof(header) : HEADER;
		const struct iovec whole[] = {{packet, size + FRAME}};
		const struct iovec apart[] = {{packet, size}, {packet + size, FRAME}};
		/* The header ends within a piece. */
		const struct iovec pieces[] = {{packet, 5},
					       {packet + 5, 0},
					       {packet + 5, size + 10},
					       {packet + size + 15, FRAME - 15}};

		ck_assert_int_eq(backend->ops->set_features(backend, features[i]), 0);
		memcpy(packet, &header, size);
		memcpy(packet + size, frame, FRAME);
		ck_assert_int_eq(backend->ops->send(backend, 0, whole, 1), (ssize_t)size + FRAME);
		ck_assert_int_eq(backend->ops->send(backend, 0, apart, 2), (ssize_t)size + FRAME);
		ck_assert_int_eq(backend->ops->send(backend, 0, pieces, 4), (ssize_t)size + FRAME);
		for (int sent = 0; sent < 3; sent++) {
			wait_for(fd, POLLIN);
			ck_assert_int_eq(read(fd, got, sizeof(got)), FRAME);
			ck_assert_mem_eq(got, frame, FRAME);
		}
		/* It is the driver's memory. */
		ck_assert_mem_eq(packet, &header, size);
	}
}
END_TEST

/* As many pieces as a backend is given, in a system call that takes IOV_MAX. */
START_TEST(sends_many_pieces_with_bad_hdr_len)
{
	FD_CLEANUP int fd = packet_socket();
	const struct virtio_net_hdr_v1 header = {.hdr_len = UINT16_MAX};
	uint8_t packet[HEADER + IOV_MAX], got[2 * IOV_MAX];
	struct iovec iov[IOV_MAX - 1];

	create();
	memcpy(packet, &header, HEADER);
	memset(packet + HEADER, 0x5a, IOV_MAX);
	memcpy(packet + HEADER, frame, FRAME);
	iov[0] = (struct iovec){packet, HEADER + 1};
	for (int i = 1; i < IOV_MAX - 1; i++)
		iov[i] = (struct iovec){packet + HEADER + i, 1};
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, IOV_MAX - 1), HEADER + IOV_MAX - 1);
	wait_for(fd, POLLIN);
	ck_assert_int_eq(read(fd, got, sizeof(got)), IOV_MAX - 1);
	ck_assert_mem_eq(got, packet + HEADER, IOV_MAX - 1);
}
END_TEST

/* Too short for a header in front of it, or wrong in other ways. */
START_TEST(does_not_send)
{
	struct virtio_net_hdr_v1 header = {.hdr_len = 1};
	const struct iovec iov[] = {{&header, HEADER}, {frame, ETH_HLEN - 1}, {frame, FRAME}};

	create();
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 1), -EINVAL);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 2), -EINVAL);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov + 1, 1), -EINVAL);
	header.gso_type = 0x7f;
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 3), -EINVAL);
}
END_TEST

static bool is_ours(const uint8_t *ethernet)
{
	return ethernet[12] == ETHERTYPE >> 8 && ethernet[13] == (ETHERTYPE & 0xff);
}

/*
 * Have a frame sent through @fd and receive it. The kernel sends packets of its own, and drops what
 * comes before it has noticed, up to a second later, that the tap has a carrier now.
 */
static ssize_t pass_frame(int fd, const struct iovec *iov, unsigned int n, const uint8_t *ethernet)
{
	struct pollfd pfd = {.fd = backend->ops->fd(backend, 0), .events = POLLIN};

	for (int tries = 0; tries < 100; tries++) {
		ck_assert_int_eq(write(fd, frame, FRAME), FRAME);
		while (poll(&pfd, 1, 100) == 1) {
			ssize_t len = backend->ops->receive(backend, 0, iov, n);

			ck_assert_int_ge(len, HEADER + ETH_HLEN);
			if (is_ours(ethernet))
				return len;
		}
	}
	ck_abort_msg("no packet");
}

START_TEST(receives)
{
	FD_CLEANUP int fd = packet_socket();
	struct virtio_net_hdr_v1 header;
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, HEADER}, {got, 50}, {got + 50, sizeof(got) - 50}};

	create();
	memset(&header, 0xff, sizeof(header));
	ck_assert_int_eq(pass_frame(fd, iov, 3, got), HEADER + FRAME);
	ck_assert_mem_eq(got, frame, FRAME);
	ck_assert_uint_eq(header.flags, 0);
	ck_assert_uint_eq(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	/* Cut to what there is room for. */
	iov[2].iov_len = 10;
	ck_assert_int_eq(pass_frame(fd, iov, 3, got), HEADER + 60);
}
END_TEST

/* A tap that somebody else has attached. */
static int attached(int flags)
{
	struct ifreq ifr = tap_request("tap0", (short)flags);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

START_TEST(adopted)
{
	struct virtio_net_hdr_v1 header = {0};
	struct iovec iov[] = {{&header, HEADER}, {frame, FRAME}};
	FD_CLEANUP int sniffer = packet_socket();
	int fd = attached(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);

	ck_assert_msg(tap_adopt(fd, NULL, &backend, &err) == 0, "%s", err.text);
	close(fd);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 2), HEADER + FRAME);
	wait_for(sniffer, POLLIN);
	while (backend->ops->receive(backend, 0, iov, 2) > 0)
		;
	ck_assert_int_eq(backend->ops->receive(backend, 0, iov, 2), -EAGAIN);
}
END_TEST

/* Whatever it was limited to by who opened it. */
START_TEST(send_buffer)
{
	FD_CLEANUP int fd = attached(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	int size;

	ck_assert_int_eq(ioctl(fd, TUNSETSNDBUF, &(int){1}), 0);
	ck_assert_msg(tap_adopt(fd, NULL, &backend, &err) == 0, "%s", err.text);
	ck_assert_int_eq(ioctl(fd, TUNGETSNDBUF, &size), 0);
	ck_assert_int_eq(size, INT_MAX);
}
END_TEST

START_TEST(not_adopted)
{
	FD_CLEANUP int file = open("/dev/null", O_RDWR | O_CLOEXEC);
	FD_CLEANUP int fd = attached(IFF_TAP | IFF_NO_PI);

	ck_assert_int_eq(tap_adopt(file, NULL, &backend, NULL), -EBADFD);
	ck_assert_int_eq(tap_adopt(fd, NULL, &backend, &err), -EBADFD);
	ck_assert_ptr_nonnull(strstr(err.text, "tap0 must be attached with"));
	ck_assert_ptr_null(backend);
}
END_TEST

/* A driver gets nothing that the one before it, which accepted more, has left in the tap. */
START_TEST(offloads_of_another_driver)
{
	FD_CLEANUP int fd = packet_socket();
	const struct virtio_net_hdr partial = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	struct virtio_net_hdr_v1 header;
	uint8_t got[2 * FRAME];
	struct iovec in[] = {{&header, HEADER}, {got, sizeof(got)}};
	struct iovec out[] = {{(void *)&partial, sizeof(partial)}, {frame, FRAME}};

	create();
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM)), 0);
	pass_frame(fd, in, 2, got);
	ck_assert_int_eq(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &(int){1}, sizeof(int)), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(writev(fd, out, 2), sizeof(partial) + FRAME);
	do
		ck_assert_int_gt(backend->ops->receive(backend, 0, in, 2), 0);
	while (!is_ours(got));
	ck_assert_uint_eq(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	/* With the same features, as after a change of the datapath, nothing is lost. */
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM)), 0);
	do
		ck_assert_int_gt(backend->ops->receive(backend, 0, in, 2), 0);
	while (!is_ours(got));
	ck_assert_uint_eq(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	/* With fewer, what waits is lost, and the next is without it. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(writev(fd, out, 2), sizeof(partial) + FRAME);
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	ck_assert_int_eq(writev(fd, out, 2), sizeof(partial) + FRAME);
	do
		ck_assert_int_gt(backend->ops->receive(backend, 0, in, 2), 0);
	while (!is_ours(got));
	ck_assert_uint_eq(header.flags, 0);
}
END_TEST

/* False if this kernel has no queue of that length. */
static bool set_queue_length(int length)
{
	struct ifreq ifr = tap_request("tap0", 0);
	FD_CLEANUP int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ifr.ifr_qlen = length;
	if (ioctl(fd, SIOCSIFTXQLEN, &ifr) == 0)
		return true;
	ck_assert_msg(errno == ERANGE, "%s", strerror(errno));
	return false;
}

/* So many packets wait for a driver that accepts what the next one doesn't. */
static void fill_queue(int fd, int n)
{
	struct virtio_net_hdr_v1 header;
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, HEADER}, {got, sizeof(got)}};

	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_GUEST_CSUM)), 0);
	pass_frame(fd, iov, 2, got);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(write(fd, frame, ETH_HLEN), ETH_HLEN);
}

static void assert_no_frame(void)
{
	struct virtio_net_hdr_v1 header;
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, HEADER}, {got, sizeof(got)}};

	/* The kernel may send something of its own. */
	while (backend->ops->receive(backend, 0, iov, 2) > 0)
		ck_assert(!is_ours(got));
}

/* However many may wait. */
START_TEST(drains_a_long_queue)
{
	FD_CLEANUP int fd = packet_socket();

	create();
	if (!set_queue_length(70000)) {
		fprintf(stderr, "tap: SKIP drains_a_long_queue: this kernel's is shorter\n");
		return;
	}
	fill_queue(fd, 70000);
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	assert_no_frame();
}
END_TEST

/* There is another of that name where we are. */
START_TEST(drains_a_tap_of_another_namespace)
{
	FD_CLEANUP int namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	FD_CLEANUP int fd = packet_socket();

	create();
	fill_queue(fd, 100);
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(tap_make("tap0", IFF_TAP, -1), 0);
	ck_assert(set_queue_length(10));
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
	assert_no_frame();
	ck_assert_int_eq(setns(namespace, CLONE_NEWNET), 0);
}
END_TEST

/* Have frames sent until one comes; the queue that it comes by. */
static unsigned int queue_of_frame(int fd, unsigned int queues)
{
	struct virtio_net_hdr_v1 header;
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, HEADER}, {got, sizeof(got)}};
	struct pollfd pfds[4];

	for (int tries = 0; tries < 100; tries++) {
		ck_assert_int_eq(write(fd, frame, FRAME), FRAME);
		for (unsigned int i = 0; i < queues; i++)
			pfds[i] = (struct pollfd){backend->ops->fd(backend, i), POLLIN, 0};
		if (poll(pfds, queues, 50) < 1)
			continue;
		for (unsigned int i = 0; i < queues; i++) {
			while (backend->ops->receive(backend, i, iov, 2) > 0) {
				if (memcmp(got, frame, FRAME) == 0)
					return i;
			}
		}
	}
	ck_abort_msg("no packet");
}

/* Packets come by the queues in use, many flows by all of them; any queue sends. */
START_TEST(several_queues)
{
	static const uint8_t ip[20] = {69, 0, 0, 86, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10};
	struct virtio_net_hdr_v1 header = {0};
	struct iovec iov[] = {{&header, HEADER}, {frame, FRAME}};
	uint8_t got[2 * FRAME];
	unsigned int seen = 0;
	FD_CLEANUP int fd = -1;

	ck_assert_int_eq(tap_make("many0", IFF_TAP | IFF_MULTI_QUEUE, -1), 0);
	tap_set_up("many0", true);
	ck_assert_int_eq(tap_create("many0", 4, NULL, &logger, &backend, &err), 0);
	fd = packet_socket_on("many0", ETH_P_IP);
	memcpy(frame + 14, ip, sizeof(ip));
	/* Each source address is a flow; the kernel spreads them by their hash. */
	for (uint8_t flow = 1; seen != 15 && flow < 200; flow++) {
		frame[14 + 15] = flow;
		seen |= 1u << queue_of_frame(fd, 4);
	}
	ck_assert_uint_eq(seen, 15);
	for (unsigned int n = 3; n > 0; n--) {
		ck_assert_int_eq(backend->ops->set_queues(backend, n), 0);
		for (int i = 0; i < 8; i++)
			ck_assert_uint_lt(queue_of_frame(fd, 4), n);
	}
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert_int_eq(backend->ops->send(backend, i, iov, 2), HEADER + FRAME);
		wait_for(fd, POLLIN);
		ck_assert_int_eq(read(fd, got, sizeof(got)), FRAME);
	}
	ck_assert_int_eq(backend->ops->set_queues(backend, 4), 0);
	queue_of_frame(fd, 4);
}
END_TEST

/* 5.1.6.5.5: a flow comes where it is sent from; but an acknowledgement doesn't move it. */
START_TEST(flows_are_followed)
{
	enum {
		UDP,
		TCP_DATA,
		TCP_ACKNOWLEDGEMENT,
	};
	static const uint8_t ip[20] = {69, 0, 0,  86, 0, 0, 0,	0, 64, 0,
				       0,  0, 10, 0,  0, 1, 10, 0, 0,  2};
	const size_t answer_len = _i == TCP_ACKNOWLEDGEMENT ? 54 : FRAME;
	struct virtio_net_hdr_v1 header = {0};
	uint8_t answer[FRAME];
	struct iovec iov[] = {{&header, HEADER}, {answer, answer_len}};
	FD_CLEANUP int fd = -1;

	ck_assert_int_eq(tap_make("many0", IFF_TAP | IFF_MULTI_QUEUE, -1), 0);
	tap_set_up("many0", true);
	ck_assert_int_eq(tap_create("many0", 4, NULL, &logger, &backend, &err), 0);
	fd = packet_socket_on("many0", ETH_P_IP);
	memcpy(frame + 14, ip, sizeof(ip));
	frame[14 + 9] = _i == UDP ? IPPROTO_UDP : IPPROTO_TCP;
	memset(frame + 34, 0, 20);
	frame[34 + 1] = 1; /* ports 1 and 2 */
	frame[34 + 3] = 2;
	frame[34 + 12] = 5 << 4; /* of TCP: the size of its header */
	memcpy(answer, frame, FRAME);
	memcpy(answer + 14 + 12, frame + 14 + 16, 4);
	memcpy(answer + 14 + 16, frame + 14 + 12, 4);
	answer[34 + 1] = 2;
	answer[34 + 3] = 1;
	for (unsigned int queue = 0; queue < 8; queue++) {
		unsigned int before = queue_of_frame(fd, 4);

		ck_assert_int_eq(backend->ops->send(backend, queue % 4, iov, 2),
				 (ssize_t)(HEADER + answer_len));
		ck_assert_uint_eq(queue_of_frame(fd, 4),
				  _i == TCP_ACKNOWLEDGEMENT ? before : queue % 4);
	}
}
END_TEST

START_TEST(one_queue_of_many)
{
	FD_CLEANUP int fd = -1;

	ck_assert_int_eq(tap_make("many0", IFF_TAP | IFF_MULTI_QUEUE, -1), 0);
	tap_set_up("many0", true);
	ck_assert_int_eq(tap_create("many0", 1, NULL, &logger, &backend, &err), 0);
	fd = packet_socket_on("many0", ETHERTYPE);
	ck_assert_uint_eq(queue_of_frame(fd, 1), 0);
}
END_TEST

/* With room for the hash, which the tap leaves alone. */
START_TEST(receives_with_a_longer_header)
{
	FD_CLEANUP int fd = packet_socket();
	struct virtio_net_hdr_v1_hash header;
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, sizeof(header)}, {got, sizeof(got)}};

	create();
	ck_assert_int_eq(backend->ops->set_features(backend, BIT(VIRTIO_NET_F_HASH_REPORT)), 0);
	ck_assert_int_eq(pass_frame(fd, iov, 2, got), (ssize_t)sizeof(header) + FRAME);
	ck_assert_mem_eq(got, frame, FRAME);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, 2),
			 (ssize_t)(sizeof(header) + sizeof(got)));
}
END_TEST

/* What the tap can't pass on, here for lack of room for its header: dropped, and no end. */
START_TEST(drops_what_it_cannot_pass_on)
{
	FD_CLEANUP int fd = packet_socket();
	struct virtio_net_hdr_v1 header;
	uint8_t got[2 * FRAME];
	struct iovec iov[] = {{&header, HEADER}, {got, sizeof(got)}}, small = {&header, HEADER - 1};
	ssize_t ret;

	create();
	pass_frame(fd, iov, 2, got);
	ck_assert_int_eq(write(fd, frame, FRAME), FRAME);
	ck_assert_int_eq(backend->ops->receive(backend, 0, &small, 1), 1);
	do
		ret = backend->ops->receive(backend, 0, &small, 1);
	while (ret == 1);
	ck_assert_int_eq(ret, -EAGAIN);
}
END_TEST

START_TEST(nothing_to_receive)
{
	struct virtio_net_hdr_v1 header;
	struct iovec iov = {&header, HEADER};
	ssize_t ret;

	create();
	do
		ret = backend->ops->receive(backend, 0, &iov, 1);
	while (ret > 0);
	ck_assert_int_eq(ret, -EAGAIN);
}
END_TEST

int main(void)
{
	SRunner *runner;
	Suite *suite;
	TCase *tc;
	int failed;

	if (!enter_network_with_taps())
		return SKIP;
	suite = suite_create("tap");
	tc = tcase_create("tap");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, missing);
	tcase_add_test(tc, name_too_long);
	tcase_add_test(tc, busy);
	tcase_add_test(tc, another_owner);
	tcase_add_test(tc, own);
	tcase_add_test(tc, not_multi_queue);
	tcase_add_loop_test(tc, multi_queue_busy, 0, 2);
	tcase_add_test(tc, tun);
	tcase_add_test(tc, no_tap_at_all);
	tcase_add_test(tc, no_permission);
	tcase_add_test(tc, interface_down);
	tcase_add_test(tc, interface_up);
	tcase_add_test(tc, without_netlink);
	tcase_add_test(tc, no_descriptors);
	tcase_add_test(tc, adopted);
	tcase_add_test(tc, send_buffer);
	tcase_add_test(tc, not_adopted);
	tcase_add_test(tc, header_size);
	tcase_add_test(tc, offloads);
	tcase_add_test(tc, sends);
	tcase_add_loop_test(tc, sends_with_any_hdr_len, 0, 7);
	tcase_add_test(tc, sends_many_pieces_with_bad_hdr_len);
	tcase_add_test(tc, does_not_send);
	tcase_add_test(tc, receives);
	tcase_add_test(tc, offloads_of_another_driver);
	tcase_add_test(tc, drains_a_long_queue);
	tcase_add_test(tc, drains_a_tap_of_another_namespace);
	tcase_add_test(tc, drops_what_it_cannot_pass_on);
	tcase_add_test(tc, nothing_to_receive);
	tcase_add_test(tc, several_queues);
	tcase_add_loop_test(tc, flows_are_followed, 0, 3);
	tcase_add_test(tc, one_queue_of_many);
	tcase_add_test(tc, receives_with_a_longer_header);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
