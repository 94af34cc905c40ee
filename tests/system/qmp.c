/* SPDX-License-Identifier: Apache-2.0 */
#include "qmp.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"
#include "vmm/core/fd.h"

enum {
	PATIENCE_MS = 10000,
	TURN_MS = 10,
};

static bool read_line(int fd, char *line, int size, int milliseconds)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	int len = 0;

	if (poll(&readable, 1, milliseconds) != 1)
		return false;
	for (;;) {
		ck_assert_int_eq(poll(&readable, 1, stretched(PATIENCE_MS)), 1);
		ck_assert_int_lt(len, size - 1);
		ck_assert_int_eq(read(fd, line + len, 1), 1);
		if (line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return true;
}

bool qmp_receive(int fd, char *line, int size, int milliseconds)
{
	while (read_line(fd, line, size, milliseconds)) {
		if (!strstr(line, "\"event\""))
			return true;
	}
	return false;
}

void qmp_send(int fd, const char *command)
{
	struct iovec iov[] = {{(char *)command, strlen(command)}, {"\n", 1}};

	ck_assert_int_eq(writev(fd, iov, 2), (ssize_t)iov[0].iov_len + 1);
}

void qmp_send_fd(int fd, const char *command, int passed)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov[] = {{(char *)command, strlen(command)}, {"\n", 1}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

	fd_pass(&message, &control, &passed, 1);
	ck_assert_int_eq(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)iov[0].iov_len + 1);
}

int qmp_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char line[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (int waited = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0;
	     waited += TURN_MS) {
		ck_assert_msg(waited < stretched(PATIENCE_MS), "%s: %s", path, strerror(errno));
		poll(NULL, 0, TURN_MS);
	}
	ck_assert(qmp_receive(fd, line, sizeof(line), stretched(PATIENCE_MS)));
	ck_assert_ptr_nonnull(strstr(line, "\"QMP\""));
	qmp_send(fd, "{\"execute\": \"qmp_capabilities\"}");
	ck_assert(qmp_receive(fd, line, sizeof(line), stretched(PATIENCE_MS)));
	ck_assert_ptr_nonnull(strstr(line, "\"return\""));
	return fd;
}
