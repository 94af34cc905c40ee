/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the VM's process and its broker. The input is a list of them, each for one of
 * the functions that take one: any bytes, with any number of descriptors. What is taken is whole,
 * and no descriptor is left over.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/opener.h"
#include "vmm/broker_channel.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

enum {
	STEPS_MAX = 64,
	FDS_MAX = 8,
	DESCRIPTORS_MAX = 64, /* that this process has */
	TELL_MORE = 0x80,     /* in the first byte of a piece */
};

static int ends[2]; /* who is to be fooled, and the other one */

static unsigned int count_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Send @len bytes with @n descriptors; 0 if there is nothing to send, else @len. */
static size_t send_bytes(const void *data, size_t len, unsigned int n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)data, len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS_MAX];

	for (unsigned int i = 0; i < n; i++)
		fds[i] = ends[1];
	if (n)
		fd_pass(&message, &control, fds, n);
	return len && sendmsg(ends[1], &message, MSG_NOSIGNAL) >= 0 ? len : 0;
}

/*
 * Send what comes next in the input, as it is or (@framed) cut or filled up to @size bytes; copied
 * to @message in any case, as far as that goes. How many bytes were sent; 0: none.
 */
static size_t send_next(struct input *in, void *message, size_t size, bool framed,
			unsigned int n_fds)
{
	size_t len = take(in, 1) * 8UL;
	const uint8_t *data = in->data;

	len = len < in->len ? len : in->len;
	in->data += len;
	in->len -= len;
	memcpy(message, data, len < size ? len : size);
	return framed ? send_bytes(message, size, n_fds) : send_bytes(data, len, n_fds);
}

/* What the VM asks for, wrong or (@framed) as a whole message. */
static void ask(struct input *in, bool framed, unsigned int n_fds)
{
	struct {
		uint32_t serial, kind, n_queues;
		char name[OPENING_NAME_SIZE];
	} request = {0};
	const struct error nothing = {0};
	struct broker_question question;
	const struct opening *opening = &question.opening;

	if (!send_next(in, &request, sizeof(request), framed, n_fds))
		return;
	require(broker_channel_take(ends[0], &question) == 0);
	require(opening->name == question.name &&
		memchr(opening->name, '\0', sizeof(question.name)) != NULL);
	require(opening->kind == OPENING_TAP || opening_n_fds(opening) <= 1);
	require(broker_channel_answer(ends[0], question.serial, &nothing, NULL, 0) == 0);
	require(recv(ends[1], &request, sizeof(request), MSG_DONTWAIT) > 0);
}

/* What the broker answers, where the VM waits for @wanted descriptors, or for another answer. */
static void answer(struct input *in, unsigned int n_fds)
{
	struct {
		uint32_t serial;
		struct error result;
	} said = {0};
	struct error err = {0};
	bool framed = take(in, 1) & 1;
	unsigned int wanted = take(in, 1) % FDS_MAX;
	int fds[OPENING_FDS_MAX];
	size_t len;
	int ret;

	len = send_next(in, &said, sizeof(said), framed, n_fds);
	if (!len)
		return;
	ret = broker_channel_await(ends[0], 0, fds, wanted, &err);
	require(memchr(err.text, '\0', sizeof(err.text)) != NULL);
	require(ret <= 0);
	require((ret == 0) ==
		(len == sizeof(said) && !said.serial && !said.result.code && n_fds == wanted));
	for (unsigned int i = 0; !ret && i < wanted; i++)
		require(close(fds[i]) == 0);
}

/* A command, or the result of one. */
static void tell(struct input *in, unsigned int n_fds)
{
	enum broker_message kind;
	json_t *message;
	uint8_t first = 0;
	int ret;

	if (!send_next(in, &first, 1, false, n_fds))
		return;
	/* Where there is more it would be waited for. */
	while (first & TELL_MORE) {
		if (send_next(in, &first, 1, false, 0))
			continue;
		first = 0;
		require(send_bytes(&first, 1, 0) == 1);
	}
	ret = broker_channel_receive(ends[0], &kind, &message);
	require(ret == -EBADMSG || (ret == 0 && message));
	json_decref(message);
}

static void step(struct input *in)
{
	uint32_t op = take(in, 1);
	unsigned int n_fds = (op >> 2) % FDS_MAX;

	switch (op & 3) {
	case 0:
	case 1:
		ask(in, op & 1, n_fds);
		break;
	case 2:
		answer(in, n_fds);
		break;
	default:
		tell(in, n_fds);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned int before = count_descriptors();

	require(broker_channel_create(ends) == 0);
	/* Whoever waits for more than the input has is told that there is nothing. */
	require(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
	for (int i = 0; in.len && i < STEPS_MAX; i++)
		step(&in);
	close(ends[0]);
	close(ends[1]);
	require(count_descriptors() == before);
	return 0;
}
