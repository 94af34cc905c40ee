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
	uint32_t serial;
	uint32_t kind;
	uint32_t n_queues;
	char name[OPENING_NAME_SIZE];
};

struct answer {
	uint32_t serial;
	struct error result;
};

union control_message {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(OPENING_FDS_MAX * sizeof(int))];
};

enum {
	/*
	 * Of a text, so much is sent at a time: the kernel takes no message that is larger than a
	 * socket's buffer. The byte before it is a kind, and whether there is more.
	 */
	PIECE_MAX = 64 << 10,
	MORE = 0x80,
	TEXT_MAX = 16 << 20,
};

int broker_channel_create(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) ? -errno : 0;
}

void broker_channel_end(int fd)
{
	shutdown(fd, SHUT_RDWR);
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
 * the end. If the other end was closed with something unread, the kernel tells that once, before
 * what the other end had sent.
 */
static ssize_t receive_message(int fd, struct msghdr *message, int flags)
{
	ssize_t n;

	do
		n = recvmsg(fd, message, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return -errno;
	return n ? n : -EPIPE;
}

/* --- openings --- */

static int gone(int code, struct error *err)
{
	return error_code(err, code,
			  "the broker process, which opens what xvmm may not itself any more, "
			  "can't be asked");
}

int broker_channel_ask(int fd, uint32_t serial, const struct opening *opening, int *fds,
		       struct error *err)
{
	struct request request = {
		.serial = serial,
		.kind = opening->kind,
		.n_queues = opening->n_queues,
	};
	struct iovec iov = {&request, sizeof(request)};
	const struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	const char *name = opening->name ? opening->name : "";
	int ret;

	if (strlen(name) >= sizeof(request.name))
		return error_usage(err, "%s: the name is too long", name);
	memcpy(request.name, name, strlen(name));
	ret = send_message(fd, &message, 0);
	return ret ? gone(ret, err)
		   : broker_channel_await(fd, serial, fds, opening_n_fds(opening), err);
}

int broker_channel_take(int fd, struct broker_question *question)
{
	struct request request;
	struct iovec iov = {&request, sizeof(request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = receive_message(fd, &message, MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0)
		return (int)n;
	if (n != sizeof(request) || !memchr(request.name, '\0', sizeof(request.name)))
		request = (struct request){.kind = OPENING_KINDS};
	memcpy(question->name, request.name, sizeof(request.name));
	question->serial = request.serial;
	question->opening = (struct opening){
		.kind = (enum opening_kind)request.kind,
		.name = question->name,
		.n_queues = request.n_queues,
	};
	return 0;
}

static int send_answer(int fd, const struct answer *answer, const int *fds, unsigned int n)
{
	union control_message control = {0};
	struct iovec iov = {(void *)answer, sizeof(*answer)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds && n)
		fd_pass(&message, &control, fds, n);
	return send_message(fd, &message, 0);
}

int broker_channel_answer(int fd, uint32_t serial, const struct error *result, const int *fds,
			  unsigned int n)
{
	struct answer answer = {serial, *result};
	int ret = send_answer(fd, &answer, fds, n);

	/* The kernel limits how many descriptors are on their way, say. */
	if (ret && n) {
		error_code(&answer.result, ret, "passing on what was opened");
		ret = send_answer(fd, &answer, NULL, 0);
	}
	if (ret)
		broker_channel_end(fd);
	return ret;
}

/* 0, a negative errno, or 1: it is the answer to another question. */
static int hear_answer(int fd, uint32_t serial, int *fds, unsigned int n, struct error *err)
{
	union control_message control;
	struct answer answer;
	struct iovec iov = {&answer, sizeof(answer)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = receive_message(fd, &message, MSG_TRUNC);
	const bool whole = len == sizeof(answer);
	const int *passed = NULL;
	unsigned int n_passed;

	if (len < 0)
		return gone((int)len, err);
	n_passed = fd_passed(&message, &passed);
	if (whole && answer.serial == serial && !answer.result.code && n_passed == n) {
		if (n)
			memcpy(fds, passed, n * sizeof(int));
		return 0;
	}
	/* Where this process can have no more of them, fewer come. */
	for (unsigned int i = 0; i < n_passed; i++)
		close(passed[i]);
	if (whole && answer.serial != serial)
		return 1;
	if (!whole || answer.result.code >= 0)
		return gone(message.msg_flags & MSG_CTRUNC ? -EMFILE : -EPROTO, err);
	answer.result.text[sizeof(answer.result.text) - 1] = '\0';
	if (err)
		*err = answer.result;
	return answer.result.code;
}

int broker_channel_await(int fd, uint32_t serial, int *fds, unsigned int n, struct error *err)
{
	int ret;

	do
		ret = hear_answer(fd, serial, fds, n, err);
	while (ret > 0);
	return ret;
}

/* --- commands, their results, events --- */

int broker_channel_send_text(int fd, enum broker_message kind, const char *text, bool wait)
{
	size_t len = strlen(text), piece;
	int ret;

	do {
		uint8_t first = (uint8_t)kind;
		struct iovec iov[] = {{&first, 1}, {(char *)text, 0}};
		const struct msghdr packet = {.msg_iov = iov, .msg_iovlen = 2};

		/* What isn't waited for is sent whole or not at all. */
		piece = wait && len > PIECE_MAX ? PIECE_MAX : len;
		first |= piece < len ? MORE : 0;
		iov[1].iov_len = piece;
		ret = send_message(fd, &packet, wait ? 0 : MSG_DONTWAIT);
		text += piece;
		len -= piece;
	} while (!ret && len);
	return ret;
}

int broker_channel_send(int fd, enum broker_message kind, json_t *message, bool wait)
{
	char *text = message ? control_stream_text(message, 0) : NULL;
	int ret = text ? broker_channel_send_text(fd, kind, text, wait) : -ENOMEM;

	free(text);
	json_decref(message);
	return ret;
}

/* What came of a text so far. */
struct text {
	char *bytes;
	size_t len;
	bool lost; /* there was no memory for it, or it is too long */
};

static char *grow(struct text *text, size_t more)
{
	char *bytes = NULL;

	if (!text->lost && text->len + more <= TEXT_MAX)
		bytes = realloc(text->bytes, text->len + more + 1);
	if (bytes) {
		text->bytes = bytes;
		return bytes + text->len;
	}
	free(text->bytes);
	*text = (struct text){.lost = true};
	return NULL;
}

/* The next piece of @text, and its first byte; as receive_message(). */
static int receive_piece(int fd, uint8_t *first, struct text *text, int flags)
{
	struct iovec iov[] = {{first, 1}, {0}};
	struct msghdr packet = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t len = receive_message(fd, &packet, MSG_PEEK | MSG_TRUNC | flags);

	if (len < 0)
		return (int)len;
	iov[1].iov_base = grow(text, (size_t)len - 1);
	iov[1].iov_len = iov[1].iov_base ? (size_t)len - 1 : 0;
	len = receive_message(fd, &packet, MSG_TRUNC);
	if (len > 0 && iov[1].iov_base)
		text->len += (size_t)len - 1;
	return len < 0 ? (int)len : 0;
}

int broker_channel_receive(int fd, enum broker_message *kind, json_t **message)
{
	struct text text = {0};
	uint8_t first = 0;
	int ret = receive_piece(fd, &first, &text, MSG_DONTWAIT);

	*message = NULL;
	/* The rest is on its way. */
	while (!ret && first & MORE)
		ret = receive_piece(fd, &first, &text, 0);
	*kind = (enum broker_message)(first & ~MORE);
	if (!ret && !text.lost)
		*message = json_loadb(text.bytes, text.len, 0, NULL);
	free(text.bytes);
	if (ret)
		return ret == -EAGAIN ? -EAGAIN : -EPIPE;
	if (text.lost)
		return -ENOMEM;
	return *message ? 0 : -EBADMSG;
}
