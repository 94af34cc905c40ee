/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net backend moves packets for the in-process datapath: a tap, user-mode networking, a file
 * descriptor. It knows no rings.
 *
 * A packet is preceded by a struct virtio_net_hdr_v1 (virtio 1.3, section 5.1.6), little-endian; if
 * the driver accepted VIRTIO_NET_F_HASH_REPORT by a struct virtio_net_hdr_v1_hash, whose
 * additional fields the backend leaves alone.
 */
#ifndef VIRTIO_NET_BACKEND_H
#define VIRTIO_NET_BACKEND_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct net_backend;

struct net_backend_ops {
	/*
	 * The offload features (VIRTIO_NET_F_*) that this backend can serve; and HASH_REPORT, if it
	 * can do with a header of 20 bytes.
	 */
	uint64_t (*features)(const struct net_backend *backend);

	/*
	 * What the driver accepted, less the offloads that it has switched off since: from now on
	 * packets for it come with these offloads at most, and no others wait. 0 or a negative
	 * errno, and then nothing has changed. While no packet moves.
	 */
	int (*set_features)(struct net_backend *backend, uint64_t features);

	/*
	 * Packets for the driver come on the first @n queues only, to begin with on all; any queue
	 * sends. 0 or a negative errno, and then nothing has changed. While no packet moves. Not
	 * called, and may be NULL, if there is one queue.
	 */
	int (*set_queues)(struct net_backend *backend, unsigned int n);

	/*
	 * The descriptor of @queue (from 0), borrowed: EPOLLIN when a packet waits, EPOLLOUT when
	 * there is room to send again; EPOLLERR or EPOLLHUP when it has gone for good: its tap was
	 * deleted, its other end closed. Any thread.
	 */
	int (*fd)(const struct net_backend *backend, unsigned int queue);

	/*
	 * The descriptor by which vhost-net sends the packets of @queue in the backend's stead,
	 * borrowed; NULL: the same.
	 */
	int (*sender_fd)(const struct net_backend *backend, unsigned int queue);

	/*
	 * Take one packet, header first. Never waits. Its length, cut to what @iov (at most IOV_MAX
	 * pieces) holds; less than a header, but not 0, if it was dropped and another may wait;
	 * -EAGAIN if there is none; or another negative errno. One thread a queue and direction.
	 */
	ssize_t (*receive)(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			   unsigned int n);

	/*
	 * Send one packet, header first, in at most IOV_MAX - 1 pieces: one is left for a header of
	 * the backend's own. Never waits. Negative errno: -EAGAIN if there is no room now, any
	 * other if the packet can't be sent at all. One thread a queue and direction.
	 */
	ssize_t (*send)(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			unsigned int n);

	void (*destroy)(struct net_backend *backend);
};

/*
 * The common head of every backend. Two datapaths have it while a device moves from one to the
 * other on the same tap; the last one destroys it. Under the lock of their device.
 */
struct net_backend {
	const struct net_backend_ops *ops;
	unsigned int more_users; /* than one */
};

static inline struct net_backend *net_backend_share(struct net_backend *backend)
{
	backend->more_users++;
	return backend;
}

static inline void net_backend_release(struct net_backend *backend)
{
	if (backend->more_users)
		backend->more_users--;
	else
		backend->ops->destroy(backend);
}

#endif
