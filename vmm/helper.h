/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the processes that xvmm forks have in common: the broker (vmm/broker.h), one for each
 * user-mode network (vmm/user_net_process.h), and those that wait (vmm/pid_namespace.h). Each is a
 * process that runs nothing of the guest, keeps of what its parent had open and might do only what
 * it needs, and ends with the VM's process.
 */
#ifndef VMM_HELPER_H
#define VMM_HELPER_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Right after fork(), in the child: be called @name; close all that is open but @fds (their number
 * is @n, 1 or 2) and stderr, where messages go; leave it to the VM's end, not to a signal that
 * whoever ends the VM sends to both, to end this process.
 */
void helper_begin(const char *name, const int *fds, size_t n);

/* The second of these alone. */
void helper_keep_descriptors(const int *fds, size_t n);

/*
 * In the parent: wait until the process @pid has ended, and reap it; @fd's other end goes with it.
 * Not longer than 5 seconds, for it has nothing to do that takes long. Nothing for a @pid below 1.
 */
void helper_await_end(pid_t pid, int fd);

/* Give up all capabilities but the @n in @kept (CAP_*), where the process has these. */
void helper_limit_capabilities(const unsigned int *kept, size_t n);

#endif
