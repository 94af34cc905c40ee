/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vhost_user_backend/far_end.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/vhost_user_backend/message.h"

enum {
	HEADER = sizeof(struct virtio_net_hdr_v1),
};

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), size = HEADER;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0)
		failure("tap %s: %s", name, strerror(errno));
	return fd;
}

/* What is sent here waits in a socket until it is received. */
static void open_echo(struct far_end *far)
{
	int ends[2], size = 4 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		failure("echo: %s", strerror(errno));
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	far->send_fd = ends[0];
	far->receive_fd = ends[1];
}

void far_end_open(struct far_end *far, const char *text)
{
	far->send_fd = far->receive_fd = -1;
	far->echo = strcmp(text, "echo") == 0;
	far->tap = strncmp(text, "tap=", 4) == 0;
	if (far->echo)
		open_echo(far);
	else if (far->tap)
		far->send_fd = far->receive_fd = open_tap(text + 4);
	else if (strncmp(text, "socketpair/fd=", 14) == 0)
		far->send_fd = far->receive_fd = atoi(text + 14);
	else if (strcmp(text, "sink") != 0)
		failure("%s: echo, sink, socketpair/fd=N or tap=NAME is expected", text);
	if (far->send_fd >= 0 && (fcntl(far->send_fd, F_SETFL, O_NONBLOCK) < 0 ||
				  fcntl(far->receive_fd, F_SETFL, O_NONBLOCK) < 0))
		failure("%s: %s", text, strerror(errno));
}

static bool has(uint64_t features, unsigned int feature)
{
	return features >> feature & 1;
}

void far_end_set_features(struct far_end *far, uint64_t features)
{
	unsigned int offload = has(features, VIRTIO_NET_F_GUEST_CSUM) ? TUN_F_CSUM : 0;

	if (has(features, VIRTIO_NET_F_GUEST_TSO4))
		offload |= TUN_F_TSO4;
	if (has(features, VIRTIO_NET_F_GUEST_TSO6))
		offload |= TUN_F_TSO6;
	if (far->tap && ioctl(far->send_fd, TUNSETOFFLOAD, offload) < 0)
		failure("TUNSETOFFLOAD: %s", strerror(errno));
}

/* Turn a packet back to where it came from. False if it is for many. */
static bool turn(struct packet *packet)
{
	struct virtio_net_hdr_v1 *header = (struct virtio_net_hdr_v1 *)packet->data;
	struct ethhdr *ethernet = (struct ethhdr *)(header + 1);
	uint8_t own[ETH_ALEN];

	if (ethernet->h_dest[0] & 1)
		return false;
	memcpy(own, ethernet->h_dest, ETH_ALEN);
	memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	memcpy(ethernet->h_source, own, ETH_ALEN);
	/* A field that nobody needs on the way tells where it came from. */
	header->num_buffers = (uint16_t)packet->pair;
	return true;
}

bool far_end_send(struct far_end *far, struct packet *packet)
{
	if (packet->len < HEADER + ETH_HLEN || far->send_fd < 0 || (far->echo && !turn(packet)))
		return true;
	if (write(far->send_fd, packet->data, packet->len) >= 0)
		return true;
	far->full = !far->echo && (errno == EAGAIN || errno == ENOBUFS);
	if (!far->full && far->lost++ == 0)
		say("packets are lost: %s", strerror(errno));
	return !far->full;
}

bool far_end_receive(struct far_end *far)
{
	struct packet *packet = &far->pending;
	ssize_t n;

	if (packet->len)
		return true;
	n = far->receive_fd < 0 ? 0 : read(far->receive_fd, packet->data, sizeof(packet->data));
	if (n < HEADER + ETH_HLEN || n > PACKET_MAX) {
		if (n > 0)
			say("a packet of %zd bytes is lost", n);
		return false;
	}
	packet->len = (size_t)n;
	packet->pair = far->echo ? ((struct virtio_net_hdr_v1 *)packet->data)->num_buffers : 0;
	return true;
}

static bool complete_checksum(struct packet *packet, const struct virtio_net_hdr_v1 *header)
{
	uint8_t *frame = packet->data + HEADER;
	size_t len = packet->len - HEADER;
	size_t start = header->csum_start, at = start + header->csum_offset;
	uint32_t sum = 0;

	if (at + 2 > len)
		return false;
	for (size_t i = start; i < len; i++)
		sum += (i - start) % 2 ? frame[i] : (uint32_t)frame[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = sum == 0xffff ? sum : ~sum;
	frame[at] = (uint8_t)(sum >> 8);
	frame[at + 1] = (uint8_t)sum;
	return true;
}

bool far_end_fit(struct packet *packet, uint64_t features)
{
	struct virtio_net_hdr_v1 header;
	bool good = true;

	memcpy(&header, packet->data, HEADER);
	switch (header.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		good = has(features, VIRTIO_NET_F_GUEST_TSO4);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		good = has(features, VIRTIO_NET_F_GUEST_TSO6);
		break;
	default:
		good = false;
	}
	if (header.gso_type & VIRTIO_NET_HDR_GSO_ECN)
		good = good && has(features, VIRTIO_NET_F_GUEST_ECN);
	header.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (good && header.flags && !has(features, VIRTIO_NET_F_GUEST_CSUM)) {
		good = complete_checksum(packet, &header);
		header.flags = 0;
	}
	memcpy(packet->data, &header, HEADER);
	return good;
}

void far_end_rarp(struct far_end *far, const uint8_t mac[6])
{
	/* RFC 903, for Ethernet and IPv4: a "request reverse". */
	static const uint8_t fixed[10] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};
	struct packet packet = {.len = HEADER + 60};
	uint8_t *frame = packet.data + HEADER;

	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, fixed, sizeof(fixed));
	memcpy(frame + 22, mac, 6);
	memcpy(frame + 32, mac, 6);
	if (!far_end_send(far, &packet))
		say("the RARP request is lost");
}
