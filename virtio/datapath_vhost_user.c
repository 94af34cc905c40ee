/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/datapath_vhost_user.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>

#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/net_features.h"
#include "virtio/vhost_ring.h"
#include "virtio/vhost_user_channel.h"
#include "virtio/vhost_user_socket.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"

#define FEATURE(name)	    (1ULL << (name))
#define PROTOCOL(name)	    (1ULL << VHOST_USER_PROTOCOL_F_##name)
#define HAS_PROTOCOL_SET(f) ((f) >> VHOST_USER_F_PROTOCOL_FEATURES & 1)

enum {
	REPLY_MS = 10000, /* a back-end that maps much memory takes its time */
	STOP_MS = 3000,	  /* the guest waits meanwhile */
	RETRY_MS = 100,
	RETRY_DOUBLINGS = 6, /* of RETRY_MS, one each time that the back-end did wrong */
	GOOD_MS = 10000,     /* a back-end that did nothing wrong for so long begins anew */
	SAY_AGAIN_MS = 60000,
	MAX_PAIRS = 128, /* an index has 8 bits ("VHOST_USER_SET_VRING_KICK") */
};

static const uint64_t protocol_features = PROTOCOL(MQ) | PROTOCOL(RARP) | PROTOCOL(REPLY_ACK) |
					  PROTOCOL(NET_MTU) | PROTOCOL(BACKEND_REQ) |
					  PROTOCOL(INFLIGHT_SHMFD) | PROTOCOL(RESET_DEVICE) |
					  PROTOCOL(CONFIGURE_MEM_SLOTS) | PROTOCOL(STATUS);

/* What takes commands of the driver that can't be passed on. */
static const uint64_t commanded_features = FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |
					   FEATURE(VIRTIO_NET_F_RSS) |
					   FEATURE(VIRTIO_NET_F_HASH_REPORT) |
					   FEATURE(VIRTIO_NET_F_NOTF_COAL) |
					   FEATURE(VIRTIO_NET_F_VQ_NOTF_COAL);

/* Why the epoll set is ready: in the low byte of what it says; above it, the ring's index. */
enum source {
	SOURCE_WAKE,  /* another thread has left something to do */
	SOURCE_TIMER, /* a reply is late; or it is time to try again */
	SOURCE_LISTEN,
	SOURCE_CONNECTION, /* a reply */
	SOURCE_REQUESTS,   /* a request of the back-end's */
	SOURCE_RELAY,	   /* an interrupt */
	SOURCE_ERR,	   /* the back-end can't serve a ring */
};

struct served_ring {
	struct vhost_ring ring;
	bool given;    /* to the back-end that is connected */
	bool enabled;  /* there */
	bool lost;     /* with one that is gone: only the ring itself can say where it stands */
	uint32_t base; /* the answer to GET_VRING_BASE */
};

/*
 * The lock is taken after the device's. All that is below it is under it, but what never changes
 * after the creation. The loop's thread moves on what takes several steps; a thread of the device's
 * that wants that signals wake_fd.
 */
struct vhost_user {
	struct datapath datapath;
	char name[64];
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct vhost_user_config config;
	unsigned int n_rings;
	struct loop_watch watch; /* of an epoll set, owned, with all sources; fd is its */
	int listen_fd;		 /* owned; -1 for a client */
	int timer_fd;		 /* owned */
	int wake_fd;		 /* owned */

	pthread_mutex_t lock;

	/* The connection. */
	struct vhost_user_channel channel;  /* closed: the back-end is away */
	struct vhost_user_channel requests; /* the back-end's own */
	unsigned int step;		    /* the next one, see steps[] */
	int64_t connected_at;		    /* ms */
	uint64_t has;			    /* virtio features of this back-end */
	uint64_t protocol;		    /* protocol features in force */
	uint64_t queue_pairs, mem_slots;    /* that it can have */
	bool begun;			    /* it has been told of a driver before */
	bool memory_added;		    /* it has the memory slots */
	bool driver_ok;			    /* it knows that */

	/* Over all connections. */
	bool met;	   /* a back-end has said what it can do */
	uint64_t first;	   /* and these were its virtio features */
	bool up, told;	   /* the carrier; and what the owner knows of it */
	unsigned int bad;  /* how often in a row the back-end did wrong */
	bool unusable;	   /* the last one was, for this device */
	bool turned_away;  /* a second one, which the log has */
	struct error said; /* the last warning, */
	int64_t said_at;   /* and when; ms */
	bool missed;	   /* the log has that the back-end is away */

	/* The device's wishes. */
	bool driver; /* set_features() was called */
	uint64_t features;
	bool link;
	unsigned int pairs;

	/* Where back-ends note what they are about to do, for the next one ("Inflight I/O
	 * tracking"). */
	int inflight_fd; /* owned; never mapped */
	struct vhost_user_inflight inflight;

	struct served_ring rings[];
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool connected(const struct vhost_user *vu)
{
	return vu->channel.fd >= 0;
}

static bool has_protocol(const struct vhost_user *vu, uint64_t feature)
{
	return vu->protocol & feature;
}

static int watch(const struct vhost_user *vu, int fd, enum source source, unsigned int index)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = source | (uint64_t)index << 8};

	return epoll_ctl(vu->watch.fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST ? -errno
											 : 0;
}

static void unwatch(const struct vhost_user *vu, int fd)
{
	epoll_ctl(vu->watch.fd, EPOLL_CTL_DEL, fd, NULL);
}

/* The timer goes off once, in @ms; 0: not at all. */
static void set_timer(const struct vhost_user *vu, unsigned int ms)
{
	struct itimerspec time = {.it_value = {ms / 1000, (long)(ms % 1000) * 1000000}};

	timerfd_settime(vu->timer_fd, 0, &time, NULL);
}

