/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A net backend on a unix socket that keeps messages apart (SOCK_SEQPACKET or SOCK_DGRAM): each
 * message is one packet with its struct virtio_net_hdr_v1 (12 bytes, little-endian) in front.
 *
 * The peer takes and gives packets with offloads as the header says. What a driver didn't accept is
 * not passed on to it: such a packet is lost.
 */
#ifndef VIRTIO_FD_H
#define VIRTIO_FD_H

#include <stdbool.h>

struct error;
struct net_backend;

/* Whether @fd is a socket of any kind, and so not a tap. */
bool fd_is_socket(int fd);

/*
 * Make a backend, with one queue, of a copy of @fd, which stays the caller's. -ENOTSOCK and
 * -EPROTOTYPE for what is no such socket; -ENOMEM and what fcntl() gives. *@backend is the
 * caller's, to destroy.
 */
int fd_backend_create(int fd, struct net_backend **backend, struct error *err);

#endif
