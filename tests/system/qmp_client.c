/* SPDX-License-Identifier: Apache-2.0 */
#include "qmp_client.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"
#include "vmm/core/fd.h"

enum {
	PATIENCE_MS = 20000,
	TURN_MS = 10,
	WHY_SIZE = 512,
	N_SCHEMAS = 2,
};

/* --- messages --- */

/* The next message, the caller's; NULL at the end. */
static json_t *receive(struct qmp_client *client)
{
	json_t *message;
	char *end;

	while (!(end = memchr(client->data, '\n', client->len))) {
		struct pollfd readable = {.fd = client->fd, .events = POLLIN};
		ssize_t n;

		ck_assert_msg(poll(&readable, 1, stretched(PATIENCE_MS)) == 1, "nothing comes");
		n = read(client->fd, client->data + client->len, QMP_LINE_MAX - client->len);
		ck_assert_msg(n >= 0 || errno == ECONNRESET, "%s", strerror(errno));
		if (n <= 0)
			return NULL;
		client->len += (size_t)n;
	}
	message = json_loadb(client->data, (size_t)(end - client->data), 0, NULL);
	ck_assert_msg(message != NULL, "%.*s", (int)(end - client->data), client->data);
	client->len -= (size_t)(end + 1 - client->data);
	memmove(client->data, end + 1, client->len);
	return message;
}

static void expect_fit(const struct qmp_client *client, const char *kind, const char *name,
		       const char *type, const json_t *value)
{
	char why[WHY_SIZE];

	for (int i = 0; i < N_SCHEMAS; i++) {
		const json_t *schema = client->schemas[i];
		const json_t *info = schema ? qmp_schema_find(schema, kind, name) : NULL;

		if (info)
			ck_assert_msg(
				qmp_schema_fits(schema,
						json_string_value(json_object_get(info, type)),
						value, why, sizeof(why)),
				"%s: %s", name, why);
	}
}

static void keep_event(struct qmp_client *client, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	json_t *data = json_object_get(event, "data");
	json_t *nothing = json_object();
	json_int_t seconds, microseconds;

	ck_assert_int_eq(json_unpack(event, "{s:{s:I,s:I!},s:s,s?o!}", "timestamp", "seconds",
				     &seconds, "microseconds", &microseconds, "event", &name,
				     "data", &data),
			 0);
	expect_fit(client, "event", name, "arg-type", data ? data : nothing);
	json_decref(nothing);
	ck_assert_int_eq(json_array_append_new(client->events, event), 0);
}

void qmp_client_send(struct qmp_client *client, const char *request, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char *text = strdup(request);
	struct iovec iov = {text, strlen(request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	for (char *at = text; *at; at++)
		*at = (char)(*at == '\'' ? '"' : *at);
	if (fd >= 0)
		fd_pass(&message, &control, &fd, 1);
	ck_assert_int_eq(sendmsg(client->fd, &message, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
	free(text);
}

json_t *qmp_client_reply(struct qmp_client *client)
{
	json_t *message;

	while ((message = receive(client)) && json_object_get(message, "event"))
		keep_event(client, message);
	return message;
}

json_t *qmp_client_ask(struct qmp_client *client, const char *request, const char *command, int fd)
{
	json_t *reply, *result;

	qmp_client_send(client, request, fd);
	reply = qmp_client_reply(client);
	if (!reply && client->process)
		ck_abort_msg("no reply to %s; exit status %d: %s", request,
			     process_wait(client->process), client->process->text);
	ck_assert_msg(reply != NULL, "no reply to %s", request);
	result = json_object_get(reply, "return");
	if (result)
		expect_fit(client, "command", command, "ret-type", result);
	return reply;
}

json_t *qmp_client_event(struct qmp_client *client, const char *name)
{
	json_t *data = NULL;

	while (!data) {
		json_t *event = json_array_get(client->events, 0);

		if (!event) {
			event = receive(client);
			ck_assert_msg(event != NULL, "no %s before the end", name);
			ck_assert(json_object_get(event, "event") != NULL);
			keep_event(client, event);
			continue;
		}
		if (strcmp(json_string_value(json_object_get(event, "event")), name) == 0) {
			data = json_object_get(event, "data");
			data = data ? json_incref(data) : json_null();
		}
		json_array_remove(client->events, 0);
	}
	return data;
}

/* --- the connection --- */

json_t *qmp_client_open(struct qmp_client *client, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	json_t *greeting;

	*client = (struct qmp_client){
		.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		.events = json_array(),
		.data = malloc(QMP_LINE_MAX),
	};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (int waited = 0;
	     connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0;
	     waited += TURN_MS) {
		ck_assert_msg(waited < stretched(PATIENCE_MS), "%s: %s", path, strerror(errno));
		poll(NULL, 0, TURN_MS);
	}
	greeting = receive(client);
	ck_assert_ptr_nonnull(json_object_get(greeting, "QMP"));
	return greeting;
}

void qmp_client_fit(struct qmp_client *client, json_t *returned)
{
	int i = 0;

	while (client->schemas[i])
		i++;
	ck_assert_int_lt(i, N_SCHEMAS);
	client->schemas[i] = qmp_schema_make(returned);
}

void qmp_client_close(struct qmp_client *client)
{
	close(client->fd);
	json_decref(client->events);
	for (int i = 0; i < N_SCHEMAS; i++)
		json_decref(client->schemas[i]);
	free(client->data);
}
