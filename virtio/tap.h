/* SPDX-License-Identifier: Apache-2.0 */
/* A net backend on a tap device (Documentation/networking/tuntap.rst). */
#ifndef VIRTIO_TAP_H
#define VIRTIO_TAP_H

struct error;
struct logger;
struct net_backend;
struct opener;

/*
 * Attach to the tap @name, which must exist already, with @n_queues queues (from 1): more than one
 * need a multi-queue tap, one will do with either. The error tells apart: missing, another owner's,
 * in use, no tap, not multi-queue. What open() and ioctl() give. 0 with @n_queues descriptors at
 * @fds, the caller's. A tap that is down is worth a warning in @log.
 */
int tap_open(const char *name, unsigned int n_queues, const struct logger *log, int *fds,
	     struct error *err);

/* A socket by which the kernel tells of interfaces by their names, the caller's. */
int tap_open_names(struct error *err);

/*
 * A backend on the tap @name, opened so by @opener. *@backend is the caller's, to destroy. -ENOMEM,
 * and as above.
 */
int tap_create(const char *name, unsigned int queue_pairs, const struct opener *opener,
	       const struct logger *log, struct net_backend **backend, struct error *err);

/*
 * The same for @fd, a tap that was opened and attached by somebody else, with a virtio-net header
 * and without packet information (IFF_VNET_HDR, IFF_NO_PI). The backend has a copy of @fd, which
 * stays the caller's; but the open tap becomes non-blocking. -EBADFD if it is no such tap.
 */
int tap_adopt(int fd, const struct opener *opener, struct net_backend **backend, struct error *err);

#endif
