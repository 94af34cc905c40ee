/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A back-end for tests of the vhost-user front-end, in a thread of its own. It writes down all that
 * it gets, answers as the specification says, or wrongly or not at all, as its script has it, and
 * serves no ring by itself. It may listen or connect, and comes back when its connection ends.
 *
 * What is under the lock: all that changes. peer_wait() waits for something to change.
 */
#ifndef TESTS_UNIT_VHOST_USER_PEER_H
#define TESTS_UNIT_VHOST_USER_PEER_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/must.h"
#include "virtio/vhost_user_protocol.h"
#include "vmm/core/fd.h"

enum {
	PEER_RINGS = 8,
	PEER_SEEN_MAX = 4096,
	PEER_PATIENCE_S = 20,
};

/* What is done wrong with a reply. */
enum peer_wrong {
	WRONG_NOTHING,
	WRONG_REQUEST, /* the reply names another request */
	WRONG_NO_REPLY_FLAG,
	WRONG_NEED_REPLY_FLAG,
	WRONG_VERSION,
	WRONG_SHORT,   /* the payload */
	WRONG_LONG,    /* the payload */
	WRONG_HUGE,    /* more than any message */
	WRONG_FD,      /* a descriptor that isn't wanted */
	WRONG_FDS,     /* more than any message has */
	WRONG_TWICE,   /* and so one that answers nothing */
	WRONG_HALF,    /* then the connection is closed */
	WRONG_VALUE,   /* another one than the right one: script.value */
	WRONG_LATE,    /* by script.value ms */
	WRONG_SILENCE, /* for ever */
	WRONG_CLOSE,
	WRONGS,
};

struct peer_script {
	uint64_t features, protocol;
	uint64_t queue_num, mem_slots;
	uint64_t status;	  /* bits that are never set */
	unsigned int die_at;	  /* the connection is closed when this message comes, from 1 on */
	uint32_t wrong_request;	  /* this is answered wrongly, */
	enum peer_wrong how;	  /* like that, */
	unsigned int wrong_times; /* so often */
	uint64_t value;
	bool no_inflight; /* there is none when asked for it */
	bool serves_half; /* one more chain is taken than was returned */
};

/* A message that came. */
struct peer_seen {
	struct vhost_user_message message;
	unsigned int n_fds;
	unsigned int connection; /* from 1 on */
};

struct peer_ring {
	int kick, call, err;
	uint32_t num, base;
	struct vhost_user_vring_addr addr;
	bool enabled, running;
};

struct peer {
	const char *path;
	bool client;   /* it connects */
	int listen_fd; /* else */
	int stop_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;

	struct peer_script script;
	unsigned int connections; /* so far */
	bool is_connected;
	bool silent; /* until it ends */
	int fd;	     /* of the connection, for what a test says by itself */
	struct peer_seen seen[PEER_SEEN_MAX];
	unsigned int n_seen;
	uint64_t got_features, got_protocol, got_status;
	struct peer_ring rings[PEER_RINGS];
	int memory_fd, inflight_fd, request_fd; /* as they were got last */
	int kept_fd;				/* where GET_INFLIGHT_FD's comes from */
};

/* Wait, with the lock held, until @condition. */
#define peer_wait_locked(peer, condition)                                                         \
	do {                                                                                      \
		struct timespec peer_end;                                                         \
                                                                                                  \
		clock_gettime(CLOCK_REALTIME, &peer_end);                                         \
		peer_end.tv_sec += PEER_PATIENCE_S;                                               \
		while (!(condition)) {                                                            \
			if (pthread_cond_timedwait(&(peer)->changed, &(peer)->lock, &peer_end) == \
			    ETIMEDOUT)                                                            \
				ck_abort_msg("never so: %s", #condition);                         \
		}                                                                                 \
	} while (0)

#define peer_wait(peer, condition)                   \
	do {                                         \
		pthread_mutex_lock(&(peer)->lock);   \
		peer_wait_locked(peer, condition);   \
		pthread_mutex_unlock(&(peer)->lock); \
	} while (0)

/* --- messages --- */

static inline void peer_send(int fd, const void *data, size_t len, const int *fds,
			     unsigned int n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
	}
	/* The other end may have closed it for good reason. */
	(void)!sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* All @len bytes; false at the end of the connection, or if the peer has to stop. */
static inline bool peer_receive(const struct peer *peer, int fd, void *data, size_t len, int *fds,
				unsigned int *n_fds)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	size_t have = 0;

	while (have < len) {
		struct pollfd poll_fds[] = {{.fd = fd, .events = POLLIN},
					    {.fd = peer->stop_fd, .events = POLLIN}};
		struct iovec iov = {(char *)data + have, len - have};
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n;

		poll(poll_fds, 2, -1);
		if (poll_fds[1].revents)
			return false;
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return false;
		MUST(!(msg.msg_flags & MSG_CTRUNC));
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
			size_t bytes = c->cmsg_len - CMSG_LEN(0);

			MUST(*n_fds + bytes / sizeof(int) <= 8);
			memcpy(fds + *n_fds, CMSG_DATA(c), bytes);
			*n_fds += (unsigned int)(bytes / sizeof(int));
		}
		have += (size_t)n;
	}
	return true;
}

