/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/guest/lib/frame.h"

enum {
	STATUS_SKIP = 77,
	SOCKET_BUFFER = 64 << 20, /* the test may be slower than the guest */
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void map_root(uid_t uid, gid_t gid)
{
	char map[64];

	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
}

void enter_network_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(uid == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		fprintf(stderr, "skipped: no network namespace: %s\n", strerror(errno));
		exit(STATUS_SKIP);
	}
	if (uid != 0)
		map_root(uid, gid);
	if (access("/dev/net/tun", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: /dev/net/tun: %s\n", strerror(errno));
		exit(STATUS_SKIP);
	}
}

static void set_up(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_UP};
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	inet_pton(AF_INET, "10.0.0.1", &address.sin_addr);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	ck_assert_int_eq(ioctl(fd, SIOCSIFADDR, &request), 0);
	inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
	memcpy(&request.ifr_netmask, &address, sizeof(address));
	ck_assert_int_eq(ioctl(fd, SIOCSIFNETMASK, &request), 0);
	close(fd);
}

void tap_create(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &request), 0);
	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	set_up(name);
}

static void set_option(int fd, int level, int option, int value)
{
	ck_assert_int_eq(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

int tap_open_socket(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

void tap_wait_attached(const char *name)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	do
		ck_assert_int_eq(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	while (!(request.ifr_flags & IFF_RUNNING) && usleep(1000) == 0);
	/* The flag comes first, the queueing discipline in the same hold of a lock, which this
	 * takes. */
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

void test_frame_fill(struct test_frame *frame, const uint8_t to[6], const uint8_t from[6],
		     uint8_t operation, uint32_t number, size_t len)
{
	memcpy(frame->ethernet.to, to, 6);
	memcpy(frame->ethernet.from, from, 6);
	write_be16(frame->ethernet.type, ETHERTYPE_TEST);
	frame->operation = operation;
	write_be32(frame->number, number);
	for (size_t i = 0; i < len - sizeof(*frame); i++)
		frame->payload[i] = (uint8_t)(number + i);
}

void packet_send(int socket, const struct packet *packet)
{
	struct iovec parts[] = {
		{.iov_base = (void *)&packet->header, .iov_len = sizeof(packet->header)},
		{.iov_base = (void *)packet->frame, .iov_len = packet->len},
	};
	ssize_t sent = writev(socket, parts, 2);

	ck_assert_msg(sent == (ssize_t)(sizeof(packet->header) + packet->len),
		      "sending %zu bytes: %s", packet->len, strerror(errno));
}

bool packet_receive(int socket, struct packet *packet, int milliseconds)
{
	struct iovec parts[] = {
		{.iov_base = &packet->header, .iov_len = sizeof(packet->header)},
		{.iov_base = packet->frame, .iov_len = sizeof(packet->frame)},
	};
	struct pollfd readable = {.fd = socket, .events = POLLIN};
	const struct ethhdr *ethernet = (const struct ethhdr *)packet->frame;
	ssize_t n;

	do {
		if (poll(&readable, 1, milliseconds) != 1)
			return false;
		n = readv(socket, parts, 2);
		ck_assert_int_gt(n, (ssize_t)sizeof(packet->header));
		packet->len = (size_t)n - sizeof(packet->header);
	} while (ethernet->h_proto == htons(ETH_P_IPV6));
	return true;
}
