/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vhost_user_backend/session.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/vhost_user_backend/misbehave.h"

/* What a handler wants to be answered, if anything. */
struct reply {
	union payload payload;
	uint32_t size; /* 0: only REPLY_ACK's, if that is asked for: payload.u64 */
	int fd;	       /* owned; -1: none */
};

typedef void handler(struct session *session, struct message *message, struct reply *reply);

static void reply_u64(struct reply *reply, uint64_t value)
{
	reply->payload.u64 = value;
	reply->size = sizeof(value);
}

static bool any_started(const struct session *session)
{
	for (unsigned int i = 0; i < session->n_rings; i++)
		if (session->rings[i].started)
			return true;
	return false;
}

/* --- features and ownership --- */

static void get_features(struct session *session, struct message *message, struct reply *reply)
{
	(void)message;
	session->asked_features = true;
	reply_u64(reply, session->offer->features);
}

static void set_features(struct session *session, struct message *message, struct reply *reply)
{
	uint64_t features = message->payload.u64, offered = session->offer->features;

	(void)reply;
	if (!session->asked_features)
		violation("SET_FEATURES before GET_FEATURES");
	if (features & ~offered)
		violation("SET_FEATURES: %#llx are not offered",
			  (unsigned long long)(features & ~offered));
	if (session->context.accepted && features != session->context.features &&
	    any_started(session))
		violation("SET_FEATURES changes them while a ring is started");
	session->context.features = features;
	session->context.accepted = true;
	/* "Ring states": without protocol features a ring is enabled from the start. */
	for (unsigned int i = 0; i < session->n_rings; i++)
		session->rings[i].enabled |= !(features >> F_PROTOCOL_FEATURES & 1);
	far_end_set_features(session->far, features);
}

static void require_protocol_features(const struct session *session, const char *name)
{
	if (!session->asked_features || !(session->offer->features >> F_PROTOCOL_FEATURES & 1))
		violation("%s, and GET_FEATURES said nothing of PROTOCOL_FEATURES", name);
}

static void get_protocol_features(struct session *session, struct message *message,
				  struct reply *reply)
{
	(void)message;
	require_protocol_features(session, "GET_PROTOCOL_FEATURES");
	session->asked_protocol = true;
	reply_u64(reply, session->offer->protocol);
}

static void set_protocol_features(struct session *session, struct message *message,
				  struct reply *reply)
{
	uint64_t protocol = message->payload.u64, offered = session->offer->protocol;

	(void)reply;
	require_protocol_features(session, "SET_PROTOCOL_FEATURES");
	if (!session->asked_protocol)
		violation("SET_PROTOCOL_FEATURES before GET_PROTOCOL_FEATURES");
	if (protocol & ~offered)
		violation("SET_PROTOCOL_FEATURES: %#llx are not offered",
			  (unsigned long long)(protocol & ~offered));
	if (session->accepted_protocol && protocol != session->protocol)
		violation("SET_PROTOCOL_FEATURES: %#llx after %#llx", (unsigned long long)protocol,
			  (unsigned long long)session->protocol);
	session->protocol = protocol;
	session->accepted_protocol = true;
}

static void set_owner(struct session *session, struct message *message, struct reply *reply)
{
	(void)message;
	(void)reply;
	if (session->owned)
		violation("SET_OWNER twice");
	session->owned = true;
}

static void get_queue_num(struct session *session, struct message *message, struct reply *reply)
{
	(void)message;
	reply_u64(reply, session->offer->queue_pairs);
}

/* --- memory --- */

static void memory_changed(struct session *session)
{
	for (unsigned int i = 0; i < session->n_rings; i++)
		queue_move(&session->rings[i], &session->context);
}

