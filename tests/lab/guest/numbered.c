/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of numbered UDP datagrams, to see what a network does to it:
 *
 *	numbered send ADDRESS PORT COUNT PER_SECOND
 *	numbered receive PORT COUNT SECONDS
 *
 * The receiver ends after the last number, or when nothing has come for SECONDS, and prints
 * "received=N lost=N repeated=N reordered=N gap_ms=N": the longest time between two datagrams.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL

static int fail(const char *what)
{
	perror(what);
	return EXIT_FAILURE;
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

static int send_all(int fd, const struct sockaddr_in *to, uint32_t count, long long per_second)
{
	long long start = now_ns();
	uint32_t datagram[16] = {0};

	for (uint32_t i = 0; i < count; i++) {
		long long due = start + i * NS / per_second;
		struct timespec ts = {due / NS, due % NS};

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		datagram[0] = htonl(i);
		while (sendto(fd, datagram, sizeof(datagram), 0, (const struct sockaddr *)to,
			      sizeof(*to)) < 0) {
			if (errno != ENOBUFS)
				return fail("numbered: send");
			usleep(1000);
		}
	}
	return EXIT_SUCCESS;
}

static int receive_all(int fd, uint32_t count, int seconds)
{
	uint8_t *seen = calloc(count, 1);
	unsigned int received = 0, repeated = 0, reordered = 0, lost = 0;
	long long last = 0, longest = 0;
	uint32_t next = 0;

	while (seen && next < count) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		uint32_t datagram[16], number;

		/* The first one may take its time. */
		if (poll(&pfd, 1, seconds * 1000 * (last ? 1 : 10)) != 1 ||
		    recv(fd, datagram, sizeof(datagram), 0) < (ssize_t)sizeof(datagram[0]))
			break;
		number = ntohl(datagram[0]);
		if (last && now_ns() - last > longest)
			longest = now_ns() - last;
		last = now_ns();
		if (number >= count)
			continue;
		received++;
		repeated += seen[number];
		if (number < next && !seen[number]) {
			reordered++;
			fprintf(stderr, "numbered: %u comes after %u\n", number, next - 1);
		}
		seen[number] = 1;
		next = number + 1 > next ? number + 1 : next;
	}
	for (uint32_t i = 0; seen && i < count; i++) {
		uint32_t first = i;

		while (i < count && !seen[i])
			i++;
		if (i > first)
			fprintf(stderr, "numbered: %u to %u are lost\n", first, i - 1);
		lost += i - first;
	}
	printf("received=%u lost=%u repeated=%u reordered=%u gap_ms=%lld\n", received, lost,
	       repeated, reordered, longest / 1000000);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;

	if (argc == 6 && strcmp(argv[1], "send") == 0) {
		address.sin_port = htons((uint16_t)atoi(argv[3]));
		if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
			return fail(argv[2]);
		return send_all(fd, &address, (uint32_t)atol(argv[4]), atol(argv[5]));
	}
	if (argc == 5 && strcmp(argv[1], "receive") == 0) {
		address.sin_port = htons((uint16_t)atoi(argv[2]));
		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
		    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			return fail("numbered: bind");
		return receive_all(fd, (uint32_t)atol(argv[3]), atoi(argv[4]));
	}
	fprintf(stderr, "usage: numbered send ADDRESS PORT COUNT PER_SECOND\n"
			"       numbered receive PORT COUNT SECONDS\n");
	return 2;
}
