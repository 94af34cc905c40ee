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
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return fd;
}

/*
 * Where the kernel has taken a VLAN tag out of a frame, put it back. @len is of the frame, without
 * the header; there is room for 4 bytes more. Returns its length.
 */
static size_t restore_tag(uint8_t *frame, size_t len, struct msghdr *message)
{
	enum {
		TAG = 12,
		TAG_SIZE = 4
	};

	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			continue;
		memmove(frame + TAG + TAG_SIZE, frame + TAG, len - TAG);
		write_be16(frame + TAG, ETH_P_8021Q);
		write_be16(frame + TAG + 2, aux.tp_vlan_tci);
		return len + TAG_SIZE;
	}
	return len;
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
		uint8_t control[256];
		struct iovec iov = {&packet, sizeof(packet) - 4};
		struct msghdr message = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &message, 0);
		size_t len;

		if (n < (ssize_t)(sizeof(packet.header) + sizeof(packet.ethernet)) ||
		    memcmp(packet.ethernet.to, own, sizeof(own)) != 0)
			continue;
		len = restore_tag((uint8_t *)&packet.ethernet, (size_t)n - sizeof(packet.header),
				  &message) +
		      sizeof(packet.header);
		memcpy(packet.ethernet.to, packet.ethernet.from, sizeof(own));
		memcpy(packet.ethernet.from, own, sizeof(own));
		if (send(fd, &packet, len, 0) < 0)
			perror("echo_peer");
	}
}
