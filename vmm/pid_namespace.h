/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PID namespace for the VM's process and those that it forks (vmm/helper.h): they see no other
 * process of the host. It belongs to --sandbox on,namespaces=on (vmm/jail.h), but comes first of
 * all, for only a child can be in a new one, and KVM takes a VM's calls from nobody but the process
 * that made it. It is the program's, not the library's, which doesn't fork. There are three then:
 *
 *	xvmm		the one that was started, outside: waits for the VM's process, passes
 *			signals on to it, stops and ends as that does
 *	xvmm-init	PID 1 in the namespace: waits for orphans, and ends the namespace
 *	xvmm		PID 2, the VM's process, which goes on with what is to be done
 *
 * The VM's process isn't PID 1 itself: signals do nothing to that by default (not even raise() or
 * abort() in it), and its end is the end of all, of the broker as well, before that could remove
 * the control socket.
 *
 * Both that wait have no descriptors but stderr and those by which they know each other and the
 * VM's process, no capabilities, and a filter with what it takes to wait (vmm/sandbox_rules.c).
 * Where the jail names a user they have that one for all but the real user ID: by that the first
 * may signal the VM's process before it has become this user, too.
 *
 * When the first process ends, in whatever way, all others are killed. When the VM's process ends,
 * its helpers have 5 seconds to do the same.
 *
 * It takes CAP_SYS_ADMIN, or no capabilities at all: then a user namespace comes with it, in which
 * user, group and groups are what they were, so that files, taps and devices are open to them as
 * before. Who has others (CAP_NET_ADMIN, say) would lose them before anything is open: an error.
 */
#ifndef VMM_PID_NAMESPACE_H
#define VMM_PID_NAMESPACE_H

#include <signal.h>

struct error;
struct jail;

/*
 * Make it, and its processes, by a process with one thread that has opened nothing. As fork()
 * returns twice: 0 in the VM's process; and 1, in the two others, when their time is over and all
 * that is left for them is to exit with *@status. Or a negative errno, and there is but one
 * process. If the VM's process dies of a signal, so does the first one here, without a core file.
 * Nothing happens in a build with sanitizers (0), where xvmm_create() refuses the sandbox.
 */
int pid_namespace_enter(const struct jail *jail, int *status, struct error *err);

/*
 * Of a SIGTERM or SIGINT with @info, in the VM's process: how many of these the first process has
 * been sent, up to this one, if it is the one that passes it on; else 0. Who signals a process
 * group or a control group reaches both, with one signal. For a handler.
 */
int pid_namespace_passed(const siginfo_t *info);

#endif
