/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>

int fd_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void fd_eventfd_signal(int fd)
{
	const uint64_t one = 1;
	int saved = errno;

	/* EAGAIN means that the counter is full: the reader has been told already. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

unsigned long long fd_eventfd_drain(int fd)
{
	uint64_t count = 0;

	while (read(fd, &count, sizeof(count)) < 0) {
		if (errno != EINTR)
			return 0;
	}
	return count;
}

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd pfd = {.fd = fd, .events = POLLOUT};

			poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}
