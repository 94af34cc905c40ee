/* SPDX-License-Identifier: Apache-2.0 */
/* xvmm as a child process of a test. */
#ifndef TESTS_SYSTEM_PROCESS_H
#define TESTS_SYSTEM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	int output;	  /* owned: what it writes to standard output and error */
	char text[65536]; /* what has been read of that */
	size_t len;
};

/* The value of an environment variable that the test can't do without. */
const char *need_env(const char *name);

/* The file of the test guest @name, in GUESTS, in static memory. */
const char *guest_path(const char *name);

/* Whether this architecture has that one. */
bool has_guest(const char *name);

/* @milliseconds, times PATIENCE (environment) on a machine that is slow. */
int stretched(int milliseconds);

/*
 * Start @argv, in a session of its own. @terminal: standard input, output and error are this
 * terminal, and process.output stays -1; or -1. It is not made the controlling terminal: it would
 * be reset at the end of the session, restored or not.
 */
void process_start(struct process *process, const char *const *argv, int terminal);

/* Read what it writes within @milliseconds, if anything. */
void process_read(struct process *process, int milliseconds);

/*
 * Wait for its end, and fail the test if it doesn't come within 20 seconds, stretched(). Returns
 * the status.
 */
int process_wait(struct process *process);

/* How many entries a directory of /proc has: open descriptors, threads. */
int count_entries(const char *directory);

/* End the test with status 77, if /dev/kvm can't be opened. */
void require_kvm(void);

#endif
