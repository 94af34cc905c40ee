/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm/broker_channel.h"
#include "vmm/broker_process.h"
#include "vmm/control.h"
#include "vmm/control_stream.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/helper.h"

struct broker {
	struct opener opener;
	pid_t pid;
	int openings_fd;	    /* owned */
	uint32_t serial;	    /* of the last question */
	struct loop_watch commands; /* its descriptor is owned */
	struct broker_service service;
};

bool broker_is_needed(const struct xvmm_config *config)
{
	bool needed = config->control != NULL;

	/* A vhost-user back-end may go, and is looked for again. */
	for (size_t i = 0; i < config->n_nets; i++)
		needed = needed || config->nets[i].socket;
	return needed;
}

static int ask(void *opaque, const struct opening *opening, int *fds, struct error *err)
{
	struct broker *broker = opaque;

	broker->serial += broker->serial == UINT32_MAX ? 2 : 1; /* not 0 */
	return broker_channel_ask(broker->openings_fd, broker->serial, opening, fds, err);
}

/* --- its beginning and end --- */

static int start(struct broker *broker, const struct xvmm_config *config, struct error *err)
{
	int openings[2] = {-1, -1}, commands[2] = {-1, -1};
	int ret = broker_channel_create(openings);

	/* Jansson looks for it when it makes its first object, where a confined VM can't. */
	json_object_seed(0);
	if (!ret)
		ret = broker_channel_create(commands);
	if (!ret) {
		fflush(NULL);
		broker->pid = fork();
		ret = broker->pid < 0 ? -errno : 0;
	}
	if (!ret && broker->pid == 0) {
		fd_close(&openings[0]);
		fd_close(&commands[0]);
		broker_process(config, openings[1], commands[1]);
		return 1;
	}
	fd_close(&openings[1]);
	fd_close(&commands[1]);
	broker->openings_fd = openings[0];
	broker->commands.fd = commands[0];
	if (ret) {
		error_code(err, ret, "starting the broker process");
		error_cure(err, "--sandbox off");
		return ret;
	}
	/* It tells whether it could begin. */
	return broker_channel_await(broker->openings_fd, 0, NULL, 0, err);
}

int broker_start(const struct xvmm_config *config, struct broker **result, struct error *err)
{
	struct broker *broker = malloc(sizeof(*broker));
	int ret;

	*result = NULL;
	if (!broker)
		return error_set(err, -ENOMEM, "out of memory");
	*broker = (struct broker){
		.opener = {ask, broker},
		.pid = -1,
		.openings_fd = -1,
		.commands.fd = -1,
	};
	ret = start(broker, config, err);
	if (ret > 0)
		free(broker);
	else if (ret)
		broker_stop(broker);
	else
		*result = broker;
	return ret;
}

void broker_stop(struct broker *broker)
{
	if (!broker)
		return;
	broker_silence(broker);
	fd_close(&broker->commands.fd);
	helper_await_end(broker->pid, broker->openings_fd);
	fd_close(&broker->openings_fd);
	free(broker);
}

const struct opener *broker_opener(const struct broker *broker)
{
	return broker ? &broker->opener : NULL;
}

/* --- commands --- */

/* What became of it, as a message. */
static json_t *carry_out(const struct broker_service *service, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "execute"));
	json_t *arguments = json_object_get(request, "arguments");
	const struct control_command *command = service->commands;
	json_t *result = NULL;
	struct error err = {0};
	int ret;

	while (command->name && strcmp(command->name, name) != 0)
		command++;
	ret = command->name ? command->execute(service->opaque, arguments, &result, &err)
			    : error_set(&err, -ENOSYS, "there is no command '%s'", name);
	if (!ret)
		return json_pack("{s:o}", "return", result ? result : json_object());
	json_decref(result);
	return json_pack("{s:i,s:o}", "error", ret, "text", control_stream_string(err.text));
}

/* It waits for a result, whatever that is. 0, or a negative errno: it can't be told. */
static int answer(const struct broker *broker, json_t *request)
{
	static const char no_memory[] = "{\"error\": -12, \"text\": \"out of memory\"}";
	const int fd = broker->commands.fd;
	int ret = -ENOMEM;

	if (request)
		ret = broker_channel_send(fd, BROKER_RESULT, carry_out(&broker->service, request),
					  true);
	return ret ? broker_channel_send_text(fd, BROKER_RESULT, no_memory, true) : 0;
}

static void commands_ready(struct loop_watch *watch, uint32_t events)
{
	struct broker *broker = watch->opaque;
	enum broker_message kind;
	json_t *request;
	int ret = broker_channel_receive(watch->fd, &kind, &request);

	(void)events;
	if (ret == -EAGAIN)
		return;
	if (ret == -EPIPE || answer(broker, request)) {
		log_warning(broker->service.log,
			    "the broker process is gone: no control commands any more, no "
			    "vhost-user back-end is found again");
		broker_silence(broker);
		/* If it is only out of reach, it ends. */
		broker_channel_end(watch->fd);
	}
	json_decref(request);
}

int broker_serve(struct broker *broker, const struct broker_service *service, struct error *err)
{
	int ret;

	broker->service = *service;
	broker->commands.ready = commands_ready;
	broker->commands.opaque = broker;
	ret = loop_watch_set(service->loop, &broker->commands, EPOLLIN);
	return ret ? error_code(err, ret, "control") : 0;
}

void broker_silence(struct broker *broker)
{
	if (broker->service.loop)
		loop_watch_remove(broker->service.loop, &broker->commands);
	broker->service.loop = NULL;
}

void broker_event(struct broker *broker, const char *name, json_t *data)
{
	if (broker_channel_send(broker->commands.fd, BROKER_EVENT,
				json_pack("{s:s,s:o*}", "event", name, "data", data), false))
		log_warning(broker->service.log, "control: the event %s is lost", name);
}
