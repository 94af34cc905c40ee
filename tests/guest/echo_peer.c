/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the host: sends each frame that comes out of a tap to TEST_MAC back to where it came
 * from, virtio-net header included, for the guest "selftest".
 *
 *	echo_peer INTERFACE
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/frame.h"

static int open_socket(const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	static const uint8_t own[6] = TEST_MAC;
	static struct {
		struct virtio_net_hdr header;
		struct ethernet_header ethernet;
		uint8_t data[1 << 17];
	} __attribute__((packed)) packet;
	int fd = argc == 2 ? open_socket(argv[1]) : -1;

	if (fd < 0) {
		perror("echo_peer INTERFACE");
		return 1;
	}
	/* Whoever started it has seen nothing go wrong once this line is there. */
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t len = recv(fd, &packet, sizeof(packet), 0);

		if (len < (ssize_t)(sizeof(packet.header) + sizeof(packet.ethernet)) ||
		    memcmp(packet.ethernet.to, own, sizeof(own)) != 0)
			continue;
		memcpy(packet.ethernet.to, packet.ethernet.from, sizeof(own));
		memcpy(packet.ethernet.from, own, sizeof(own));
		if (send(fd, &packet, (size_t)len, 0) < 0)
			perror("echo_peer");
	}
}