static void set_mem_table(struct session *session, struct message *message, struct reply *reply)
{
	(void)reply;
	if (message->payload.memory.n == 0)
		violation("SET_MEM_TABLE: no regions");
	table_clear(&session->context.table);
	for (unsigned int i = 0; i < message->payload.memory.n; i++)
		table_add(&session->context.table, &message->payload.memory.areas[i],
			  message->fds[i]);
	memory_changed(session);
}

static void get_max_mem_slots(struct session *session, struct message *message, struct reply *reply)
{
	(void)session;
	(void)message;
	reply_u64(reply, MEMORY_MAX_REGIONS);
}

static void add_mem_reg(struct session *session, struct message *message, struct reply *reply)
{
	(void)reply;
	table_add(&session->context.table, &message->payload.region.area, message->fds[0]);
}

static void rem_mem_reg(struct session *session, struct message *message, struct reply *reply)
{
	(void)reply;
	table_remove(&session->context.table, &message->payload.region.area);
	memory_changed(session);
}

/* --- rings --- */

static struct queue *ring_at(struct session *session, uint32_t index)
{
	if (index >= session->n_rings)
		violation("there is no ring %u", index);
	return &session->rings[index];
}

static struct queue *stopped_ring(struct session *session, uint32_t index, const char *name)
{
	struct queue *queue = ring_at(session, index);

	if (queue->started)
		violation("%s while ring %u is started", name, index);
	return queue;
}

static void set_vring_num(struct session *session, struct message *message, struct reply *reply)
{
	uint32_t num = message->payload.state.num;
	struct queue *queue = stopped_ring(session, message->payload.state.index, "SET_VRING_NUM");

	(void)reply;
	if (num == 0 || num > RING_SIZE_MAX)
		violation("SET_VRING_NUM: %u", num);
	queue->num = num;
}

static void set_vring_addr(struct session *session, struct message *message, struct reply *reply)
{
	struct queue *queue = ring_at(session, message->payload.addr.index);

	(void)reply;
	if (message->payload.addr.flags)
		violation("SET_VRING_ADDR: flags %#x: there is no log",
			  message->payload.addr.flags);
	if (queue->started && (queue->desc != message->payload.addr.desc ||
			       queue->used != message->payload.addr.used ||
			       queue->avail != message->payload.addr.avail))
		violation("SET_VRING_ADDR moves ring %u while it is started", queue->index);
	if (!session->context.table.mem.n_regions)
		violation("SET_VRING_ADDR before there is memory");
	queue->desc = message->payload.addr.desc;
	queue->used = message->payload.addr.used;
	queue->avail = message->payload.addr.avail;
	queue->has_addr = true;
	/* All of it is checked when the ring starts; that they are in memory at all, here. */
	table_from_user(&session->context.table, queue->desc, 16, "the descriptor table at");
	table_from_user(&session->context.table, queue->avail, 4, "the available ring at");
	table_from_user(&session->context.table, queue->used, 4, "the used ring at");
}

static void set_vring_base(struct session *session, struct message *message, struct reply *reply)
{
	struct queue *queue = stopped_ring(session, message->payload.state.index, "SET_VRING_BASE");

	(void)reply;
	queue->base = message->payload.state.num;
	queue->has_base = true;
}

static void get_vring_base(struct session *session, struct message *message, struct reply *reply)
{
	struct queue *queue = ring_at(session, message->payload.state.index);

	queue_stop(queue, &session->context);
	reply->payload.state.index = queue->index;
	reply->payload.state.num = queue->base;
	reply->size = sizeof(reply->payload.state);
}

/* Put the message's descriptor, or -1, where @fd is. */
static void take_fd(int *fd, struct message *message)
{
	if (*fd >= 0)
		close(*fd);
	*fd = message->n_fds ? message->fds[0] : -1;
	message->n_fds = 0;
}

static struct queue *ring_of_fd(struct session *session, const struct message *message)
{
	return ring_at(session, message->payload.u64 & 0xff);
}

