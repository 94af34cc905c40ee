/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of a VM's control socket, and the events of its end: docs/control.md. */
#ifndef VMM_CONTROL_COMMANDS_H
#define VMM_CONTROL_COMMANDS_H

#include "vmm/control.h"

struct xvmm_end;

/* Their opaque is the struct xvmm. */
extern const struct control_command control_commands[];

/*
 * Tell the clients, by @event, that the VM has ended, and how; @command: the reason's name, if it
 * was by a command, else NULL.
 */
void control_commands_ended(void (*event)(void *opaque, const char *name, json_t *data),
			    void *opaque, const struct xvmm_end *end, const char *command);

#endif
