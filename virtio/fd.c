/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "virtio/net_backend.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

struct fd_backend {
	struct net_backend backend;
	int fd;		   /* owned */
	bool datagrams;	   /* else the peer can leave */
	uint64_t features; /* which the driver accepted; fixed while packets move */
};

#define FEATURE(name) (1ULL << (name))

static uint64_t backend_features(const struct net_backend *backend)
{
	(void)backend;
	return FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_HOST_TSO4) |
	       FEATURE(VIRTIO_NET_F_HOST_TSO6) | FEATURE(VIRTIO_NET_F_HOST_ECN) |
	       FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
	       FEATURE(VIRTIO_NET_F_GUEST_TSO6) | FEATURE(VIRTIO_NET_F_GUEST_ECN);
}

static int backend_set_features(struct net_backend *backend, uint64_t features)
{
	((struct fd_backend *)backend)->features = features;
	return 0;
}

static int backend_fd(const struct net_backend *backend, unsigned int queue)
{
	(void)queue;
	return ((const struct fd_backend *)backend)->fd;
}

/* Copy up to @len bytes out of @iov. */
static void gather(void *to, size_t len, const struct iovec *iov, unsigned int n)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		memcpy((uint8_t *)to + done, iov[i].iov_base, part);
		done += part;
	}
}

/* 5.1.6.4.1: what a header may say to a driver that accepted @features. */
static bool may_pass(const struct virtio_net_hdr_v1 *header, uint64_t features)
{
	static const struct {
		uint8_t gso_type;
		unsigned int feature;
	} needs[] = {
		{VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_F_GUEST_TSO4},
		{VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_F_GUEST_TSO6},
	};
	uint8_t gso_type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    !(features & FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
		return false;
	if (header->gso_type & VIRTIO_NET_HDR_GSO_ECN &&
	    !(features & FEATURE(VIRTIO_NET_F_GUEST_ECN)))
		return false;
	if (gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (gso_type == needs[i].gso_type)
			return features & FEATURE(needs[i].feature);
	}
	return false;
}

/* recvmsg() gave 0: whether that is the end, or an empty message. */
static bool peer_gone(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLRDHUP};

	return poll(&pfd, 1, 0) > 0 && pfd.revents & (POLLRDHUP | POLLHUP);
}

static ssize_t backend_receive(struct net_backend *backend, unsigned int queue,
			       const struct iovec *iov, unsigned int n)
{
	const struct fd_backend *self = (const struct fd_backend *)backend;
	struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	struct virtio_net_hdr_v1 header = {0};
	ssize_t len;

	(void)queue;
	len = recvmsg(self->fd, &message, MSG_DONTWAIT);
	/* Told once, when the peer leaves without having read all: packets may wait behind it. */
	if (len < 0 && errno == ECONNRESET)
		return 1;
	if (len < 0)
		return -errno;
	if (len == 0 && !self->datagrams && peer_gone(self->fd))
		return -EPIPE;
	/* Shorter than any packet: that is how one is dropped, and the next one asked for. */
	if ((size_t)len < sizeof(header))
		return 1;
	/* A guest that changes the header meanwhile deceives itself only. */
	gather(&header, sizeof(header), iov, n);
	return may_pass(&header, self->features) ? len : 1;
}

static ssize_t backend_send(struct net_backend *backend, unsigned int queue,
			    const struct iovec *iov, unsigned int n)
{
	const struct fd_backend *self = (const struct fd_backend *)backend;
	const struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = n};
	ssize_t len = sendmsg(self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)queue;
	return len < 0 ? -errno : len;
}

static void backend_destroy(struct net_backend *backend)
{
	struct fd_backend *self = (struct fd_backend *)backend;

	fd_close(&self->fd);
	free(self);
}

static const struct net_backend_ops fd_ops = {
	.features = backend_features,
	.set_features = backend_set_features,
	.fd = backend_fd,
	.receive = backend_receive,
	.send = backend_send,
	.destroy = backend_destroy,
};

bool fd_is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int fd_backend_create(int fd, struct net_backend **backend, struct error *err)
{
	struct fd_backend *self;
	socklen_t len = sizeof(int);
	int type, ret;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return error_errno(err, "descriptor %d", fd);
	if (type != SOCK_SEQPACKET && type != SOCK_DGRAM)
		return error_set(err, -EPROTOTYPE,
				 "descriptor %d: its messages run together; it must be a "
				 "SOCK_SEQPACKET or SOCK_DGRAM socket, or a tap",
				 fd);
	self = calloc(1, sizeof(*self));
	if (!self)
		return error_set(err, -ENOMEM, "descriptor %d: out of memory", fd);
	self->backend.ops = &fd_ops;
	self->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (self->fd < 0) {
		ret = error_errno(err, "descriptor %d", fd);
		free(self);
		return ret;
	}
	self->datagrams = type == SOCK_DGRAM;
	*backend = &self->backend;
	return 0;
}
