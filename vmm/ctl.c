/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ctl.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/control_stream.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/path.h"
#include "vmm/ctl_metrics.h"
#include "vmm/ctl_sample.h"
#include "vmm/ctl_top.h"
#include "vmm/spec.h"
#include "vmm/timeline_bars.h"

enum {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	REPLY_MAX = 16 << 20,
	FIRST_ARGUMENT = 4, /* xvmm ctl PATH COMMAND */
	TOP_SECONDS_MAX = 3600,
	END_MS = 1000, /* from a broker's last reply to its end */
	MS_PER_S = 1000,
	NS_PER_S = 1000000000,
};

static const char help[] =
	"xvmm ctl: tells a running VM what to do, by the socket of its --control\n"
	"\n"
	"  xvmm ctl PATH COMMAND [ARGUMENT]...\n"
	"\n"
	"Commands:\n"
	"  query-status             is it running?\n"
	"  query-net                its network devices\n"
	"  query-rx-filter          which packets their drivers want\n"
	"  xvmm-net-stats           what passed through their queues, or was lost, and why\n"
	"  xvmm-cpu-stats           how often each vCPU came out of the guest\n"
	"  metrics                  what vCPUs and queues do, as Prometheus reads it\n"
	"  top [SECONDS]            what vCPUs and queues do, every second or SECONDS, live\n"
	"  xvmm-timeline            what happened since its start, and when\n"
	"  timeline                 the same, drawn\n"
	"  net-switch ID SPEC       move a network device to what SPEC says, as --net takes it\n"
	"  net-announce ID          have the guest announce it to its network\n"
	"  set_link ID on|off       plug or unplug its cable\n"
	"  getfd NAME N             pass on descriptor N; net-switch takes it as fd=NAME\n"
	"  closefd NAME             have it closed\n"
	"  stop, cont               have the guest stand still, and go on\n"
	"  system_powerdown         press the power button\n"
	"  system_reset             end it as a reboot by the guest does\n"
	"  inject-nmi               interrupt its first CPU, whatever that masks\n"
	"  quit                     end the VM at once\n"
	"  query-commands           all of them\n"
	"\n"
	"Of any command an argument can be given as NAME=VALUE, VALUE being a number, true, false,\n"
	"null, a JSON array, object or string in quotes, or else a string without.\n"
	"\n"
	"The result is printed as JSON, or as it is if it is one value; nothing if it is empty.\n"
	"\n"
	"Exit status: 0 done; 1 the command failed, or there is no VM; 2 wrong usage.\n";

/* Commands whose arguments are told apart by their place; all the others are NAME=VALUE. */
static const struct shape {
	const char *command;
	const char *names[2];
	enum {
		LAST_IS_TEXT,
		LAST_IS_FLAG, /* on or off */
		LAST_IS_FD,   /* a descriptor of this process, and no argument of the command's */
	} last;
} shapes[] = {
	{"net-switch", {"id", "spec"}, LAST_IS_TEXT}, {"net-announce", {"id", NULL}, LAST_IS_TEXT},
	{"set_link", {"name", "up"}, LAST_IS_FLAG},   {"getfd", {"fdname", "N"}, LAST_IS_FD},
	{"closefd", {"fdname", NULL}, LAST_IS_TEXT},
};

/* --- arguments --- */

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "ctl: out of memory");
}

/*
 * Jansson doesn't say why it makes nothing of a text: errno does, set to 0 before, if it is memory.
 * A string that need not be UTF-8 is none of JSON's.
 */
static int set_string(json_t *arguments, const char *name, const char *text, struct error *err)
{
	json_t *value;

	errno = 0;
	value = json_string(text);
	if (!value)
		return errno == ENOMEM ? out_of_memory(err)
				       : error_usage(err, "ctl: '%s' is not UTF-8", text);
	return json_object_set_new(arguments, name, value) ? out_of_memory(err) : 0;
}