static unsigned int reply_ms(const struct vhost_user *vu)
{
	return vu->config.reply_ms ? vu->config.reply_ms : REPLY_MS;
}

/* --- the connection ends --- */

/* Not the same again and again, of a back-end that comes again and again. */
static void warn(struct vhost_user *vu, const struct error *err)
{
	int64_t now = now_ms();

	if (strcmp(err->text, vu->said.text) == 0 && now - vu->said_at < SAY_AGAIN_MS)
		return;
	vu->said = *err;
	vu->said_at = now;
	vu->missed = true;
	log_warning(vu->config.log, "%s: vhost-user back-end at %s: %s", vu->name, vu->path,
		    err->text);
}

/* The back-end has nothing to do with the ring any more, or is gone (@lost). */
static void take_ring_back(struct vhost_user *vu, unsigned int index, bool lost)
{
	struct served_ring *served = &vu->rings[index];

	/* The back-end may have them open still: closing would not do. */
	unwatch(vu, served->ring.relay_fd);
	unwatch(vu, served->ring.err_fd);
	served->given = false;
	served->enabled = false;
	served->lost = lost;
	/* What it wanted to say, and was not relayed; or had no time to say. */
	if (fd_eventfd_drain(served->ring.relay_fd) || lost)
		vhost_ring_interrupt(&served->ring);
}

static void disconnect(struct vhost_user *vu)
{
	for (unsigned int i = 0; i < vu->n_rings; i++) {
		if (vu->rings[i].given)
			take_ring_back(vu, i, true);
	}
	vhost_user_channel_close(&vu->channel);
	vhost_user_channel_close(&vu->requests);
	vu->turned_away = false;
	vu->up = false;
	/* The loop has to tell. */
	fd_eventfd_signal(vu->wake_fd);
}

static void try_again(struct vhost_user *vu, unsigned int ms)
{
	if (!ms && vu->config.server) {
		set_timer(vu, 0);
		watch(vu, vu->listen_fd, SOURCE_LISTEN, 0);
		return;
	}
	if (vu->config.server)
		unwatch(vu, vu->listen_fd);
	set_timer(vu, ms ? ms : RETRY_MS);
}

/* End the connection because of @err. */
static void fail(struct vhost_user *vu, const struct error *err)
{
	unsigned int delay = 0;

	if (!connected(vu))
		return;
	vu->unusable = err->code == -EOPNOTSUPP;
	/* Whoever creates it gets to know. */
	if (!vu->unusable || vu->watch.added)
		warn(vu, err);
	else
		vu->said = *err;
	if (now_ms() - vu->connected_at > GOOD_MS)
		vu->bad = 0;
	if (err->code != -ENOTCONN)
		delay = RETRY_MS << (vu->bad < RETRY_DOUBLINGS ? vu->bad++ : vu->bad);
	disconnect(vu);
	try_again(vu, delay);
}

/* --- requests --- */

static int request(struct vhost_user *vu, struct vhost_user_message *message, const int *fds,
		   unsigned int n_fds, uint32_t index, struct error *err)
{
	unsigned int before = vu->channel.n_expected;
	int ret = vhost_user_channel_request(&vu->channel, message, fds, n_fds, index, err);

	if (!ret && !before && vu->channel.n_expected)
		set_timer(vu, reply_ms(vu));
	return ret;
}

static int request_empty(struct vhost_user *vu, uint32_t type, struct error *err)
{
	struct vhost_user_message message = {.request = type};

	return request(vu, &message, NULL, 0, 0, err);
}

static int request_u64(struct vhost_user *vu, uint32_t type, uint64_t value, struct error *err)
{
	struct vhost_user_message message = {
		.request = type,
		.size = sizeof(value),
		.payload.u64 = value,
	};

	return request(vu, &message, NULL, 0, 0, err);
}

static int request_fd(struct vhost_user *vu, uint32_t type, uint64_t index, int fd,
		      struct error *err)
{
	struct vhost_user_message message = {
		.request = type,
		.size = sizeof(index),
		.payload.u64 = index,
	};

	return request(vu, &message, &fd, 1, 0, err);
}

static int request_state(struct vhost_user *vu, uint32_t type, unsigned int index, uint32_t num,
			 struct error *err)
{
	struct vhost_user_message message = {
		.request = type,
		.size = sizeof(message.payload.state),
		.payload.state = {index, num},
	};

	return request(vu, &message, NULL, 0, index, err);
}

/* --- replies --- */

static int take_status(const struct vhost_user *vu, uint64_t status, struct error *err)
{
	(void)vu;
	if (status & VIRTIO_CONFIG_S_FEATURES_OK)
		return 0;
	return error_set(err, -EOPNOTSUPP,
			 "it does not accept the driver's features (status 0x%llx)",
			 (unsigned long long)status);
}

static int take_inflight(struct vhost_user *vu, struct error *err)
{
	struct vhost_user_channel *channel = &vu->channel;
	struct vhost_user_inflight inflight = channel->in.payload.inflight;
	struct stat st;

	if (!inflight.mmap_size && !channel->n_fds)
		return 0; /* it wants none */
	inflight.padding = 0;
	if (channel->n_fds != 1)
		return error_set(err, -EPROTO, "its inflight region has no descriptor");
	if (inflight.num_queues != vu->n_rings || inflight.queue_size != vu->config.queue_size)
		return error_set(err, -EPROTO,
				 "its inflight region is for %u queues of %u, not %u of %u",
				 inflight.num_queues, inflight.queue_size, vu->n_rings,
				 vu->config.queue_size);
	if (fstat(channel->fds[0], &st) < 0 || !inflight.mmap_size || st.st_size < 0 ||
	    inflight.mmap_size > (uint64_t)st.st_size ||
	    inflight.mmap_offset > (uint64_t)st.st_size - inflight.mmap_size)
		return error_set(err, -EPROTO,
				 "its inflight region (%llu bytes at %llu) is not in its file",
				 (unsigned long long)inflight.mmap_size,
				 (unsigned long long)inflight.mmap_offset);
	fd_close(&vu->inflight_fd);
	vu->inflight_fd = fd_take(&channel->fds[0]);
	vu->inflight = inflight;
	return 0;
}

