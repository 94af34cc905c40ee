/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/user_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"

#ifdef XVMM_SLIRP

#include <dlfcn.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vmm/core/log.h"

enum {
	FRAME_MAX = 65535 + 14, /* an IP packet, and Ethernet before it */
	BATCH = 64,		/* frames of the guest, between looks at sockets */
	EXHAUSTED_MS = 10,	/* between attempts to accept a connection without descriptors */
	STALL_MS = 20,		/* how long a guest that takes no packets is waited for */
	COMPLAINTS = 10,	/* of the guest or the library that are logged */
	MTU_DEFAULT = 1500,
	MTU_MAX = 65521, /* of the library's */
};

/* Of libslirp, by their names. */
static const char library[] = "libslirp.so.0";

struct slirp_functions {
	__typeof__(slirp_new) *new;
	__typeof__(slirp_cleanup) *cleanup;
	__typeof__(slirp_pollfds_fill) *pollfds_fill;
	__typeof__(slirp_pollfds_poll) *pollfds_poll;
	__typeof__(slirp_input) *input;
	__typeof__(slirp_add_hostfwd) *add_hostfwd;
};

struct timer {
	struct timer *next;
	SlirpTimerCb callback;
	void *opaque;
	int64_t expires_ms; /* INT64_MAX: never */
};

struct user_net {
	int fd; /* borrowed */
	const struct logger *log;
	void *library; /* of dlopen(); never closed: GLib doesn't bear that */
	struct slirp_functions slirp_functions;
	Slirp *slirp;
	struct timer *timers; /* owned */
	struct pollfd *polls; /* owned; the first one is @fd's */
	int n_polls, max_polls;
	bool stalled; /* the guest takes no packets */
	unsigned int complaints;
	bool ended;
	struct {
		struct virtio_net_hdr_v1 header;
		uint8_t frame[FRAME_MAX];
	} packet; /* of the guest */
};

/* --- the library --- */

#define FUNCTION(name) ((__typeof__(name) *)dlsym(net->library, #name))

static int load(struct user_net *net, struct error *err)
{
	struct slirp_functions *functions = &net->slirp_functions;

	net->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!net->library) {
		error_set(err, -EOPNOTSUPP, "user-mode networking: %s; try: apt install libslirp0",
			  dlerror());
		return -EOPNOTSUPP;
	}
	*functions = (struct slirp_functions){
		.new = FUNCTION(slirp_new),
		.cleanup = FUNCTION(slirp_cleanup),
		.pollfds_fill = FUNCTION(slirp_pollfds_fill),
		.pollfds_poll = FUNCTION(slirp_pollfds_poll),
		.input = FUNCTION(slirp_input),
		.add_hostfwd = FUNCTION(slirp_add_hostfwd),
	};
	if (functions->new && functions->cleanup && functions->pollfds_fill &&
	    functions->pollfds_poll && functions->input && functions->add_hostfwd)
		return 0;
	error_set(err, -EOPNOTSUPP, "user-mode networking: %s is another version", library);
	return -EOPNOTSUPP;
}

/* --- what the library calls --- */

