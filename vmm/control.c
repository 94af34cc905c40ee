/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/control_fds.h"
#include "vmm/control_stream.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/core/path.h"
#include "vmm/near.h"

enum {
	REQUESTS_A_TURN = 16, /* of one client, before the loop looks after others */
	BACKLOG = 8,
	NEAR_MAX = 128, /* names that may have been meant by a misspelt one */
};

struct client {
	struct control *control;
	struct loop_watch watch; /* its descriptor, the connection, is owned; -1: not used */
	struct control_stream in;
	char *out; /* owned: what is to be sent */
	size_t out_len;
	size_t out_size;
	int passed_fd;	  /* owned: came with a request, and is for getfd; -1: none */
	bool fd_is_next;  /* all requests before it were served: the next one takes it, or none */
	bool waiting;	  /* there may be requests that were read and not served */
	bool negotiated;  /* past qmp_capabilities */
	bool oob;	  /* and it may ask for commands out of band, which no command does */
	bool at_end;	  /* no more requests come */
	bool deaf;	  /* it has closed its end: what is for it is thrown away */
	const char *lost; /* why the connection is to be closed, whatever waits; or NULL */
};

struct control {
	struct loop *loop;
	const struct logger *log;
	const struct control_command *commands;
	int (*execute)(void *opaque, const struct control_command *command, json_t *arguments,
		       json_t **result, struct error *err);
	void *opaque;
	struct sockaddr_un address;
	int directory_fd; /* owned: of the socket file, wherever the program may go */
	const char *name; /* of the file in it, within address */
	bool bound;
	dev_t dev; /* of the socket file, if bound */
	ino_t ino;
	struct loop_watch listener; /* its descriptor is owned */
	struct loop_watch wake;	    /* an eventfd, owned: there are events, or requests left over */
	int spare_fd;		    /* owned: given up to refuse a connection when all are used */
	struct client clients[CONTROL_CLIENTS_MAX];
	struct control_fds fds;

	pthread_mutex_t lock;		  /* of the following */
	char *events[CONTROL_EVENTS_MAX]; /* owned */
	size_t n_events;
	size_t n_events_lost;
};

/* --- output --- */

static int grow_output(struct client *client, size_t needed)
{
	size_t size = client->out_size ? client->out_size : 4096;
	char *out;

	while (size < needed)
		size *= 2;
	if (size == client->out_size)
		return 0;
	out = realloc(client->out, size);
	if (!out)
		return -ENOMEM;
	client->out = out;
	client->out_size = size;
	return 0;
}

/* A line. */
static void put_text(struct client *client, const char *text)
{
	static const char newline[] = "\r\n";
	size_t len = text ? strlen(text) : 0;

	if (client->deaf || client->lost)
		return;
	if (client->out_len + len > CONTROL_OUTPUT_MAX) {
		client->lost = "it doesn't read what is sent to it";
	} else if (!text || grow_output(client, client->out_len + len + strlen(newline))) {
		client->lost = "out of memory";
	} else {
		memcpy(client->out + client->out_len, text, len);
		memcpy(client->out + client->out_len + len, newline, strlen(newline));
		client->out_len += len + strlen(newline);
	}
}

/* @message is given away; NULL: there was no memory for it. */
static void put_message(struct client *client, json_t *message)
{
	char *text = message ? control_stream_text(message, 0) : NULL;

	put_text(client, text);
	free(text);
	json_decref(message);
}

/* Send what can be sent now. */
static void flush_output(struct client *client)
{
	size_t sent = 0;

	while (sent < client->out_len && !client->deaf && !client->lost) {
		ssize_t n = send(client->watch.fd, client->out + sent, client->out_len - sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno == EPIPE || errno == ECONNRESET)
			client->deaf = true;
		else if (errno != EINTR)
			client->lost = "sending to it failed";
	}
	if (client->deaf)
		sent = client->out_len;
	client->out_len -= sent;
	if (sent && client->out_len)
		memmove(client->out, client->out + sent, client->out_len);
}