static int take_base(struct vhost_user *vu, uint32_t index, struct error *err)
{
	struct vhost_user_vring_state state = vu->channel.in.payload.state;

	if (state.index != index)
		return error_set(err, -EPROTO, "it gives the base of ring %u instead of %u",
				 state.index, index);
	vu->rings[index].base = state.num;
	return 0;
}

/* Take a reply: 1, 0 if there is none yet, or what ends the connection. */
static int take_reply(struct vhost_user *vu, struct error *err)
{
	const struct vhost_user_message *in = &vu->channel.in;
	struct vhost_user_expected answered;
	int ret = vhost_user_channel_reply(&vu->channel, &answered, err);

	if (ret <= 0)
		return ret;
	set_timer(vu, vu->channel.n_expected ? reply_ms(vu) : 0);
	ret = 0;
	switch (answered.request) {
	case VHOST_USER_GET_FEATURES:
		vu->has = in->payload.u64;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		vu->protocol = in->payload.u64 & protocol_features;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		vu->queue_pairs = in->payload.u64;
		break;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		vu->mem_slots = in->payload.u64;
		break;
	case VHOST_USER_GET_STATUS:
		ret = take_status(vu, in->payload.u64, err);
		break;
	case VHOST_USER_GET_INFLIGHT_FD:
		ret = take_inflight(vu, err);
		break;
	case VHOST_USER_GET_VRING_BASE:
		ret = take_base(vu, answered.index, err);
		break;
	default:
		break;
	}
	return ret ? ret : 1;
}

static int late(const struct vhost_user *vu, unsigned int ms, struct error *err)
{
	const struct vhost_user_channel *channel = &vu->channel;

	return error_set(err, -EPROTO, "it has not answered %s for %u ms",
			 vhost_user_request_name(channel->expected[channel->first].request), ms);
}

/* Wait for all replies. The back-end may itself wait for one before that. */
static int wait_for_replies(struct vhost_user *vu, struct error *err)
{
	unsigned int ms = reply_ms(vu) < STOP_MS ? reply_ms(vu) : STOP_MS;
	int64_t end = now_ms() + ms;

	while (vu->channel.n_expected) {
		struct pollfd fds[] = {{.fd = vu->channel.fd, .events = POLLIN},
				       {.fd = vu->requests.fd, .events = POLLIN}};
		int64_t left = end - now_ms();
		int ret = take_reply(vu, err);

		if (ret > 0)
			continue;
		if (!ret && left <= 0)
			ret = late(vu, ms, err);
		if (ret < 0)
			return ret;
		if (poll(fds, 2, (int)left) > 0 && fds[1].revents) {
			ret = vhost_user_channel_refuse(&vu->requests, err);
			if (ret < 0)
				return ret;
		}
	}
	return 0;
}

/* --- rings --- */

static bool is_packed(const struct vhost_user *vu)
{
	return vu->features >> VIRTIO_F_RING_PACKED & 1;
}

static void find_lost_ring(const struct vhost_user *vu, struct served_ring *served)
{
	if (!served->lost)
		return;
	served->lost = false;
	ring_state_recover(&served->ring.state, vu->config.mem, vu->features);
	/* It may have found what the one that is gone had not shown. */
	vhost_ring_interrupt(&served->ring);
}

static int give_ring(struct vhost_user *vu, unsigned int index, struct error *err)
{
	struct served_ring *served = &vu->rings[index];
	const struct vhost_ring *ring = &served->ring;
	struct vhost_user_message addr = {
		.request = VHOST_USER_SET_VRING_ADDR,
		.size = sizeof(addr.payload.addr),
		.payload.addr = {.index = index,
				 .descriptor = ring->desc,
				 .available = ring->driver,
				 .used = ring->device},
	};
	uint32_t base;
	int ret;

	find_lost_ring(vu, served);
	/* Nothing is in between, and what was would be served again: the protocol can't say more.
	 */
	base = ring->state.next_used;
	if (is_packed(vu))
		base |= base << 16;
	ret = request_state(vu, VHOST_USER_SET_VRING_NUM, index, ring->state.size, err);
	if (!ret)
		ret = request(vu, &addr, NULL, 0, 0, err);
	if (!ret)
		ret = request_state(vu, VHOST_USER_SET_VRING_BASE, index, base, err);
	if (!ret)
		ret = request_fd(vu, VHOST_USER_SET_VRING_CALL, index, vhost_ring_call_fd(ring),
				 err);
	if (!ret)
		ret = request_fd(vu, VHOST_USER_SET_VRING_ERR, index, ring->err_fd, err);
	if (ret)
		return ret;
	if (watch(vu, ring->relay_fd, SOURCE_RELAY, index) ||
	    watch(vu, ring->err_fd, SOURCE_ERR, index))
		ret = error_errno(err, "watching its ring %u", index);
	/* From here on it may begin, and the ring is lost if it dies. */
	served->given = true;
	if (!ret)
		ret = request_fd(vu, VHOST_USER_SET_VRING_KICK, index, ring->wires.kick_fd, err);
	/* "Ring states": it starts when it is kicked, and there may be chains already. */
	fd_eventfd_signal(ring->wires.kick_fd);
	return ret;
}

