/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile back-end and a device's calls against the vhost-user front-end, as a client and as a
 * server. The input: which of the two, what the back-end lacks, then what to do one after the
 * other. The back-end answers rightly, or with some bytes or descriptors changed, or sends
 * anything, on either channel. Whatever it does, the front-end gives each ring back, and has as
 * many descriptors open as before.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/datapath.h"
#include "virtio/datapath_vhost_user.h"
#include "virtio/defs.h"
#include "virtio/vhost_user_protocol.h"
#include "vmm/core/fd.h"
#include "vmm/core/loop.h"
#include "vmm/core/memory.h"

enum {
	PAIRS = 2,
	RINGS = 2 * PAIRS,
	SIZE = 16,
	FDS = 12,
};

/* What is the same for all inputs. */
static struct guest_memory mem;
static struct loop *loop;
static struct sockaddr_un listening; /* where the back-end listens */
static struct sockaddr_un server;    /* where the front-end does */
static int listen_fd = -1, kick_fd, call_fd, inflight_fd;

/* Descriptors that the back-end was given and kept. */
enum kept {
	KEPT_REQUESTS, /* the channel for its own requests */
	KEPT_CALL,
	KEPT_ERR = KEPT_CALL + RINGS,
	N_KEPT = KEPT_ERR + RINGS,
};

struct state {
	struct datapath *dp;
	bool server;		     /* the front-end is */
	uint64_t features, protocol; /* the back-end's */
	int fd;			     /* the back-end's end; -1: there is no connection */
	int kept[N_KEPT];	     /* -1: not given */
	bool up;		     /* as the owner was told */
	bool started[RINGS];
	_Atomic uint32_t interrupt_status;
};

static void remove_socket(void)
{
	unlink(listening.sun_path);
}

static void set_address(struct sockaddr_un *address, const char *name)
{
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "/tmp/fuzz-vhost-user-%d-%s",
		 (int)getpid(), name);
	unlink(address->sun_path);
}

static void set_up_once(void)
{
	static const struct memory_range range = {0, 0x10000};
	static const struct memory_config config = {.shared = true};

	if (listen_fd >= 0)
		return;
	set_address(&listening, "backend");
	set_address(&server, "frontend");
	atexit(remove_socket);
	require(memory_create(&mem, &range, 1, &config, NULL) == 0);
	require(loop_create(&loop, NULL) == 0);
	kick_fd = fd_eventfd();
	call_fd = fd_eventfd();
	inflight_fd = memfd_create("inflight", MFD_CLOEXEC);
	require(ftruncate(inflight_fd, 4096) == 0);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	require(bind(listen_fd, (struct sockaddr *)&listening, sizeof(listening)) == 0);
	require(listen(listen_fd, 64) == 0);
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* --- the back-end --- */

/* The first descriptor is right for an inflight region. */
static void send_bytes(int to, const void *data, size_t len, unsigned int n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS];

	for (unsigned int i = 0; i < FDS; i++)
		fds[i] = i % 2 ? call_fd : inflight_fd;
	if (n_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	if (to >= 0)
		(void)!sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void anything(int to, struct input *in)
{
	size_t len = take(in, 1) % 64;
	unsigned int n_fds = (unsigned int)take(in, 1);
	uint8_t bytes[64];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)take(in, 1);
	send_bytes(to, bytes, len, n_fds < FDS ? n_fds : 0);
}

/* A descriptor came with @message. It is taken over. */
static void keep_fd(struct state *state, const struct vhost_user_message *message, int fd)
{
	unsigned int ring = message->payload.u64 & 0xff, at = N_KEPT;

	if (message->request == VHOST_USER_SET_BACKEND_REQ_FD)
		at = KEPT_REQUESTS;
	else if (message->request == VHOST_USER_SET_VRING_CALL)
		at = KEPT_CALL + ring;
	else if (message->request == VHOST_USER_SET_VRING_ERR)
		at = KEPT_ERR + ring;
	require(ring < RINGS || at == N_KEPT || at == KEPT_REQUESTS);
	if (at < N_KEPT) {
		fd_close(&state->kept[at]);
		state->kept[at] = fd;
	} else {
		close(fd);
	}
}

static void forget_kept(struct state *state)
{
	for (unsigned int i = 0; i < N_KEPT; i++)
		fd_close(&state->kept[i]);
}

static bool next_message(struct state *state, struct vhost_user_message *message)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(FDS * sizeof(int))];
	} control;
	struct iovec iov = {message, VHOST_USER_HEADER_SIZE};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	message->payload.u64 = 0;
	if (state->fd < 0 ||
	    recvmsg(state->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != VHOST_USER_HEADER_SIZE)
		return false;
	require(message->size <= sizeof(message->payload));
	require(!message->size || recv(state->fd, &message->payload, message->size, MSG_DONTWAIT) ==
					  (ssize_t)message->size);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			keep_fd(state, message, fd);
		}
	}
	return true;
}