static void deliver_events(struct control *control)
{
	char *events[CONTROL_EVENTS_MAX];
	size_t n, n_lost;

	pthread_mutex_lock(&control->lock);
	n = control->n_events;
	n_lost = control->n_events_lost;
	memcpy(events, control->events, n * sizeof(events[0]));
	control->n_events = control->n_events_lost = 0;
	pthread_mutex_unlock(&control->lock);
	if (n_lost)
		log_warning(control->log, "control: %zu events were lost", n_lost);
	for (size_t i = 0; i < n; i++) {
		for (struct client *client = control->clients;
		     client < control->clients + CONTROL_CLIENTS_MAX; client++) {
			if (client->watch.fd >= 0 && client->negotiated)
				put_text(client, events[i]);
		}
		free(events[i]);
	}
}

/* --- what every control socket knows --- */

/*
 * "qemu" is the version of QEMU whose QMP this is: clients refuse what they take for an old QEMU,
 * and look there for what they may use.
 */
static json_t *version(void)
{
	return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", 0, "minor", 2, "major", 7,
			 "package", "xvmm " XVMM_VERSION);
}

static int no_arguments(json_t *arguments, struct error *err)
{
	const char *key = json_object_iter_key(json_object_iter(arguments));

	return key ? error_set(err, -EINVAL, "there is no argument '%s'", key) : 0;
}

static int query_version(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	*result = version();
	return no_arguments(arguments, err);
}

static int add_names(json_t *list, const struct control_command *commands)
{
	int ret = 0;

	for (; commands && commands->name; commands++)
		ret |= json_array_append_new(list, json_pack("{s:s}", "name", commands->name));
	return ret;
}

static int query_commands(void *opaque, json_t *arguments, json_t **result, struct error *err);

static int unpack_fd_name(json_t *arguments, const char **name, struct error *err)
{
	json_error_t error;

	return json_unpack_ex(arguments, &error, 0, "{s:s!}", "fdname", name)
		       ? error_set(err, -EINVAL, "%s; it takes fdname", error.text)
		       : 0;
}

static int getfd(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	struct client *client = opaque;
	const char *name;
	int ret = unpack_fd_name(arguments, &name, err);

	(void)result;
	if (!ret && client->passed_fd < 0)
		ret = error_set(err, -EINVAL, "No file descriptor supplied via SCM_RIGHTS");
	if (!ret)
		ret = control_fds_put(&client->control->fds, name, client->passed_fd, err);
	if (ret)
		fd_close(&client->passed_fd);
	else
		fd_take(&client->passed_fd);
	return ret;
}

static int closefd(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const struct client *client = opaque;
	const char *name;
	int ret = unpack_fd_name(arguments, &name, err);
	int fd = ret ? ret : control_take_fd(client->control, name, err);

	(void)result;
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int negotiate_again(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	(void)arguments;
	(void)result;
	return error_set(err, -ENOSYS, "capabilities are negotiated already");
}

/* Their opaque is the client. */
static const struct control_command built_in[] = {
	{"qmp_capabilities", negotiate_again},
	{"query-commands", query_commands},
	{"query-version", query_version},
	{"getfd", getfd},
	{"closefd", closefd},
	{NULL, NULL},
};

static int query_commands(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const struct client *client = opaque;

	*result = json_array();
	if (add_names(*result, built_in) || add_names(*result, client->control->commands))
		return error_set(err, -ENOMEM, "out of memory");
	return no_arguments(arguments, err);
}

/* --- requests --- */

/* The reply to the request with that id (borrowed, or NULL); @content is given away. */
static void reply(struct client *client, const char *kind, json_t *content, json_t *id)
{
	json_t *message = json_pack("{s:o}", kind, content);

	if (message && id && json_object_set(message, "id", id)) {
		json_decref(message);
		message = NULL;
	}
	put_message(client, message);
}

static void reply_error(struct client *client, const char *class, const char *desc, json_t *id)
{
	reply(client, "error",
	      json_pack("{s:s,s:o}", "class", class, "desc", control_stream_string(desc)), id);
}

/* The name without the prefix of those that aren't QEMU's, which may be left out. */
static const char *short_name(const struct control_command *command)
{
	static const char prefix[] = "xvmm-";
	const size_t len = strlen(prefix);

	return command->name + (strncmp(command->name, prefix, len) == 0 ? len : 0);
}

static const struct control_command *find_command(const struct control_command *commands,
						  const char *name)
{
	for (; commands && commands->name; commands++) {
		if (strcmp(commands->name, name) == 0 || strcmp(short_name(commands), name) == 0)
			return commands;
	}
	return NULL;
}

/* The command whose name is most like @name, which none has; NULL: none is. */
static const char *near_command(const struct control *control, const char *name)
{
	const struct control_command *tables[] = {built_in, control->commands};
	const char *names[NEAR_MAX + 1] = {NULL};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		const struct control_command *command = tables[i];

		for (; command && command->name && n + 2 <= NEAR_MAX; command++) {
			names[n++] = command->name;
			names[n++] = short_name(command);
		}
	}
	return near_word(name, names);
}

