/* SPDX-License-Identifier: Apache-2.0 */
/* What this back-end is told to do wrong: die, fall silent, lie. */
#ifndef VHOST_USER_BACKEND_MISBEHAVE_H
#define VHOST_USER_BACKEND_MISBEHAVE_H

#include "tests/vhost_user_backend/message.h"

enum moment {		  /* in the life of a packet, at which --die-after-packets may strike */
	MOMENT_TAKEN,	  /* marked as in flight, not moved */
	MOMENT_WRITTEN,	  /* moved, written into the ring, and not shown nor marked as returned */
	MOMENT_MOVED,	  /* but not returned to the driver */
	MOMENT_PUBLISHED, /* returned, without an interrupt */
	MOMENTS,
};

/* Parse an option's argument; failure() if it is wrong. */
void misbehave_die_at(const char *text);
void misbehave_mute_at(const char *text);
void misbehave_die_after_packets(const char *text); /* N[,taken|written|moved|published] */
void misbehave_lie(const char *text);		    /* KIND[=VALUE]@REQUEST */

/* Message @number has come. False if it is not to be answered. */
bool misbehave_message(unsigned long number, const struct message *message, int socket,
		       int request_fd);

/* A packet is at @moment. */
void misbehave_packet(enum moment moment);

/* Send the reply to @request, or what was asked for instead. */
void misbehave_reply(int socket, uint32_t request, union payload *payload, uint32_t size, int fd);

#endif
