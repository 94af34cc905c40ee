/* SPDX-License-Identifier: Apache-2.0 */
/* A net backend on sockets that keep packets apart; the target has their other ends, the wire. */
#ifndef TESTS_FUZZ_WIRE_H
#define TESTS_FUZZ_WIRE_H

#include <errno.h>
#include <linux/virtio_config.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/net_backend.h"
#include "vmm/core/fd.h"

enum {
	WIRE_QUEUES_MAX = 2,
};

struct wire {
	struct net_backend backend;
	uint64_t offers; /* features */
	unsigned int queues;
	int fds[WIRE_QUEUES_MAX];  /* the backend's */
	int ends[WIRE_QUEUES_MAX]; /* the target's, which don't block */
	int dry[WIRE_QUEUES_MAX];  /* eventfds: the datapath found no packet */
};

static uint64_t wire_features(const struct net_backend *backend)
{
	return ((const struct wire *)backend)->offers;
}

static int wire_set_features(struct net_backend *backend, uint64_t features)
{
	(void)backend;
	require(features >> VIRTIO_F_VERSION_1 & 1);
	return 0;
}

static int wire_set_queues(struct net_backend *backend, unsigned int n)
{
	require(n && n <= ((const struct wire *)backend)->queues);
	return 0;
}

static int wire_fd(const struct net_backend *backend, unsigned int queue)
{
	require(queue < ((const struct wire *)backend)->queues);
	return ((const struct wire *)backend)->fds[queue];
}

static ssize_t wire_receive(struct net_backend *backend, unsigned int queue,
			    const struct iovec *iov, unsigned int n)
{
	const struct wire *wire = (const struct wire *)backend;
	ssize_t ret = readv(wire->fds[queue], iov, (int)n);

	if (ret >= 0)
		return ret;
	if (errno == EAGAIN)
		fd_eventfd_signal(wire->dry[queue]);
	return -errno;
}

static ssize_t wire_send(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			 unsigned int n)
{
	ssize_t ret = writev(((const struct wire *)backend)->fds[queue], iov, (int)n);

	return ret < 0 ? -errno : ret;
}

/* The datapath's share of it; the rest is for wire_close(). */
static void wire_destroy(struct net_backend *backend)
{
	struct wire *wire = (struct wire *)backend;

	for (unsigned int i = 0; i < wire->queues; i++)
		fd_close(&wire->fds[i]);
}

static inline void wire_open(struct wire *wire, unsigned int queues, uint64_t offers)
{
	static const struct net_backend_ops ops = {
		.features = wire_features,
		.set_features = wire_set_features,
		.set_queues = wire_set_queues,
		.fd = wire_fd,
		.receive = wire_receive,
		.send = wire_send,
		.destroy = wire_destroy,
	};

	*wire = (struct wire){.backend.ops = &ops, .offers = offers, .queues = queues};
	for (unsigned int i = 0; i < queues; i++) {
		int fds[2];

		require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				   fds) == 0);
		wire->fds[i] = fds[0];
		wire->ends[i] = fds[1];
		wire->dry[i] = fd_eventfd();
		require(wire->dry[i] >= 0);
	}
}

static inline void wire_close(struct wire *wire)
{
	for (unsigned int i = 0; i < wire->queues; i++) {
		fd_close(&wire->ends[i]);
		fd_close(&wire->dry[i]);
	}
}

#endif
