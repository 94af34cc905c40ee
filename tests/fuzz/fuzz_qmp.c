/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the control socket. The input is a list of what some of them do: connect, send
 * anything, with descriptors or without, read or not, go away; and of events meanwhile. What a
 * client reads is QMP, line by line. Whatever the others do, a client that comes afterwards is
 * served, and no descriptor is left over.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/control.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/loop.h"

enum {
	CLIENTS = CONTROL_CLIENTS_MAX + 1,
	STEPS_MAX = 128,
	REPEAT = 16, /* of what is sent */
	FDS_MAX = 255 / 8 / CLIENTS,
	DESCRIPTORS_MAX = 128, /* that this process has */
	TURNS_MAX = 100000,
};

struct client {
	int fd;			       /* -1: not connected */
	char line[CONTROL_OUTPUT_MAX]; /* the longest reply is shorter */
	size_t len;
};

static struct loop *loop;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct control *control;
static struct client clients[CLIENTS];

/* --- commands --- */

static int echo(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)err;
	require(!opaque && json_is_object(arguments));
	*result = json_incref(arguments);
	return 0;
}

/* The arguments are in its words. */
static int fail(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const char *text = json_string_value(json_object_get(arguments, "text"));

	(void)opaque;
	*result = json_true();
	return error_set(err, -ENODEV, "%s\xff", text ? text : "");
}

static int shout(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	(void)result;
	(void)err;
	control_event(control, "SHOUT", json_incref(arguments));
	return 0;
}

/* Takes over the descriptor "x". */
static int take_x(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int fd = control_take_fd(control, "x", err);

	(void)opaque;
	(void)arguments;
	(void)result;
	if (fd < 0)
		return fd;
	require(close(fd) == 0);
	return 0;
}

static const struct control_command commands[] = {
	{"take", take_x}, {"echo", echo}, {"fail", fail}, {"shout", shout}, {NULL, NULL},
};

/* --- the clients --- */

static void remove_directory(void)
{
	*strrchr(address.sun_path, '/') = '\0';
	rmdir(address.sun_path);
}

static void set_up_once(void)
{
	char directory[] = "/tmp/fuzz-qmp.XXXXXX";

	if (loop)
		return;
	require(loop_create(&loop, NULL) == 0 && mkdtemp(directory));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	atexit(remove_directory);
}

static void connect_client(struct client *client)
{
	if (client->fd >= 0)
		return;
	client->len = 0;
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	require(client->fd >= 0);
	/* Too many may wait to be accepted. */
	if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fd_close(&client->fd);
}

static void send_text(const struct client *client, const char *text, size_t len)
{
	if (client->fd >= 0)
		(void)!send(client->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The same with so many descriptors. */
static void pass_text(const struct client *client, const char *text, size_t len, unsigned int n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} ancillary = {0};
	struct iovec iov = {(void *)text, len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS_MAX];

	for (unsigned int i = 0; i < n; i++)
		fds[i] = client->fd;
	fd_pass(&message, &ancillary, fds, n);
	if (client->fd >= 0 && len)
		(void)!sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static unsigned int count_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* One line is an object of one of four kinds. */
static void check_line(const char *line, size_t len)
{
	static const char *const kinds[] = {"QMP", "return", "error", "event"};
	json_t *message = json_loadb(line, len, 0, NULL);
	unsigned int n = 0;

	require(json_is_object(message));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		n += json_object_get(message, kinds[i]) != NULL;
	require(n == 1);
	json_decref(message);
}

/* The lines that the client has got; how many. What is no line yet stays. */
static unsigned int take_lines(struct client *client)
{
	const char *at = client->line, *end;
	unsigned int lines = 0;

	for (size_t left = client->len; (end = memchr(at, '\n', left)); at = end + 1, lines++) {
		require(end > at && end[-1] == '\r');
		check_line(at, (size_t)(end + 1 - at));
		left -= (size_t)(end + 1 - at);
	}
	client->len -= (size_t)(at - client->line);
	memmove(client->line, at, client->len);
	return lines;
}

/* Read what is there for the client; how many lines. */
static unsigned int read_lines(struct client *client)
{
	unsigned int lines = 0;
	ssize_t n;

	while (client->fd >= 0 &&
	       (n = recv(client->fd, client->line + client->len, sizeof(client->line) - client->len,
			 MSG_DONTWAIT)) > 0) {
		client->len += (size_t)n;
		lines += take_lines(client);
		require(client->len < sizeof(client->line));
	}
	return lines;
}

static void step(struct input *in)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
	uint32_t op = take(in, 1);
	struct client *client = &clients[(op >> 3) % CLIENTS];
	uint32_t n_fds = (op >> 3) / CLIENTS;
	size_t len;

	switch (op & 7) {
	case 0:
		connect_client(client);
		send_text(client, hello, strlen(hello));
		break;
	case 1:
		connect_client(client);
		break;
	case 2:
	case 3:
		len = take(in, 1);
		len = len < in->len ? len : in->len;
		for (uint32_t n = op & 1 ? REPEAT : 1; n; n--) {
			if (n_fds)
				pass_text(client, (const char *)in->data, len, n_fds);
			else
				send_text(client, (const char *)in->data, len);
		}
		in->data += len;
		in->len -= len;
		break;
	case 4:
		loop_turn(loop);
		break;
	case 5:
		read_lines(client);
		break;
	case 6:
		for (int n = op & 0x80 ? CONTROL_EVENTS_MAX + 1 : 1; n; n--)
			control_event(control, "EVENT", op & 8 ? json_object() : NULL);
		break;
	default:
		if (op & 8)
			shutdown(client->fd, SHUT_WR);
		else
			fd_close(&client->fd);
		break;
	}
}

/* The others are gone: a client that asks is answered. */
static void check_served(void)
{
	static const char asks[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"echo\"}";
	struct client *client = &clients[0];
	unsigned int lines = 0;

	for (unsigned int i = 0; i < CLIENTS; i++)
		fd_close(&clients[i].fd);
	/* Each turn serves some that wait, and sees some who are gone. */
	for (int i = 0; i < 8 * CLIENTS; i++)
		loop_turn(loop);
	connect_client(client);
	require(client->fd >= 0);
	send_text(client, asks, strlen(asks));
	for (int i = 0; lines < 3; i++) {
		require(i < TURNS_MAX);
		loop_turn(loop);
		lines += read_lines(client);
	}
	fd_close(&client->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_config config = {.path = address.sun_path, .commands = commands};
	struct input in = {data, size};

	unsigned int before;

	set_up_once();
	before = count_descriptors();
	config.loop = loop;
	require(control_create(&config, &control, NULL) == 0);
	for (unsigned int i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	for (int i = 0; in.len && i < STEPS_MAX; i++)
		step(&in);
	check_served();
	control_destroy(control);
	require(count_descriptors() == before);
	return 0;
}
