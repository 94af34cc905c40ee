/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost_user_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"

/* What answers a request, other than an acknowledgement. */
static const struct {
	const char *name;
	uint32_t reply_size; /* of the payload; 0: no reply of its own */
} requests[VHOST_USER_N_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = {"GET_FEATURES", sizeof(uint64_t)},
	[VHOST_USER_SET_FEATURES] = {"SET_FEATURES", 0},
	[VHOST_USER_SET_OWNER] = {"SET_OWNER", 0},
	[VHOST_USER_SET_MEM_TABLE] = {"SET_MEM_TABLE", 0},
	[VHOST_USER_SET_VRING_NUM] = {"SET_VRING_NUM", 0},
	[VHOST_USER_SET_VRING_ADDR] = {"SET_VRING_ADDR", 0},
	[VHOST_USER_SET_VRING_BASE] = {"SET_VRING_BASE", 0},
	[VHOST_USER_GET_VRING_BASE] = {"GET_VRING_BASE", sizeof(struct vhost_user_vring_state)},
	[VHOST_USER_SET_VRING_KICK] = {"SET_VRING_KICK", 0},
	[VHOST_USER_SET_VRING_CALL] = {"SET_VRING_CALL", 0},
	[VHOST_USER_SET_VRING_ERR] = {"SET_VRING_ERR", 0},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", sizeof(uint64_t)},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", 0},
	[VHOST_USER_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", sizeof(uint64_t)},
	[VHOST_USER_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", 0},
	[VHOST_USER_SEND_RARP] = {"SEND_RARP", 0},
	[VHOST_USER_NET_SET_MTU] = {"NET_SET_MTU", 0},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", 0},
	[VHOST_USER_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", sizeof(struct vhost_user_inflight)},
	[VHOST_USER_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", 0},
	[VHOST_USER_RESET_DEVICE] = {"RESET_DEVICE", 0},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", sizeof(uint64_t)},
	[VHOST_USER_ADD_MEM_REG] = {"ADD_MEM_REG", 0},
	[VHOST_USER_SET_STATUS] = {"SET_STATUS", 0},
	[VHOST_USER_GET_STATUS] = {"GET_STATUS", sizeof(uint64_t)},
};

/* Payloads of the back-end's requests, smallest and largest. */
static const uint32_t backend_sizes[][2] = {
	[VHOST_USER_BACKEND_IOTLB_MSG] = {26, 32}, /* the fields; and with padding behind them */
	[VHOST_USER_BACKEND_CONFIG_CHANGE_MSG] = {0, 0},
	[VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG] = {24, 24},
	[VHOST_USER_BACKEND_VRING_CALL] = {8, 8},
	[VHOST_USER_BACKEND_VRING_ERR] = {8, 8},
};

const char *vhost_user_request_name(uint32_t request)
{
	const char *name = request < VHOST_USER_N_REQUESTS ? requests[request].name : NULL;

	return name ? name : "an unknown request";
}

/* --- open and closed --- */

static void drop_message(struct vhost_user_channel *channel)
{
	for (unsigned int i = 0; i < channel->n_fds; i++)
		fd_close(&channel->fds[i]);
	channel->n_fds = 0;
	channel->surplus = false;
	channel->have = 0;
	channel->complete = false;
}

void vhost_user_channel_init(struct vhost_user_channel *channel)
{
	*channel = (struct vhost_user_channel){.fd = -1};
}

void vhost_user_channel_open(struct vhost_user_channel *channel, int fd)
{
	vhost_user_channel_close(channel);
	channel->fd = fd;
}

void vhost_user_channel_close(struct vhost_user_channel *channel)
{
	drop_message(channel);
	fd_close(&channel->fd);
	channel->acks = false;
	channel->n_expected = 0;
}

/* --- sending --- */

static int gone(struct error *err)
{
	return error_set(err, -ENOTCONN, "it has closed the connection");
}

static int send_message(struct vhost_user_channel *channel,
			const struct vhost_user_message *message, const int *fds,
			unsigned int n_fds, struct error *err)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(VHOST_USER_MEMORY_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)message, VHOST_USER_HEADER_SIZE + message->size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds && n_fds)
		fd_pass(&msg, &control, fds, n_fds);
	do {
		n = sendmsg(channel->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)iov.iov_len)
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return gone(err);
	/* A message this small is sent all or not at all, as there is room for it or not. */
	if (n >= 0 || errno == EAGAIN)
		return error_set(err, -EPROTO, "it does not read what it is sent");
	return error_errno(err, "sending to it");
}

int vhost_user_channel_request(struct vhost_user_channel *channel,
			       struct vhost_user_message *message, const int *fds,
			       unsigned int n_fds, uint32_t index, struct error *err)
{
	bool replies = requests[message->request].reply_size != 0;
	unsigned int last = (channel->first + channel->n_expected) % VHOST_USER_EXPECTED_MAX;
	int ret;

	if (channel->fd < 0)
		return gone(err);
	message->flags = VHOST_USER_VERSION;
	if (channel->acks && !replies)
		message->flags |= VHOST_USER_NEED_REPLY;
	replies |= channel->acks;
	if (replies && channel->n_expected == VHOST_USER_EXPECTED_MAX)
		return error_set(err, -EPROTO, "it does not answer");
	ret = send_message(channel, message, fds, n_fds, err);
	if (!ret && replies) {
		channel->expected[last] = (struct vhost_user_expected){message->request, index};
		channel->n_expected++;
	}
	return ret;
}

/* --- receiving --- */

static void take_fds(struct vhost_user_channel *channel, struct msghdr *msg)
{
	struct cmsghdr *head;

	/* Also if this process has too many descriptors. */
	if (msg->msg_flags & MSG_CTRUNC)
		channel->surplus = true;
	for (head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		const unsigned char *data = CMSG_DATA(head);
		size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
			if (channel->n_fds < VHOST_USER_MEMORY_MAX) {
				channel->fds[channel->n_fds++] = fd;
			} else {
				channel->surplus = true;
				fd_close(&fd);
			}
		}
	}
}

