/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process for a user-mode network: what a guest sends is parsed there, by a library that isn't
 * ours, away from guest memory and from all that the VM's process has. It has no capabilities, is
 * nobody (where xvmm was started by root, and may be another), has 1024 descriptors at most, reads
 * nothing but what is below /etc and /run (where name servers are listed; by Landlock), and may do
 * with sockets of IPv4 and IPv6 what vmm/sandbox_rules.c lists. For the command line; with or
 * without --sandbox.
 */
#ifndef VMM_USER_NET_PROCESS_H
#define VMM_USER_NET_PROCESS_H

#include <sys/types.h>

#include "vmm/user_net.h"

struct user_net_process {
	pid_t pid;
	int alive; /* owned: a pipe that the process has open while it lives */
};

/*
 * Fork it: no other thread may run yet. The config's descriptor is ignored. 0, with the VM's end in
 * *@fd, the caller's; or a negative errno, and then there is nothing to stop; and 1, as fork()
 * returns twice, in the process itself, when its time is over and all that is left for it is to
 * exit.
 */
int user_net_process_start(struct user_net_process *process, const struct user_net_config *config,
			   int *fd, struct error *err);

/* When the VM's end of it is closed, whoever had it: wait for its end. */
void user_net_process_stop(struct user_net_process *process);

#endif