/* --- what the messages do --- */

static inline void peer_keep(int *where, int *fds, unsigned int *n_fds)
{
	MUST(*n_fds == 1);
	fd_close(where);
	*where = fd_take(&fds[0]);
	*n_fds = 0;
}

static inline void peer_stop_ring(struct peer_ring *ring)
{
	ring->running = false;
	fd_close(&ring->kick);
	fd_close(&ring->call);
	fd_close(&ring->err);
}

static inline struct peer_ring *peer_ring(struct peer *peer, uint64_t index)
{
	MUST(index < PEER_RINGS);
	return &peer->rings[index];
}

static inline void peer_note(struct peer *peer, const struct vhost_user_message *message, int *fds,
			     unsigned int *n_fds)
{
	const struct vhost_user_vring_state state = message->payload.state;

	switch (message->request) {
	case VHOST_USER_SET_FEATURES:
		peer->got_features = message->payload.u64;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		peer->got_protocol = message->payload.u64;
		break;
	case VHOST_USER_SET_STATUS:
		peer->got_status = message->payload.u64;
		break;
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_ADD_MEM_REG:
		for (; *n_fds > 1; (*n_fds)--)
			close(fds[*n_fds - 1]);
		peer_keep(&peer->memory_fd, fds, n_fds);
		break;
	case VHOST_USER_SET_VRING_NUM:
		peer_ring(peer, state.index)->num = state.num;
		break;
	case VHOST_USER_SET_VRING_BASE:
		peer_ring(peer, state.index)->base = state.num;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		memcpy(&peer_ring(peer, state.index)->addr, &message->payload,
		       sizeof(struct vhost_user_vring_addr));
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		peer_ring(peer, state.index)->enabled = state.num;
		break;
	case VHOST_USER_SET_VRING_CALL:
		peer_keep(&peer_ring(peer, message->payload.u64)->call, fds, n_fds);
		break;
	case VHOST_USER_SET_VRING_ERR:
		peer_keep(&peer_ring(peer, message->payload.u64)->err, fds, n_fds);
		break;
	case VHOST_USER_SET_VRING_KICK:
		peer_keep(&peer_ring(peer, message->payload.u64)->kick, fds, n_fds);
		peer_ring(peer, message->payload.u64)->running = true;
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		peer_keep(&peer->request_fd, fds, n_fds);
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		peer_keep(&peer->inflight_fd, fds, n_fds);
		break;
	case VHOST_USER_GET_VRING_BASE:
		peer_stop_ring(peer_ring(peer, state.index));
		break;
	default:
		break;
	}
}

/* Of a split ring: all that was taken was returned. */
static inline uint32_t peer_base(const struct peer *peer, uint32_t index)
{
	const struct peer_ring *ring = &peer->rings[index];
	const uint16_t *used = (const uint16_t *)(uintptr_t)ring->addr.used;

	if (peer->got_features >> 34 & 1) /* packed: a test says how far it went */
		return ring->base & 0xffff;
	return __atomic_load_n(used + 1, __ATOMIC_ACQUIRE) + peer->script.serves_half;
}

/* The right reply, and whether there is one. */
static inline bool peer_answer(struct peer *peer, const struct vhost_user_message *message,
			       struct vhost_user_message *reply, int *fd)
{
	const struct peer_script *script = &peer->script;