/* Get the message up to its byte @want: 1, or 0 if that hasn't come yet. */
static int receive(struct vhost_user_channel *channel, size_t want, struct error *err)
{
	while (channel->have < want) {
		union {
			struct cmsghdr head;
			char bytes[CMSG_SPACE(VHOST_USER_MEMORY_MAX * sizeof(int))];
		} control;
		struct iovec iov = {(char *)&channel->in + channel->have, want - channel->have};
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(channel->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != ECONNRESET)
			return error_errno(err, "receiving from it");
		if (n <= 0 && channel->have)
			return error_set(err, -EPROTO,
					 "it has closed the connection in the middle of a message");
		if (n <= 0)
			return gone(err);
		take_fds(channel, &msg);
		channel->have += (size_t)n;
	}
	return 1;
}

/* The header of the next message. */
static int receive_header(struct vhost_user_channel *channel, struct error *err)
{
	if (channel->complete)
		drop_message(channel);
	return channel->fd < 0 ? gone(err) : receive(channel, VHOST_USER_HEADER_SIZE, err);
}

/* Of a message whose header is right: all the rest, and no more than @max_fds descriptors. */
static int receive_rest(struct vhost_user_channel *channel, unsigned int max_fds, struct error *err)
{
	int ret = receive(channel, VHOST_USER_HEADER_SIZE + channel->in.size, err);

	if (ret > 0 && (channel->n_fds > max_fds || channel->surplus))
		return error_set(err, -EPROTO,
				 "it sends a message (%u) with %s%u descriptors instead of %u",
				 channel->in.request, channel->surplus ? "more than " : "",
				 channel->n_fds, max_fds);
	channel->complete = ret > 0;
	return ret;
}

static int check_reply(const struct vhost_user_message *in, uint32_t due, struct error *err)
{
	uint32_t size = requests[due].reply_size;
	const char *name = vhost_user_request_name(due);

	if (in->request != due)
		return error_set(err, -EPROTO, "it answers %s (%u) where it has to answer %s (%u)",
				 vhost_user_request_name(in->request), in->request, name, due);
	if (in->flags != (VHOST_USER_VERSION | VHOST_USER_REPLY))
		return error_set(err, -EPROTO, "its answer to %s has the flags 0x%x, not 0x%x",
				 name, in->flags, VHOST_USER_VERSION | VHOST_USER_REPLY);
	if (!size)
		size = sizeof(uint64_t);
	if (in->size == size || (due == VHOST_USER_GET_INFLIGHT_FD &&
				 in->size == offsetof(struct vhost_user_inflight, padding)))
		return 0;
	return error_set(err, -EPROTO, "its answer to %s has %u bytes instead of %u", name,
			 in->size, size);
}

int vhost_user_channel_reply(struct vhost_user_channel *channel,
			     struct vhost_user_expected *answered, struct error *err)
{
	const struct vhost_user_message *in = &channel->in;
	int ret = receive_header(channel, err);

	if (ret <= 0)
		return ret;
	if (!channel->n_expected)
		return error_set(err, -EPROTO, "it sends a message (%u) that answers nothing",
				 in->request);
	*answered = channel->expected[channel->first];
	ret = check_reply(in, answered->request, err);
	if (ret)
		return ret;
	ret = receive_rest(channel, answered->request == VHOST_USER_GET_INFLIGHT_FD, err);
	if (ret <= 0)
		return ret;
	channel->first = (channel->first + 1) % VHOST_USER_EXPECTED_MAX;
	channel->n_expected--;
	if (!requests[answered->request].reply_size && in->payload.u64)
		return error_set(err, -EPROTO, "it refuses %s",
				 vhost_user_request_name(answered->request));
	return 1;
}

static int check_request(const struct vhost_user_message *in, struct error *err)
{
	uint32_t least = 0, most = sizeof(in->payload);

	if ((in->flags & ~(uint32_t)VHOST_USER_NEED_REPLY) != VHOST_USER_VERSION)
		return error_set(err, -EPROTO, "its request %u has the flags 0x%x", in->request,
				 in->flags);
	if (in->request && in->request < sizeof(backend_sizes) / sizeof(backend_sizes[0])) {
		least = backend_sizes[in->request][0];
		most = backend_sizes[in->request][1];
	}
	if (in->size < least || in->size > most)
		return error_set(err, -EPROTO, "its request %u has %u bytes", in->request,
				 in->size);
	return 0;
}

int vhost_user_channel_refuse(struct vhost_user_channel *channel, struct error *err)
{
	struct vhost_user_message reply;
	int ret = receive_header(channel, err);

	if (ret > 0) {
		ret = check_request(&channel->in, err);
		if (!ret)
			ret = receive_rest(channel, 0, err);
	}
	if (ret <= 0)
		return ret;
	reply.request = channel->in.request;
	reply.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	reply.size = sizeof(reply.payload.u64);
	reply.payload.u64 = 1;
	if (channel->acks && channel->in.flags & VHOST_USER_NEED_REPLY)
		ret = send_message(channel, &reply, NULL, 0, err);
	return ret < 0 ? ret : 1;
}
