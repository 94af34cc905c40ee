/* SPDX-License-Identifier: Apache-2.0 */
/* A client of QMP that takes messages apart, xvmm's or QEMU's. What fails, fails the test. */
#ifndef TESTS_SYSTEM_QMP_CLIENT_H
#define TESTS_SYSTEM_QMP_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	QMP_LINE_MAX = 1 << 20, /* QEMU's schema has some 200 KiB */
};

struct qmp_client {
	int fd;			 /* owned */
	struct process *process; /* that answers: asked why if it doesn't; or NULL */
	json_t *events;		 /* owned: an array of those that were not taken yet, in order */
	size_t len;		 /* of the following */
	char *data;		 /* owned: received, and no line yet */
	json_t *schemas[2];	 /* owned: which all that comes has to fit; or NULL */
};

/* Connect to @path, which may be about to appear. The greeting, the caller's. */
json_t *qmp_client_open(struct qmp_client *client, const char *path);
void qmp_client_close(struct qmp_client *client);

/* What comes from now on has to fit what query-qmp-schema returned, as far as that knows it. */
void qmp_client_fit(struct qmp_client *client, json_t *returned);

/* Send @request, JSON with ' for ", with the descriptor @fd, or -1. */
void qmp_client_send(struct qmp_client *client, const char *request, int fd);

/* The next reply, the caller's; NULL: the connection has ended. Events are kept meanwhile. */
json_t *qmp_client_reply(struct qmp_client *client);

/* Both. @command: its name, by which the schemas know what it returns. */
json_t *qmp_client_ask(struct qmp_client *client, const char *request, const char *command, int fd);

/* Wait for the event @name; its data, the caller's (null: none). Others before it are dropped. */
json_t *qmp_client_event(struct qmp_client *client, const char *name);

/* --- schemas: objects with all that QEMU's query-qmp-schema returns, by name --- */

/* Such a one of what that has returned (taken over); the caller's. */
json_t *qmp_schema_make(json_t *returned);

/* What @schema has of that kind ("command", "event") and name, borrowed; or NULL. */
json_t *qmp_schema_find(const json_t *schema, const char *kind, const char *name);

/* Whether @value is of @type; else @why says what is wrong. */
bool qmp_schema_fits(const json_t *schema, const char *type, const json_t *value, char *why,
		     size_t size);

#endif