/* Where the ring stands that the back-end has stopped, by its answer. */
static int settle_ring(struct vhost_user *vu, unsigned int index, struct error *err)
{
	const struct served_ring *served = &vu->rings[index];
	struct ring_state *state = &vu->rings[index].ring.state;
	uint32_t avail = served->base & 0xffff, used = served->base >> 16;
	bool right;

	if (is_packed(vu)) {
		/* There are back-ends that leave the upper half 0: nothing is in between. */
		used = used ? used : avail;
		right = (avail & 0x7fff) < state->size && (used & 0x7fff) < state->size;
		right = right && ((avail ^ used) & 0x8000 ? (avail & 0x7fff) <= (used & 0x7fff)
							  : avail >= used);
	} else {
		/* The ring says how many chains were returned; no others may have been taken. */
		ring_state_recover(state, vu->config.mem, vu->features);
		right = !used && (uint16_t)(avail - state->next_used) <= state->size;
		used = state->next_used;
	}
	if (!right)
		return error_set(err, -EPROTO,
				 "it gives the base 0x%x for ring %u, which has %u descriptors",
				 served->base, index, state->size);
	state->next_used = (uint16_t)used;
	state->next_avail = (uint16_t)used;
	return 0;
}

static int enable_ring(struct vhost_user *vu, unsigned int index, bool enable, struct error *err)
{
	vu->rings[index].enabled = enable;
	return request_state(vu, VHOST_USER_SET_VRING_ENABLE, index, enable, err);
}

/* The back-end gives the ring back. If it doesn't the connection ends, and the ring is lost. */
static void stop_given_ring(struct vhost_user *vu, unsigned int index)
{
	struct error err = {0};
	int ret = 0;

	if (vu->rings[index].enabled)
		ret = enable_ring(vu, index, false, &err);
	if (!ret)
		ret = request_state(vu, VHOST_USER_GET_VRING_BASE, index, 0, &err);
	if (!ret)
		ret = wait_for_replies(vu, &err);
	if (!ret)
		ret = settle_ring(vu, index, &err);
	if (ret)
		fail(vu, &err);
	else
		take_ring_back(vu, index, false);
}

/* Let the back-end have the ring, or not, as the device wants it. */
static int update_ring(struct vhost_user *vu, unsigned int index, struct error *err)
{
	struct served_ring *served = &vu->rings[index];
	bool can_enable = HAS_PROTOCOL_SET(vu->has);
	bool enable = vu->link && index / 2 < vu->pairs;
	int ret = 0;

	if (!served->ring.started || served->ring.broken)
		return 0;
	/* What can't be disabled has to stop. */
	if (!can_enable && !vu->link) {
		if (served->given)
			stop_given_ring(vu, index);
		return 0;
	}
	if (!served->given)
		ret = give_ring(vu, index, err);
	if (!ret && can_enable && served->enabled != enable)
		ret = enable_ring(vu, index, enable, err);
	return ret;
}

/* --- from the first message to the rings --- */

static int ask_features(struct vhost_user *vu, struct error *err)
{
	return request_empty(vu, VHOST_USER_GET_FEATURES, err);
}

static int ask_protocol(struct vhost_user *vu, struct error *err)
{
	return HAS_PROTOCOL_SET(vu->has) ? request_empty(vu, VHOST_USER_GET_PROTOCOL_FEATURES, err)
					 : 0;
}

static int agree(struct vhost_user *vu, struct error *err)
{
	int ret = 0;

	if (HAS_PROTOCOL_SET(vu->has))
		ret = request_u64(vu, VHOST_USER_SET_PROTOCOL_FEATURES, vu->protocol, err);
	vu->channel.acks = has_protocol(vu, PROTOCOL(REPLY_ACK));
	return ret ? ret : request_empty(vu, VHOST_USER_SET_OWNER, err);
}

/* The channel for requests of the back-end's. */
static int open_requests(struct vhost_user *vu, struct error *err)
{
	struct vhost_user_message message = {.request = VHOST_USER_SET_BACKEND_REQ_FD};
	int fds[2];
	int ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return error_errno(err, "a channel for its requests");
	vhost_user_channel_open(&vu->requests, fds[0]);
	vu->requests.acks = vu->channel.acks;
	if (watch(vu, fds[0], SOURCE_REQUESTS, 0))
		ret = error_errno(err, "a channel for its requests");
	else
		ret = request(vu, &message, &fds[1], 1, 0, err);
	close(fds[1]);
	return ret;
}

static int ask_limits(struct vhost_user *vu, struct error *err)
{
	int ret = 0;

	if (has_protocol(vu, PROTOCOL(MQ)))
		ret = request_empty(vu, VHOST_USER_GET_QUEUE_NUM, err);
	if (!ret && has_protocol(vu, PROTOCOL(CONFIGURE_MEM_SLOTS)))
		ret = request_empty(vu, VHOST_USER_GET_MAX_MEM_SLOTS, err);
	if (!ret && has_protocol(vu, PROTOCOL(BACKEND_REQ)))
		ret = open_requests(vu, err);
	return ret;
}

static int check_queue_pairs(const struct vhost_user *vu, unsigned int n, struct error *err)
{
	unsigned long long max = vu->has & FEATURE(VIRTIO_NET_F_MQ) ? vu->queue_pairs : 1;

	if (n <= max)
		return 0;
	return error_set(err, -EOPNOTSUPP, "it has %llu pairs of queues, not the %u of queues=%u",
			 max, n, n);
}