static void set_vring_kick(struct session *session, struct message *message, struct reply *reply)
{
	struct queue *queue = ring_of_fd(session, message);

	(void)reply;
	take_fd(&queue->kick_fd, message);
	queue->polled = queue->kick_fd < 0;
	if (queue->polled)
		queue_start(queue, &session->context);
}

static void set_vring_call(struct session *session, struct message *message, struct reply *reply)
{
	struct queue *queue = ring_of_fd(session, message);

	(void)reply;
	take_fd(&queue->call_fd, message);
	queue_interrupt(queue);
}

static void set_vring_err(struct session *session, struct message *message, struct reply *reply)
{
	(void)reply;
	take_fd(&ring_of_fd(session, message)->err_fd, message);
}

static void set_vring_enable(struct session *session, struct message *message, struct reply *reply)
{
	struct queue *queue = ring_at(session, message->payload.state.index);

	(void)reply;
	require_protocol_features(session, "SET_VRING_ENABLE");
	if (session->context.accepted && !(session->context.features >> F_PROTOCOL_FEATURES & 1))
		violation("SET_VRING_ENABLE, and SET_FEATURES was without PROTOCOL_FEATURES");
	if (message->payload.state.num > 1)
		violation("SET_VRING_ENABLE: %u", message->payload.state.num);
	queue->enabled = message->payload.state.num;
	say("ring %u is %s", queue->index, queue->enabled ? "enabled" : "disabled");
}

/* --- what was taken and not returned --- */

static void check_inflight(const struct session *session, const struct message *message)
{
	uint16_t n = message->payload.inflight.num_queues;
	uint16_t size = message->payload.inflight.queue_size;

	if (!session->context.accepted)
		violation("inflight: before SET_FEATURES nobody knows the rings' format");
	if (n == 0 || n > session->n_rings || size == 0 || size > RING_SIZE_MAX)
		violation("inflight: %u queues of %u", n, size);
}

static bool is_packed(const struct session *session)
{
	return session->context.features >> VIRTIO_F_RING_PACKED & 1;
}

static void get_inflight_fd(struct session *session, struct message *message, struct reply *reply)
{
	size_t len;

	check_inflight(session, message);
	len = message->payload.inflight.num_queues *
	      inflight_bytes(is_packed(session), message->payload.inflight.queue_size);
	reply->fd = memfd_create("inflight", MFD_CLOEXEC);
	if (reply->fd < 0 || ftruncate(reply->fd, (off_t)len) < 0)
		failure("inflight: %s", strerror(errno));
	reply->payload = message->payload;
	reply->payload.inflight.mmap_size = len;
	reply->payload.inflight.mmap_offset = 0;
	reply->size = message->header.size;
}

static void set_inflight_fd(struct session *session, struct message *message, struct reply *reply)
{
	struct inflight *inflight = &session->context.inflight;
	uint64_t size = message->payload.inflight.mmap_size;
	uint64_t offset = message->payload.inflight.mmap_offset;
	struct stat file;

	(void)reply;
	check_inflight(session, message);
	if (any_started(session))
		violation("SET_INFLIGHT_FD while a ring is started");
	if (fstat(message->fds[0], &file) < 0 || offset + size < size ||
	    offset + size > (uint64_t)file.st_size)
		violation("SET_INFLIGHT_FD: the file ends before the region");
	if (inflight->map)
		munmap(inflight->map, inflight->map_len);
	*inflight = (struct inflight){
		.map_len = offset + size,
		.offset = offset,
		.num_queues = message->payload.inflight.num_queues,
		.queue_size = message->payload.inflight.queue_size,
		.packed = is_packed(session),
	};
	if (size < inflight->num_queues * inflight_bytes(inflight->packed, inflight->queue_size))
		violation("SET_INFLIGHT_FD: %llu bytes are no region that GET_INFLIGHT_FD gave",
			  (unsigned long long)size);
	inflight->map = mmap(NULL, inflight->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
			     message->fds[0], 0);
	if (inflight->map == MAP_FAILED)
		violation("SET_INFLIGHT_FD: can't be mapped: %s", strerror(errno));
}