/* The right reply to @message, which it replaces; false if it has none. */
static bool reply_to(const struct state *state, struct vhost_user_message *message,
		     unsigned int *n_fds)
{
	bool needs = message->flags & VHOST_USER_NEED_REPLY;

	*n_fds = 0;
	message->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	switch (message->request) {
	case VHOST_USER_GET_FEATURES:
		message->payload.u64 = state->features;
		needs = true;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		message->payload.u64 = state->protocol;
		needs = true;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_STATUS:
		message->payload.u64 = UINT64_MAX;
		needs = true;
		break;
	case VHOST_USER_GET_INFLIGHT_FD:
		message->payload.inflight.mmap_size = 4096;
		*n_fds = 1;
		return true;
	case VHOST_USER_GET_VRING_BASE:
		message->payload.state.num = 0;
		return true;
	default:
		message->payload.u64 = 0;
		break;
	}
	message->size = sizeof(message->payload.u64);
	return needs;
}

/* Answer all that was asked; with bytes or descriptors changed if the input says so. */
static void answer(struct state *state, struct input *in, bool wrongly)
{
	struct vhost_user_message message;
	unsigned int n_fds;

	while (next_message(state, &message)) {
		uint8_t *bytes = (uint8_t *)&message;
		uint32_t how = wrongly ? take(in, 1) : 0;
		size_t len, at;

		if (!reply_to(state, &message, &n_fds))
			continue;
		len = VHOST_USER_HEADER_SIZE + message.size;
		if (how & 1) {
			at = take(in, 1) % len;
			bytes[at] ^= (uint8_t)take(in, 1);
		}
		if (how & 2)
			n_fds = take(in, 1) % FDS;
		send_bytes(state->fd, &message, len, n_fds);
	}
}

/* Another connection, instead of the one that is there, or besides it for a moment. */
static void connect_again(struct state *state, bool instead)
{
	int fd = state->server ? socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
			       : accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (state->server && connect(fd, (struct sockaddr *)&server, sizeof(server)) < 0)
		fd_close(&fd);
	if (fd < 0)
		return;
	if (instead) {
		forget_kept(state);
		fd_close(&state->fd);
		state->fd = fd_take(&fd);
	}
	loop_turn(loop);
	fd_close(&fd);
}

/* --- the device --- */

static void start_ring(struct state *state, unsigned int index, uint64_t where)
{
	const struct datapath_wires wires = {kick_fd, call_fd, &state->interrupt_status};
	const struct ring_state ring = {
		.size = SIZE,
		.desc = gpa(0x1000 + (where & 0xf) * 0x800),
		.driver = gpa(0xa000 + (where & 0xf) * 0x100),
		.device = gpa(0xc000 + (where & 0xf) * 0x100),
	};

	if (state->started[index])
		return;
	require(state->dp->ops->start_ring(state->dp, index, &ring, &wires) == 0);
	state->started[index] = true;
}

static void stop_ring(struct state *state, unsigned int index)
{
	struct ring_state ring;

	if (!state->started[index])
		return;
	state->dp->ops->stop_ring(state->dp, index, &ring);
	require(ring.size == SIZE && ring.next_avail == ring.next_used);
	state->started[index] = false;
}

static void stop_all(struct state *state)
{
	for (unsigned int i = 0; i < RINGS; i++)
		stop_ring(state, i);
}

/* What the front-end will ask when it stops the ring is answered before it asks. */
static void answer_stop(struct state *state, unsigned int index, struct input *in)
{
	const struct vhost_user_message base = {
		.request = VHOST_USER_GET_VRING_BASE,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		.size = sizeof(base.payload.state),
		.payload.state = {index, take(in, 4)},
	};

	answer(state, in, false);
	send_bytes(state->fd, &base, VHOST_USER_HEADER_SIZE + base.size, 0);
}

