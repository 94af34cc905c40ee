/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/loop_call.h"

#include <stddef.h>
#include <sys/epoll.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"

/* On the caller's stack, while it waits. */
struct loop_call {
	void (*function)(void *argument);
	void *argument;
	enum {
		WAITS,
		CALLED,
		REFUSED
	} state;
	struct loop_call *next;
};

static struct loop_call *take(struct loop_caller *caller)
{
	struct loop_call *call = caller->first;

	if (call)
		caller->first = call->next;
	return call;
}

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct loop_caller *caller = watch->opaque;
	struct loop_call *call;

	(void)events;
	fd_eventfd_drain(watch->fd);
	pthread_mutex_lock(&caller->lock);
	while ((call = take(caller))) {
		pthread_mutex_unlock(&caller->lock);
		call->function(call->argument);
		pthread_mutex_lock(&caller->lock);
		call->state = CALLED;
		pthread_cond_broadcast(&caller->done);
	}
	pthread_mutex_unlock(&caller->lock);
}

int loop_caller_init(struct loop_caller *caller, struct loop *loop, struct error *err)
{
	int fd = fd_eventfd();
	int ret;

	*caller = (struct loop_caller){
		.loop = loop,
		.watch = {.fd = fd, .ready = ready, .opaque = caller},
	};
	pthread_mutex_init(&caller->lock, NULL);
	pthread_cond_init(&caller->done, NULL);
	ret = fd < 0 ? fd : loop_watch_set(loop, &caller->watch, EPOLLIN);
	return ret ? error_code(err, ret, "creating an eventfd") : 0;
}

void loop_caller_destroy(struct loop_caller *caller)
{
	if (!caller->loop)
		return;
	loop_watch_remove(caller->loop, &caller->watch);
	fd_close(&caller->watch.fd);
	pthread_mutex_destroy(&caller->lock);
	pthread_cond_destroy(&caller->done);
}

void loop_caller_open(struct loop_caller *caller)
{
	pthread_mutex_lock(&caller->lock);
	caller->open = true;
	pthread_mutex_unlock(&caller->lock);
}

void loop_caller_close(struct loop_caller *caller)
{
	struct loop_call *call;

	pthread_mutex_lock(&caller->lock);
	caller->open = false;
	while ((call = take(caller)))
		call->state = REFUSED;
	pthread_cond_broadcast(&caller->done);
	pthread_mutex_unlock(&caller->lock);
}

bool loop_call(struct loop_caller *caller, void (*function)(void *argument), void *argument)
{
	struct loop_call call = {.function = function, .argument = argument, .state = WAITS};
	struct loop_call **at = &caller->first;

	pthread_mutex_lock(&caller->lock);
	if (caller->open) {
		while (*at)
			at = &(*at)->next;
		*at = &call;
		fd_eventfd_signal(caller->watch.fd);
		while (call.state == WAITS)
			pthread_cond_wait(&caller->done, &caller->lock);
	}
	pthread_mutex_unlock(&caller->lock);
	return call.state == CALLED;
}
