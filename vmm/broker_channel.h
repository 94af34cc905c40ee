/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VM's process and its broker say to each other: on one pair of SOCK_SEQPACKET sockets the
 * VM has something opened, on another one the broker has commands carried out. Both ends are of the
 * same program: numbers are the host's. A socket is for one thread at a time, but
 * broker_channel_send().
 */
#ifndef VMM_BROKER_CHANNEL_H
#define VMM_BROKER_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/opener.h"

struct error;

/* Two connected sockets, the caller's. 0 or a negative errno. */
int broker_channel_create(int fds[2]);

/* Nothing is sent or received any more: the other end hears that there is nobody left. */
void broker_channel_end(int fd);

/* --- openings --- */

/*
 * The VM: as opener_open(), by who is at the other end. @serial: another one each time, not 0:
 * where an answer could not be heard, it isn't taken for that to the next question.
 */
int broker_channel_ask(int fd, uint32_t serial, const struct opening *opening, int *fds,
		       struct error *err);

struct broker_question {
	uint32_t serial;
	struct opening opening; /* its name is that below */
	char name[OPENING_NAME_SIZE];
};

/* The broker: what is asked. -EAGAIN: nothing; -EPIPE: nobody is left; or what recvmsg() gives. */
int broker_channel_take(int fd, struct broker_question *question);

/*
 * The broker: to the question @serial, @result tells of an error, or @n descriptors at @fds are
 * passed on. A negative errno: the VM can't be answered; then this end is closed for it, rather
 * than have it wait.
 */
int broker_channel_answer(int fd, uint32_t serial, const struct error *result, const int *fds,
			  unsigned int n);

/*
 * The VM: wait for the answer to @serial, with @n descriptors for @fds. 0 or a negative errno. The
 * broker's first one, which nobody asked for, is 0's.
 */
int broker_channel_await(int fd, uint32_t serial, int *fds, unsigned int n, struct error *err);

/* --- commands, their results, events --- */

enum broker_message {
	BROKER_COMMAND,
	BROKER_RESULT,
	BROKER_EVENT,
};

/*
 * @message is given away; NULL: there was no memory for it. If the other end doesn't read, it is
 * waited for, or (@wait false) -EAGAIN. 0 or a negative errno.
 */
int broker_channel_send(int fd, enum broker_message kind, json_t *message, bool wait);

/* The same for a message as a text. */
int broker_channel_send_text(int fd, enum broker_message kind, const char *text, bool wait);

/*
 * The next message, the caller's. -EAGAIN: there is none; -EBADMSG, -ENOMEM: it was lost, but for
 * its @kind; -EPIPE: there is nobody left, or nothing can be heard any more.
 */
int broker_channel_receive(int fd, enum broker_message *kind, json_t **message);

#endif