static int set_flag(json_t *arguments, const char *name, const char *text, struct error *err)
{
	bool on = strcmp(text, "on") == 0;

	if (!on && strcmp(text, "off") != 0)
		return error_usage(err, "ctl: %s: '%s' is neither on nor off", name, text);
	return json_object_set_new(arguments, name, json_boolean(on)) ? out_of_memory(err) : 0;
}

static int parse_fd(const char *text, int *fd, struct error *err)
{
	uint64_t number;
	int ret = spec_number("ctl: getfd", text, 0, INT_MAX, &number, err);

	if (!ret)
		*fd = (int)number;
	return ret;
}

/* The last one of them. */
static int set_last(const struct shape *shape, json_t *arguments, const char *name,
		    const char *text, int *fd, struct error *err)
{
	switch (shape->last) {
	case LAST_IS_FLAG:
		return set_flag(arguments, name, text, err);
	case LAST_IS_FD:
		return parse_fd(text, fd, err);
	default:
		return set_string(arguments, name, text, err);
	}
}

static int set_by_place(const struct shape *shape, json_t *arguments, char *const *argv, int *fd,
			struct error *err)
{
	int n = shape->names[1] ? 2 : 1;
	int ret = 0;

	for (int i = 0; i < n && !ret; i++) {
		const char *name = shape->names[i];

		if (!argv[i])
			return error_usage(err, "ctl: %s: its %s is missing; try: xvmm ctl --help",
					   shape->command, name);
		ret = i == n - 1 ? set_last(shape, arguments, name, argv[i], fd, err)
				 : set_string(arguments, name, argv[i], err);
	}
	if (!ret && argv[n])
		ret = error_usage(err, "ctl: %s: '%s' is too much; try: xvmm ctl --help",
				  shape->command, argv[n]);
	return ret;
}

static int set_by_name(json_t *arguments, const char *pair, struct error *err)
{
	const char *text = strchr(pair, '=');
	char name[64];
	json_t *value;
	size_t len = text ? (size_t)(text - pair) : 0;

	if (!len || len >= sizeof(name))
		return error_usage(err, "ctl: '%s' is not NAME=VALUE; try: xvmm ctl --help", pair);
	memcpy(name, pair, len);
	name[len] = '\0';
	text++;
	if (json_object_get(arguments, name))
		return error_usage(err, "ctl: '%s' is given twice", name);
	errno = 0;
	value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!value && errno == ENOMEM)
		return out_of_memory(err);
	if (!value)
		return set_string(arguments, name, text, err);
	return json_object_set_new(arguments, name, value) ? out_of_memory(err) : 0;
}

static const struct shape *find_shape(const char *command)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (strcmp(shapes[i].command, command) == 0)
			return &shapes[i];
	}
	return NULL;
}

/*
 * The command at @argv[0], with its arguments after it, as a request; NULL: *@err says why. *@fd
 * becomes the descriptor to send with it, if there is one.
 */
static json_t *make_request(char *const *argv, int *fd, struct error *err)
{
	const struct shape *shape = find_shape(argv[0]);
	/* By name if the first one is: a SPEC has a "=" as well, but an id comes before it. */
	bool by_place = shape && !(argv[1] && strchr(argv[1], '='));
	json_t *arguments, *request;
	int ret = 0;

	errno = 0;
	arguments = json_object();
	request = json_pack("{s:o,s:o}", "execute", json_string(argv[0]), "arguments", arguments);
	if (!request) {
		if (errno == ENOMEM)
			out_of_memory(err);
		else
			error_usage(err, "ctl: '%s' is no command", argv[0]);
		return NULL;
	}
	if (by_place)
		ret = set_by_place(shape, arguments, argv + 1, fd, err);
	for (int i = 1; !by_place && argv[i] && !ret; i++)
		ret = set_by_name(arguments, argv[i], err);
	if (!ret)
		return request;
	json_decref(request);
	return NULL;
}

/* --- the connection --- */

