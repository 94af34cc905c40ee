/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where packets go to and come from. Each has a struct virtio_net_hdr_v1 in front. None is lost
 * here but with a line that says so.
 */
#ifndef VHOST_USER_BACKEND_FAR_END_H
#define VHOST_USER_BACKEND_FAR_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_MAX = 12 + 65550,
};

struct packet {
	uint8_t data[PACKET_MAX + 1];
	size_t len;	   /* 0: there is none */
	unsigned int pair; /* of rings that it came from, or is for */
};

struct far_end {
	bool echo, tap;
	int send_fd, receive_fd; /* not blocking; -1: packets are counted and forgotten */
	bool full;		 /* what is sent has to wait for POLLOUT */
	struct packet pending;	 /* came from there, and is not in a ring yet */
	unsigned long lost;	 /* for which there was no room */
};

/* @text: echo, sink, socketpair/fd=N or tap=NAME. */
void far_end_open(struct far_end *far, const char *text);

/* The driver has accepted @features: a tap may make use of them. */
void far_end_set_features(struct far_end *far, uint64_t features);

/* False if there is no room now. An echo of too much is lost, as in a tap. */
bool far_end_send(struct far_end *far, struct packet *packet);

/* Get the next packet, if there is none pending. False if there is none. */
bool far_end_receive(struct far_end *far);

/*
 * Make @packet one that may be received under @features: complete its checksum. False if it can't
 * be.
 */
bool far_end_fit(struct packet *packet, uint64_t features);

/* Announce @mac there: a RARP request. */
void far_end_rarp(struct far_end *far, const uint8_t mac[6]);

#endif
