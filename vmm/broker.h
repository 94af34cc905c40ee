/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker: a process that does for a confined VM what takes privileges while it runs. It opens
 * taps, vhost-net, vhost-user sockets and captures, but only those that the options named, or a
 * net-switch since; and it keeps the control socket, so that it hears itself of what its clients
 * name, and what descriptors they pass, of which the VM gets those that a net-switch names. It runs
 * nothing of the guest, and sees none of its memory. It ends with the VM's process, however that
 * ends, and removes the control socket; unless its PID namespace is killed with all that is in it
 * (vmm/pid_namespace.h).
 *
 * Of the VM's process: all by the thread that runs the loop, or before it runs, but broker_event().
 */
#ifndef VMM_BROKER_H
#define VMM_BROKER_H

#include <jansson.h>
#include <stdbool.h>

#include "vmm/xvmm.h"

struct broker;
struct control_command;
struct error;
struct logger;
struct loop;

/* Whether a VM has anything to ask for while it runs. */
bool broker_is_needed(const struct xvmm_config *config);

/*
 * Fork it: no other thread may run yet. It listens on the control socket then, if there is to be
 * one. 0 or a negative errno; and 1, as fork() returns twice, in the broker itself, when its time
 * is over and all that is left for it is to exit.
 */
int broker_start(const struct xvmm_config *config, struct broker **broker, struct error *err);

/* What opens in the caller's stead; lives as long as the broker. NULL for NULL. */
const struct opener *broker_opener(const struct broker *broker);

struct broker_service {
	struct loop *loop;
	const struct logger *log;
	const struct control_command *commands;
	void *opaque; /* the commands' */
};

/* Carry out what clients of the control socket want. Until broker_silence(). */
int broker_serve(struct broker *broker, const struct broker_service *service, struct error *err);
void broker_silence(struct broker *broker);

/* As control_event(). Any thread. */
void broker_event(struct broker *broker, const char *name, json_t *data);

/* Have it end, and wait for that. Accepts NULL. */
void broker_stop(struct broker *broker);

#endif
