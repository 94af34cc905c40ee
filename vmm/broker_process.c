/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker_process.h"

#include <errno.h>
#include <jansson.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/broker_channel.h"
#include "vmm/control.h"
#include "vmm/control_commands.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/helper.h"
#include "vmm/net_spec.h"
#include "vmm/sandbox.h"

/* What the VM may have opened. */
struct permission {
	enum opening_kind kind;
	char *name; /* owned */
};

struct process {
	const struct xvmm_config *config;
	struct logger log;
	struct loop *loop;
	struct control *control;    /* NULL: none */
	struct loop_watch openings; /* what the VM asks for */
	struct loop_watch commands; /* what it says of commands */
	struct permission *permissions;
	size_t n_permissions;
};

/* --- what may be opened --- */

static bool is_permitted(const struct process *process, enum opening_kind kind, const char *name)
{
	for (size_t i = 0; i < process->n_permissions; i++) {
		const struct permission *permission = &process->permissions[i];

		if (permission->kind == kind && strcmp(permission->name, name) == 0)
			return true;
	}
	return false;
}

static int permit(struct process *process, enum opening_kind kind, const char *name)
{
	struct permission *more;

	if (is_permitted(process, kind, name))
		return 0;
	more = realloc(process->permissions, (process->n_permissions + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	process->permissions = more;
	more += process->n_permissions;
	more->kind = kind;
	more->name = strdup(name);
	if (!more->name)
		return -ENOMEM;
	process->n_permissions++;
	return 0;
}

/* All that a device on @net needs. 0 or -ENOMEM. */
static int permit_net(struct process *process, const struct xvmm_net *net)
{
	int ret = 0;

	if (net->socket && net->server) {
		ret |= permit(process, OPENING_LISTENER, net->socket);
		ret |= permit(process, OPENING_REMOVAL, net->socket);
	} else if (net->socket) {
		ret |= permit(process, OPENING_CONNECTION, net->socket);
	}
	if (net->fallback)
		ret |= permit(process, OPENING_TAP, net->fallback);
	if (net->tap)
		ret |= permit(process, OPENING_TAP, net->tap);
	if (net->vhost != XVMM_VHOST_OFF)
		ret |= permit(process, OPENING_VHOST_NET, "");
	if (net->pcap)
		ret |= permit(process, OPENING_CAPTURE, net->pcap);
	return ret ? -ENOMEM : 0;
}

/* An argument of net-switch's alone, or NULL. What is wrong with it the command will say. */
static int permit_spec(struct process *process, const char *text)
{
	struct net_spec spec;
	int ret;

	if (!text || net_spec_parse(&spec, "net-switch", text, NULL))
		return 0;
	ret = permit_net(process, &spec.net);
	if (!ret && spec.received)
		ret = permit(process, OPENING_RECEIVED, spec.received);
	net_spec_free(&spec);
	return ret;
}

static int check(const struct process *process, const struct opening *opening, struct error *err)
{
	if (!is_permitted(process, opening->kind, opening->name))
		return error_set(err, -EPERM, "nobody has named %s", opening->name);
	if (opening_n_fds(opening) > OPENING_FDS_MAX)
		return error_set(err, -EINVAL, "%u queues are too many", opening->n_queues);
	return 0;
}

static void unanswered(const struct process *process, int code)
{
	if (code != -EPIPE)
		log_warning(&process->log, "the broker can't answer the VM: %s", strerror(-code));
}

static int open_permitted(struct process *process, const struct opening *opening, int *fds,
			  struct error *err)
{
	if (opening->kind != OPENING_RECEIVED)
		return opener_open(NULL, opening, &process->log, fds, err);
	*fds = control_take_fd(process->control, opening->name, err);
	return *fds < 0 ? *fds : 0;
}

/* Whether the VM is still there. */
static bool serve_opening(struct process *process)
{
	const int fd = process->openings.fd;
	struct broker_question question;
	const struct opening *opening = &question.opening;
	int fds[OPENING_FDS_MAX];
	struct error err = {0};
	unsigned int n = 0;
	int ret = broker_channel_take(fd, &question);

	/* The loop's word may be old: it was asked and answered while a command waited. */
	if (ret == -EAGAIN)
		return true;
	if (ret) {
		if (ret != -EPIPE)
			log_warning(&process->log, "the broker can't hear the VM: %s",
				    strerror(-ret));
		/* Nothing is to be asked of the VM, nor is it to wait, until this has ended. */
		broker_channel_end(process->openings.fd);
		broker_channel_end(process->commands.fd);
		loop_stop(process->loop);
		return false;
	}
	if (check(process, opening, &err) == 0 &&
	    open_permitted(process, opening, fds, &err) == 0) {
		err = (struct error){0};
		n = opening_n_fds(opening);
	}
	ret = broker_channel_answer(fd, question.serial, &err, fds, n);
	if (ret)
		unanswered(process, ret);
	while (n--)
		close(fds[n]);
	return true;
}

static void openings_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	serve_opening(watch->opaque);
}

/* --- commands --- */

/* An event is passed on; @message is given away, NULL if it was lost. */
static void pass_on(const struct process *process, json_t *message)
{
	const char *event = json_string_value(json_object_get(message, "event"));

	if (event)
		control_event(process->control, event,
			      json_incref(json_object_get(message, "data")));
	else
		log_warning(&process->log, "control: an event is lost");
	json_decref(message);
}

/*
 * What the VM says next. 1: it is the result of a command, in *@message, the caller's; 0: it was an
 * event; or a negative errno: -EPIPE, the VM is gone; -EBADMSG, -ENOMEM: it was a result, and is
 * lost.
 */
static int hear(struct process *process, json_t **message)
{
	enum broker_message kind;
	int ret = broker_channel_receive(process->commands.fd, &kind, message);

	/* As of serve_opening(). */
	if (ret == -EAGAIN)
		return 0;
	if (ret == -EPIPE) {
		loop_stop(process->loop);
		return ret;
	}
	if (kind == BROKER_RESULT)
		return ret ? ret : 1;
	pass_on(process, *message);
	return 0;
}

static void commands_ready(struct loop_watch *watch, uint32_t events)
{
	json_t *message;

	(void)events;
	/* There is no command that this could be the result of. */
	if (hear(watch->opaque, &message) > 0)
		json_decref(message);
}

/* 0, with *@result the caller's; or a negative errno, as of hear(). */
static int await_result(struct process *process, json_t **result)
{
	struct pollfd fds[] = {
		{.fd = process->commands.fd, .events = POLLIN},
		{.fd = process->openings.fd, .events = POLLIN},
	};
	int ret = 0;

	while (!ret) {
		if (poll(fds, 2, -1) < 0)
			continue;
		/* It may have to open something first. If it has ended, its last words count. */
		if (fds[0].revents)
			ret = hear(process, result);
		else if (fds[1].revents && !serve_opening(process))
			return -EPIPE;
	}
	return ret < 0 ? ret : 0;
}

static int take_result(json_t *message, json_t **result, struct error *err)
{
	const char *text = json_string_value(json_object_get(message, "text"));
	int code = (int)json_integer_value(json_object_get(message, "error"));

	if (code < 0 && text)
		return error_set(err, code, "%s", text);
	*result = json_incref(json_object_get(message, "return"));
	return *result ? 0 : error_set(err, -EBADMSG, "the VM gives no result");
}

static int execute(void *opaque, const struct control_command *command, json_t *arguments,
		   json_t **result, struct error *err)
{
	struct process *process = opaque;
	const char *spec = json_string_value(json_object_get(arguments, "spec"));
	json_t *message;
	int ret = permit_spec(process, spec);

	if (!ret)
		ret = broker_channel_send(
			process->commands.fd, BROKER_COMMAND,
			json_pack("{s:s,s:O}", "execute", command->name, "arguments", arguments),
			true);
	if (ret)
		return error_code(err, ret, "asking the VM");
	ret = await_result(process, &message);
	if (ret)
		return error_set(err, ret,
				 ret == -EPIPE ? "the VM has ended"
					       : "what the VM has answered is lost: %s",
				 strerror(-ret));
	ret = take_result(message, result, err);
	json_decref(message);
	return ret;
}

/* --- the process --- */

/*
 * Of its privileges it keeps those that opening may take: taps of any owner, files and sockets of
 * any owner, and the removal of such a socket.
 */
static const unsigned int capabilities[] = {CAP_NET_ADMIN, CAP_DAC_OVERRIDE, CAP_FOWNER};

static int confine(struct error *err)
{
	int ret;

	helper_limit_capabilities(capabilities, sizeof(capabilities) / sizeof(capabilities[0]));
	if (!sandbox_possible)
		return 0;
	ret = thread_filter(&sandbox_filters, THREAD_BROKER);
	if (ret) {
		error_code(err, ret, "the broker's sandbox");
		error_cure(err, "--sandbox off");
	}
	return ret;
}

static void forward_log(void *opaque, enum log_level level, const char *text)
{
	const struct xvmm_config *config = opaque;

	config->log(config->log_opaque, (enum xvmm_log_level)level, text);
}

static int create_control(struct process *process, struct error *err)
{
	const struct control_config control = {
		.path = process->config->control,
		.loop = process->loop,
		.log = &process->log,
		.commands = control_commands,
		.execute = execute,
		.opaque = process,
	};

	return control_create(&control, &process->control, err);
}

static int begin(struct process *process, struct error *err)
{
	const struct xvmm_config *config = process->config;
	int ret = loop_create(&process->loop, err);

	/* Nothing can be done by it but ask. */
	if (!ret && permit(process, OPENING_NAMES, ""))
		ret = error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < config->n_nets && !ret; i++) {
		ret = permit_net(process, &config->nets[i]);
		if (ret)
			error_set(err, ret, "out of memory");
	}
	if (!ret && config->control)
		ret = create_control(process, err);
	if (ret)
		return ret;
	ret = loop_watch_set(process->loop, &process->openings, EPOLLIN);
	if (!ret)
		ret = loop_watch_set(process->loop, &process->commands, EPOLLIN);
	return ret ? error_code(err, ret, "watching the VM") : 0;
}

static void end(struct process *process)
{
	control_destroy(process->control);
	if (process->loop) {
		loop_watch_remove(process->loop, &process->openings);
		loop_watch_remove(process->loop, &process->commands);
	}
	loop_destroy(process->loop);
	for (size_t i = 0; i < process->n_permissions; i++)
		free(process->permissions[i].name);
	free(process->permissions);
	fd_close(&process->openings.fd);
	fd_close(&process->commands.fd);
}

void broker_process(const struct xvmm_config *config, int openings_fd, int commands_fd)
{
	struct process process = {
		.config = config,
		.openings = {.fd = openings_fd, .ready = openings_ready, .opaque = &process},
		.commands = {.fd = commands_fd, .ready = commands_ready, .opaque = &process},
	};
	struct error err = {0};
	int ret;

	helper_begin("xvmm-broker", (const int[]){openings_fd, commands_fd}, 2);
	if (config->log)
		process.log = (struct logger){forward_log, (void *)config};
	if (confine(&err) == 0)
		begin(&process, &err);
	ret = broker_channel_answer(openings_fd, 0, &err, NULL, 0);
	if (ret)
		unanswered(&process, ret);
	else if (!err.code)
		loop_run(process.loop);
	end(&process);
}
