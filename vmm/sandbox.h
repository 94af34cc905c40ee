/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox: what the threads that a guest drives may ask of the kernel. What a thread asks
 * beyond that ends the process (SIGSYS): xvmm has no reason to, so it is no longer xvmm that runs
 * there. Opening a file is an error only: C libraries try that by themselves.
 *
 * A VM comes to be in stages:
 *
 *	fork	 if asked to, a child in a PID namespace goes on: vmm/pid_namespace.h, of the
 *		 command line only.
 *	create   xvmm_create(): everything is opened, with the privileges that xvmm was started
 *		 with. Nothing of the guest runs, and no thread but the caller's.
 *	jail	 the process as a whole, if asked to, gives up its user, files and networks:
 *		 vmm/jail.h, of the command line only.
 *	confine  xvmm_confine(): the caller's thread; and each other, before it runs anything. No
 *		 capabilities, none to be gained (no_new_privs), no files (Landlock), a seccomp
 *		 filter of its kind (vmm/core/thread.h). It can't open a file or socket, start a
 *		 program, make memory executable, or signal another process; it keeps what it
 *		 needs of the descriptors that are open.
 *	run	 Guest code, and what it drives: registers, configuration, rings, packets. And one
 *		 thread that reads a large kernel and initrd to the end.
 *
 * What a VM may have to open later, for a net-switch or a vhost-user back-end that comes back, a
 * process from before the first stage opens for it: vmm/broker.h. Without that, in a program that
 * embeds the library, the caller's thread of such a VM can't be confined.
 */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include <stdbool.h>

#include "vmm/core/thread.h"

struct error;

/* Sanitizers ask for more of the kernel than xvmm does: a build with one can't have a sandbox. */
#ifdef XVMM_SANITIZED
static const bool sandbox_possible = false;
#else
static const bool sandbox_possible = true;
#endif

/* 0; or -EINVAL and *@err, where there can't be one. */
int sandbox_check(struct error *err);

/* Made when xvmm is built, of vmm/sandbox_rules.c. */
extern const struct thread_filters sandbox_filters;

#endif
