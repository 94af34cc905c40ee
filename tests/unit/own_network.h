/* SPDX-License-Identifier: Apache-2.0 */
/* Taps of the kernel's own, in a network namespace of the test's own. */
#ifndef TESTS_UNIT_OWN_NETWORK_H
#define TESTS_UNIT_OWN_NETWORK_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/core/fd.h"

enum {
	SKIP = 77,
};

static inline struct ifreq tap_request(const char *name, short flags)
{
	struct ifreq ifr = {.ifr_flags = flags};

	strcpy(ifr.ifr_name, name);
	return ifr;
}

/* A device as "ip tuntap add" makes it: it stays when it is closed. */
static inline int tap_make(const char *name, int flags, long owner)
{
	struct ifreq ifr = tap_request(name, (short)(flags | IFF_NO_PI));
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
	if (owner >= 0 && ioctl(fd, TUNSETOWNER, owner) < 0) {
		close(fd);
		return -errno;
	}
	close(fd);
	return 0;
}

static inline void tap_remove(const char *name, int flags)
{
	struct ifreq ifr = tap_request(name, (short)(flags | IFF_NO_PI));
	FD_CLEANUP int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (if_nametoindex(name) && ioctl(fd, TUNSETIFF, &ifr) == 0)
		ioctl(fd, TUNSETPERSIST, 0);
}

/* As "ip link delete" does it, whoever has it open. */
static inline void tap_delete(const char *name)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} message = {
		.header = {sizeof(message), RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0},
		.info = {.ifi_index = (int)if_nametoindex(name)},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} reply;
	FD_CLEANUP int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	ck_assert_int_eq(send(fd, &message, sizeof(message), 0), sizeof(message));
	ck_assert_int_ge(recv(fd, &reply, sizeof(reply), MSG_TRUNC), (ssize_t)sizeof(reply));
	ck_assert_int_eq(reply.error.error, 0);
}

static inline void tap_set_up(const char *name, bool up)
{
	struct ifreq ifr = tap_request(name, up ? IFF_UP : 0);
	FD_CLEANUP int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
}

static inline bool write_file(const char *path, const char *text)
{
	FD_CLEANUP int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* A network namespace of our own, as root or as the root of a user namespace. */
static inline bool enter_network(void)
{
	char map[32];

	if (unshare(CLONE_NEWNET) < 0) {
		snprintf(map, sizeof(map), "0 %u 1", geteuid());
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 ||
		    !write_file("/proc/self/setgroups", "deny") ||
		    !write_file("/proc/self/uid_map", map))
			return false;
	}
	return true;
}

/* The same, with taps to be had; or say why not: a test ends with SKIP then. */
static inline bool enter_network_with_taps(void)
{
	if (!enter_network())
		printf("skipped: no network namespace can be had: %s\n", strerror(errno));
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		printf("skipped: /dev/net/tun: %s\n", strerror(errno));
	else
		return true;
	return false;
}

#endif
