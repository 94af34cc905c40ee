/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost_user_session.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>

#include "virtio/defs.h"
#include "virtio/net_features.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

#define FEATURE(name)  (1ULL << (name))
#define PROTOCOL(name) (1ULL << VHOST_USER_PROTOCOL_F_##name)

enum {
	REPLY_MS = 10000,
	REPLY_MS_PER_MIB = 10, /* in addition: a back-end may lock what it maps, page by page */
	STOP_MS = 3000,	       /* for all rings; the guest waits meanwhile */
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

static bool has_protocol(const struct vhost_user_session *s, uint64_t feature)
{
	return s->protocol & feature;
}

/* The features are the back-end's own: it has protocol features, and disables and enables rings. */
static bool has_protocols(const struct vhost_user_session *s)
{
	return s->has >> VHOST_USER_F_PROTOCOL_FEATURES & 1;
}

static bool is_packed(const struct vhost_user_session *s)
{
	return s->features >> VIRTIO_F_RING_PACKED & 1;
}

int vhost_user_session_watch(const struct vhost_user_session *s, int fd,
			     enum vhost_user_source source, unsigned int index)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = source | (uint64_t)index << 8};

	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

void vhost_user_session_unwatch(const struct vhost_user_session *s, int fd)
{
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void vhost_user_session_set_timer(const struct vhost_user_session *s, unsigned int ms)
{
	struct itimerspec time = {.it_value = {ms / 1000, (long)(ms % 1000) * 1000000}};

	timerfd_settime(s->timer_fd, 0, &time, NULL);
}

/* How long the reply that is due may take. */
static unsigned int reply_ms(const struct vhost_user_session *s)
{
	const struct vhost_user_channel *channel = &s->channel;

	if (s->config.reply_ms)
		return s->config.reply_ms;
	switch (channel->expected[channel->first].request) {
	case VHOST_USER_SET_MEM_TABLE:
	case VHOST_USER_ADD_MEM_REG:
	case VHOST_USER_GET_INFLIGHT_FD: /* the first after them, if they are not acknowledged */
		return REPLY_MS +
		       (unsigned int)(memory_size(s->config.mem) >> 20) * REPLY_MS_PER_MIB;
	default:
		return REPLY_MS;
	}
}

/* --- requests --- */

static int request(struct vhost_user_session *s, struct vhost_user_message *message, const int *fds,
		   unsigned int n_fds, uint32_t index, struct error *err)
{
	unsigned int before = s->channel.n_expected;
	int ret = vhost_user_channel_request(&s->channel, message, fds, n_fds, index, err);

	if (!ret && !before && s->channel.n_expected)
		vhost_user_session_set_timer(s, reply_ms(s));
	return ret;
}

static int request_empty(struct vhost_user_session *s, uint32_t type, struct error *err)
{
	struct vhost_user_message message = {.request = type};

	return request(s, &message, NULL, 0, 0, err);
}

static int request_u64(struct vhost_user_session *s, uint32_t type, uint64_t value,
		       struct error *err)
{
	struct vhost_user_message message = {
		.request = type,
		.size = sizeof(value),
		.payload.u64 = value,
	};

	return request(s, &message, NULL, 0, 0, err);
}

static int request_fd(struct vhost_user_session *s, uint32_t type, uint64_t index, int fd,
		      struct error *err)
{
	struct vhost_user_message message = {
		.request = type,
		.size = sizeof(index),
		.payload.u64 = index,
	};

	return request(s, &message, &fd, 1, 0, err);
}

static int request_state(struct vhost_user_session *s, uint32_t type, unsigned int index,
			 uint32_t num, struct error *err)
{
	struct vhost_user_message message = {
		.request = type,
		.size = sizeof(message.payload.state),
		.payload.state = {index, num},
	};

	return request(s, &message, NULL, 0, index, err);
}

/* --- replies --- */

static int take_status(const struct vhost_user_session *s, uint64_t status, struct error *err)
{
	(void)s;
	if (status & VIRTIO_CONFIG_S_FEATURES_OK)
		return 0;
	return error_set(err, -EOPNOTSUPP,
			 "it does not accept the driver's features (status 0x%llx)",
			 (unsigned long long)status);
}

static int take_inflight(struct vhost_user_session *s, struct error *err)
{
	struct vhost_user_channel *channel = &s->channel;
	struct vhost_user_inflight inflight = channel->in.payload.inflight;
	struct stat st;

	if (!inflight.mmap_size && !channel->n_fds)
		return 0; /* it wants none */
	inflight.padding = 0;
	if (channel->n_fds != 1)
		return error_set(err, -EPROTO, "its inflight region has no descriptor");
	if (inflight.num_queues != s->n_rings || inflight.queue_size != s->config.queue_size)
		return error_set(
			err, -EPROTO, "its inflight region is for %u queues of %u, not %u of %u",
			inflight.num_queues, inflight.queue_size, s->n_rings, s->config.queue_size);
	if (fstat(channel->fds[0], &st) < 0 || !inflight.mmap_size || st.st_size < 0 ||
	    inflight.mmap_size > (uint64_t)st.st_size ||
	    inflight.mmap_offset > (uint64_t)st.st_size - inflight.mmap_size)
		return error_set(err, -EPROTO,
				 "its inflight region (%llu bytes at %llu) is not in its file",
				 (unsigned long long)inflight.mmap_size,
				 (unsigned long long)inflight.mmap_offset);
	fd_close(&s->inflight_fd);
	s->inflight_fd = fd_take(&channel->fds[0]);
	s->inflight = inflight;
	return 0;
}

static int take_base(struct vhost_user_session *s, uint32_t index, struct error *err)
{
	struct vhost_user_vring_state state = s->channel.in.payload.state;

	if (state.index != index)
		return error_set(err, -EPROTO, "it gives the base of ring %u instead of %u",
				 state.index, index);
	s->rings[index].base = state.num;
	return 0;
}

int vhost_user_session_reply(struct vhost_user_session *s, struct error *err)
{
	const struct vhost_user_message *in = &s->channel.in;
	struct vhost_user_expected answered;
	int ret = vhost_user_channel_reply(&s->channel, &answered, err);

	if (ret <= 0)
		return ret;
	vhost_user_session_set_timer(s, s->channel.n_expected ? reply_ms(s) : 0);
	ret = 0;
	switch (answered.request) {
	case VHOST_USER_GET_FEATURES:
		s->has = in->payload.u64;
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		s->protocol = in->payload.u64 & protocol_features;
		break;
	case VHOST_USER_GET_QUEUE_NUM:
		s->queue_pairs = in->payload.u64;
		break;
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		s->mem_slots = in->payload.u64;
		break;
	case VHOST_USER_GET_STATUS:
		ret = take_status(s, in->payload.u64, err);
		break;
	case VHOST_USER_GET_INFLIGHT_FD:
		ret = take_inflight(s, err);
		break;
	case VHOST_USER_GET_VRING_BASE:
		ret = take_base(s, answered.index, err);
		break;
	default:
		break;
	}
	return ret ? ret : 1;
}

static int late(const struct vhost_user_session *s, unsigned int ms, struct error *err)
{
	const struct vhost_user_channel *channel = &s->channel;

	return error_set(err, -EPROTO, "it has not answered %s for %u ms",
			 vhost_user_request_name(channel->expected[channel->first].request), ms);
}

int vhost_user_session_late(const struct vhost_user_session *s, struct error *err)
{
	return s->channel.n_expected ? late(s, reply_ms(s), err) : 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Wait for all replies, the last of them a ring's that stops. The back-end may itself wait for one
 * before that. Since it got a ring it has so long for all of them, not for each.
 */
static int wait_for_replies(struct vhost_user_session *s, struct error *err)
{
	const unsigned int ms = reply_ms(s) < STOP_MS ? reply_ms(s) : STOP_MS;
	const int64_t end = now_ms() + ms - s->stopping_ms;

	while (s->channel.n_expected) {
		struct pollfd fds[] = {{.fd = s->channel.fd, .events = POLLIN},
				       {.fd = s->requests.fd, .events = POLLIN}};
		int64_t left = end - now_ms();
		int ret = vhost_user_session_reply(s, err);

		if (!ret && left <= 0)
			ret = error_set(err, -EPROTO, "it has not stopped its rings within %u ms",
					ms);
		if (!ret && poll(fds, 2, (int)left) > 0 && fds[1].revents)
			ret = vhost_user_channel_refuse(&s->requests, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* --- rings --- */

/* Whether the back-end has been told what others before it left unfinished. */
static bool has_inflight(const struct vhost_user_session *s)
{
	return has_protocol(s, PROTOCOL(INFLIGHT_SHMFD)) && s->inflight_fd >= 0;
}

static void find_ring(struct vhost_user_session *s, unsigned int index, bool finish)
{
	struct vhost_user_ring *ring = &s->rings[index];

	if (!ring->lost)
		return;
	ring->lost = false;
	ring_state_recover(&ring->vhost.state, s->config.mem, s->features, finish);
	/* It may have found what the one that is gone had not shown. */
	vhost_ring_interrupt(&ring->vhost);
}

void vhost_user_session_find_ring(struct vhost_user_session *s, unsigned int index)
{
	find_ring(s, index, true);
}

/* The back-end has nothing to do with the ring any more, or is gone (@lost). */
static void take_ring_back(struct vhost_user_session *s, struct vhost_user_ring *ring, bool lost)
{
	/* The back-end may have them open still: closing would not do. */
	vhost_user_session_unwatch(s, ring->vhost.relay_fd);
	vhost_user_session_unwatch(s, ring->vhost.err_fd);
	ring->given = false;
	ring->lost = lost;
	/* What it wanted to say, and was not relayed; or had no time to say. */
	if (fd_eventfd_drain(ring->vhost.relay_fd) || lost)
		vhost_ring_interrupt(&ring->vhost);
}

/* Everything but the descriptor that starts it. */
static int describe_ring(struct vhost_user_session *s, unsigned int index, struct error *err)
{
	const struct vhost_ring *ring = &s->rings[index].vhost;
	struct vhost_user_message addr = {
		.request = VHOST_USER_SET_VRING_ADDR,
		.size = sizeof(addr.payload.addr),
		.payload.addr = {.index = index,
				 .descriptor = ring->desc,
				 .available = ring->driver,
				 .used = ring->device},
	};
	/* No chain is between the two positions; the protocol could not say so of a split ring. */
	uint32_t base = ring->state.next_used;
	int ret;

	if (is_packed(s))
		base |= base << 16;
	ret = request_state(s, VHOST_USER_SET_VRING_NUM, index, ring->state.size, err);
	if (!ret)
		ret = request(s, &addr, NULL, 0, 0, err);
	if (!ret)
		ret = request_state(s, VHOST_USER_SET_VRING_BASE, index, base, err);
	if (!ret)
		ret = request_fd(s, VHOST_USER_SET_VRING_CALL, index, vhost_ring_call_fd(ring),
				 err);
	return ret ? ret : request_fd(s, VHOST_USER_SET_VRING_ERR, index, ring->err_fd, err);
}

static int enable_ring(struct vhost_user_session *s, unsigned int index, bool enable,
		       struct error *err)
{
	s->rings[index].enabled = enable;
	return request_state(s, VHOST_USER_SET_VRING_ENABLE, index, enable, err);
}

/*
 * It is told whether it is enabled before it can start: a back-end that runs a ring while that is
 * disabled throws away what the driver transmits ("Ring states"). It is told both, as one that was
 * stopped before is as it was then.
 */
static int give_ring(struct vhost_user_session *s, unsigned int index, bool enable,
		     struct error *err)
{
	struct vhost_user_ring *ring = &s->rings[index];
	int ret;

	find_ring(s, index, !has_inflight(s));
	ret = describe_ring(s, index, err);
	if (!ret && has_protocols(s))
		ret = enable_ring(s, index, enable, err);
	if (ret)
		return ret;
	/* If it dies from here on nobody knows what it has done. */
	ring->given = true;
	s->stopping_ms = 0;
	ret = vhost_user_session_watch(s, ring->vhost.relay_fd, VHOST_USER_SOURCE_RELAY, index);
	if (!ret)
		ret = vhost_user_session_watch(s, ring->vhost.err_fd, VHOST_USER_SOURCE_ERR, index);
	if (ret)
		return error_code(err, ret, "watching its ring %u", index);
	ret = request_fd(s, VHOST_USER_SET_VRING_KICK, index, ring->vhost.wires.kick_fd, err);
	/* "Ring states": it starts when it is kicked, and there may be chains already. */
	fd_eventfd_signal_shared(ring->vhost.wires.kick_fd);
	return ret;
}

/* Can a packed ring of @size descriptors stand at @used, with those up to @avail taken? */
static bool packed_base_valid(uint32_t avail, uint32_t used, uint16_t size)
{
	uint32_t taken = avail & 0x7fff, returned = used & 0x7fff;

	return taken < size && returned < size &&
	       ((avail ^ used) & 0x8000 ? taken <= returned : taken >= returned);
}

/*
 * Where the ring stands that the back-end has stopped, by its answer. It must have returned all
 * chains that it took: if it hasn't, they are served again.
 */
static int settle_ring(struct vhost_user_session *s, unsigned int index, struct error *err)
{
	struct ring_state *state = &s->rings[index].vhost.state;
	uint32_t base = s->rings[index].base;
	uint32_t avail = base & 0xffff, used = base >> 16;
	bool valid;

	if (is_packed(s)) {
		/* There are back-ends that say but the lower half. */
		used = used ? used : avail;
		valid = packed_base_valid(avail, used, state->size);
	} else {
		ring_state_recover(state, s->config.mem, s->features, true);
		valid = !used && (uint16_t)(avail - state->next_used) <= state->size;
		used = state->next_used;
	}
	if (!valid)
		return error_set(err, -EPROTO,
				 "it gives the base 0x%x for ring %u, which has %u descriptors",
				 base, index, state->size);
	state->next_avail = state->next_used = (uint16_t)used;
	return 0;
}

/*
 * Without disabling it first: a ring that is disabled still runs, and what the driver transmits is
 * thrown away ("Ring states").
 */
int vhost_user_session_stop_ring(struct vhost_user_session *s, unsigned int index,
				 struct error *err)
{
	int64_t begin = now_ms();
	int ret = request_state(s, VHOST_USER_GET_VRING_BASE, index, 0, err);

	if (!ret)
		ret = wait_for_replies(s, err);
	s->stopping_ms += (unsigned int)(now_ms() - begin);
	if (!ret)
		ret = settle_ring(s, index, err);
	if (!ret)
		take_ring_back(s, &s->rings[index], false);
	return ret;
}

/* Let the back-end have the ring, or not, as the device wants it. */
static int update_ring(struct vhost_user_session *s, unsigned int index, struct error *err)
{
	struct vhost_user_ring *ring = &s->rings[index];
	bool enable = s->link && index / 2 < s->pairs;
	int ret = 0;

	if (!ring->vhost.started || ring->vhost.broken)
		return 0;
	/* What can't be disabled has to stop. */
	if (!has_protocols(s) && !enable)
		return ring->given ? vhost_user_session_stop_ring(s, index, err) : 0;
	if (!ring->given)
		ret = give_ring(s, index, enable, err);
	else if (has_protocols(s) && ring->enabled != enable)
		ret = enable_ring(s, index, enable, err);
	return ret;
}

/* --- from the first message to the rings --- */

static int ask_features(struct vhost_user_session *s, struct error *err)
{
	return request_empty(s, VHOST_USER_GET_FEATURES, err);
}

static int ask_protocol(struct vhost_user_session *s, struct error *err)
{
	return has_protocols(s) ? request_empty(s, VHOST_USER_GET_PROTOCOL_FEATURES, err) : 0;
}

static int agree(struct vhost_user_session *s, struct error *err)
{
	int ret = 0;

	if (has_protocols(s))
		ret = request_u64(s, VHOST_USER_SET_PROTOCOL_FEATURES, s->protocol, err);
	s->channel.acks = has_protocol(s, PROTOCOL(REPLY_ACK));
	return ret ? ret : request_empty(s, VHOST_USER_SET_OWNER, err);
}

/* The channel for requests of the back-end's. */
static int open_requests(struct vhost_user_session *s, struct error *err)
{
	struct vhost_user_message message = {.request = VHOST_USER_SET_BACKEND_REQ_FD};
	int fds[2];
	int ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return error_errno(err, "a channel for its requests");
	vhost_user_channel_open(&s->requests, fds[0]);
	s->requests.acks = s->channel.acks;
	ret = vhost_user_session_watch(s, fds[0], VHOST_USER_SOURCE_REQUEST, 0);
	if (ret)
		error_code(err, ret, "watching its requests");
	else
		ret = request(s, &message, &fds[1], 1, 0, err);
	close(fds[1]);
	return ret;
}

static int ask_limits(struct vhost_user_session *s, struct error *err)
{
	int ret = 0;

	if (has_protocol(s, PROTOCOL(MQ)))
		ret = request_empty(s, VHOST_USER_GET_QUEUE_NUM, err);
	if (!ret && has_protocol(s, PROTOCOL(CONFIGURE_MEM_SLOTS)))
		ret = request_empty(s, VHOST_USER_GET_MAX_MEM_SLOTS, err);
	if (!ret && has_protocol(s, PROTOCOL(BACKEND_REQ)))
		ret = open_requests(s, err);
	return ret;
}

static int check_queue_pairs(const struct vhost_user_session *s, unsigned int n, struct error *err)
{
	unsigned long long max = s->has & FEATURE(VIRTIO_NET_F_MQ) ? s->queue_pairs : 1;

	if (n <= max)
		return 0;
	return error_set(err, -EOPNOTSUPP, "it has %llu pairs of queues, not the %u of queues=%u",
			 max, n, n);
}

/* Everything that it has said so far: can a device be served with that? */
static int meet(struct vhost_user_session *s, struct error *err)
{
	int ret = 0;

	if (!(s->has & FEATURE(VIRTIO_F_VERSION_1)))
		ret = error_set(err, -EOPNOTSUPP, "it lacks version_1: it is for legacy drivers");
	else if (has_protocol(s, PROTOCOL(CONFIGURE_MEM_SLOTS)) &&
		 s->mem_slots < s->config.mem->n_regions)
		ret = error_set(err, -EOPNOTSUPP, "it has %llu memory slots; the guest needs %zu",
				(unsigned long long)s->mem_slots, s->config.mem->n_regions);
	else if (!s->met)
		ret = check_queue_pairs(s, s->config.queue_pairs, err);
	if (ret || s->met)
		return ret;
	s->met = true;
	s->first = s->has & ~commanded_features;
	return 0;
}

/* A driver that may have been there before: one that resets a device begins anew. */
static int begin(struct vhost_user_session *s, struct error *err)
{
	int ret = 0;

	if (s->begun && has_protocol(s, PROTOCOL(RESET_DEVICE)))
		ret = request_empty(s, VHOST_USER_RESET_DEVICE, err);
	if (!ret && s->begun && has_protocol(s, PROTOCOL(STATUS)))
		ret = request_u64(s, VHOST_USER_SET_STATUS, 0, err);
	if (!ret && has_protocol(s, PROTOCOL(STATUS)))
		ret = request_u64(s, VHOST_USER_SET_STATUS,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER, err);
	s->begun = true;
	s->driver_ok = false;
	return ret;
}

static int check_features(const struct vhost_user_session *s, struct error *err)
{
	uint64_t missing = s->features & ~s->has & ~(net_features_optional | net_features_own);
	bool mq = s->features & FEATURE(VIRTIO_NET_F_MQ);
	const struct net_feature *feature = net_features_first(missing);

	if (missing)
		return error_set(err, -EOPNOTSUPP, "it lacks %s, which the guest's driver uses",
				 feature ? feature->name : "a feature");
	return check_queue_pairs(s, mq ? s->config.queue_pairs : 1, err);
}

static int set_features(struct vhost_user_session *s, struct error *err)
{
	/* What it lacks is optional. */
	uint64_t both = s->features & s->has;
	int ret = check_features(s, err);

	if (!ret)
		ret = request_u64(s, VHOST_USER_SET_FEATURES,
				  both | (s->has & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)), err);
	if (!ret && has_protocol(s, PROTOCOL(STATUS)))
		ret = request_u64(s, VHOST_USER_SET_STATUS,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					  VIRTIO_CONFIG_S_FEATURES_OK,
				  err);
	if (!ret && has_protocol(s, PROTOCOL(STATUS)))
		ret = request_empty(s, VHOST_USER_GET_STATUS, err);
	if (!ret && has_protocol(s, PROTOCOL(NET_MTU)) && s->config.mtu &&
	    both & FEATURE(VIRTIO_NET_F_MTU))
		ret = request_u64(s, VHOST_USER_NET_SET_MTU, s->config.mtu, err);
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
static int add_memory(struct vhost_user_session *s, struct error *err)
{
	const struct guest_memory *mem = s->config.mem;
	int ret = 0;

	for (size_t i = 0; i < mem->n_regions && !ret && !s->memory_added; i++) {
		struct vhost_user_message message = {
			.request = VHOST_USER_ADD_MEM_REG,
			.size = sizeof(message.payload.single_region),
			.payload.single_region.region = region(&mem->regions[i]),
		};

		ret = request(s, &message, &mem->fd, 1, 0, err);
	}
	s->memory_added = true;
	return ret;
}

static int set_memory(struct vhost_user_session *s, struct error *err)
{
	const struct guest_memory *mem = s->config.mem;
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
	return request(s, &message, fds, (unsigned int)mem->n_regions, 0, err);
}

static int share_memory(struct vhost_user_session *s, struct error *err)
{
	struct vhost_user_message inflight = {
		.request = VHOST_USER_GET_INFLIGHT_FD,
		.size = sizeof(inflight.payload.inflight),
		.payload.inflight = {.num_queues = (uint16_t)s->n_rings,
				     .queue_size = s->config.queue_size},
	};
	int ret = has_protocol(s, PROTOCOL(CONFIGURE_MEM_SLOTS)) ? add_memory(s, err)
								 : set_memory(s, err);

	if (!ret && has_protocol(s, PROTOCOL(INFLIGHT_SHMFD)) && s->inflight_fd < 0)
		ret = request(s, &inflight, NULL, 0, 0, err);
	return ret;
}

static int share_inflight(struct vhost_user_session *s, struct error *err)
{
	struct vhost_user_message message = {
		.request = VHOST_USER_SET_INFLIGHT_FD,
		.size = sizeof(message.payload.inflight),
		.payload.inflight = s->inflight,
	};

	if (!has_inflight(s))
		return 0;
	return request(s, &message, &s->inflight_fd, 1, 0, err);
}

/* All of that was right. */
static int serve(struct vhost_user_session *s, struct error *err)
{
	(void)s;
	(void)err;
	return 0;
}

/* Each is made when all replies to those before it have come; then rings are given. */
static int (*const steps[])(struct vhost_user_session *s, struct error *err) = {
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

/* The first 6 bytes of the payload are the address. */
static int send_rarp(struct vhost_user_session *s, struct error *err)
{
	uint64_t payload = 0;

	memcpy(&payload, s->announced, sizeof(s->announced));
	s->announce = false;
	return request_u64(s, VHOST_USER_SEND_RARP, payload, err);
}

int vhost_user_session_update_rings(struct vhost_user_session *s, struct error *err)
{
	bool any = false;
	int ret = 0;

	if (!vhost_user_session_connected(s) || s->step < STEPS)
		return 0;
	for (unsigned int i = 0; i < s->n_rings && !ret; i++) {
		ret = update_ring(s, i, err);
		any |= s->rings[i].given;
	}
	/* The back-end may wait for that before it looks at any ring. */
	if (!ret && any && !s->driver_ok && has_protocol(s, PROTOCOL(STATUS))) {
		s->driver_ok = true;
		ret = request_u64(s, VHOST_USER_SET_STATUS,
				  VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
					  VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
				  err);
	}
	return !ret && any && s->announce ? send_rarp(s, err) : ret;
}

int vhost_user_session_advance(struct vhost_user_session *s, struct error *err)
{
	int ret = 0;

	while (!ret && vhost_user_session_connected(s) && !s->channel.n_expected &&
	       s->step < STEPS && (s->step != STEP_BEGIN || s->driver))
		ret = steps[s->step++](s, err);
	return ret ? ret : vhost_user_session_update_rings(s, err);
}

bool vhost_user_session_complete(const struct vhost_user_session *s)
{
	return vhost_user_session_connected(s) && !s->channel.n_expected &&
	       s->step == (s->driver ? STEPS : STEP_BEGIN);
}

/* --- the connection, the driver --- */

int vhost_user_session_begin(struct vhost_user_session *s, int fd, struct error *err)
{
	int ret;

	vhost_user_channel_open(&s->channel, fd);
	s->step = 0;
	s->has = s->protocol = 0;
	s->begun = s->memory_added = s->driver_ok = s->announce = false;
	vhost_user_session_set_timer(s, 0);
	ret = vhost_user_session_watch(s, fd, VHOST_USER_SOURCE_REPLY, 0);
	return ret ? error_code(err, ret, "watching it") : 0;
}

void vhost_user_session_end(struct vhost_user_session *s)
{
	for (unsigned int i = 0; i < s->n_rings; i++) {
		if (s->rings[i].given)
			take_ring_back(s, &s->rings[i], true);
	}
	vhost_user_channel_close(&s->channel);
	vhost_user_channel_close(&s->requests);
}

void vhost_user_session_set_driver(struct vhost_user_session *s, uint64_t features)
{
	s->driver = true;
	s->features = features;
	s->link = true;
	s->pairs = 1;
	/* It has nothing in flight. */
	fd_close(&s->inflight_fd);
	if (s->step > STEP_BEGIN)
		s->step = STEP_BEGIN;
}

int vhost_user_session_announce(struct vhost_user_session *s, const uint8_t mac[6],
				struct error *err)
{
	if (!vhost_user_session_connected(s) || !has_protocol(s, PROTOCOL(RARP)))
		return -ENOTSUP;
	memcpy(s->announced, mac, sizeof(s->announced));
	s->announce = true;
	return vhost_user_session_update_rings(s, err);
}