/* Everything that it has said so far: can a device be served with that? */
static int meet(struct vhost_user *vu, struct error *err)
{
	int ret = 0;

	if (!(vu->has & FEATURE(VIRTIO_F_VERSION_1)))
		ret = error_set(err, -EOPNOTSUPP, "it lacks version_1: it is for legacy drivers");
	else if (has_protocol(vu, PROTOCOL(CONFIGURE_MEM_SLOTS)) &&
		 vu->mem_slots < vu->config.mem->n_regions)
		ret = error_set(err, -EOPNOTSUPP, "it has %llu memory slots; the guest needs %zu",
				(unsigned long long)vu->mem_slots, vu->config.mem->n_regions);
	else if (!vu->met)
		ret = check_queue_pairs(vu, vu->config.queue_pairs, err);
	if (ret || vu->met)
		return ret;
	vu->met = true;
	vu->first = vu->has & ~commanded_features;
	return 0;
}

/* A driver that may have been there before: one that resets a device begins anew. */
static int begin(struct vhost_user *vu, struct error *err)
{
	int ret = 0;

	if (vu->begun && has_protocol(vu, PROTOCOL(RESET_DEVICE)))
		ret = request_empty(vu, VHOST_USER_RESET_DEVICE, err);
	if (!ret && vu->begun && has_protocol(vu, PROTOCOL(STATUS)))
		ret = request_u64(vu, VHOST_USER_SET_STATUS, 0, err);
	if (!ret && has_protocol(vu, PROTOCOL(STATUS)))
		ret = request_u64(vu, VHOST_USER_SET_STATUS,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER, err);
	vu->begun = true;
	vu->driver_ok = false;
	return ret;
}

static int check_features(const struct vhost_user *vu, struct error *err)
{
	uint64_t missing = vu->features & ~vu->has & ~(net_features_optional | net_features_own);
	const struct net_feature *feature;

	if (!missing)
		return check_queue_pairs(
			vu, vu->features & FEATURE(VIRTIO_NET_F_MQ) ? vu->config.queue_pairs : 1,
			err);
	feature = net_features_first(missing);
	return error_set(err, -EOPNOTSUPP, "it lacks %s, which the guest's driver uses",
			 feature ? feature->name : "a feature");
}

static int set_features(struct vhost_user *vu, struct error *err)
{
	/* What it lacks is optional. */
	uint64_t both = vu->features & vu->has;
	int ret = check_features(vu, err);

	if (!ret)
		ret = request_u64(vu, VHOST_USER_SET_FEATURES,
				  both | (vu->has & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)), err);
	if (!ret && has_protocol(vu, PROTOCOL(STATUS)))
		ret = request_u64(vu, VHOST_USER_SET_STATUS,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					  VIRTIO_CONFIG_S_FEATURES_OK,
				  err);
	if (!ret && has_protocol(vu, PROTOCOL(STATUS)))
		ret = request_empty(vu, VHOST_USER_GET_STATUS, err);
	if (!ret && has_protocol(vu, PROTOCOL(NET_MTU)) && vu->config.mtu &&
	    both & FEATURE(VIRTIO_NET_F_MTU))
		ret = request_u64(vu, VHOST_USER_NET_SET_MTU, vu->config.mtu, err);
	return ret;
}

static struct vhost_user_region region(const struct memory_region *memory)
{
	return (struct vhost_user_region){
		.guest_address = memory->range.base,
		.size = memory->range.size,
		.user_address = (uintptr_t)memory->host,
		.mmap_offset = memory->fd_offset,
	};
}

/* Slots stay, whatever else begins anew; a table is sent each time. */
static int add_memory(struct vhost_user *vu, struct error *err)
{
	const struct guest_memory *mem = vu->config.mem;
	int ret = 0;

	for (size_t i = 0; i < mem->n_regions && !ret && !vu->memory_added; i++) {
		struct vhost_user_message message = {
			.request = VHOST_USER_ADD_MEM_REG,
			.size = sizeof(message.payload.single_region),
			.payload.single_region.region = region(&mem->regions[i]),
		};

		ret = request(vu, &message, &mem->fd, 1, 0, err);
	}
	vu->memory_added = true;
	return ret;
}

static int set_memory(struct vhost_user *vu, struct error *err)
{
	const struct guest_memory *mem = vu->config.mem;
	struct vhost_user_message message = {
		.request = VHOST_USER_SET_MEM_TABLE,
		.size = (uint32_t)(offsetof(struct vhost_user_memory, regions) +
				   mem->n_regions * sizeof(struct vhost_user_region)),
		.payload.memory.num_regions = (uint32_t)mem->n_regions,
	};
	int fds[MEMORY_MAX_REGIONS];

	_Static_assert((int)MEMORY_MAX_REGIONS <= (int)VHOST_USER_MEMORY_MAX,
		       "Memory regions description");
	for (size_t i = 0; i < mem->n_regions; i++) {
		message.payload.memory.regions[i] = region(&mem->regions[i]);
		fds[i] = mem->fd;
	}
	return request(vu, &message, fds, (unsigned int)mem->n_regions, 0, err);
}

static int share_memory(struct vhost_user *vu, struct error *err)
{
	struct vhost_user_message inflight = {
		.request = VHOST_USER_GET_INFLIGHT_FD,
		.size = sizeof(inflight.payload.inflight),
		.payload.inflight = {.num_queues = (uint16_t)vu->n_rings,
				     .queue_size = vu->config.queue_size},
	};
	int ret = has_protocol(vu, PROTOCOL(CONFIGURE_MEM_SLOTS)) ? add_memory(vu, err)
								  : set_memory(vu, err);

	if (!ret && has_protocol(vu, PROTOCOL(INFLIGHT_SHMFD)) && vu->inflight_fd < 0)
		ret = request(vu, &inflight, NULL, 0, 0, err);
	return ret;
}