/* QEMU's schema has few classes (QapiErrorClass). */
static const char *error_class(int error)
{
	switch (error) {
	case -ENOSYS:
		return "CommandNotFound";
	case -ENODEV:
		return "DeviceNotFound";
	default:
		return "GenericError";
	}
}

static int call(struct client *client, const char *name, json_t *arguments, json_t **result,
		struct error *err)
{
	const struct control *control = client->control;
	const struct control_command *command = find_command(built_in, name);

	if (command)
		return command->execute(client, arguments, result, err);
	command = find_command(control->commands, name);
	if (!command) {
		const char *near = near_command(control, name);

		return error_set(err, -ENOSYS, "there is no command '%s'; try: %s", name,
				 near ? near : "query-commands");
	}
	return control->execute ? control->execute(control->opaque, command, arguments, result, err)
				: command->execute(control->opaque, arguments, result, err);
}

static void execute(struct client *client, const char *name, json_t *arguments, json_t *id)
{
	json_t *result = NULL;
	struct error err = {0};
	int ret = call(client, name, arguments, &result, &err);

	/* What it caused is told before its reply, as QEMU does. */
	deliver_events(client->control);
	if (!ret) {
		reply(client, "return", result ? result : json_object(), id);
		return;
	}
	json_decref(result);
	reply_error(client, error_class(ret), err.text, id);
}

/* Whether @enable is a list of capabilities that the greeting listed: "oob"; or NULL. */
static bool are_capabilities(const json_t *enable)
{
	json_t *name;
	size_t i;

	json_array_foreach(enable, i, name)
	{
		if (!json_is_string(name) || strcmp(json_string_value(name), "oob") != 0)
			return false;
	}
	return !enable || json_is_array(enable);
}

/* The first command: which of the capabilities it wants. */
static void negotiate(struct client *client, const char *name, json_t *arguments, json_t *id)
{
	json_t *enable = NULL;

	if (strcmp(name, "qmp_capabilities") != 0) {
		reply_error(client, "CommandNotFound", "the first command is qmp_capabilities", id);
	} else if (json_unpack(arguments, "{s?o!}", "enable", &enable) ||
		   !are_capabilities(enable)) {
		reply_error(client, "GenericError", "it takes enable, a list of capabilities: oob",
			    id);
	} else {
		client->negotiated = true;
		client->oob = json_array_size(enable) > 0;
		reply(client, "return", json_object(), id);
	}
}

/* What is wrong with a request, the name of whose command is in @verb; or NULL. */
static const char *check_request(json_t *request, const char *verb)
{
	json_t *arguments = json_object_get(request, "arguments");
	const char *key;
	json_t *value;

	if (!json_is_object(request))
		return "a request is a JSON object";
	if (!json_is_string(json_object_get(request, verb)))
		return "a request has a string \"execute\", the name of a command";
	if (arguments && !json_is_object(arguments))
		return "\"arguments\" is a JSON object";
	json_object_foreach(request, key, value)
	{
		if (strcmp(key, verb) != 0 && strcmp(key, "arguments") != 0 &&
		    strcmp(key, "id") != 0)
			return "a request has nothing but \"execute\", \"arguments\" and \"id\"";
	}
	return NULL;
}

/* To be carried out at once, whatever waits: which no command has to be, none takes so long. */
static void refuse_oob(struct client *client, const char *name, json_t *id)
{
	if (find_command(built_in, name) || find_command(client->control->commands, name))
		reply_error(client, "GenericError", "this command is not one for exec-oob", id);
	else
		reply_error(client, "CommandNotFound", "there is no such command", id);
}

