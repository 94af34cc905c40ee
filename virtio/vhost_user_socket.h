/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unix stream sockets of vhost-user, non-blocking and close-on-exec: the front-end connects to
 * its back-end, or listens for it.
 */
#ifndef VIRTIO_VHOST_USER_SOCKET_H
#define VIRTIO_VHOST_USER_SOCKET_H

struct error;

/* Whether a socket can have the name @path: 0, or -EINVAL (a usage error: it is too long). */
int vhost_user_socket_check(const char *path, struct error *err);

/*
 * A connection to @path (checked), the caller's. -ENOENT, -ECONNREFUSED, -EAGAIN: nobody listens
 * there, or is too busy. -ENOTSOCK: something else is there. Other negative errnos of socket() and
 * connect().
 */
int vhost_user_socket_connect(const char *path, struct error *err);

/*
 * A copy of the connection @fd, the caller's. -EPROTOTYPE: it is no stream socket; or what
 * getsockopt() and fcntl() give.
 */
int vhost_user_socket_adopt(int fd, struct error *err);

/*
 * A socket that listens at @path (checked), the caller's, who unlinks the path, too. What a process
 * that is gone left there is replaced; -EADDRINUSE if somebody listens there, -ENOTSOCK.
 */
int vhost_user_socket_listen(const char *path, struct error *err);

#endif