static int share_inflight(struct vhost_user *vu, struct error *err)
{
	struct vhost_user_message message = {
		.request = VHOST_USER_SET_INFLIGHT_FD,
		.size = sizeof(message.payload.inflight),
		.payload.inflight = vu->inflight,
	};

	if (!has_protocol(vu, PROTOCOL(INFLIGHT_SHMFD)) || vu->inflight_fd < 0)
		return 0;
	return request(vu, &message, &vu->inflight_fd, 1, 0, err);
}

/* All of that was right. */
static int serve(struct vhost_user *vu, struct error *err)
{
	(void)vu;
	(void)err;
	return 0;
}

/* Each is made when all replies to those before it have come; then rings are given. */
static int (*const steps[])(struct vhost_user *vu, struct error *err) = {
	ask_features,
	ask_protocol,
	agree,
	ask_limits,
	meet,
	/* From here on with a driver; a new one begins here. */
	begin,
	set_features,
	share_memory,
	share_inflight,
	serve,
};

enum {
	STEP_BEGIN = 5,
	STEPS = sizeof(steps) / sizeof(steps[0]),
};

/* Bring the rings to where the device wants them; if it can be done now. */
static int update_rings(struct vhost_user *vu, struct error *err)
{
	bool any = false;
	int ret = 0;

	for (unsigned int i = 0; i < vu->n_rings && !ret && connected(vu) && vu->step == STEPS;
	     i++) {
		ret = update_ring(vu, i, err);
		any |= vu->rings[i].given;
	}
	/* The back-end may wait for that before it looks at any ring. */
	if (!ret && any && !vu->driver_ok && has_protocol(vu, PROTOCOL(STATUS))) {
		vu->driver_ok = true;
		ret = request_u64(vu, VHOST_USER_SET_STATUS,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
				  err);
	}
	return ret;
}

/* As far as it goes without waiting. The loop's thread. */
static void advance(struct vhost_user *vu)
{
	struct error err = {0};
	int ret = 0;

	while (!ret && connected(vu) && !vu->channel.n_expected && vu->step < STEPS &&
	       (vu->step != STEP_BEGIN || vu->driver))
		ret = steps[vu->step++](vu, &err);
	if (!ret)
		ret = update_rings(vu, &err);
	if (ret)
		fail(vu, &err);
	if (!connected(vu) || vu->channel.n_expected || (vu->step != STEPS && vu->driver) ||
	    vu->step < STEP_BEGIN || vu->up)
		return;
	vu->up = true;
	if (vu->missed)
		log_info(vu->config.log, "%s: vhost-user back-end at %s: it is there", vu->name,
			 vu->path);
	vu->missed = false;
}

/* --- the loop's thread --- */

/* @fd is taken over. */
static void begin_connection(struct vhost_user *vu, int fd)
{
	struct error err = {0};

	vhost_user_channel_open(&vu->channel, fd);
	vu->connected_at = now_ms();
	vu->step = 0;
	vu->has = vu->protocol = 0;
	vu->begun = vu->memory_added = vu->driver_ok = false;
	set_timer(vu, 0);
	if (watch(vu, fd, SOURCE_CONNECTION, 0)) {
		error_errno(&err, "watching it");
		fail(vu, &err);
	}
}

static void connect_to_backend(struct vhost_user *vu)
{
	int fd = vhost_user_socket_connect(vu->path);
	struct error err = {0};

	if (fd >= 0) {
		begin_connection(vu, fd);
		return;
	}
	errno = -fd;
	error_errno(&err, "connecting to it");
	if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN)
		warn(vu, &err);
	try_again(vu, 0);
}

static void accept_backend(struct vhost_user *vu)
{
	int fd = accept4(vu->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* If this process has too many descriptors the loop must not spin. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			unwatch(vu, vu->listen_fd);
		if (!connected(vu))
			set_timer(vu, RETRY_MS);
		return;
	}
	if (!connected(vu)) {
		begin_connection(vu, fd);
		return;
	}
	close(fd);
	if (!vu->turned_away)
		log_warning(vu->config.log,
			    "%s: vhost-user back-end at %s: a second one is turned away", vu->name,
			    vu->path);
	vu->turned_away = true;
}

static void time_over(struct vhost_user *vu)
{
	struct error err = {0};

	fd_eventfd_drain(vu->timer_fd);
	if (!connected(vu)) {
		if (vu->config.server)
			watch(vu, vu->listen_fd, SOURCE_LISTEN, 0);
		else
			connect_to_backend(vu);
	} else if (vu->channel.n_expected) {
		late(vu, reply_ms(vu), &err);
		fail(vu, &err);
	}
}

static void ring_error(struct vhost_user *vu, unsigned int index)
{
	struct error err = {0};

	if (!fd_eventfd_drain(vu->rings[index].ring.err_fd))
		return;
	error_set(&err, -EPROTO, "it reports an error of ring %u", index);
	fail(vu, &err);
}