static void handle_request(struct client *client, json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_t *arguments = json_object_get(request, "arguments");
	const bool oob = client->oob && json_object_get(request, "exec-oob");
	const char *verb = oob ? "exec-oob" : "execute";
	const char *name = json_string_value(json_object_get(request, verb));
	const char *wrong = check_request(request, verb);
	json_t *none = NULL;

	if (wrong) {
		reply_error(client, "GenericError", wrong, id);
		return;
	}
	if (!arguments)
		arguments = none = json_object();
	if (!arguments)
		client->lost = "out of memory";
	else if (oob)
		refuse_oob(client, name, id);
	else if (client->negotiated)
		execute(client, name, arguments, id);
	else
		negotiate(client, name, arguments, id);
	json_decref(none);
}

/* Requests that have come, up to so many; false if none is left. */
static bool serve_requests(struct client *client)
{
	for (int i = 0; i < REQUESTS_A_TURN; i++) {
		struct error err = {0};
		json_t *request;
		int ret;

		if (client->lost || client->out_len > CONTROL_OUTPUT_PAUSE)
			return true;
		ret = control_stream_next(&client->in, &request, &err);
		if (!ret) {
			client->fd_is_next = true;
			return false;
		}
		if (ret < 0)
			reply_error(client, "GenericError", err.text, NULL);
		else
			handle_request(client, request);
		json_decref(request);
		if (client->fd_is_next)
			fd_close(&client->passed_fd);
	}
	return true;
}

/* --- connections --- */

static void close_client(struct client *client)
{
	struct control *control = client->control;

	if (client->lost)
		log_warning(control->log, "control: a client was disconnected: %s", client->lost);
	loop_watch_remove(control->loop, &client->watch);
	fd_close(&client->watch.fd);
	fd_close(&client->passed_fd);
	control_stream_free(&client->in);
	free(client->out);
	*client = (struct client){.watch.fd = -1, .passed_fd = -1};
}

/*
 * Wait for what can go on: requests, unless too much waits to be read by the client already, and
 * room to send.
 */
static void watch_client(struct client *client)
{
	bool reads = !client->at_end && client->out_len <= CONTROL_OUTPUT_PAUSE;
	uint32_t events = (reads ? EPOLLIN : 0u) | (client->out_len ? EPOLLOUT : 0u);

	/* With neither the watch is off, and the wake-up that was sent goes on. */
	if (loop_watch_set(client->control->loop, &client->watch, events))
		client->lost = "the event loop failed";
}

/* Serve requests that are there, send what can be sent. */
static void serve_client(struct client *client)
{
	bool done;

	client->waiting = serve_requests(client);
	flush_output(client);
	if (client->waiting && client->out_len <= CONTROL_OUTPUT_PAUSE)
		fd_eventfd_signal(client->control->wake.fd);
	done = !client->waiting && client->at_end && !client->out_len;
	if (!done && !client->lost)
		watch_client(client);
	if (done || client->lost)
		close_client(client);
}

/* Of the descriptors that came, the first one; whoever passes many harms himself. */
static void take_passed(struct client *client, struct msghdr *message)
{
	const int *fds = NULL;
	unsigned int n = fd_passed(message, &fds);

	if (!n)
		return;
	fd_close(&client->passed_fd);
	client->passed_fd = fds[0];
	client->fd_is_next = false;
	for (unsigned int i = 1; i < n; i++)
		close(fds[i]);
}

static void read_requests(struct client *client)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(
			sizeof(int))]; /* the kernel drops what there is no room for */
	} control;
	struct iovec iov;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	/* A descriptor would come too early for those that wait. */
	if (client->waiting)
		return;
	iov.iov_base = control_stream_room(&client->in, &iov.iov_len);
	if (!iov.iov_len)
		return;
	n = recvmsg(client->watch.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n > 0) {
		take_passed(client, &message);
		control_stream_add(&client->in, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
		client->at_end = true;
	}
}

/* A request that fills the buffer and isn't complete. */
static bool is_too_long(struct client *client)
{
	size_t room;

	control_stream_room(&client->in, &room);
	return !room && client->in.scanned == client->in.end;
}

static void client_ready(struct loop_watch *watch, uint32_t events)
{
	struct client *client = watch->opaque;

	(void)events;
	flush_output(client);
	if (client->out_len <= CONTROL_OUTPUT_PAUSE && !client->at_end)
		read_requests(client);
	serve_client(client);
	if (client->watch.fd >= 0 && is_too_long(client)) {
		reply_error(client, "GenericError", "the request is too long", NULL);
		flush_output(client);
		client->lost = "its request has more than 65536 bytes";
		close_client(client);
	}
}
_Static_assert(CONTROL_REQUEST_MAX == 65536, "as the message says");

