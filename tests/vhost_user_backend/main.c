/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user back-end for a network device that checks every message against the specification
 * (QEMU's docs/interop/vhost-user.rst), moves packets, and can be told to misbehave. On standard
 * error it says what it does. Exit status: 0 after SIGTERM, or --once and the end of the
 * connection; 1 it failed; 2 wrong usage; 3 the front-end has violated the specification,
 * "violation: ..." says how.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/vhost_user_backend/misbehave.h"
#include "tests/vhost_user_backend/session.h"

static const char usage[] =
	"usage: vhost-user-backend (--socket PATH [--client] | --fd N) [OPTION]... MODE\n"
	"MODE: echo | sink | socketpair/fd=N | tap=NAME\n"
	"  --once                       end with the first connection\n"
	"  --queues N                   pairs of rings (1)\n"
	"  --features LIST              offer these virtio features and no others\n"
	"  --no-feature NAME            do without one; may be given often\n"
	"  --protocol-features LIST     the same of the protocol; none: not even the possibility\n"
	"  --die-at N                   kill itself when message N has come\n"
	"  --die-after-packets N[,taken|written|moved|published]\n"
	"  --mute-at N                  answer nothing from message N on\n"
	"  --lie KIND[=VALUE]@REQUEST   in the answer to REQUEST: size=N, huge, code=N, flags=N,\n"
	"                               fds=N, value=N, truncated; or when it comes: unasked,\n"
	"                               request=N, bad-request=N (on the back-end channel)\n";

struct name {
	const char *name;
	unsigned int bit;
};

static const struct name features[] = {
	{"CSUM", VIRTIO_NET_F_CSUM},
	{"GUEST_CSUM", VIRTIO_NET_F_GUEST_CSUM},
	{"MTU", VIRTIO_NET_F_MTU},
	{"GUEST_TSO4", VIRTIO_NET_F_GUEST_TSO4},
	{"GUEST_TSO6", VIRTIO_NET_F_GUEST_TSO6},
	{"HOST_TSO4", VIRTIO_NET_F_HOST_TSO4},
	{"HOST_TSO6", VIRTIO_NET_F_HOST_TSO6},
	{"MRG_RXBUF", VIRTIO_NET_F_MRG_RXBUF},
	{"CTRL_VQ", VIRTIO_NET_F_CTRL_VQ},
	{"GUEST_ANNOUNCE", VIRTIO_NET_F_GUEST_ANNOUNCE},
	{"MQ", VIRTIO_NET_F_MQ},
	{"INDIRECT_DESC", VIRTIO_RING_F_INDIRECT_DESC},
	{"EVENT_IDX", VIRTIO_RING_F_EVENT_IDX},
	{"PROTOCOL_FEATURES", F_PROTOCOL_FEATURES},
	{"VERSION_1", VIRTIO_F_VERSION_1},
	{"RING_PACKED", VIRTIO_F_RING_PACKED},
	{"IN_ORDER", 35},
	{NULL, 0},
};

/* Those from LOG_SHMFD on are known by name only: to see that nobody takes them. */
static const struct name protocol_features[] = {
	{"MQ", PROTOCOL_F_MQ},
	{"RARP", PROTOCOL_F_RARP},
	{"REPLY_ACK", PROTOCOL_F_REPLY_ACK},
	{"NET_MTU", PROTOCOL_F_NET_MTU},
	{"BACKEND_REQ", PROTOCOL_F_BACKEND_REQ},
	{"INFLIGHT_SHMFD", PROTOCOL_F_INFLIGHT_SHMFD},
	{"RESET_DEVICE", PROTOCOL_F_RESET_DEVICE},
	{"CONFIGURE_MEM_SLOTS", PROTOCOL_F_CONFIGURE_MEM_SLOTS},
	{"STATUS", PROTOCOL_F_STATUS},
	{"LOG_SHMFD", 1},
	{"CONFIG", 9},
	{"BACKEND_SEND_FD", 10},
	{"HOST_NOTIFIER", 11},
	{"INBAND_NOTIFICATIONS", 14},
	{NULL, 0},
};

enum {
	N_PROTOCOL_DEFAULT = 9,
};

static struct session session;
static struct far_end far_end;
static volatile sig_atomic_t terminated;

/* --- options --- */

_Noreturn static void wrong_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static uint64_t bit_of(const struct name *names, const char *name)
{
	for (; names->name; names++)
		if (strcmp(names->name, name) == 0)
			return 1ULL << names->bit;
	fprintf(stderr, "no feature is known as %s\n", name);
	wrong_usage();
}

static uint64_t bits_of(const struct name *names, char *list)
{
	uint64_t bits = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ","))
		bits |= strcmp(name, "none") == 0 ? 0 : bit_of(names, name);
	return bits;
}

