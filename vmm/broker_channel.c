/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/broker_channel.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/control_stream.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

struct request {
	uint32_t kind;
	uint32_t n_queues;
	char name[OPENING_NAME_SIZE];
};

union control_message {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(OPENING_FDS_MAX * sizeof(int))];
};

int broker_channel_create(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) ? -errno : 0;
}

static int send_message(int fd, const struct msghdr *message, int flags)
{
	ssize_t n;

	do
		n = sendmsg(fd, message, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/*
 * How many bytes came, with MSG_TRUNC also those that had no room; or a negative errno: -EPIPE at
 * the end.
 */
static ssize_t receive_message(int fd, struct msghdr *message, int flags)
{
	ssize_t n;

	do
		n = recvmsg(fd, message, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return n ? n : -EPIPE;
}

/* --- openings --- */

static int gone(int code, struct error *err)
{
	return error_set(err, code,
			 "the broker process, which opens what xvmm may not itself any more, "
			 "can't be asked: %s",
			 strerror(-code));
}

int broker_channel_ask(int fd, const struct opening *opening, int *fds, struct error *err)
{
	struct request request = {.kind = opening->kind, .n_queues = opening->n_queues};
	struct iovec iov = {&request, sizeof(request)};
	const struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	const char *name = opening->name ? opening->name : "";
	int ret;

	if (strlen(name) >= sizeof(request.name))
		return error_usage(err, "%s: the name is too long", name);
	memcpy(request.name, name, strlen(name));
	ret = send_message(fd, &message, 0);
	return ret ? gone(ret, err) : broker_channel_await(fd, fds, opening_n_fds(opening), err);
}

int broker_channel_take(int fd, struct opening *opening, char name[OPENING_NAME_SIZE])
{
	struct request request;
	struct iovec iov = {&request, sizeof(request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = receive_message(fd, &message, MSG_TRUNC);

	if (n < 0)
		return (int)n;
	if (n != sizeof(request) || !memchr(request.name, '\0', sizeof(request.name)))
		request = (struct request){.kind = OPENING_KINDS};
	memcpy(name, request.name, sizeof(request.name));
	*opening = (struct opening){
		.kind = (enum opening_kind)request.kind,
		.name = name,
		.n_queues = request.n_queues,
	};
	return 0;
}

static int answer(int fd, const struct error *result, const int *fds, unsigned int n)
{
	union control_message control = {0};
	struct iovec iov = {(void *)result, sizeof(*result)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds && n)
		fd_pass(&message, &control, fds, n);
	return send_message(fd, &message, 0);
}

void broker_channel_answer(int fd, const struct error *result, const int *fds, unsigned int n)
{
	int ret = answer(fd, result, fds, n);
	struct error failed;

	/* The kernel limits how many descriptors are on their way, say. */
	if (ret && n) {
		error_set(&failed, ret, "passing on what was opened: %s", strerror(-ret));
		ret = answer(fd, &failed, NULL, 0);
	}
	if (ret)
		shutdown(fd, SHUT_RDWR);
}

/* How many descriptors came with @message, at *@fds. */
static unsigned int passed_fds(struct msghdr *message, const int **fds)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	*fds = (const int *)(const void *)CMSG_DATA(header);
	return (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

int broker_channel_await(int fd, int *fds, unsigned int n, struct error *err)
{
	union control_message control;
	struct error result;
	struct iovec iov = {&result, sizeof(result)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = receive_message(fd, &message, MSG_TRUNC);
	const int *passed = NULL;
	unsigned int n_passed;

	if (len < 0)
		return gone((int)len, err);
	n_passed = passed_fds(&message, &passed);
	if (len == sizeof(result) && !result.code && n_passed == n) {
		if (n)
			memcpy(fds, passed, n * sizeof(int));
		return 0;
	}
	/* Where this process can have no more of them, fewer come. */
	for (unsigned int i = 0; i < n_passed; i++)
		close(passed[i]);
	if (len != sizeof(result) || result.code >= 0)
		return gone(message.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO, err);
	result.text[sizeof(result.text) - 1] = '\0';
	if (err)
		*err = result;
	return result.code;
}

/* --- commands, their results, events --- */

int broker_channel_send_text(int fd, const char *text, bool wait)
{
	struct iovec iov = {(char *)text, strlen(text)};
	const struct msghdr packet = {.msg_iov = &iov, .msg_iovlen = 1};

	return send_message(fd, &packet, wait ? 0 : MSG_DONTWAIT);
}

int broker_channel_send(int fd, json_t *message, bool wait)
{
	char *text = message ? control_stream_text(message, 0) : NULL;
	int ret = text ? broker_channel_send_text(fd, text, wait) : -ENOMEM;

	free(text);
	json_decref(message);
	return ret;
}

int broker_channel_receive(int fd, json_t **message)
{
	struct iovec iov = {0};
	struct msghdr packet = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t len = receive_message(fd, &packet, MSG_PEEK | MSG_TRUNC);
	char *text;

	*message = NULL;
	if (len < 0)
		return (int)len;
	text = malloc((size_t)len);
	iov = (struct iovec){text, text ? (size_t)len : 0};
	len = receive_message(fd, &packet, MSG_TRUNC);
	if (text && len > 0)
		*message = json_loadb(text, (size_t)len, 0, NULL);
	free(text);
	if (len < 0)
		return (int)len;
	if (!text)
		return -ENOMEM;
	return *message ? 0 : -EBADMSG;
}