struct ctl {
	const char *path;
	int fd;	     /* owned */
	int pass_fd; /* to send with the next request; -1: none */
	struct control_stream in;
};

static int explain_connect(const char *path, struct error *err)
{
	struct stat st;
	int ret;

	switch (errno) {
	case ENOENT:
		return error_set(err, -ENOENT,
				 "ctl: %s: there is no such socket; is it the --control of a VM "
				 "that runs?",
				 path);
	case ECONNREFUSED:
		if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
			return error_set(err, -ENOTSOCK,
					 "ctl: %s: it is no socket; is it the --control of a VM?",
					 path);
		return error_set(err, -ECONNREFUSED,
				 "ctl: %s: nobody listens there: its VM was killed; try: rm %s",
				 path, path);
	case EACCES:
	case EPERM:
		return error_set(err, -EACCES,
				 "ctl: %s: permission denied; it belongs to the user who started "
				 "the VM",
				 path);
	default:
		ret = path_explain(path, PATH_CONNECT, err);
		error_prefix(err, "ctl: %s: ", path);
		return ret;
	}
}

static int connect_to(struct ctl *ctl, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t max = sizeof(address.sun_path) - 1;

	if (!*ctl->path || strlen(ctl->path) > max)
		return error_usage(err, "ctl: '%s': a socket's path has 1 to %zu bytes", ctl->path,
				   max);
	memcpy(address.sun_path, ctl->path, strlen(ctl->path));
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ctl->fd < 0)
		return error_errno(err, "ctl: creating a socket");
	if (connect(ctl->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return explain_connect(ctl->path, err);
	return control_stream_init(&ctl->in, REPLY_MAX) ? out_of_memory(err) : 0;
}

/* The next message, the caller's; NULL: *@err says why there is none. */
static json_t *receive(struct ctl *ctl, struct error *err)
{
	json_t *message;

	for (;;) {
		int ret = control_stream_next(&ctl->in, &message, err);
		size_t room;
		char *to;
		ssize_t n;

		if (ret > 0)
			return message;
		if (ret < 0) {
			error_prefix(err, "ctl: %s: ", ctl->path);
			return NULL;
		}
		to = control_stream_room(&ctl->in, &room);
		n = room ? read(ctl->fd, to, room) : 0;
		if (n > 0) {
			control_stream_add(&ctl->in, (size_t)n);
		} else if (n == 0 || errno == ECONNRESET) {
			error_set(err, -EPIPE, "ctl: %s: the VM has closed the connection",
				  ctl->path);
			return NULL;
		} else if (errno != EINTR) {
			error_errno(err, "ctl: %s", ctl->path);
			return NULL;
		}
	}
}

/* An error of the other end's: its words. */
static int take_error(json_t *reply, struct error *err)
{
	const char *desc =
		json_string_value(json_object_get(json_object_get(reply, "error"), "desc"));

	return error_set(err, -EREMOTEIO, "%s",
			 desc ? desc : "ctl: it failed, and nothing said why");
}

/* In one piece with its descriptor. */
static int send_with_fd(struct ctl *ctl, const char *text, struct error *err)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(char *)text, strlen(text)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	fd_pass(&message, &control, &ctl->pass_fd, 1);
	n = sendmsg(ctl->fd, &message, MSG_NOSIGNAL);
	if (n < 0 && errno == EBADF)
		return error_set(err, -EBADF, "ctl: descriptor %d is not open", ctl->pass_fd);
	ctl->pass_fd = -1;
	return n == (ssize_t)iov.iov_len ? 0 : error_errno(err, "ctl: %s", ctl->path);
}

static int send_text(struct ctl *ctl, const char *text, struct error *err)
{
	int ret;

	if (ctl->pass_fd >= 0)
		return send_with_fd(ctl, text, err);
	ret = fd_write_all(ctl->fd, text, strlen(text));
	return ret ? error_code(err, ret, "ctl: %s", ctl->path) : 0;
}