struct options {
	const char *path;
	bool client, once;
	int fd;
	struct offer offer;
};

static void default_offer(struct offer *offer)
{
	for (const struct name *name = features; name->name; name++)
		offer->features |= 1ULL << name->bit;
	for (unsigned int i = 0; i < N_PROTOCOL_DEFAULT; i++)
		offer->protocol |= 1ULL << protocol_features[i].bit;
	offer->queue_pairs = 1;
}

static void complete_offer(struct offer *offer)
{
	if (!offer->protocol)
		offer->features &= ~(1ULL << F_PROTOCOL_FEATURES);
	if (!(offer->features >> F_PROTOCOL_FEATURES & 1))
		offer->protocol = 0;
	if (offer->queue_pairs == 1)
		offer->features &= ~(1ULL << VIRTIO_NET_F_MQ);
}

static void parse_option(struct options *options, int option)
{
	struct offer *offer = &options->offer;

	switch (option) {
	case 's':
		options->path = optarg;
		break;
	case 'c':
		options->client = true;
		break;
	case 'f':
		options->fd = atoi(optarg);
		break;
	case 'o':
		options->once = true;
		break;
	case 'q':
		offer->queue_pairs = (unsigned int)atoi(optarg);
		if (!offer->queue_pairs || offer->queue_pairs > QUEUE_PAIRS_MAX)
			wrong_usage();
		break;
	case 'F':
		offer->features = bits_of(features, optarg);
		break;
	case 'N':
		offer->features &= ~bit_of(features, optarg);
		break;
	case 'P':
		offer->protocol = bits_of(protocol_features, optarg);
		break;
	case 'd':
		misbehave_die_at(optarg);
		break;
	case 'D':
		misbehave_die_after_packets(optarg);
		break;
	case 'm':
		misbehave_mute_at(optarg);
		break;
	case 'l':
		misbehave_lie(optarg);
		break;
	default:
		wrong_usage();
	}
}

static void parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"socket", 1, NULL, 's'},     {"client", 0, NULL, 'c'},
		{"fd", 1, NULL, 'f'},	      {"once", 0, NULL, 'o'},
		{"queues", 1, NULL, 'q'},     {"features", 1, NULL, 'F'},
		{"no-feature", 1, NULL, 'N'}, {"protocol-features", 1, NULL, 'P'},
		{"die-at", 1, NULL, 'd'},     {"die-after-packets", 1, NULL, 'D'},
		{"mute-at", 1, NULL, 'm'},    {"lie", 1, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	int option;

	default_offer(&options->offer);
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		parse_option(options, option);
	if (optind + 1 != argc || !options->path == (options->fd < 0))
		wrong_usage();
	complete_offer(&options->offer);
	far_end_open(&far_end, argv[optind]);
}

/* --- the socket --- */

static int open_socket(const char *path, struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (fd < 0 || strlen(path) >= sizeof(address->sun_path))
		failure("%s: no socket can be there", path);
	memcpy(address->sun_path, path, strlen(path));
	return fd;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address;
	int fd = open_socket(path, &address);

	unlink(path); /* who was killed has left it */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		failure("%s: %s", path, strerror(errno));
	say("listening");
	return fd;
}

