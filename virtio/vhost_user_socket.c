/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost_user_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/path.h"

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

static int create(const char *path, struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? error_errno(err, "a socket for %s", path) : fd;
}

int vhost_user_socket_check(const char *path, struct error *err)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	return *path && strlen(path) <= max
		       ? 0
		       : error_usage(err, "socket path '%s' is not of 1 to %zu bytes", path, max);
}

int vhost_user_socket_connect(const char *path, struct error *err)
{
	struct sockaddr_un addr = address(path);
	FD_CLEANUP int fd = create(path, err);
	struct stat st;
	int ret;

	if (fd < 0)
		return fd;
	/* connect() would say that nobody listens. */
	if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return error_set(err, -ENOTSOCK, "%s is there, and is no socket", path);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = path_explain(path, PATH_CONNECT, err);
		error_prefix(err, "connecting to %s: ", path);
		return ret;
	}
	return fd_take(&fd);
}

int vhost_user_socket_adopt(int fd, struct error *err)
{
	socklen_t len = sizeof(int);
	int type = -1, copy;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 && errno != ENOTSOCK)
		return error_errno(err, "descriptor %d", fd);
	if (type != SOCK_STREAM)
		return error_set(err, -EPROTOTYPE,
				 "descriptor %d: a vhost-user connection is a unix stream socket, "
				 "which this is not",
				 fd);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? error_errno(err, "descriptor %d", fd) : copy;
}

int vhost_user_socket_listen(const char *path, struct error *err)
{
	struct sockaddr_un addr = address(path);
	FD_CLEANUP int fd = create(path, err);
	FD_CLEANUP int other = vhost_user_socket_connect(path, err);
	int ret;

	if (fd < 0 || other == -ENOTSOCK || other == -EPROTOTYPE || other == -EACCES)
		return fd < 0 ? fd : other;
	if (other >= 0 || other == -EAGAIN)
		return error_set(err, -EADDRINUSE, "%s: another process listens there already",
				 path);
	if (other == -ECONNREFUSED && unlink(path) < 0)
		return error_errno(err, "%s: removing what was left there", path);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = path_explain(path, PATH_WRITE, err);
		error_prefix(err, "listening at %s: ", path);
		return ret;
	}
	if (listen(fd, 4) < 0) {
		ret = error_errno(err, "%s: listen", path);
		unlink(path);
		return ret;
	}
	return fd_take(&fd);
}
