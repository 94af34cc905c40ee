/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile back-end and a device's calls against the vhost-user front-end. The input: what to do
 * one after the other. The back-end answers rightly, or with some bytes changed, or sends anything.
 * Whatever it does, the front-end gives each ring back, and has as many descriptors open as before.
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
#include <unistd.h>

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

struct input {
	const uint8_t *data;
	size_t len;
};

/* What is the same for all inputs. */
static struct guest_memory mem;
static struct loop *loop;
static char path[64];
static int listen_fd = -1, kick_fd, call_fd, inflight_fd;

struct state {
	struct datapath *dp;
	int fd; /* the back-end's end; -1: there is no connection */
	bool started[RINGS];
	_Atomic uint32_t interrupt_status;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		__builtin_trap();
}

static uint64_t take(struct input *in, unsigned int n)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < n && in->len; i++, in->len--)
		value |= (uint64_t)*in->data++ << 8 * i;
	return value;
}

static void remove_socket(void)
{
	unlink(path);
}

static void set_up_once(void)
{
	static const struct memory_range range = {0, 0x10000};
	static const struct memory_config config = {.shared = true};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (listen_fd >= 0)
		return;
	snprintf(path, sizeof(path), "/tmp/fuzz-vhost-user-%d", (int)getpid());
	unlink(path);
	atexit(remove_socket);
	memcpy(address.sun_path, path, sizeof(path));
	require(memory_create(&mem, &range, 1, &config, NULL) == 0);
	require(loop_create(&loop, NULL) == 0);
	kick_fd = fd_eventfd();
	call_fd = fd_eventfd();
	inflight_fd = memfd_create("inflight", MFD_CLOEXEC);
	require(ftruncate(inflight_fd, 4096) == 0);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	require(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	require(listen(listen_fd, 64) == 0);
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* The loop dispatches what there is, and returns. */
static void run_loop(void)
{
	loop_stop(loop);
	loop_run(loop);
}

/* --- the back-end --- */

static void send_bytes(const struct state *state, const void *data, size_t len, unsigned int n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS];

	for (unsigned int i = 0; i < FDS; i++)
		fds[i] = inflight_fd;
	if (n_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	if (state->fd >= 0)
		(void)!sendmsg(state->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void anything(const struct state *state, struct input *in)
{
	size_t len = take(in, 1) % 64;
	unsigned int n_fds = (unsigned int)take(in, 1);
	uint8_t bytes[64];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)take(in, 1);
	send_bytes(state, bytes, len, n_fds < FDS ? n_fds : 0);
}

/* All but the descriptors, which are closed. */
static bool next_message(const struct state *state, struct vhost_user_message *message)
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

	if (state->fd < 0 ||
	    recvmsg(state->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != VHOST_USER_HEADER_SIZE)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			close(fd);
		}
	}
	require(message->size <= sizeof(message->payload));
	require(!message->size || recv(state->fd, &message->payload, message->size, MSG_DONTWAIT) ==
					  (ssize_t)message->size);
	return true;
}

/* The right reply to @message, which it replaces; false if it has none. */
static bool reply_to(struct vhost_user_message *message, unsigned int *n_fds)
{
	bool needs = message->flags & VHOST_USER_NEED_REPLY;

	*n_fds = 0;
	message->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	switch (message->request) {
	case VHOST_USER_GET_FEATURES:
		message->payload.u64 = UINT64_MAX;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_STATUS:
		message->payload.u64 = UINT64_MAX;
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
	return needs || message->request == VHOST_USER_GET_FEATURES ||
	       message->payload.u64 == UINT64_MAX;
}

/* Answer all that was asked; with bytes changed if the input says so. */
static void answer(const struct state *state, struct input *in, bool wrongly)
{
	struct vhost_user_message message;
	unsigned int n_fds;

	while (next_message(state, &message)) {
		uint8_t *bytes = (uint8_t *)&message;
		size_t len;

		if (!reply_to(&message, &n_fds))
			continue;
		len = VHOST_USER_HEADER_SIZE + message.size;
		if (wrongly && take(in, 1) % 4 == 0)
			bytes[take(in, 1) % len] ^= (uint8_t)take(in, 1);
		send_bytes(state, &message, len, n_fds);
	}
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

static void step(struct state *state, struct input *in)
{
	static const uint8_t mac[6] = {2};
	uint8_t what = (uint8_t)take(in, 1);
	unsigned int index = (what >> 4) % RINGS;
	const struct datapath_ops *ops = state->dp->ops;
	int fd;

	switch (what % 16) {
	case 0:
	case 1:
	case 2:
		run_loop();
		answer(state, in, false);
		run_loop();
		break;
	case 3:
		answer(state, in, true);
		run_loop();
		break;
	case 4:
		anything(state, in);
		break;
	case 5:
		run_loop();
		break;
	case 6:
		stop_all(state);
		require(ops->set_features(state->dp, take(in, 8)) == 0);
		break;
	case 7:
	case 8:
	case 9:
		start_ring(state, index, take(in, 1));
		break;
	case 10:
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
		require(memory_write(&mem, gpa(take(in, 2)), &what, 1) <= 0);
		break;
	default:
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			fd_close(&state->fd);
			state->fd = fd;
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhost_user_config config = {.name = "net0", .reply_ms = 1};
	struct input in = {data, size};
	struct state state = {.fd = -1};
	int lowest, fd;

	set_up_once();
	lowest = lowest_free_fd();
	config.mem = &mem;
	config.loop = loop;
	config.path = path;
	config.queue_pairs = PAIRS;
	config.queue_size = SIZE;
	config.mtu = 1400;
	require(vhost_user_create(&config, 0, &state.dp, NULL) == 0);
	state.fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	require(state.fd >= 0);
	while (in.len)
		step(&state, &in);
	stop_all(&state);
	state.dp->ops->destroy(state.dp);
	fd_close(&state.fd);
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	require(lowest_free_fd() == lowest);
	return 0;
}