	reply->request = message->request;
	reply->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	reply->size = 8;
	reply->payload.u64 = 0;
	switch (message->request) {
	case VHOST_USER_GET_FEATURES:
		reply->payload.u64 = script->features;
		return true;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		reply->payload.u64 = script->protocol;
		return true;
	case VHOST_USER_GET_QUEUE_NUM:
		reply->payload.u64 = script->queue_num;
		return true;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		reply->payload.u64 = script->mem_slots;
		return true;
	case VHOST_USER_GET_STATUS:
		reply->payload.u64 = peer->got_status & ~script->status;
		return true;
	case VHOST_USER_GET_VRING_BASE:
		reply->payload.state.index = message->payload.state.index;
		reply->payload.state.num = peer_base(peer, message->payload.state.index);
		return true;
	case VHOST_USER_GET_INFLIGHT_FD:
		reply->payload.inflight = message->payload.inflight;
		reply->payload.inflight.mmap_size = script->no_inflight ? 0 : 4096;
		reply->size = sizeof(reply->payload.inflight);
		*fd = script->no_inflight ? -1 : peer->kept_fd;
		return true;
	default:
		return message->flags & VHOST_USER_NEED_REPLY;
	}
}

/* Send @reply as the script has it. False: close the connection. */
static inline bool peer_reply(struct peer *peer, int fd, struct vhost_user_message *reply,
			      int reply_fd)
{
	struct peer_script *script = &peer->script;
	bool wrong = script->wrong_request == reply->request && script->wrong_times;
	enum peer_wrong how = wrong ? script->how : WRONG_NOTHING;
	unsigned int n_fds = reply_fd >= 0, times = 1;
	int fds[16] = {reply_fd};

	if (wrong)
		script->wrong_times--;
	switch (how) {
	case WRONG_REQUEST:
		reply->request = VHOST_USER_SEND_RARP;
		break;
	case WRONG_NO_REPLY_FLAG:
		reply->flags = VHOST_USER_VERSION;
		break;
	case WRONG_NEED_REPLY_FLAG:
		reply->flags |= VHOST_USER_NEED_REPLY;
		break;
	case WRONG_VERSION:
		reply->flags = 2 | VHOST_USER_REPLY;
		break;
	case WRONG_SHORT:
		reply->size -= 8;
		break;
	case WRONG_LONG:
		reply->size += 8;
		break;
	case WRONG_HUGE:
		reply->size = 0xfffffff0;
		peer_send(fd, reply, VHOST_USER_HEADER_SIZE, NULL, 0);
		return true;
	case WRONG_FD:
	case WRONG_FDS:
		n_fds = how == WRONG_FD ? n_fds + 1 : 12;
		for (unsigned int i = reply_fd >= 0; i < n_fds; i++)
			fds[i] = peer->stop_fd;
		break;
	case WRONG_TWICE:
		times = 2;
		break;
	case WRONG_HALF:
		peer_send(fd, reply, VHOST_USER_HEADER_SIZE + 3, NULL, 0);
		shutdown(fd, SHUT_WR); /* close() would drop what was not read */
		return true;
	case WRONG_VALUE:
		memcpy(&reply->payload, &script->value, sizeof(script->value));
		break;
	case WRONG_LATE:
		poll(NULL, 0, (int)script->value);
		break;
	case WRONG_SILENCE:
		peer->silent = true;
		return true;
	case WRONG_CLOSE:
		return false;
	default:
		break;
	}
	for (; times; times--)
		peer_send(fd, reply, VHOST_USER_HEADER_SIZE + reply->size, fds, n_fds);
	return true;
}

/* A message has come whole. False: the connection ends. */
static inline bool peer_handle(struct peer *peer, int fd, const struct vhost_user_message *message,
			       int *fds, unsigned int n_fds)
{
	struct vhost_user_message reply = {0};
	int reply_fd = -1;
	bool go_on;

	pthread_mutex_lock(&peer->lock);
	MUST(peer->n_seen < PEER_SEEN_MAX);
	peer->seen[peer->n_seen++] = (struct peer_seen){*message, n_fds, peer->connections};
	go_on = peer->n_seen != peer->script.die_at;
	if (go_on)
		peer_note(peer, message, fds, &n_fds);
	if (go_on && !peer->silent && peer_answer(peer, message, &reply, &reply_fd))
		go_on = peer_reply(peer, fd, &reply, reply_fd);
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
	for (unsigned int i = 0; i < n_fds; i++)
		close(fds[i]);
	return go_on;
}

