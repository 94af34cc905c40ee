/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of the network benchmarks, and their floors.
 *
 *	packets tap-write TAP SIZE SECONDS	floor: a writev(2) a packet
 *	packets tap-read TAP SECONDS		floor: a readv(2) a packet
 *	packets tap-ping TAP SIZE COUNT		floor: written, and read when it came back
 *	packets memcpy SIZE SECONDS		floor of whoever copies
 *	packets flood INTERFACE SIZE [FLOWS]	sends, until it is killed; so many UDP flows in turn
 *	packets echo INTERFACE			sends back what comes, until it is killed
 *	packets tsc				the frequency of the TSC
 *
 * The floors and tsc print a JSON object. SIZE is a frame's, without virtio's header; above 1514
 * bytes it is a TCP segment to be cut.
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "tests/guest/lib/frame.h"

enum {
	STATUS_FAILED = 1,
	FRAME_MAX = 65550,
	TURNS = 64, /* between two looks at the clock */
	LOST_MS = 100,
	GSO_HEADERS = 54,
	SPREAD = 64, /* buffers that a copy takes in turn */
};

/* As on a tap: virtio's header (1.0 and later), then the frame. */
struct packet {
	struct virtio_net_hdr_v1 header;
	uint8_t frame[FRAME_MAX];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int result, const char *what)
{
	if (result < 0)
		err(STATUS_FAILED, "%s", what);
}

static size_t parse_size(const char *text)
{
	size_t size = strtoul(text, NULL, 0);

	if (size < ETH_HLEN || size > FRAME_MAX)
		errx(STATUS_FAILED, "SIZE is %d to %d", ETH_HLEN, FRAME_MAX);
	return size;
}

static void make_packet(struct packet *packet, size_t size)
{
	static const uint8_t from[6] = TEST_MAC;
	struct ethernet_header *ethernet = (struct ethernet_header *)packet->frame;
	struct ipv4_header *ip = (struct ipv4_header *)(ethernet + 1);

	*packet = (struct packet){.header.num_buffers = 0};
	memset(ethernet->to, 0xff, sizeof(ethernet->to));
	memcpy(ethernet->from, from, sizeof(from));
	write_be16(ethernet->type, ETHERTYPE_TEST);
	if (size <= ETH_FRAME_LEN)
		return;
	packet->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	packet->header.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	packet->header.hdr_len = GSO_HEADERS;
	packet->header.gso_size = 1448;
	packet->header.csum_start = GSO_HEADERS - 20;
	packet->header.csum_offset = 16;
	write_be16(ethernet->type, ETHERTYPE_IPV4);
	*ip = (struct ipv4_header){.version_length = 0x45, .ttl = 64, .protocol = IP_TCP};
	write_be16(ip->length, (unsigned int)(size - ETH_HLEN));
	((uint8_t *)(ip + 1))[12] = 5 << 4; /* the TCP header's length */
}

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int header_size = sizeof(struct virtio_net_hdr_v1);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	must(fd, "/dev/net/tun");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	must(ioctl(fd, TUNSETIFF, &request), name);
	must(ioctl(fd, TUNSETVNETHDRSZ, &header_size), "TUNSETVNETHDRSZ");
	must(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4), "TUNSETOFFLOAD");
	return fd;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htobe16(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htobe16(ETH_P_ALL));
	int on = 1;

	must(fd, "packet socket");
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), name);
	must(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)), "QDISC_BYPASS");
	must(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), "PACKET_VNET_HDR");
	must(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), "OUTGOING");
	return fd;
}

static void print_rate(uint64_t packets, double seconds)
{
	printf("{\"pps\": %.0f}\n", (double)packets / seconds);
}

static void tap_write(const char *name, size_t size, double seconds)
{
	static struct packet packet;
	struct iovec parts[] = {{&packet, sizeof(packet.header) + size}};
	int fd = open_tap(name);
	uint64_t n = 0;
	double start = now(), end = start + seconds;

	make_packet(&packet, size);
	do {
		for (unsigned int i = 0; i < TURNS; i++)
			n += writev(fd, parts, 1) > 0;
	} while (now() < end);
	print_rate(n, now() - start);
}

static void wait_readable(int fd)
{
	struct pollfd events = {.fd = fd, .events = POLLIN};

	must(poll(&events, 1, LOST_MS), "poll");
}