static void dispatch(struct vhost_user *vu, uint64_t data)
{
	unsigned int index = (unsigned int)(data >> 8);
	struct error err = {0};
	int ret = 0;

	switch ((enum source)(data & 0xff)) {
	case SOURCE_WAKE:
		fd_eventfd_drain(vu->wake_fd);
		break;
	case SOURCE_TIMER:
		time_over(vu);
		break;
	case SOURCE_LISTEN:
		accept_backend(vu);
		break;
	case SOURCE_CONNECTION:
		ret = take_reply(vu, &err);
		break;
	case SOURCE_REQUESTS:
		ret = vhost_user_channel_refuse(&vu->requests, &err);
		break;
	case SOURCE_RELAY:
		if (fd_eventfd_drain(vu->rings[index].ring.relay_fd))
			vhost_ring_interrupt(&vu->rings[index].ring);
		break;
	case SOURCE_ERR:
		ring_error(vu, index);
		break;
	}
	if (ret < 0)
		fail(vu, &err);
}

static void vhost_user_ready(struct loop_watch *loop_watch, uint32_t events)
{
	struct vhost_user *vu = loop_watch->opaque;
	struct datapath_owner owner = vu->datapath.owner;
	struct epoll_event event;
	bool tell, up;

	(void)events;
	pthread_mutex_lock(&vu->lock);
	/* One at a time: it may change what the others were about. */
	if (epoll_wait(vu->watch.fd, &event, 1, 0) > 0) {
		dispatch(vu, event.data.u64);
		advance(vu);
	}
	up = vu->up;
	tell = vu->told != up;
	vu->told = up;
	pthread_mutex_unlock(&vu->lock);
	if (tell && owner.carrier_changed)
		owner.carrier_changed(owner.opaque, up);
}

/* --- the datapath --- */

static uint64_t vhost_user_features(const struct datapath *dp)
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	uint64_t features;

	pthread_mutex_lock(&vu->lock);
	features = vu->met ? vu->first : net_features_common;
	pthread_mutex_unlock(&vu->lock);
	return vu->config.queue_pairs > 1 ? features : features & ~FEATURE(VIRTIO_NET_F_MQ);
}

static unsigned int vhost_user_max_queue_pairs(const struct datapath *dp)
{
	return ((const struct vhost_user *)dp)->config.queue_pairs;
}

static int vhost_user_set_features(struct datapath *dp, uint64_t features)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	pthread_mutex_lock(&vu->lock);
	vu->driver = true;
	vu->features = features;
	vu->link = true;
	vu->pairs = 1;
	/* A new driver has nothing in flight. */
	fd_close(&vu->inflight_fd);
	if (vu->step > STEP_BEGIN)
		vu->step = STEP_BEGIN;
	fd_eventfd_signal(vu->wake_fd);
	pthread_mutex_unlock(&vu->lock);
	return 0;
}

static int vhost_user_start_ring(struct datapath *dp, unsigned int index,
				 const struct ring_state *state, const struct datapath_wires *wires)
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	struct vhost_ring *ring = &vu->rings[index].ring;
	const char *broken;

	pthread_mutex_lock(&vu->lock);
	vhost_ring_start(ring, vu->config.mem, state, wires, vu->features);
	vu->rings[index].lost = false;
	broken = ring->broken;
	fd_eventfd_signal(vu->wake_fd);
	pthread_mutex_unlock(&vu->lock);
	if (broken && dp->events.ring_broken)
		dp->events.ring_broken(dp->events.opaque, index, broken);
	return 0;
}

static void vhost_user_stop_ring(struct datapath *dp, unsigned int index, struct ring_state *state)
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	struct served_ring *served = &vu->rings[index];

	pthread_mutex_lock(&vu->lock);
	if (served->given)
		stop_given_ring(vu, index);
	find_lost_ring(vu, served);
	served->ring.started = false;
	*state = served->ring.state;
	/* Replies that were taken here may have been waited for. */
	fd_eventfd_signal(vu->wake_fd);
	pthread_mutex_unlock(&vu->lock);
}

/* By a thread of the device's: what has changed in its wishes. */
static void update_now(struct vhost_user *vu)
{
	struct error err = {0};

	if (update_rings(vu, &err))
		fail(vu, &err);
}

static int vhost_user_set_link(struct datapath *dp, bool up)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	pthread_mutex_lock(&vu->lock);
	vu->link = up;
	update_now(vu);
	pthread_mutex_unlock(&vu->lock);
	return 0;
}

static int vhost_user_set_queue_pairs(struct datapath *dp, unsigned int n)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	pthread_mutex_lock(&vu->lock);
	vu->pairs = n;
	update_now(vu);
	pthread_mutex_unlock(&vu->lock);
	return 0;
}

static int vhost_user_announce(struct datapath *dp, const uint8_t mac[6])
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	struct error err = {0};
	uint64_t payload = 0; /* its first 6 bytes are the address */
	bool can;

	memcpy(&payload, mac, 6);
	pthread_mutex_lock(&vu->lock);
	can = connected(vu) && vu->step == STEPS && has_protocol(vu, PROTOCOL(RARP));
	if (can && request_u64(vu, VHOST_USER_SEND_RARP, payload, &err)) {
		fail(vu, &err);
		can = false;
	}
	pthread_mutex_unlock(&vu->lock);
	return can ? 0 : -EOPNOTSUPP;
}

static bool vhost_user_carrier(struct datapath *dp)
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	bool up;

	pthread_mutex_lock(&vu->lock);
	up = vu->up;
	pthread_mutex_unlock(&vu->lock);
	return up;
}

static void vhost_user_destroy(struct datapath *dp)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	loop_watch_remove(vu->config.loop, &vu->watch);
	vhost_user_channel_close(&vu->channel);
	vhost_user_channel_close(&vu->requests);
	if (vu->listen_fd >= 0)
		unlink(vu->path);
	fd_close(&vu->listen_fd);
	fd_close(&vu->timer_fd);
	fd_close(&vu->wake_fd);
	fd_close(&vu->inflight_fd);
	fd_close(&vu->watch.fd);
	for (unsigned int i = 0; i < vu->n_rings; i++)
		vhost_ring_destroy(&vu->rings[i].ring);
	pthread_mutex_destroy(&vu->lock);
	free(vu);
}