/* Connect as soon as somebody listens. */
static int connect_to(const char *path)
{
	struct sockaddr_un address;

	while (!terminated) {
		int fd = open_socket(path, &address);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		close(fd);
		poll(NULL, 0, 20);
	}
	return -1;
}

/* --- the loop --- */

enum {
	AT_SOCKET,
	AT_REQUEST,
	AT_ARRIVAL, /* at the far end */
	AT_ROOM,
	AT_RINGS,
};

/* Whether there is a ring to put a packet into. */
static bool wants_packets(void)
{
	for (unsigned int i = 0; i < session.n_rings; i += 2)
		if (!far_end.pending.len && queue_works(&session.rings[i]))
			return true;
	return false;
}

static int wait_for_work(struct pollfd *polls, bool at_once)
{
	int timeout = at_once ? 0 : -1;

	polls[AT_SOCKET] = (struct pollfd){.fd = session.socket, .events = POLLIN};
	polls[AT_REQUEST] = (struct pollfd){.fd = session.request_fd, .events = POLLIN};
	polls[AT_ARRIVAL] = (struct pollfd){.fd = wants_packets() ? far_end.receive_fd : -1,
					    .events = POLLIN};
	polls[AT_ROOM] = (struct pollfd){.fd = far_end.full ? far_end.send_fd : -1,
					 .events = POLLOUT};
	for (unsigned int i = 0; i < session.n_rings; i++) {
		const struct queue *queue = &session.rings[i];

		polls[AT_RINGS + i] = (struct pollfd){.fd = queue->kick_fd, .events = POLLIN};
		if (queue->polled && timeout < 0)
			timeout = 1;
	}
	return poll(polls, AT_RINGS + session.n_rings, timeout);
}

static void take_kick(struct queue *queue)
{
	uint64_t count;

	if (read(queue->kick_fd, &count, sizeof(count)) == sizeof(count))
		queue_start(queue, &session.context);
}

/* An echo whose ring is gone. */
static void drop_stray(void)
{
	unsigned int index = 2 * far_end.pending.pair;

	if (index >= session.n_rings || (far_end.echo && !queue_works(&session.rings[index])))
		far_end.pending.len = 0;
}

static bool move_packets(void)
{
	bool more = false;

	drop_stray();

	far_end.full = false;
	for (unsigned int i = 0; i < session.n_rings; i += 2)
		more |= queue_serve_pair(&session.rings[i], &session.rings[i + 1], &session.context,
					 &far_end);
	return more;
}

static void serve(int socket, const struct offer *offer)
{
	struct pollfd polls[AT_RINGS + 2 * QUEUE_PAIRS_MAX];
	bool more = false;

	session_begin(&session, socket, offer, &far_end);
	while (!terminated) {
		if (wait_for_work(polls, more) < 0)
			continue;
		for (unsigned int i = 0; i < session.n_rings; i++)
			if (polls[AT_RINGS + i].revents)
				take_kick(&session.rings[i]);
		if (polls[AT_REQUEST].revents)
			session_read_answer(&session);
		if (polls[AT_SOCKET].revents && !session_serve(&session))
			break;
		more = move_packets();
	}
	session_end(&session);
}

static void terminate(int signal)
{
	(void)signal;
	terminated = 1;
}

int main(int argc, char **argv)
{
	struct options options = {.fd = -1};
	const struct sigaction action = {.sa_handler = terminate};
	int listening = -1;

	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	sigaction(SIGTERM, &action, NULL);
	parse(&options, argc, argv);
	if (options.path && !options.client)
		listening = listen_at(options.path);
	while (!terminated) {
		int socket = options.fd;

		if (options.path)
			socket = options.client ? connect_to(options.path)
						: accept4(listening, NULL, NULL, SOCK_CLOEXEC);
		if (socket < 0)
			continue;
		serve(socket, &options.offer);
		if (options.once || options.fd >= 0)
			break;
	}
	return EXIT_SUCCESS;
}