static struct client *free_client(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].watch.fd < 0)
			return &control->clients[i];
	}
	return NULL;
}

/* @fd is taken over. */
static void add_client(struct control *control, int fd)
{
	static const char full[] =
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"there are as many clients "
		"as there may be\"}}\r\n";
	struct client *client = free_client(control);
	struct client new_client = {
		.control = control,
		.watch = {.fd = fd, .ready = client_ready, .opaque = client},
		.passed_fd = -1,
	};

	if (!client || control_stream_init(&new_client.in, CONTROL_REQUEST_MAX)) {
		send(fd, full, strlen(full), MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
		return;
	}
	*client = new_client;
	put_message(client, json_pack("{s:{s:o,s:[s]}}", "QMP", "version", version(),
				      "capabilities", "oob"));
	serve_client(client);
}

static void listener_ready(struct loop_watch *watch, uint32_t events)
{
	struct control *control = watch->opaque;
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd >= 0) {
		add_client(control, fd);
	} else if (errno == EMFILE || errno == ENFILE) {
		/* Left there, it would be told again and again. */
		fd_close(&control->spare_fd);
		fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
		fd_close(&fd);
		control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
}

/* --- events --- */

static void wake_ready(struct loop_watch *watch, uint32_t events)
{
	struct control *control = watch->opaque;

	(void)events;
	fd_eventfd_drain(watch->fd);
	deliver_events(control);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (control->clients[i].watch.fd >= 0)
			serve_client(&control->clients[i]);
	}
}

/* The event as a line; NULL: out of memory. @data is given away. */
static char *event_text(const char *name, json_t *data)
{
	struct timespec now;
	json_t *event;
	char *text = NULL;

	clock_gettime(CLOCK_REALTIME, &now);
	event = json_pack("{s:{s:I,s:I},s:s,s:o*}", "timestamp", "seconds", (json_int_t)now.tv_sec,
			  "microseconds", (json_int_t)(now.tv_nsec / 1000), "event", name, "data",
			  data);
	if (event)
		text = control_stream_text(event, 0);
	json_decref(event);
	return text;
}

void control_event(struct control *control, const char *name, json_t *data)
{
	char *text;

	if (!control) {
		json_decref(data);
		return;
	}
	text = event_text(name, data);
	pthread_mutex_lock(&control->lock);
	if (text && control->n_events < CONTROL_EVENTS_MAX) {
		control->events[control->n_events++] = text;
		text = NULL;
	} else {
		control->n_events_lost++;
	}
	pthread_mutex_unlock(&control->lock);
	free(text);
	fd_eventfd_signal(control->wake.fd);
}

/* --- the socket --- */

static int make_address(const char *path, struct sockaddr_un *address, struct error *err)
{
	const size_t max = sizeof(address->sun_path) - 1;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!*path || strlen(path) > max)
		return error_usage(err, "a socket's path has 1 to %zu bytes", max);
	memcpy(address->sun_path, path, strlen(path));
	return 0;
}

int control_check_path(const char *path, struct error *err)
{
	FD_CLEANUP int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	struct stat stat;
	int ret = make_address(path, &address, err);

	if (ret)
		return ret;
	if (fd < 0)
		return error_errno(err, "creating a socket");
	if (lstat(path, &stat) < 0)
		return 0;
	if (!S_ISSOCK(stat.st_mode))
		return error_set(err, -EEXIST, "it exists and is no socket; try: another path");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return error_set(err, -EADDRINUSE,
				 "another process listens there; try: another path");
	if (errno == ECONNREFUSED || errno == ENOENT)
		return 0;
	ret = path_explain(path, PATH_CONNECT, err);
	error_prefix(err, "it exists, and looking who listens there: ");
	return ret;
}

/* Somebody has the path. 0 if it was a socket where nobody listens any more, now gone. */
static int remove_stale(const char *path, struct error *err)
{
	int ret = control_check_path(path, err);

	if (ret) {
		error_prefix(err, "control: %s: ", path);
		return ret;
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, "control: %s: removing what was left there", path);
	return 0;
}

