/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process for a user-mode network: what a guest sends is parsed there, by a library that isn't
 * ours, away from guest memory and from all that the VM's process has. It has no capabilities, is
 * nobody (where xvmm was started by root), reads nothing but what is below /etc and /run (where
 * name servers are listed), and may do with sockets of IPv4 and IPv6 what vmm/sandbox_rules.c
 * lists. For the command line; with or without --sandbox.
 */
#ifndef VMM_USER_NET_PROCESS_H
#define VMM_USER_NET_PROCESS_H

#include <sys/types.h>

#include "vmm/user_net.h"

struct user_net_process {
	pid_t pid;
	int fd;	   /* owned: the VM's end, to be copied by it */
	int alive; /* owned: a pipe that the process has open while it lives */
};

/*
 * Fork it: no other thread may run yet. The config's descriptor is ignored. 0 or a negative errno,
 * and then there is nothing to stop; and 1, as fork() returns twice, in the process itself, when
 * its time is over and all that is left for it is to exit.
 */
int user_net_process_start(struct user_net_process *process, const struct user_net_config *config,
			   struct error *err);

/* When the VM is gone: have it end, and wait for that. */
void user_net_process_stop(struct user_net_process *process);

#endif
