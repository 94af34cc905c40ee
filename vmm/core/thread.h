/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of the library: they block every signal but those of their own faults, so that the
 * signals of the program that embeds it stay that program's business.
 */
#ifndef VMM_CORE_THREAD_H
#define VMM_CORE_THREAD_H

#include <pthread.h>

/* Start @run(@arg) in a thread called @name (at most 15 characters). 0 or a negative errno. */
int thread_create(pthread_t *thread, const char *name, void *(*run)(void *arg), void *arg);

#endif
