/* SPDX-License-Identifier: Apache-2.0 */
/* A tap in a network namespace of the test's own, and a packet socket on its host side. */
#ifndef TESTS_SYSTEM_TAP_H
#define TESTS_SYSTEM_TAP_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Go to a new network namespace, as root in it. Ends the test with status 77 if that can't be. */
void enter_network_namespace(void);

/* Create the tap @name, up, with the address 10.0.0.1/24. */
void tap_create(const char *name);

/*
 * Wait until the kernel has seen that a program attached to the tap: it notices in its own time,
 * and drops what is sent to it before, without a word.
 */
void tap_wait_attached(const char *name);

/* A packet socket on @name; each packet has a struct virtio_net_hdr in front. */
int tap_open_socket(const char *name);

struct packet {
	struct virtio_net_hdr header;
	uint8_t frame[65536];
	size_t len; /* of the frame */
};

struct test_frame;

/* Fill in a frame of @len bytes; its payload counts up from @number. */
void test_frame_fill(struct test_frame *frame, const uint8_t to[6], const uint8_t from[6],
		     uint8_t operation, uint32_t number, size_t len);

void packet_send(int socket, const struct packet *packet);

/*
 * The next packet that comes out of the guest and is no IPv6; what the host sends is not seen.
 * False if there is none within @milliseconds.
 */
bool packet_receive(int socket, struct packet *packet, int milliseconds);

#endif