/* --- the rest --- */

static void send_rarp(struct session *session, struct message *message, struct reply *reply)
{
	const uint8_t *mac = (const uint8_t *)&message->payload.u64;

	(void)reply;
	if (mac[0] & 1 || !(message->payload.u64 & 0xffffffffffff))
		violation("SEND_RARP: the address is of no guest");
	say("RARP for %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
	    mac[5]);
	far_end_rarp(session->far, mac);
}

static void net_set_mtu(struct session *session, struct message *message, struct reply *reply)
{
	uint64_t features = session->context.accepted ? session->context.features
						      : session->offer->features;
	uint64_t mtu = message->payload.u64;

	if (!(features >> VIRTIO_NET_F_MTU & 1))
		violation("NET_SET_MTU without VIRTIO_NET_F_MTU");
	reply->payload.u64 = mtu < 68 || mtu > UINT16_MAX;
	say("MTU %llu", (unsigned long long)mtu);
}

static void set_backend_req_fd(struct session *session, struct message *message,
			       struct reply *reply)
{
	(void)reply;
	take_fd(&session->request_fd, message);
}

static void reset_device(struct session *session, struct message *message, struct reply *reply)
{
	(void)message;
	(void)reply;
	for (unsigned int i = 0; i < session->n_rings; i++) {
		queue_stop(&session->rings[i], &session->context);
		queue_close(&session->rings[i]);
		queue_init(&session->rings[i], i);
	}
	session->context.accepted = false;
	session->context.features = 0;
	session->status = 0;
}

static void set_status(struct session *session, struct message *message, struct reply *reply)
{
	const uint64_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |
			       VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED;
	uint64_t status = message->payload.u64;

	(void)reply;
	if (status & ~known)
		violation("SET_STATUS: %#llx", (unsigned long long)status);
	/* virtio 1.3, 2.1.2: the driver clears no bit, but all of them to reset the device. */
	if (status && session->status & ~status)
		violation("SET_STATUS: %#llx after %#llx", (unsigned long long)status,
			  (unsigned long long)session->status);
	if (status & VIRTIO_CONFIG_S_FEATURES_OK && !session->context.accepted)
		violation("SET_STATUS: FEATURES_OK before SET_FEATURES");
	session->status = status;
}

static void get_status(struct session *session, struct message *message, struct reply *reply)
{
	(void)message;
	reply_u64(reply, session->status);
}

/* --- a message --- */

static handler *const handlers[VHOST_USER_REQUESTS] = {
	[VHOST_USER_GET_FEATURES] = get_features,
	[VHOST_USER_SET_FEATURES] = set_features,
	[VHOST_USER_SET_OWNER] = set_owner,
	[VHOST_USER_SET_MEM_TABLE] = set_mem_table,
	[VHOST_USER_SET_VRING_NUM] = set_vring_num,
	[VHOST_USER_SET_VRING_ADDR] = set_vring_addr,
	[VHOST_USER_SET_VRING_BASE] = set_vring_base,
	[VHOST_USER_GET_VRING_BASE] = get_vring_base,
	[VHOST_USER_SET_VRING_KICK] = set_vring_kick,
	[VHOST_USER_SET_VRING_CALL] = set_vring_call,
	[VHOST_USER_SET_VRING_ERR] = set_vring_err,
	[VHOST_USER_GET_PROTOCOL_FEATURES] = get_protocol_features,
	[VHOST_USER_SET_PROTOCOL_FEATURES] = set_protocol_features,
	[VHOST_USER_GET_QUEUE_NUM] = get_queue_num,
	[VHOST_USER_SET_VRING_ENABLE] = set_vring_enable,
	[VHOST_USER_SEND_RARP] = send_rarp,
	[VHOST_USER_NET_SET_MTU] = net_set_mtu,
	[VHOST_USER_SET_BACKEND_REQ_FD] = set_backend_req_fd,
	[VHOST_USER_GET_INFLIGHT_FD] = get_inflight_fd,
	[VHOST_USER_SET_INFLIGHT_FD] = set_inflight_fd,
	[VHOST_USER_RESET_DEVICE] = reset_device,
	[VHOST_USER_GET_MAX_MEM_SLOTS] = get_max_mem_slots,
	[VHOST_USER_ADD_MEM_REG] = add_mem_reg,
	[VHOST_USER_REM_MEM_REG] = rem_mem_reg,
	[VHOST_USER_SET_STATUS] = set_status,
	[VHOST_USER_GET_STATUS] = get_status,
};

