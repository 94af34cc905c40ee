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

#include "virtio/opener.h"

struct error;

/* Two connected sockets, the caller's. 0 or a negative errno. */
int broker_channel_create(int fds[2]);

/* --- openings --- */

/* The VM: as opener_open(), by who is at the other end. */
int broker_channel_ask(int fd, const struct opening *opening, int *fds, struct error *err);

/* The broker: wait for what is asked. Its name will be in @name. -EPIPE: there is nobody left. */
int broker_channel_take(int fd, struct opening *opening, char name[OPENING_NAME_SIZE]);

/*
 * The broker: @result tells of an error, or @n descriptors at @fds are passed on. If the VM can't
 * be answered this end is closed for it, rather than have it wait.
 */
void broker_channel_answer(int fd, const struct error *result, const int *fds, unsigned int n);

/* The VM: wait for an answer, with @n descriptors for @fds. 0 or a negative errno. */
int broker_channel_await(int fd, int *fds, unsigned int n, struct error *err);

/* --- commands, their results, events --- */

/*
 * @message is given away; NULL: there was no memory for it. If the other end doesn't read, it is
 * waited for, or (@wait false) -EAGAIN. 0 or a negative errno.
 */
int broker_channel_send(int fd, json_t *message, bool wait);

/* The same for a message as a text. */
int broker_channel_send_text(int fd, const char *text, bool wait);

/*
 * The next message, the caller's; waits for it. -EPIPE: there is nobody left; -EBADMSG, -ENOMEM:
 * one was lost.
 */
int broker_channel_receive(int fd, json_t **message);

#endif