static void tap_read(const char *name, double seconds)
{
	static struct packet packet;
	struct iovec parts[] = {{&packet, sizeof(packet)}};
	int fd = open_tap(name);
	uint64_t n = 0;
	double start, end;

	/* The flood begins when it finds the tap's carrier. */
	while (readv(fd, parts, 1) < 0)
		wait_readable(fd);
	start = now();
	end = start + seconds;
	do {
		for (unsigned int i = 0; i < TURNS; i++)
			if (readv(fd, parts, 1) > 0)
				n++;
			else
				wait_readable(fd);
	} while (now() < end);
	print_rate(n, now() - start);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* As the guest does it, without sleeping. */
static void tap_ping(const char *name, size_t size, size_t count)
{
	static struct packet packet, answer;
	double *samples = calloc(count, sizeof(samples[0]));
	int fd = open_tap(name);
	uint64_t lost = 0;

	if (samples == NULL || count == 0)
		errx(STATUS_FAILED, "COUNT");
	make_packet(&packet, size);
	for (size_t n = 0; n < count;) {
		double start = now();
		ssize_t got = -1;

		must((int)write(fd, &packet, sizeof(packet.header) + size), "write");
		while (got < 0 && now() - start < LOST_MS / 1e3)
			got = read(fd, &answer, sizeof(answer));
		if (got > 0)
			samples[n++] = (now() - start) * 1e6;
		else
			lost++;
	}
	qsort(samples, count, sizeof(samples[0]), compare);
	printf("{\"median_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"lost\": %lu}\n",
	       samples[count / 2], samples[count * 99 / 100], samples[count * 999 / 1000], lost);
}

static void copy(size_t size, double seconds)
{
	static struct packet from[SPREAD], to[SPREAD];
	uint64_t n = 0;
	double start, end;

	memset(from, 1, sizeof(from));
	memset(to, 1, sizeof(to));
	start = now();
	end = start + seconds;
	do {
		for (unsigned int i = 0; i < SPREAD; i++, n++) {
			memcpy(&to[i], &from[i], sizeof(from[i].header) + size);
			__asm__ volatile("" : : "r"(&to[i]) : "memory");
		}
	} while (now() < end);
	print_rate(n, now() - start);
}

/* UDP that only its source port tells apart: a tap with several queues goes by such a hash. */
static void make_flow(struct packet *packet, unsigned int flow)
{
	struct udp_packet *udp = (struct udp_packet *)packet->frame;

	write_be16(udp->ethernet.type, ETHERTYPE_IPV4);
	udp->ip = (struct ipv4_header){.version_length = 0x45, .ttl = 64, .protocol = IP_UDP};
	write_be16(udp->ip.length, sizeof(*udp) - ETH_HLEN);
	write_be16(udp->from_port, 1024 + flow);
	write_be16(udp->to_port, 9);
	write_be16(udp->length, 8);
}

static void flood(const char *name, size_t size, unsigned int flows)
{
	static struct packet packet;
	/* The socket's header has no num_buffers: the frame follows 10 bytes. */
	struct iovec parts[] = {{&packet.header, sizeof(struct virtio_net_hdr)},
				{packet.frame, size}};
	int fd = open_interface(name);

	make_packet(&packet, size);
	for (unsigned int i = 0;; i++) {
		if (flows > 1)
			make_flow(&packet, i % flows);
		/* ENETDOWN until somebody has the tap open; ENOBUFS when it is full. */
		if (writev(fd, parts, 2) < 0 && errno != ENOBUFS && errno != ENETDOWN &&
		    errno != EAGAIN)
			err(STATUS_FAILED, "%s", name);
	}
}

static void echo(const char *name)
{
	static uint8_t packet[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	int fd = open_interface(name);

	for (;;) {
		ssize_t len = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

		if (len > 0 && send(fd, packet, (size_t)len, 0) < 0 && errno != ENOBUFS)
			err(STATUS_FAILED, "%s", name);
	}
}

static void tsc(void)
{
	double start = now();
	uint64_t ticks = __rdtsc();

	usleep(100000);
	ticks = __rdtsc() - ticks;
	printf("{\"hz\": %.0f}\n", (double)ticks / (now() - start));
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "tap-write") == 0 && argc == 5)
		tap_write(argv[2], parse_size(argv[3]), strtod(argv[4], NULL));
	else if (strcmp(mode, "tap-read") == 0 && argc == 4)
		tap_read(argv[2], strtod(argv[3], NULL));
	else if (strcmp(mode, "tap-ping") == 0 && argc == 5)
		tap_ping(argv[2], parse_size(argv[3]), strtoul(argv[4], NULL, 0));
	else if (strcmp(mode, "memcpy") == 0 && argc == 4)
		copy(parse_size(argv[2]), strtod(argv[3], NULL));
	else if (strcmp(mode, "flood") == 0 && (argc == 4 || argc == 5))
		flood(argv[2], parse_size(argv[3]), argc == 5 ? (unsigned int)atoi(argv[4]) : 1);
	else if (strcmp(mode, "echo") == 0 && argc == 3)
		echo(argv[2]);
	else if (strcmp(mode, "tsc") == 0 && argc == 2)
		tsc();
	else
		errx(STATUS_FAILED, "usage: see the head of tests/bench/packets.c");
	return 0;
}
