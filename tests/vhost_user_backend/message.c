/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vhost_user_backend/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum fds {
	FDS_NONE,
	FDS_ONE,
	FDS_UNLESS_FLAG, /* one, unless NO_FD is set */
	FDS_PER_REGION,
};

enum {
	ALWAYS = 0xff,
	SIZE_BY_CONTENT = 0xffff,
};

/* What a request has to look like. */
struct form {
	const char *name;
	uint16_t size;
	uint8_t needs; /* a protocol feature that must have been negotiated, or ALWAYS */
	uint8_t fds;
	bool reply;
};

enum {
	U64 = 8,
	STATE = 8,
	ADDR = 40,
	REGION = 40,
};

static const struct form forms[VHOST_USER_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = {"GET_FEATURES", 0, ALWAYS, FDS_NONE, true},
	[VHOST_USER_SET_FEATURES] = {"SET_FEATURES", U64, ALWAYS, FDS_NONE, false},
	[VHOST_USER_SET_OWNER] = {"SET_OWNER", 0, ALWAYS, FDS_NONE, false},
	[VHOST_USER_SET_MEM_TABLE] = {"SET_MEM_TABLE", SIZE_BY_CONTENT, ALWAYS, FDS_PER_REGION,
				      false},
	[VHOST_USER_SET_VRING_NUM] = {"SET_VRING_NUM", STATE, ALWAYS, FDS_NONE, false},
	[VHOST_USER_SET_VRING_ADDR] = {"SET_VRING_ADDR", ADDR, ALWAYS, FDS_NONE, false},
	[VHOST_USER_SET_VRING_BASE] = {"SET_VRING_BASE", STATE, ALWAYS, FDS_NONE, false},
	[VHOST_USER_GET_VRING_BASE] = {"GET_VRING_BASE", STATE, ALWAYS, FDS_NONE, true},
	[VHOST_USER_SET_VRING_KICK] = {"SET_VRING_KICK", U64, ALWAYS, FDS_UNLESS_FLAG, false},
	[VHOST_USER_SET_VRING_CALL] = {"SET_VRING_CALL", U64, ALWAYS, FDS_UNLESS_FLAG, false},
	[VHOST_USER_SET_VRING_ERR] = {"SET_VRING_ERR", U64, ALWAYS, FDS_UNLESS_FLAG, false},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", 0, ALWAYS, FDS_NONE, true},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", U64, ALWAYS, FDS_NONE,
					      false},
	[VHOST_USER_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", 0, PROTOCOL_F_MQ, FDS_NONE, true},
	[VHOST_USER_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", STATE, ALWAYS, FDS_NONE, false},
	[VHOST_USER_SEND_RARP] = {"SEND_RARP", U64, PROTOCOL_F_RARP, FDS_NONE, false},
	[VHOST_USER_NET_SET_MTU] = {"NET_SET_MTU", U64, PROTOCOL_F_NET_MTU, FDS_NONE, false},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", 0, PROTOCOL_F_BACKEND_REQ, FDS_ONE,
					   false},
	[VHOST_USER_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", SIZE_BY_CONTENT,
					PROTOCOL_F_INFLIGHT_SHMFD, FDS_NONE, true},
	[VHOST_USER_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", SIZE_BY_CONTENT,
					PROTOCOL_F_INFLIGHT_SHMFD, FDS_ONE, false},
	[VHOST_USER_RESET_DEVICE] = {"RESET_DEVICE", 0, PROTOCOL_F_RESET_DEVICE, FDS_NONE, false},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", 0, PROTOCOL_F_CONFIGURE_MEM_SLOTS,
					  FDS_NONE, true},
	[VHOST_USER_ADD_MEM_REG] = {"ADD_MEM_REG", REGION, PROTOCOL_F_CONFIGURE_MEM_SLOTS, FDS_ONE,
				    false},
	[VHOST_USER_REM_MEM_REG] = {"REM_MEM_REG", REGION, PROTOCOL_F_CONFIGURE_MEM_SLOTS, FDS_NONE,
				    false},
	[VHOST_USER_SET_STATUS] = {"SET_STATUS", U64, PROTOCOL_F_STATUS, FDS_NONE, false},
	[VHOST_USER_GET_STATUS] = {"GET_STATUS", 0, PROTOCOL_F_STATUS, FDS_NONE, true},
};

/* --- what is said --- */

