/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the host: sends each frame that comes to TEST_MAC back to where it came from,
 * virtio-net header included, for the guests "selftest" and "hostile".
 *
 *	echo_peer INTERFACE
 *		the frames that come out of a tap
 *	echo_peer N COMMAND [ARGUMENT]...
 *		those of N unix sockets, which COMMAND has as descriptors 10, 11, ...; ends with it,
 *		and with its status
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/frame.h"

enum {
	FIRST_FD = 10, /* of the command; none that a shell or this program has */
	SOCKETS_MAX = 8,
};

static uint8_t packet[1 << 17]; /* a virtio-net header and a frame */

/* Whether the packet of @len bytes is for us; if so, it goes back now. */
static bool turn_round(ssize_t len, size_t header_size)
{
	static const uint8_t own[6] = TEST_MAC;
	struct ethernet_header *ethernet = (struct ethernet_header *)(packet + header_size);

	if (len < (ssize_t)(header_size + sizeof(*ethernet)) ||
	    memcmp(ethernet->to, own, sizeof(own)) != 0)
		return false;
	memcpy(ethernet->to, ethernet->from, sizeof(own));
	memcpy(ethernet->from, own, sizeof(own));
	return true;
}

/* --- a tap --- */

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

static int serve_interface(const char *interface)
{
	const size_t header_size = sizeof(struct virtio_net_hdr);
	int fd = open_socket(interface);

	if (fd < 0) {
		perror("echo_peer INTERFACE");
		return EXIT_FAILURE;
	}
	/* Whoever started it has seen nothing go wrong once this line is there. */
	puts("ready");
	fflush(stdout);
	for (;;) {
		uint8_t control[256];
		struct iovec iov = {packet, sizeof(packet) - 4};
		struct msghdr message = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &message, 0);
		size_t len;

		if (!turn_round(n, header_size))
			continue;
		len = restore_tag(packet + header_size, (size_t)n - header_size, &message) +
		      header_size;
		if (send(fd, packet, len, 0) < 0)
			perror("echo_peer");
	}
}

/* --- sockets of a command --- */

/* In the child: never returns. */
static void become(char **argv, const int *fds, unsigned int n)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int i = 0; i < n; i++)
		dup2(fds[i], (int)(FIRST_FD + i));
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void serve_socket(struct pollfd *pollfd)
{
	ssize_t len;

	if (!(pollfd->revents & POLLIN)) {
		pollfd->fd = -1; /* the command is gone */
		return;
	}
	len = recv(pollfd->fd, packet, sizeof(packet), MSG_DONTWAIT);
	/* No room: it is lost, as on a wire. */
	if (turn_round(len, sizeof(struct virtio_net_hdr_v1)) &&
	    send(pollfd->fd, packet, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static int serve_command(unsigned int n, char **argv)
{
	struct pollfd pollfds[SOCKETS_MAX];
	int theirs[SOCKETS_MAX];
	int status;
	pid_t pid;

	for (unsigned int i = 0; i < n; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
			perror("echo_peer");
			return EXIT_FAILURE;
		}
		pollfds[i] = (struct pollfd){.fd = pair[0], .events = POLLIN};
		theirs[i] = pair[1];
	}
	pid = fork();
	if (pid == 0)
		become(argv, theirs, n);
	for (unsigned int i = 0; i < n; i++)
		close(theirs[i]);
	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		bool any = false;

		for (unsigned int i = 0; i < n; i++)
			any = any || pollfds[i].fd >= 0;
		poll(pollfds, n, any ? -1 : 1);
		for (unsigned int i = 0; i < n; i++)
			if (pollfds[i].revents)
				serve_socket(&pollfds[i]);
	}
	if (pid < 0)
		perror("echo_peer");
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;

	if (argc == 2)
		return serve_interface(argv[1]);
	if (n < 1 || n > SOCKETS_MAX) {
		fputs("usage: echo_peer INTERFACE | N COMMAND [ARGUMENT]...\n", stderr);
		return EXIT_FAILURE;
	}
	return serve_command((unsigned int)n, argv + 2);
}
