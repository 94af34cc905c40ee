/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: start at -1, are O_CLOEXEC from birth, and have one owner, which the header
 * that declares them names.
 */
#ifndef VMM_CORE_FD_H
#define VMM_CORE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

struct msghdr;

/* Close *@fd if it is open and set it to -1. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A local descriptor that closes itself: `FD_CLEANUP int fd = -1;`. */
#define FD_CLEANUP __attribute__((cleanup(fd_close)))

/* Give up ownership: the value of *@fd, which becomes -1. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* A new non-blocking, close-on-exec eventfd, or a negative errno. The caller owns it. */
int fd_eventfd(void);

/* Add 1 to the eventfd @fd of this process; never blocks. Any thread, and signal handlers. */
void fd_eventfd_signal(int fd);

/*
 * The same for one that another process has, too: it may have made it blocking, and filled it. Only
 * if that process is quick enough to fill it between two system calls of ours can it make us wait.
 */
void fd_eventfd_signal_shared(int fd);

/* Take what the eventfd or timerfd @fd has counted (0: nothing). An eventfd never blocks. */
unsigned long long fd_eventfd_drain(int fd);

/*
 * Have @message pass on the @n descriptors at @fds, from 1 (SCM_RIGHTS). @control: CMSG_SPACE() of
 * them, zeroed, aligned as a struct cmsghdr; it outlives @message.
 */
void fd_pass(struct msghdr *message, void *control, const int *fds, unsigned int n);

/* How many descriptors came with @message, at *@fds in its control data; the caller's. */
unsigned int fd_passed(struct msghdr *message, const int **fds);

/* Write all of @len bytes, waiting where @fd makes it wait; 0 or a negative errno. */
int fd_write_all(int fd, const void *data, size_t len);

/* Read all of @len bytes at @offset of a file: 0, -ENODATA if it ends before, or pread()'s errno.
 */
int fd_read_all_at(int fd, void *to, size_t len, uint64_t offset);

#endif
