/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcing where a MAC address is: a RARP request (RFC 903) from it, to all. Nobody answers, but
 * switches learn by it where packets for that address go from now on, and it takes no IP address.
 */
#ifndef VIRTIO_RARP_H
#define VIRTIO_RARP_H

#include <stddef.h>
#include <stdint.h>

struct net_backend;

enum {
	RARP_FRAME_SIZE = 60, /* bytes: the least that Ethernet carries, without the checksum */
};

/* The frame that announces @mac. */
void rarp_frame(uint8_t frame[RARP_FRAME_SIZE], const uint8_t mac[6]);

/*
 * Send it on the first queue of @backend, whose headers have @header_size bytes (see
 * virtio/net_backend.h). 0 or a negative errno.
 */
int rarp_send(struct net_backend *backend, size_t header_size, const uint8_t mac[6]);

#endif
