/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vhost_user_backend/misbehave.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum kind {
	LIE_NONE,
	LIE_SIZE,	/* VALUE bytes of payload, the header says so */
	LIE_HUGE,	/* the header says 0xffffffff bytes */
	LIE_CODE,	/* a reply to request VALUE */
	LIE_FLAGS,	/* flags are VALUE */
	LIE_FDS,	/* VALUE descriptors */
	LIE_VALUE,	/* the first 8 bytes are VALUE */
	LIE_TRUNCATED,	/* half of the reply, then the end */
	LIE_UNASKED,	/* one reply more, before the right one or where there is none */
	LIE_REQUEST,	/* back-end request VALUE, u64, on the back-end's channel */
	LIE_BAD_REQUEST /* the same, of 0xffffffff bytes */
};

static const char *const kinds[] = {
	[LIE_SIZE] = "size",
	[LIE_HUGE] = "huge",
	[LIE_CODE] = "code",
	[LIE_FLAGS] = "flags",
	[LIE_FDS] = "fds",
	[LIE_VALUE] = "value",
	[LIE_TRUNCATED] = "truncated",
	[LIE_UNASKED] = "unasked",
	[LIE_REQUEST] = "request",
	[LIE_BAD_REQUEST] = "bad-request",
};

static struct {
	enum kind kind;
	uint64_t value;
	uint32_t request;
	unsigned long die_at, mute_at, packets;
	enum moment moment;
	unsigned long seen[MOMENTS];
} told;

/* --- options --- */

static unsigned long number(const char *option, const char *text, char **end)
{
	unsigned long value = strtoul(text, end, 0);

	if (*end == text)
		failure("--%s %s: a number is missing", option, text);
	return value;
}

static unsigned long whole_number(const char *option, const char *text)
{
	char *end;
	unsigned long value = number(option, text, &end);

	if (*end)
		failure("--%s %s: not a number", option, text);
	return value;
}

void misbehave_die_at(const char *text)
{
	told.die_at = whole_number("die-at", text);
}

void misbehave_mute_at(const char *text)
{
	told.mute_at = whole_number("mute-at", text);
}

void misbehave_die_after_packets(const char *text)
{
	static const char *const names[] = {",taken", ",written", ",moved", ",published"};
	char *end;

	told.packets = number("die-after-packets", text, &end);
	for (told.moment = 0; told.moment < MOMENTS; told.moment++)
		if (strcmp(end, *end ? names[told.moment] : "") == 0)
			break;
	if (told.moment == MOMENTS)
		failure("--die-after-packets %s: taken, written, moved or published", text);
	if (!*end)
		told.moment = MOMENT_PUBLISHED;
}

void misbehave_lie(const char *text)
{
	size_t len = strcspn(text, "=@");
	const char *at = strchr(text, '@');
	char *end;

	for (size_t i = LIE_SIZE; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strlen(kinds[i]) == len && strncmp(kinds[i], text, len) == 0)
			told.kind = (enum kind)i;
	told.request = at ? message_request(at + 1) : 0;
	if (!told.kind || !told.request)
		failure("--lie %s: KIND[=VALUE]@REQUEST is expected", text);
	if (text[len] == '=') {
		told.value = strtoull(text + len + 1, &end, 0);
		if (end != at)
			failure("--lie %s: the value is no number", text);
	}
}

/* --- at work --- */

static void send_lie(int socket, struct header header, const void *payload)
{
	message_send(socket, &header, payload, 8, NULL, 0);
}

bool misbehave_message(unsigned long count, const struct message *message, int socket,
		       int request_fd)
{
	const uint64_t nothing = 0;
	struct header header = {message->header.request, FLAG_VERSION | FLAG_REPLY, 8};

	if (count == told.die_at)
		raise(SIGKILL);
	if (message->header.request == told.request && told.kind == LIE_UNASKED)
		send_lie(socket, header, &nothing);
	if (message->header.request == told.request && told.kind >= LIE_REQUEST) {
		if (request_fd < 0)
			failure("--lie: there is no back-end channel");
		header.request = (uint32_t)told.value;
		header.flags = FLAG_VERSION | FLAG_NEED_REPLY;
		header.size = told.kind == LIE_REQUEST ? 8 : UINT32_MAX;
		send_lie(request_fd, header, &nothing);
	}
	return !told.mute_at || count < told.mute_at;
}

void misbehave_packet(enum moment moment)
{
	if (moment == told.moment && ++told.seen[moment] == told.packets)
		raise(SIGKILL);
}

static void send_many_fds(int socket, const struct header *header, const union payload *payload,
			  unsigned int n)
{
	int fds[FDS_MAX];

	if (n > FDS_MAX)
		failure("--lie: at most %d descriptors", FDS_MAX);
	for (unsigned int i = 0; i < n; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	message_send(socket, header, payload, header->size, fds, n);
}

void misbehave_reply(int socket, uint32_t request, union payload *payload, uint32_t size, int fd)
{
	struct header header = {request, FLAG_VERSION | FLAG_REPLY, size};
	size_t len = size;

	switch (request == told.request ? told.kind : LIE_NONE) {
	case LIE_SIZE:
		if (told.value > sizeof(*payload))
			failure("--lie: at most %zu bytes", sizeof(*payload));
		len = header.size = (uint32_t)told.value;
		break;
	case LIE_HUGE:
		header.size = UINT32_MAX;
		break;
	case LIE_CODE:
		header.request = (uint32_t)told.value;
		break;
	case LIE_FLAGS:
		header.flags = (uint32_t)told.value;
		break;
	case LIE_FDS:
		send_many_fds(socket, &header, payload, (unsigned int)told.value);
		return;
	case LIE_VALUE:
		payload->u64 = told.value;
		break;
	case LIE_TRUNCATED:
		message_send(socket, &header, payload, len / 2, NULL, 0);
		shutdown(socket, SHUT_RDWR);
		return;
	default:
		break;
	}
	message_send(socket, &header, payload, len, &fd, fd >= 0);
}