static const struct datapath_ops vhost_user_ops = {
	.features = vhost_user_features,
	.max_queue_pairs = vhost_user_max_queue_pairs,
	.set_features = vhost_user_set_features,
	.start_ring = vhost_user_start_ring,
	.stop_ring = vhost_user_stop_ring,
	.set_link = vhost_user_set_link,
	.set_queue_pairs = vhost_user_set_queue_pairs,
	.announce = vhost_user_announce,
	.carrier = vhost_user_carrier,
	.destroy = vhost_user_destroy,
};

/* --- creation --- */

static int open_all(struct vhost_user *vu)
{
	int ret = 0;

	for (unsigned int i = 0; i < vu->n_rings && !ret; i++)
		ret = vhost_ring_init(&vu->rings[i].ring);
	if (ret)
		return ret;
	vu->watch.fd = epoll_create1(EPOLL_CLOEXEC);
	if (vu->watch.fd < 0)
		return -errno;
	vu->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (vu->timer_fd < 0)
		return -errno;
	vu->wake_fd = fd_eventfd();
	if (vu->wake_fd < 0)
		return vu->wake_fd;
	ret = watch(vu, vu->timer_fd, SOURCE_TIMER, 0);
	return ret ? ret : watch(vu, vu->wake_fd, SOURCE_WAKE, 0);
}

static int open_socket(struct vhost_user *vu, struct error *err)
{
	int fd, ret = vhost_user_socket_check(vu->path, err);

	if (ret)
		return ret;
	if (vu->config.server) {
		vu->listen_fd = vhost_user_socket_listen(vu->path, err);
		try_again(vu, 0);
		return vu->listen_fd < 0 ? vu->listen_fd : 0;
	}
	fd = vhost_user_socket_connect(vu->path);
	if (fd >= 0) {
		begin_connection(vu, fd);
	} else if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -EAGAIN) {
		try_again(vu, 0);
	} else {
		errno = -fd;
		return error_errno(err, "connecting to %s", vu->path);
	}
	return 0;
}

static int wait_for_backend(struct vhost_user *vu, unsigned int wait_ms, struct error *err)
{
	int64_t end = now_ms() + wait_ms;

	advance(vu);
	while (!vu->met && !vu->unusable && (vu->config.server || connected(vu))) {
		struct pollfd poll_fd = {.fd = vu->watch.fd, .events = POLLIN};
		int64_t left = end - now_ms();

		if (left <= 0)
			break;
		if (poll(&poll_fd, 1, (int)left) > 0)
			vhost_user_ready(&vu->watch, EPOLLIN);
	}
	if (vu->unusable)
		return error_set(err, -EOPNOTSUPP, "back-end at %s: %s", vu->path, vu->said.text);
	vu->told = vu->up;
	return 0;
}

static int set_up(struct vhost_user *vu, unsigned int wait_ms, struct error *err)
{
	int ret = open_all(vu);

	if (ret) {
		errno = -ret;
		return error_errno(err, "creating it");
	}
	ret = open_socket(vu, err);
	if (!ret)
		ret = wait_for_backend(vu, wait_ms, err);
	if (!ret) {
		ret = loop_watch_set(vu->config.loop, &vu->watch, EPOLLIN);
		if (ret)
			error_set(err, ret, "watching its sockets");
	}
	return ret;
}

int vhost_user_create(const struct vhost_user_config *config, unsigned int wait_ms,
		      struct datapath **dp, struct error *err)
{
	unsigned int n_rings = 2 * config->queue_pairs;
	struct vhost_user *vu;
	int ret;

	*dp = NULL;
	if (config->mem->fd < 0)
		return error_usage(err,
				   "%s: vhost-user needs memory that another process can map; try: "
				   "--memory SIZE,shared=on",
				   config->name);
	if (!n_rings || config->queue_pairs > MAX_PAIRS)
		return error_usage(err, "%s: vhost-user has 1 to %u pairs of queues", config->name,
				   MAX_PAIRS);
	vu = calloc(1, sizeof(*vu) + n_rings * sizeof(vu->rings[0]));
	if (!vu)
		return error_set(err, -ENOMEM, "%s: out of memory", config->name);
	vu->datapath.ops = &vhost_user_ops;
	vu->datapath.kind = "vhost-user";
	snprintf(vu->name, sizeof(vu->name), "%s", config->name);
	vu->config = *config;
	vu->n_rings = n_rings;
	vu->watch = (struct loop_watch){.fd = -1, .ready = vhost_user_ready, .opaque = vu};
	vu->listen_fd = vu->timer_fd = vu->wake_fd = vu->inflight_fd = -1;
	for (unsigned int i = 0; i < n_rings; i++)
		vu->rings[i].ring = (struct vhost_ring){.relay_fd = -1, .err_fd = -1};
	pthread_mutex_init(&vu->lock, NULL);
	vhost_user_channel_init(&vu->channel);
	vhost_user_channel_init(&vu->requests);
	/* A path that is cut is too long in any case. */
	snprintf(vu->path, sizeof(vu->path), "%s", config->path);
	ret = vhost_user_socket_check(config->path, err);
	if (!ret)
		ret = set_up(vu, wait_ms, err);
	if (ret) {
		error_prefix(err, "%s: vhost-user: ", config->name);
		vhost_user_destroy(&vu->datapath);
		return ret;
	}
	*dp = &vu->datapath;
	return 0;
}