/* Send @request, wait for what it returns: 0 with *@result the caller's. */
static int execute(struct ctl *ctl, json_t *request, json_t **result, struct error *err)
{
	char *text = control_stream_text(request, 0);
	json_t *reply = NULL;
	int ret;

	if (!text)
		return out_of_memory(err);
	ret = send_text(ctl, text, err);
	free(text);
	if (ret)
		return ret;
	/* Whatever else comes is an event. */
	do {
		json_decref(reply);
		reply = receive(ctl, err);
	} while (reply && !json_object_get(reply, "return") && !json_object_get(reply, "error"));
	if (!reply)
		return err->code;
	*result = json_incref(json_object_get(reply, "return"));
	ret = *result ? 0 : take_error(reply, err);
	json_decref(reply);
	return ret;
}

static int negotiate(struct ctl *ctl, struct error *err)
{
	json_t *greeting = receive(ctl, err);
	json_t *request, *result = NULL;
	int ret = 0;

	if (!greeting)
		return err->code;
	if (json_object_get(greeting, "error"))
		ret = take_error(greeting, err);
	else if (!json_object_get(greeting, "QMP"))
		ret = error_set(err, -EPROTO, "ctl: %s: who listens there does not speak QMP",
				ctl->path);
	json_decref(greeting);
	if (ret)
		return ret;
	request = json_pack("{s:s}", "execute", "qmp_capabilities");
	ret = request ? execute(ctl, request, &result, err) : out_of_memory(err);
	json_decref(request);
	json_decref(result);
	return ret;
}

static int open_session(struct ctl *ctl, struct error *err)
{
	int ret = connect_to(ctl, err);

	return ret ? ret : negotiate(ctl, err);
}

/* Nothing for an empty object, a string without its quotes, other things as JSON. */
static int print_result(json_t *result, struct error *err)
{
	size_t flags = JSON_ENCODE_ANY |
		       JSON_INDENT(json_is_object(result) || json_is_array(result) ? 2 : 0);
	char *text;

	if (json_is_object(result) && json_object_size(result) == 0)
		return 0;
	if (json_is_string(result)) {
		puts(json_string_value(result));
		return 0;
	}
	text = control_stream_text(result, flags);
	if (!text)
		return out_of_memory(err);
	puts(text);
	free(text);
	return 0;
}

/* --- counters, for people and programs --- */

static int execute_by_name(struct ctl *ctl, const char *name, json_t **result, struct error *err)
{
	json_t *request = json_pack("{s:s}", "execute", name);
	int ret = request ? execute(ctl, request, result, err) : out_of_memory(err);

	json_decref(request);
	return ret;
}

static int take_sample(struct ctl *ctl, struct ctl_sample *sample, struct error *err)
{
	struct timespec now;
	int ret;

	ret = execute_by_name(ctl, "xvmm-cpu-stats", &sample->cpus, err);
	if (!ret)
		ret = execute_by_name(ctl, "xvmm-net-stats", &sample->devices, err);
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->seconds = (double)now.tv_sec + (double)now.tv_nsec / NS_PER_S;
	return ret;
}

/* Whether the connection is at its end, within @ms; whatever waits to be read. */
static bool is_gone(const struct ctl *ctl, int ms)
{
	struct pollfd gone = {.fd = ctl->fd};

	return poll(&gone, 1, ms) == 1;
}

/* Until the VM ends, which is no error; or this program. */
static int top(struct ctl *ctl, unsigned int interval, struct error *err)
{
	struct ctl_sample before = {0}, now = {0};
	int ret = take_sample(ctl, &before, err);

	while (!ret) {
		is_gone(ctl, (int)interval * MS_PER_S);
		ret = take_sample(ctl, &now, err);
		if (!ret) {
			ctl_top_print(&before, &now);
			ret = fflush(stdout) ? error_errno(err, "ctl: standard output") : 0;
		} else if (ret == -EPIPE || (ret == -EREMOTEIO && is_gone(ctl, END_MS))) {
			/* Of a VM that has just ended its broker has an error to tell first. */
			ret = 0;
			break;
		}
		ctl_sample_free(&before);
		before = now;
		now = (struct ctl_sample){0};
	}
	ctl_sample_free(&now);
	ctl_sample_free(&before);
	return ret;
}

