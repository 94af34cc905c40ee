/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: QMP (QEMU's docs/interop/qmp-spec.txt) on a unix socket, so that existing
 * clients work: a greeting, qmp_capabilities, commands, events. Clients are trusted as whoever may
 * open the socket is, but not to be correct: what is no QMP gets an error, what never ends, or
 * never reads, loses its connection.
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

/* A command by its QMP name. */
struct control_command {
	const char *name;
	/*
	 * Carry it out with @arguments (borrowed; an object, never NULL). 0, with *@result the
	 * value to return, if it is set (given away); or a negative errno with *@err filled, which
	 * the client gets to read.
	 */
	int (*execute)(void *opaque, json_t *arguments, json_t **result, struct error *err);
};

struct control_config {
	const char *path; /* a socket left there by a process that is gone is replaced; copied */
	struct loop *loop;
	const struct logger *log;
	const struct control_command *commands; /* NULL is the name after the last one */
	void *opaque;				/* the commands' */
};

int control_create(const struct control_config *config, struct control **control,
		   struct error *err);

/* Closes the connections, removes the socket. Accepts NULL. */
void control_destroy(struct control *control);

/*
 * Tell all clients that are past qmp_capabilities: the event @name, with @data (given away; NULL:
 * none). Any thread.
 */
void control_event(struct control *control, const char *name, json_t *data);

#endif