static int64_t clock_ns(void *opaque)
{
	struct timespec ts;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A guest could have it say something with each packet. */
static void guest_error(const char *text, void *opaque)
{
	struct user_net *net = opaque;

	if (net->complaints++ < COMPLAINTS)
		log_warning(net->log, "user-mode networking: %s", text);
	if (net->complaints == COMPLAINTS)
		log_warning(net->log, "user-mode networking: no more of these are told");
}

/* As GLib has it; its type for levels is an int. */
typedef void glib_handler(const char *domain, int level, const char *text, void *opaque);

static void glib_message(const char *domain, int level, const char *text, void *opaque)
{
	(void)domain;
	(void)level;
	guest_error(text, opaque);
}

/* Have what the library says by way of GLib come here, or (false) go to stderr again. */
static void hear_glib(struct user_net *net, bool here)
{
	glib_handler *(*set)(glib_handler *, void *) =
		(__typeof__(set))dlsym(net->library, "g_log_set_default_handler");
	glib_handler *handler = here ? glib_message
				     : (glib_handler *)dlsym(net->library, "g_log_default_handler");

	if (set && handler)
		set(handler, net);
}

static void *timer_new(SlirpTimerCb callback, void *callback_opaque, void *opaque)
{
	struct user_net *net = opaque;
	struct timer *timer = malloc(sizeof(*timer));

	/* The library can't do without, as with all its memory. */
	if (!timer)
		abort();
	*timer = (struct timer){net->timers, callback, callback_opaque, INT64_MAX};
	net->timers = timer;
	return timer;
}

static void timer_free(void *timer, void *opaque)
{
	struct user_net *net = opaque;
	struct timer **link = &net->timers;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
	free(timer);
}

static void timer_mod(void *timer, int64_t expires_ms, void *opaque)
{
	(void)opaque;
	((struct timer *)timer)->expires_ms = expires_ms;
}

/* All that is to be watched is asked for in each round. */
static void poll_fd_changed(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void notify(void *opaque)
{
	(void)opaque;
}

/*
 * A packet for the guest, complete: no offloads. If the guest takes none it waits a little, once,
 * and is lost then, as on a wire.
 */
static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
	struct user_net *net = opaque;
	struct virtio_net_hdr_v1 header = {.num_buffers = 1};
	struct iovec iov[] = {{&header, sizeof(header)}, {(void *)frame, len}};
	const struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	struct pollfd room = {.fd = net->fd, .events = POLLOUT};

	for (;;) {
		if (sendmsg(net->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
			net->stalled = false;
			return (ssize_t)len;
		}
		if (errno != EINTR && (errno != EAGAIN || net->stalled))
			return (ssize_t)len;
		net->stalled = poll(&room, 1, STALL_MS) == 0;
	}
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = poll_fd_changed,
	.unregister_poll_fd = poll_fd_changed,
	.notify = notify,
};

/* --- its beginning and end --- */

static const char *address_text(struct in_addr address, char text[INET_ADDRSTRLEN])
{
	return inet_ntop(AF_INET, &address, text, INET_ADDRSTRLEN);
}

static int listen_on(struct user_net *net, const struct user_net_forward *forward,
		     struct error *err)
{
	char host[INET_ADDRSTRLEN];
	const char *cure;

	if (net->slirp_functions.add_hostfwd(net->slirp, forward->udp, forward->host,
					     forward->host_port, forward->guest,
					     forward->guest_port) == 0)
		return 0;
	switch (errno) {
	case EADDRINUSE:
		cure = "; try: another port";
		break;
	case EACCES:
		cure = "; try: a port from 1024 on";
		break;
	case EADDRNOTAVAIL:
		cure = "; try: an address of this machine";
		break;
	default:
		cure = "";
		break;
	}
	return error_set(err, -errno, "user-mode networking: listening on %s:%s:%u: %s%s",
			 forward->udp ? "udp" : "tcp", address_text(forward->host, host),
			 forward->host_port, strerror(errno), cure);
}

static int start(struct user_net *net, const struct user_net_config *config, struct error *err)
{
	const size_t mtu = config->mtu ? config->mtu : MTU_DEFAULT;
	SlirpConfig slirp = {
		.version = SLIRP_CONFIG_VERSION_MIN,
		.restricted = config->restricted,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = mtu < MTU_MAX ? mtu : MTU_MAX,
		.if_mru = mtu < MTU_MAX ? mtu : MTU_MAX,
	};
	int ret = load(net, err);

	if (ret)
		return ret;
	hear_glib(net, true);
	inet_pton(AF_INET, "10.0.2.0", &slirp.vnetwork);
	inet_pton(AF_INET, "255.255.255.0", &slirp.vnetmask);
	inet_pton(AF_INET, "10.0.2.2", &slirp.vhost);
	inet_pton(AF_INET, "10.0.2.3", &slirp.vnameserver);
	inet_pton(AF_INET, user_net_guest, &slirp.vdhcp_start);
	inet_pton(AF_INET6, "fec0::", &slirp.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &slirp.vhost6);
	inet_pton(AF_INET6, "fec0::3", &slirp.vnameserver6);
	net->slirp = net->slirp_functions.new(&slirp, &callbacks, net);
	if (!net->slirp)
		return error_set(err, -EINVAL, "user-mode networking: libslirp refuses to begin");
	for (size_t i = 0; i < config->n_forwards && !ret; i++)
		ret = listen_on(net, &config->forwards[i], err);
	return ret;
}

int user_net_create(const struct user_net_config *config, struct user_net **net, struct error *err)
{
	int ret;

	*net = calloc(1, sizeof(**net));
	if (!*net)
		return error_set(err, -ENOMEM, "user-mode networking: out of memory");
	(*net)->fd = config->fd;
	(*net)->log = config->log;
	ret = start(*net, config, err);
	if (ret) {
		user_net_destroy(*net);
		*net = NULL;
	}
	return ret;
}

void user_net_destroy(struct user_net *net)
{
	if (!net)
		return;
	if (net->slirp)
		net->slirp_functions.cleanup(net->slirp);
	if (net->library)
		hear_glib(net, false);
	while (net->timers)
		timer_free(net->timers, net);
	free(net->polls);
	free(net);
}

/* --- packets of the guest --- */

/* RFC 1071, over what is there: the driver has put the sum of the pseudo header into its place. */
static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint64_t)data[i] << 8 | data[i + 1];
	if (len & 1)
		sum += (uint64_t)data[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/*
 * virtio 1.3, section 5.1.6.2: the driver left the checksum to us. A packet that it left us to cut
 * into segments is one large one for the library, which has no reason to cut it.
 */
static bool complete_checksum(struct user_net *net, size_t len)
{
	const struct virtio_net_hdr_v1 *header = &net->packet.header;
	size_t start = header->csum_start, place = start + header->csum_offset;
	uint16_t sum;

	if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	if (start >= len || place + sizeof(sum) > len)
		return false;
	sum = checksum(net->packet.frame + start, len - start);
	/* 0 says in UDP that there is none. */
	sum = htons(sum ? sum : 0xffff);
	memcpy(net->packet.frame + place, &sum, sizeof(sum));
	return true;
}

static void take_packets(struct user_net *net)
{
	for (unsigned int i = 0; i < BATCH; i++) {
		const size_t header = sizeof(net->packet.header);
		ssize_t len = recv(net->fd, &net->packet, sizeof(net->packet), MSG_DONTWAIT);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && (errno == EAGAIN || errno == ECONNRESET))
			return;
		if (len <= 0) {
			net->ended = true;
			return;
		}
		/* libslirp takes the Ethernet header for granted. */
		if ((size_t)len >= header + 14 && complete_checksum(net, (size_t)len - header))
			net->slirp_functions.input(net->slirp, net->packet.frame,
						   (int)((size_t)len - header));
	}
}

/* --- the loop --- */

static const struct {
	int slirp;
	short poll;
} poll_events[] = {
	{SLIRP_POLL_IN, POLLIN},   {SLIRP_POLL_OUT, POLLOUT}, {SLIRP_POLL_PRI, POLLPRI},
	{SLIRP_POLL_ERR, POLLERR}, {SLIRP_POLL_HUP, POLLHUP},
};

static int add_poll(int fd, int events, void *opaque)
{
	struct user_net *net = opaque;
	short wanted = 0;

	if (net->n_polls == net->max_polls) {
		int max = net->max_polls ? 2 * net->max_polls : 64;
		struct pollfd *polls = realloc(net->polls, (size_t)max * sizeof(*polls));

		if (!polls)
			return -1;
		net->polls = polls;
		net->max_polls = max;
	}
	for (size_t i = 0; i < sizeof(poll_events) / sizeof(poll_events[0]); i++) {
		if (events & poll_events[i].slirp)
			wanted = (short)(wanted | poll_events[i].poll);
	}
	/* These come by themselves. */
	wanted = (short)(wanted & ~(POLLERR | POLLHUP));
	net->polls[net->n_polls] = (struct pollfd){.fd = fd, .events = wanted};
	return net->n_polls++;
}

static int get_revents(int index, void *opaque)
{
	const struct user_net *net = opaque;
	int events = 0;

	for (size_t i = 0; i < sizeof(poll_events) / sizeof(poll_events[0]) && index >= 0; i++) {
		if (net->polls[index].revents & poll_events[i].poll)
			events |= poll_events[i].slirp;
	}
	return events;
}

/* How long until the next timer, at most @timeout (-1: none). */
static int next_timer(const struct user_net *net, int timeout)
{
	int64_t now = clock_ns(NULL) / 1000000;

	for (const struct timer *timer = net->timers; timer; timer = timer->next) {
		int64_t ms = timer->expires_ms > now ? timer->expires_ms - now : 0;

		if (timer->expires_ms != INT64_MAX && (timeout < 0 || ms < timeout))
			timeout = (int)ms;
	}
	return timeout;
}

static void run_timers(struct user_net *net)
{
	int64_t now = clock_ns(NULL) / 1000000;
	struct timer *next;

	for (struct timer *timer = net->timers; timer; timer = next) {
		next = timer->next;
		if (timer->expires_ms > now)
			continue;
		timer->expires_ms = INT64_MAX;
		timer->callback(timer->opaque);
	}
}

/*
 * No descriptor is left: libslirp can't accept a connection that waits, and would be told of it
 * again and again.
 */
static bool out_of_descriptors(const struct user_net *net)
{
	int fd = dup(net->fd);

	if (fd < 0)
		return true;
	close(fd);
	return false;
}

void user_net_run(struct user_net *net)
{
	const struct slirp_functions *functions = &net->slirp_functions;

	while (!net->ended) {
		uint32_t ms = UINT32_MAX;
		int n;

		net->n_polls = 0;
		if (add_poll(net->fd, SLIRP_POLL_IN, net) < 0)
			return;
		functions->pollfds_fill(net->slirp, &ms, add_poll, net);
		n = poll(net->polls, (nfds_t)net->n_polls,
			 next_timer(net, ms > INT32_MAX ? -1 : (int)ms));
		if (n < 0 && errno == EINTR)
			continue;
		functions->pollfds_poll(net->slirp, n < 0, get_revents, net);
		if (n > 0 && out_of_descriptors(net))
			poll(NULL, 0, EXHAUSTED_MS);
		run_timers(net);
		if (net->polls[0].revents)
			take_packets(net);
	}
}

#else

int user_net_create(const struct user_net_config *config, struct user_net **net, struct error *err)
{
	(void)config;
	*net = NULL;
	return error_set(
		err, -EOPNOTSUPP,
		"user-mode networking: this xvmm was built without it, as a static one is; "
		"try: apt install libslirp-dev, and build anew, without XVMM_STATIC");
}

void user_net_run(struct user_net *net)
{
	(void)net;
}

void user_net_destroy(struct user_net *net)
{
	(void)net;
}

#endif