static int too_much(const char *command, const char *argument, struct error *err)
{
	return error_usage(err, "ctl: %s: '%s' is too much; try: xvmm ctl --help", command,
			   argument);
}

static int run_metrics(struct ctl *ctl, char *const *argv, struct error *err)
{
	struct ctl_sample sample = {0};
	int ret = argv[0] ? too_much("metrics", argv[0], err) : open_session(ctl, err);

	if (!ret)
		ret = take_sample(ctl, &sample, err);
	if (!ret)
		ret = ctl_print_metrics(&sample, err);
	ctl_sample_free(&sample);
	return ret;
}

static int run_top(struct ctl *ctl, char *const *argv, struct error *err)
{
	uint64_t interval = 1;
	int ret = 0;

	if (argv[0])
		ret = spec_number("ctl: top", argv[0], 1, TOP_SECONDS_MAX, &interval, err);
	if (!ret && argv[0] && argv[1])
		ret = too_much("top", argv[1], err);
	if (!ret)
		ret = open_session(ctl, err);
	return ret ? ret : top(ctl, (unsigned int)interval, err);
}

static int run_timeline(struct ctl *ctl, char *const *argv, struct error *err)
{
	json_t *timeline = NULL;
	int ret = argv[0] ? too_much("timeline", argv[0], err) : open_session(ctl, err);

	if (!ret)
		ret = execute_by_name(ctl, "xvmm-timeline", &timeline, err);
	if (!ret)
		ret = timeline_bars_print(timeline, err);
	json_decref(timeline);
	return ret;
}

/* Commands of this program's own; all others are the VM's. @argv: what follows them. */
static const struct {
	const char *name;
	int (*run)(struct ctl *ctl, char *const *argv, struct error *err);
} own_commands[] = {
	{"metrics", run_metrics},
	{"timeline", run_timeline},
	{"top", run_top},
};

static int run_command(struct ctl *ctl, char *const *argv, struct error *err)
{
	int fd = -1;
	json_t *request = make_request(argv, &fd, err);
	json_t *result = NULL;
	int ret;

	if (!request)
		return err->code;
	ret = open_session(ctl, err);
	ctl->pass_fd = fd;
	if (!ret)
		ret = execute(ctl, request, &result, err);
	if (!ret)
		ret = print_result(result, err);
	json_decref(result);
	json_decref(request);
	return ret;
}

static int run(struct ctl *ctl, char *const *argv, struct error *err)
{
	for (size_t i = 0; i < sizeof(own_commands) / sizeof(own_commands[0]); i++) {
		if (strcmp(argv[0], own_commands[i].name) == 0)
			return own_commands[i].run(ctl, argv + 1, err);
	}
	return run_command(ctl, argv, err);
}

int ctl_run(int argc, char *const *argv)
{
	struct ctl ctl = {.fd = -1, .pass_fd = -1};
	struct error err = {0};
	int ret;

	if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
		fputs(help, stdout);
		return STATUS_OK;
	}
	if (argc < FIRST_ARGUMENT) {
		fputs("xvmm: ctl: it needs a PATH and a COMMAND; try: xvmm ctl --help\n", stderr);
		return STATUS_USAGE;
	}
	ctl.path = argv[2];
	argv += FIRST_ARGUMENT - 1;
	ret = run(&ctl, argv, &err);
	fd_close(&ctl.fd);
	control_stream_free(&ctl.in);
	if (!ret && fflush(stdout) == 0)
		return STATUS_OK;
	fprintf(stderr, "xvmm: %s\n", ret ? err.text : "ctl: standard output can't be written");
	return err.usage ? STATUS_USAGE : STATUS_FAILED;
}
