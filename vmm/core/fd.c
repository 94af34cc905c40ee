/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

void fd_eventfd_signal_shared(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};

	if (poll(&pfd, 1, 0) == 1 && pfd.revents & POLLOUT)
		fd_eventfd_signal(fd);
}

unsigned long long fd_eventfd_drain(int fd)
{
	uint64_t count = 0;
	const struct iovec iov = {&count, sizeof(count)};
	ssize_t n;

	do {
		/* Whoever shares an eventfd can make it blocking. A timerfd knows no RWF_NOWAIT. */
		n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
		if (n < 0 && errno == EOPNOTSUPP)
			n = read(fd, &count, sizeof(count));
	} while (n < 0 && errno == EINTR);
	return n == sizeof(count) ? count : 0;
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

int fd_read_all_at(int fd, void *to, size_t len, uint64_t offset)
{
	char *at = to;

	while (len > 0) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

void fd_pass(struct msghdr *message, void *control, const int *fds, unsigned int n)
{
	struct cmsghdr *header = control;

	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(n * sizeof(int));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(header), fds, n * sizeof(int));
}

unsigned int fd_passed(struct msghdr *message, const int **fds)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	*fds = (const int *)(const void *)CMSG_DATA(header);
	return (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}