void violation(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("violation: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(3);
}

void failure(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("vhost-user-backend: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_FAILURE);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

const char *message_name(uint32_t request)
{
	return request < VHOST_USER_REQUESTS ? forms[request].name : NULL;
}

uint32_t message_request(const char *name)
{
	for (uint32_t i = 0; i < VHOST_USER_REQUESTS; i++)
		if (forms[i].name && strcmp(forms[i].name, name) == 0)
			return i;
	return 0;
}

bool message_has_reply(uint32_t request)
{
	return forms[request].reply;
}

/* --- receiving --- */

static void take_fds(struct message *message, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		if (message->n_fds + n > FDS_MAX)
			violation("more than %d descriptors come with a message", FDS_MAX);
		memcpy(message->fds + message->n_fds, CMSG_DATA(c), n * sizeof(int));
		message->n_fds += (unsigned int)n;
	}
	if (msg->msg_flags & MSG_CTRUNC)
		violation("more than %d descriptors come with a message", FDS_MAX);
}

/* All of @len bytes. False if the connection ends before the first one, which @first allows. */
static bool receive(int socket, struct message *message, void *to, size_t len, bool first)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {to, len};

	while (iov.iov_len) {
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			violation("a message is not complete: nothing comes for 10 s");
		if (n <= 0 && first)
			return false;
		if (n <= 0)
			violation("the connection ends inside of a message");
		take_fds(message, &msg);
		iov.iov_base = (char *)iov.iov_base + n;
		iov.iov_len -= (size_t)n;
		first = false;
	}
	return true;
}

static const struct form *check_header(const struct header *header, uint64_t protocol)
{
	const struct form *form = header->request < VHOST_USER_REQUESTS ? &forms[header->request]
									: NULL;

	if (!form || !form->name)
		violation("request %u: deprecated, unknown, or not for a net device",
			  header->request);
	if ((header->flags & FLAG_VERSION_MASK) != FLAG_VERSION)
		violation("%s: the version is %u", form->name, header->flags & FLAG_VERSION_MASK);
	if (header->flags & FLAG_REPLY)
		violation("%s: a request has the reply flag", form->name);
	if (header->flags & ~(uint32_t)(FLAG_VERSION_MASK | FLAG_NEED_REPLY))
		violation("%s: flags %#x: reserved bits", form->name, header->flags);
	if (header->flags & FLAG_NEED_REPLY && !(protocol >> PROTOCOL_F_REPLY_ACK & 1))
		violation("%s: need_reply without REPLY_ACK", form->name);
	if (form->needs != ALWAYS && !(protocol >> form->needs & 1))
		violation("%s: protocol feature %u was not negotiated", form->name, form->needs);
	if (header->size > sizeof(union payload))
		violation("%s: %u bytes of payload", form->name, header->size);
	return form;
}

static bool size_fits(const struct message *message, const struct form *form)
{
	uint32_t size = message->header.size;

	if (message->header.request == VHOST_USER_SET_MEM_TABLE)
		return size >= 8 && message->payload.memory.n <= FDS_MAX &&
		       size == 8 + message->payload.memory.n * sizeof(struct memory_area);
	if (form->size == SIZE_BY_CONTENT)
		/* Inflight: the fields are 20 bytes; its C structure, which peers send, has 24. */
		return size == 20 || size == 24;
	return size == form->size;
}

static void check_fds(const struct message *message, const struct form *form)
{
	unsigned int expected = 0;

	if (form->fds == FDS_UNLESS_FLAG) {
		if (message->payload.u64 & ~0x1ffULL)
			violation("%s: %#llx: reserved bits", form->name,
				  (unsigned long long)message->payload.u64);
		expected = !(message->payload.u64 & NO_FD);
	} else if (form->fds == FDS_PER_REGION) {
		expected = message->payload.memory.n;
	} else if (form->fds == FDS_ONE) {
		expected = 1;
	}
	if (message->n_fds != expected)
		violation("%s: %u descriptors, not %u", form->name, message->n_fds, expected);
}

bool message_receive(int socket, uint64_t protocol, struct message *message)
{
	const struct form *form;

	*message = (struct message){.n_fds = 0};
	if (!receive(socket, message, &message->header, sizeof(message->header), true))
		return false;
	form = check_header(&message->header, protocol);
	receive(socket, message, &message->payload, message->header.size, false);
	if (!size_fits(message, form))
		violation("%s: %u bytes of payload", form->name, message->header.size);
	check_fds(message, form);
	return true;
}

void message_close_fds(struct message *message)
{
	for (unsigned int i = 0; i < message->n_fds; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->n_fds = 0;
}

/* --- sending --- */

void message_send(int socket, const struct header *header, const void *payload, size_t len,
		  const int *fds, unsigned int n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov[2] = {{(void *)header, sizeof(*header)}, {(void *)payload, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (n_fds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	/* If it can't be sent the other side is gone, which the next read will say. */
	if (sendmsg(socket, &msg, MSG_NOSIGNAL) < 0)
		say("not sent: %s", strerror(errno));
}