/* "Session start": what may be asked before is only what the back-end is. */
static bool may_precede_owner(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_SET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_SET_BACKEND_REQ_FD:
	case VHOST_USER_SET_OWNER:
		return true;
	default:
		return false;
	}
}

bool session_serve(struct session *session)
{
	static unsigned long count;
	struct reply reply = {.fd = -1};
	struct message message;
	uint32_t request;
	bool answer;

	if (!message_receive(session->socket, session->protocol, &message))
		return false;
	request = message.header.request;
	say("message %lu: %s", ++count, message_name(request));
	answer = misbehave_message(count, &message, session->socket, session->request_fd);
	if (!session->owned && !may_precede_owner(request))
		violation("%s before SET_OWNER", message_name(request));
	handlers[request](session, &message, &reply);
	if (!message_has_reply(request)) {
		reply.size = sizeof(uint64_t);
		answer = answer && message.header.flags & FLAG_NEED_REPLY;
	}
	if (answer)
		misbehave_reply(session->socket, request, &reply.payload, reply.size, reply.fd);
	if (reply.fd >= 0)
		close(reply.fd);
	message_close_fds(&message);
	return true;
}

void session_read_answer(struct session *session)
{
	struct {
		struct header header;
		uint64_t value;
	} __attribute__((packed)) answer;
	ssize_t n = recv(session->request_fd, &answer, sizeof(answer), 0);

	if (n <= 0) {
		say("the front-end has closed the back-end channel");
		close(session->request_fd);
		session->request_fd = -1;
		return;
	}
	if (n != sizeof(answer) || answer.header.size != sizeof(answer.value) ||
	    answer.header.flags != (FLAG_VERSION | FLAG_REPLY))
		violation("the answer to back-end request %u has %zd bytes, flags %#x",
			  answer.header.request, n, answer.header.flags);
	say("back-end request %u: answer %llu", answer.header.request,
	    (unsigned long long)answer.value);
}

/* --- its life --- */

void session_begin(struct session *session, int socket, const struct offer *offer,
		   struct far_end *far)
{
	const struct timeval patience = {.tv_sec = 10};

	*session = (struct session){
		.offer = offer,
		.far = far,
		.socket = socket,
		.request_fd = -1,
		/* Without MQ nobody can know of more than one pair. */
		.n_rings = 2 * (offer->protocol >> PROTOCOL_F_MQ & 1 ? offer->queue_pairs : 1),
	};
	for (unsigned int i = 0; i < session->n_rings; i++)
		queue_init(&session->rings[i], i);
	session->context.table.mem.fd = -1;
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	say("connected");
}

void session_end(struct session *session)
{
	struct inflight *inflight = &session->context.inflight;

	for (unsigned int i = 0; i < session->n_rings; i++) {
		queue_stop(&session->rings[i], &session->context);
		queue_close(&session->rings[i]);
	}
	if (inflight->map)
		munmap(inflight->map, inflight->map_len);
	table_clear(&session->context.table);
	if (session->request_fd >= 0)
		close(session->request_fd);
	close(session->socket);
	say("disconnected; %lu packets are lost so far", session->far->lost);
}
