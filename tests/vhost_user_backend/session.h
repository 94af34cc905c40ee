/* SPDX-License-Identifier: Apache-2.0 */
/* A connection with a front-end: what was negotiated and set up, and in which order. */
#ifndef VHOST_USER_BACKEND_SESSION_H
#define VHOST_USER_BACKEND_SESSION_H

#include "tests/vhost_user_backend/message.h"
#include "tests/vhost_user_backend/queue.h"

enum {
	QUEUE_PAIRS_MAX = 128, /* a ring's index has 8 bits in some messages */
};

struct offer {
	uint64_t features;
	uint64_t protocol;
	unsigned int queue_pairs;
};

struct session {
	const struct offer *offer;
	struct far_end *far;
	int socket;	/* owned */
	int request_fd; /* owned: for requests to the front-end; -1: there is none */

	bool asked_features, asked_protocol, owned;
	bool accepted_protocol;
	uint64_t protocol;
	uint64_t status;
	struct queue_context context;
	unsigned int n_rings;
	struct queue rings[2 * QUEUE_PAIRS_MAX];
};

/* Begin, on a connected @socket, which is the session's from now on. */
void session_begin(struct session *session, int socket, const struct offer *offer,
		   struct far_end *far);
void session_end(struct session *session);

/* Read one message, check it, do it and answer. False at the end of the connection. */
bool session_serve(struct session *session);

/* Read what the front-end has to say to a back-end request of ours. */
void session_read_answer(struct session *session);

#endif