/* --- connections --- */

static inline void peer_forget(struct peer *peer)
{
	for (int i = 0; i < PEER_RINGS; i++) {
		peer_stop_ring(&peer->rings[i]);
		peer->rings[i].enabled = false;
	}
	fd_close(&peer->memory_fd);
	fd_close(&peer->inflight_fd);
	fd_close(&peer->request_fd);
	peer->got_features = peer->got_protocol = peer->got_status = 0;
}

static inline void peer_set_connected(struct peer *peer, int fd)
{
	pthread_mutex_lock(&peer->lock);
	peer->is_connected = fd >= 0;
	peer->silent = false;
	peer->fd = fd;
	peer->connections += fd >= 0;
	peer_forget(peer);
	pthread_cond_broadcast(&peer->changed);
	pthread_mutex_unlock(&peer->lock);
}

static inline void peer_serve(struct peer *peer, int fd)
{
	bool go_on = true;

	peer_set_connected(peer, fd);
	while (go_on) {
		struct vhost_user_message message = {0};
		unsigned int n_fds = 0;
		int fds[8];

		go_on = peer_receive(peer, fd, &message, VHOST_USER_HEADER_SIZE, fds, &n_fds);
		if (!go_on)
			break;
		MUST(message.size <= sizeof(message.payload));
		MUST((message.flags & ~(uint32_t)VHOST_USER_NEED_REPLY) == VHOST_USER_VERSION);
		go_on = peer_receive(peer, fd, &message.payload, message.size, fds, &n_fds) &&
			peer_handle(peer, fd, &message, fds, n_fds);
	}
	peer_set_connected(peer, -1);
	close(fd);
}

static inline struct sockaddr_un peer_address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	return address;
}

static inline int peer_connect(const char *path)
{
	struct sockaddr_un address = peer_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fd_close(&fd);
	return fd;
}

static inline int peer_next(const struct peer *peer)
{
	struct pollfd fds[] = {{.fd = peer->stop_fd, .events = POLLIN},
			       {.fd = peer->listen_fd, .events = POLLIN}};
	int fd = -1;

	/* Who connects has nothing to wait for but that the other end listens. */
	while (fd < 0) {
		if (poll(fds, 2, peer->client ? 1 : -1) > 0 && fds[0].revents)
			return -1;
		fd = peer->client ? peer_connect(peer->path)
				  : accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	}
	return fd;
}

static inline void *peer_run(void *opaque)
{
	struct peer *peer = opaque;
	int fd;

	while ((fd = peer_next(peer)) >= 0)
		peer_serve(peer, fd);
	return NULL;
}

/* The script is set. */
static inline void peer_start(struct peer *peer)
{
	struct sockaddr_un address = peer_address(peer->path);

	peer->stop_fd = fd_eventfd();
	peer->kept_fd = memfd_create("inflight", MFD_CLOEXEC);
	MUST(ftruncate(peer->kept_fd, 4096) == 0);
	if (!peer->client) {
		peer->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		MUST(bind(peer->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0);
		MUST(listen(peer->listen_fd, 8) == 0);
	}
	MUST(pthread_create(&peer->thread, NULL, peer_run, peer) == 0);
}

/* Its connection ends, too. It may be started again. */
static inline void peer_stop(struct peer *peer)
{
	fd_eventfd_signal(peer->stop_fd);
	pthread_join(peer->thread, NULL);
	if (!peer->client)
		unlink(peer->path);
	fd_close(&peer->listen_fd);
	fd_close(&peer->stop_fd);
	fd_close(&peer->kept_fd);
}

static inline void peer_init(struct peer *peer, const char *path)
{
	*peer = (struct peer){
		.path = path,
		.listen_fd = -1,
		.stop_fd = -1,
		.kept_fd = -1,
		.memory_fd = -1,
		.inflight_fd = -1,
		.request_fd = -1,
		.fd = -1,
	};
	for (int i = 0; i < PEER_RINGS; i++)
		peer->rings[i].kick = peer->rings[i].call = peer->rings[i].err = -1;
	pthread_mutex_init(&peer->lock, NULL);
	pthread_cond_init(&peer->changed, NULL);
}

#endif