/* What may be asked at any time. */
static void ask(const struct state *state)
{
	const struct datapath *dp = state->dp;

	require(dp->ops->max_queue_pairs(dp) == PAIRS);
	dp->ops->features(dp);
	dp->ops->carrier(state->dp);
}

static void step(struct state *state, struct input *in)
{
	static const uint8_t mac[6] = {2};
	uint8_t what = (uint8_t)take(in, 1);
	unsigned int index = (what >> 4) % RINGS;
	const struct datapath_ops *ops = state->dp->ops;

	switch (what % 16) {
	case 0:
	case 1:
		loop_turn(loop);
		answer(state, in, false);
		loop_turn(loop);
		break;
	case 2:
		index = take(in, 1) % N_KEPT;
		if (index != KEPT_REQUESTS && state->kept[index] >= 0)
			fd_eventfd_signal(state->kept[index]);
		break;
	case 3:
		answer(state, in, true);
		loop_turn(loop);
		break;
	case 4:
		anything(index & 1 ? state->kept[KEPT_REQUESTS] : state->fd, in);
		break;
	case 5: /* until its time is over, perhaps */
		if (index & 1)
			nanosleep(&(struct timespec){.tv_nsec = 1500000}, NULL);
		loop_turn(loop);
		break;
	case 6:
		stop_all(state);
		require(ops->set_features(state->dp, take64(in)) == 0);
		break;
	case 7:
	case 8:
	case 9:
		start_ring(state, index, take(in, 1));
		break;
	case 10:
		if (what & 0x40)
			answer_stop(state, index, in);
		stop_ring(state, index);
		break;
	case 11:
		ops->set_link(state->dp, index & 1);
		break;
	case 12:
		ops->set_queue_pairs(state->dp, 1 + index % PAIRS);
		break;
	case 13:
		ops->announce(state->dp, mac);
		break;
	case 14:
		if (index & 1)
			ask(state);
		else
			require(memory_write(&mem, gpa(take(in, 2)), &what, 1) <= 0);
		break;
	default:
		connect_again(state, what & 0x10);
		break;
	}
}

static void carrier_changed(void *opaque, bool up)
{
	struct state *state = opaque;

	require(state->up != up);
	state->up = up;
}

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	require(((struct state *)opaque)->dp && index < RINGS && why);
}

static void create(struct state *state)
{
	struct vhost_user_config config = {.name = "net0", .reply_ms = 1};

	config.mem = &mem;
	config.loop = loop;
	config.path = state->server ? server.sun_path : listening.sun_path;
	config.server = state->server;
	config.queue_pairs = PAIRS;
	config.queue_size = SIZE;
	config.mtu = 1400;
	require(vhost_user_create(&config, &state->dp, NULL) == 0);
	state->dp->owner = (struct datapath_owner){carrier_changed, state};
	state->dp->events = (struct datapath_events){.ring_broken = ring_broken, .opaque = state};
	connect_again(state, true);
	require(state->fd >= 0);
}

/* A bit for each thing that a back-end may lack. */
static void choose_features(struct state *state, uint32_t lacks)
{
	static const unsigned int protocol[] = {
		VHOST_USER_PROTOCOL_F_MQ,
		VHOST_USER_PROTOCOL_F_REPLY_ACK,
		VHOST_USER_PROTOCOL_F_BACKEND_REQ,
		VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
		VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
		VHOST_USER_PROTOCOL_F_STATUS,
	};
	unsigned int n = sizeof(protocol) / sizeof(protocol[0]);

	state->features = state->protocol = UINT64_MAX;
	for (unsigned int i = 0; i < n; i++)
		state->protocol &= ~((uint64_t)(lacks >> i & 1) << protocol[i]);
	state->features &= ~((uint64_t)(lacks >> n & 1) << VIRTIO_F_RING_PACKED);
	if (lacks >> (n + 1) & 1)
		state->features &= ~(1ULL << VHOST_USER_F_PROTOCOL_FEATURES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct state state = {.fd = -1};
	int lowest, fd;

	set_up_once();
	lowest = lowest_free_fd();
	for (unsigned int i = 0; i < N_KEPT; i++)
		state.kept[i] = -1;
	state.server = take(&in, 1) & 1;
	choose_features(&state, take(&in, 1));
	create(&state);
	while (in.len)
		step(&state, &in);
	stop_all(&state);
	state.dp->ops->destroy(state.dp);
	forget_kept(&state);
	fd_close(&state.fd);
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	require(lowest_free_fd() == lowest);
	return 0;
}
