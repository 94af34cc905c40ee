/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a vhost-user connection: messages with their descriptors over a unix stream socket,
 * and which replies are awaited ("Communication", "REPLY_ACK"). All that comes is hostile input: it
 * is checked here against what was asked. Nothing here waits.
 *
 * Errors: -ENOTCONN if the other end is gone, -EPROTO if it has sent what it must not (*@err says
 * what), or that of a system call. The channel is of no use after any of them: close it.
 *
 * Threads: the caller sees to it that one at a time is in here.
 */
#ifndef VIRTIO_VHOST_USER_CHANNEL_H
#define VIRTIO_VHOST_USER_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtio/vhost_user_protocol.h"

struct error;

enum {
	/* Four times what the largest device needs at once. */
	VHOST_USER_EXPECTED_MAX = 1024,
};

/* A request whose reply has not come. */
struct vhost_user_expected {
	uint32_t request;
	uint32_t index; /* of the ring it is about; the asker's */
};

struct vhost_user_channel {
	int fd;	   /* owned, non-blocking; -1: closed */
	bool acks; /* REPLY_ACK is negotiated: whatever has no reply of its own is acknowledged */

	/* The message that is coming or has come last, with its descriptors, owned. */
	struct vhost_user_message in;
	size_t have; /* bytes of it */
	int fds[VHOST_USER_MEMORY_MAX];
	unsigned int n_fds;
	bool surplus;  /* there were more, or not all could be received */
	bool complete; /* it was handed out */

	/* In the order of the requests, which is that of the replies. */
	struct vhost_user_expected expected[VHOST_USER_EXPECTED_MAX];
	unsigned int first, n_expected;
};

/* A closed channel. Then open it with the socket @fd, which is taken over. */
void vhost_user_channel_init(struct vhost_user_channel *channel);
void vhost_user_channel_open(struct vhost_user_channel *channel, int fd);

/* Also drops what was received and what is expected. A closed one is fine. */
void vhost_user_channel_close(struct vhost_user_channel *channel);

/* "SET_OWNER"; "an unknown request" if it is none that this front-end sends. */
const char *vhost_user_request_name(uint32_t request);

/*
 * Send @message, whose request, size and payload are set, with @n_fds descriptors, which stay the
 * caller's. If a reply is due, it is expected, and comes with @index. -EPROTO: the other end
 * doesn't read, or doesn't answer.
 */
int vhost_user_channel_request(struct vhost_user_channel *channel,
			       struct vhost_user_message *message, const int *fds,
			       unsigned int n_fds, uint32_t index, struct error *err);

/*
 * Take the next reply: 1 if it has come, and is what is due; 0 if it isn't all there yet. A request
 * that was refused (an acknowledgement other than zero) is -EPROTO. What it answers is put into
 * *@answered; until the next call the reply itself is in channel->in, and its descriptors, at most
 * one, in channel->fds, from where they may be taken (fd_take()).
 */
int vhost_user_channel_reply(struct vhost_user_channel *channel,
			     struct vhost_user_expected *answered, struct error *err);

/*
 * The other direction, on the channel of SET_BACKEND_REQ_FD: take the next request of the back-end
 * and refuse it, as nothing that it may ask for is negotiated. 1 if there was one, else 0.
 */
int vhost_user_channel_refuse(struct vhost_user_channel *channel, struct error *err);

#endif
