/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: QMP (QEMU's docs/interop/qmp-spec.txt) on a unix socket, so that existing
 * clients work: a greeting, qmp_capabilities, commands, events. Clients are trusted as whoever may
 * open the socket is, but not to be correct: what is no QMP gets an error, what never ends loses
 * its connection, and so does who doesn't read what is sent.
 *
 * Commands every socket has: qmp_capabilities, query-commands, query-version; getfd and closefd. A
 * descriptor is for the getfd that it comes with, or that comes next; there is one a client, and
 * what comes with it, or with another command, is closed. Then it has a name, until closefd or
 * control_take_fd(); it survives its client.
 *
 * All by the thread that runs the loop, or before it runs, but control_event().
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <jansson.h>

struct control;
struct error;
struct logger;
struct loop;

enum {
	CONTROL_CLIENTS_MAX = 8,	 /* at a time */
	CONTROL_REQUEST_MAX = 64 << 10,	 /* bytes */
	CONTROL_OUTPUT_PAUSE = 64 << 10, /* bytes not read yet, with which commands wait */
	CONTROL_OUTPUT_MAX = 1024 << 10, /* with which events end the connection */
	CONTROL_EVENTS_MAX = 256,	 /* that the loop has not seen yet; more are lost */
};

/* A command by its QMP name, of which clients may leave out a prefix "xvmm-". */
struct control_command {
	const char *name;
	/*
	 * Carry it out with @arguments (borrowed; an object, never NULL). 0, with *@result the
	 * value to return, if it is set (given away); or a negative errno with *@err filled, which
	 * the client gets to read; -ENOSYS is a command, -ENODEV a device that isn't there. It may
	 * call control_event(), nothing else of this.
	 */
	int (*execute)(void *opaque, json_t *arguments, json_t **result, struct error *err);
};

struct control_config {
	const char *path; /* a socket left there by a process that is gone is replaced; copied */
	struct loop *loop;
	const struct logger *log;
	const struct control_command *commands; /* NULL is the name after the last one */
	/* Carry out @command, in the place of its own execute(); or NULL. */
	int (*execute)(void *opaque, const struct control_command *command, json_t *arguments,
		       json_t **result, struct error *err);
	void *opaque; /* the commands' */
};

int control_create(const struct control_config *config, struct control **control,
		   struct error *err);

/*
 * Whether control_create() would find nothing at @path, or a socket where nobody listens, which it
 * replaces. Nothing is changed. 0 or a negative errno with *@err, which doesn't say @path first.
 */
int control_check_path(const char *path, struct error *err);

/*
 * The descriptor that a client has passed, and called @name: the caller's from now on. A negative
 * errno if there is none, with *@err filled. Accepts NULL for no control socket.
 */
int control_take_fd(struct control *control, const char *name, struct error *err);

/*
 * Sends what can be sent at once, closes the connections and the descriptors that were passed,
 * removes the socket. Accepts NULL.
 */
void control_destroy(struct control *control);

/*
 * Tell all clients that are past qmp_capabilities: the event @name, with @data (given away; NULL:
 * none). Any thread. Accepts NULL for no control socket.
 */
void control_event(struct control *control, const char *name, json_t *data);

#endif
