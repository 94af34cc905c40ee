/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix_cat PATH: connects to a unix socket; what comes on standard input goes there, what comes
 * from there to standard output, until the other end closes. The end of the input changes nothing.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What @from has, to @to; 0 at its end. */
static ssize_t copy(int from, int to)
{
	char data[4096];
	ssize_t len = read(from, data, sizeof(data));

	return len > 0 && write(to, data, (size_t)len) == len ? len : 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
				{.fd = STDIN_FILENO, .events = POLLIN}};

	if (argc != 2)
		return 2;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[1]);
		return 1;
	}
	while (poll(fds, 2, -1) >= 0) {
		if (fds[0].revents && !copy(fd, STDOUT_FILENO))
			return 0;
		if (fds[1].revents && !copy(STDIN_FILENO, fd))
			fds[1].fd = -1;
	}
	return 1;
}