/* Why the socket file at @path can't be made, by errno. */
static int explain(const char *path, struct error *err)
{
	int ret = path_explain(path, PATH_WRITE, err);

	error_prefix(err, "control: %s: ", path);
	return ret;
}

static int bind_path(struct control *control, int fd, struct error *err)
{
	const struct sockaddr *address = (const struct sockaddr *)&control->address;
	const char *path = control->address.sun_path;
	struct stat stat;
	int ret;

	/* The file's mode comes from the socket's: no moment in which others may connect. */
	if (fchmod(fd, S_IRUSR | S_IWUSR) < 0)
		return error_errno(err, "control: %s: setting the mode", path);
	ret = bind(fd, address, sizeof(control->address));
	if (ret < 0 && errno == EADDRINUSE) {
		ret = remove_stale(path, err);
		if (ret)
			return ret;
		ret = bind(fd, address, sizeof(control->address));
	}
	if (ret < 0)
		return explain(path, err);
	control->bound = fstatat(control->directory_fd, control->name, &stat,
				 AT_SYMLINK_NOFOLLOW) == 0;
	if (control->bound) {
		control->dev = stat.st_dev;
		control->ino = stat.st_ino;
	}
	return 0;
}

static int open_directory(struct control *control, struct error *err)
{
	const char *path = control->address.sun_path, *slash = strrchr(path, '/');
	char directory[sizeof(control->address.sun_path) + 1];

	control->name = slash ? slash + 1 : path;
	snprintf(directory, sizeof(directory), "%.*s.", (int)(control->name - path), path);
	control->directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return control->directory_fd < 0 ? explain(path, err) : 0;
}

static int listen_at(struct control *control, const char *path, struct error *err)
{
	int ret = make_address(path, &control->address, err);
	int fd;

	if (ret) {
		error_prefix(err, "control: '%s': ", path);
		return ret;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, "control: creating a socket");
	control->listener.fd = fd;
	ret = open_directory(control, err);
	if (!ret)
		ret = bind_path(control, fd, err);
	if (!ret && listen(fd, BACKLOG) < 0)
		ret = error_errno(err, "control: %s: listening", path);
	return ret;
}

static int watch_all(struct control *control, struct error *err)
{
	int ret = control->wake.fd = fd_eventfd();

	control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (ret >= 0)
		ret = loop_watch_set(control->loop, &control->wake, EPOLLIN);
	if (!ret)
		ret = loop_watch_set(control->loop, &control->listener, EPOLLIN);
	return ret ? error_code(err, ret, "control") : 0;
}

int control_create(const struct control_config *config, struct control **result, struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int ret;

	*result = NULL;
	if (!control)
		return error_set(err, -ENOMEM, "control: out of memory");
	control->loop = config->loop;
	control->log = config->log;
	control->commands = config->commands;
	control->execute = config->execute;
	control->opaque = config->opaque;
	control->listener =
		(struct loop_watch){.fd = -1, .ready = listener_ready, .opaque = control};
	control->wake = (struct loop_watch){.fd = -1, .ready = wake_ready, .opaque = control};
	control->spare_fd = control->directory_fd = -1;
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].watch.fd = -1;
	pthread_mutex_init(&control->lock, NULL);
	ret = listen_at(control, config->path, err);
	if (!ret)
		ret = watch_all(control, err);
	if (ret) {
		control_destroy(control);
		return ret;
	}
	*result = control;
	return 0;
}

int control_take_fd(struct control *control, const char *name, struct error *err)
{
	struct control_fds none = {0};

	return control_fds_take(control ? &control->fds : &none, name, err);
}

/* Unless it is another's by now. */
static void remove_socket(const struct control *control)
{
	struct stat stat;

	if (control->bound &&
	    fstatat(control->directory_fd, control->name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
	    stat.st_dev == control->dev && stat.st_ino == control->ino)
		unlinkat(control->directory_fd, control->name, 0);
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	deliver_events(control);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &control->clients[i];

		if (client->watch.fd >= 0) {
			flush_output(client);
			close_client(client);
		}
	}
	loop_watch_remove(control->loop, &control->listener);
	loop_watch_remove(control->loop, &control->wake);
	remove_socket(control);
	fd_close(&control->directory_fd);
	control_fds_close(&control->fds);
	fd_close(&control->listener.fd);
	fd_close(&control->wake.fd);
	fd_close(&control->spare_fd);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
