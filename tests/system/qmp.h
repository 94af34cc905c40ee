/* SPDX-License-Identifier: Apache-2.0 */
/* A client of xvmm's control socket, for tests. What fails, fails the test. */
#ifndef TESTS_SYSTEM_QMP_H
#define TESTS_SYSTEM_QMP_H

#include <stdbool.h>

/* Connect to the socket @path, which may be about to appear, and negotiate. The caller closes it.
 */
int qmp_connect(const char *path);

/* Send a command, a line of JSON; its answer comes later. */
void qmp_send(int fd, const char *command);

/* The same, with a descriptor, of which the other end gets a copy. */
void qmp_send_fd(int fd, const char *command, int passed);

/* The next line that is no event, within @milliseconds; false if none comes. */
bool qmp_receive(int fd, char *line, int size, int milliseconds);

#endif
