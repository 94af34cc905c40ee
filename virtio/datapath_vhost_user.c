/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/datapath_vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>

#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/net_features.h"
#include "virtio/opener.h"
#include "virtio/vhost_user_session.h"
#include "virtio/vhost_user_socket.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"

enum {
	AT_ONCE_MS = 1,
	RETRY_MS = 100,
	RETRY_DOUBLINGS = 6, /* of RETRY_MS, one each time that the back-end did wrong */
	GOOD_MS = 10000,     /* one that did nothing wrong for so long begins anew */
	SAY_AGAIN_MS = 60000,
	SAY_MAX = 10,	 /* in that time */
	MAX_PAIRS = 128, /* an index has 8 bits ("VHOST_USER_SET_VRING_KICK") */
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
	struct loop *loop;
	const struct logger *log;
	const struct opener *opener; /* or NULL */
	struct loop_watch watch;     /* of the session's epoll set, owned */
	int listen_fd;		     /* owned; -1 for a client */
	bool has_fd;		     /* there is but one connection, ever: */
	int given_fd;		     /* owned; -1: it was used */
	int timer_fd;		     /* owned */
	int wake_fd;		     /* owned */

	pthread_mutex_t lock;
	struct vhost_user_session session;
	int64_t connected_at; /* ms */
	bool up, told;	      /* the carrier; and what the owner knows of it */
	unsigned int bad;     /* how often in a row the back-end did wrong */
	bool unusable;	      /* the last one was, for this device */
	int64_t turned_away;  /* when the log had last that a second one was; ms, 0: never */
	struct error said;    /* the last warning */
	int64_t said_at;      /* the first of @n_said, within SAY_AGAIN_MS; ms */
	unsigned int n_said;
	bool missed; /* the log has that the back-end is away */

	struct vhost_user_ring rings[];
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool connected(const struct vhost_user *vu)
{
	return vhost_user_session_connected(&vu->session);
}

/* --- connections come and go --- */

/* In a minute not the same twice, nor very much, of a back-end that comes again and again. */
static void warn(struct vhost_user *vu, const struct error *err)
{
	int64_t now = now_ms();
	bool again = strcmp(err->text, vu->said.text) == 0;

	if (now - vu->said_at > SAY_AGAIN_MS || !vu->n_said) {
		vu->said_at = now;
		vu->n_said = 0;
	} else if (again || vu->n_said == SAY_MAX) {
		return;
	}
	vu->said = *err;
	vu->n_said++;
	vu->missed = true;
	log_warning(vu->log, "%s: vhost-user back-end at %s: %s", vu->name, vu->path, err->text);
}

/* Let the next back-end come, at once if it may (0). */
static void try_again(struct vhost_user *vu, unsigned int ms)
{
	if (vu->has_fd)
		return;
	if (vu->listen_fd < 0) {
		vhost_user_session_set_timer(&vu->session, ms ? ms : RETRY_MS);
		return;
	}
	vhost_user_session_set_timer(&vu->session, ms);
	if (ms)
		vhost_user_session_unwatch(&vu->session, vu->listen_fd);
	else
		vhost_user_session_watch(&vu->session, vu->listen_fd, VHOST_USER_SOURCE_LISTEN, 0);
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
		delay = (unsigned int)RETRY_MS << (vu->bad < RETRY_DOUBLINGS ? vu->bad++ : vu->bad);
	vhost_user_session_end(&vu->session);
	vu->up = false;
	try_again(vu, delay);
	/* The loop has to tell. */
	fd_eventfd_signal(vu->wake_fd);
}

/* @fd is taken over. */
static void begin(struct vhost_user *vu, int fd)
{
	struct error err = {0};

	vu->connected_at = now_ms();
	if (vhost_user_session_begin(&vu->session, fd, &err))
		fail(vu, &err);
}

static int connect_to_backend(struct vhost_user *vu, struct error *err)
{
	const struct opening opening = {.kind = OPENING_CONNECTION, .name = vu->path};
	int fd, ret;

	if (vu->has_fd) {
		begin(vu, fd_take(&vu->given_fd));
		return 0;
	}
	ret = opener_open(vu->opener, &opening, vu->log, &fd, err);
	if (!ret)
		begin(vu, fd);
	else
		try_again(vu, 0);
	return ret;
}

/* Nobody listens as yet: by what connecting returned. */
static bool may_come(int ret)
{
	return ret == -ENOENT || ret == -ECONNREFUSED || ret == -EAGAIN;
}

static void accept_backend(struct vhost_user *vu)
{
	int fd = accept4(vu->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* If this process has too many descriptors the loop must not spin. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			vhost_user_session_unwatch(&vu->session, vu->listen_fd);
		if (!connected(vu))
			vhost_user_session_set_timer(&vu->session, RETRY_MS);
		return;
	}
	if (!connected(vu)) {
		begin(vu, fd);
		return;
	}
	close(fd);
	if (vu->turned_away && now_ms() - vu->turned_away < SAY_AGAIN_MS)
		return;
	vu->turned_away = now_ms();
	log_warning(vu->log, "%s: vhost-user back-end at %s: a second one is turned away", vu->name,
		    vu->path);
}

/* --- the loop's thread --- */

static int time_over(struct vhost_user *vu, struct error *err)
{
	struct error why = {0};
	int ret;

	fd_eventfd_drain(vu->timer_fd);
	if (connected(vu))
		return vhost_user_session_late(&vu->session, err);
	if (vu->listen_fd >= 0) {
		try_again(vu, 0);
		return 0;
	}
	ret = connect_to_backend(vu, &why);
	if (ret && !may_come(ret))
		warn(vu, &why);
	return 0;
}

static int ring_error(struct vhost_user *vu, unsigned int index, struct error *err)
{
	if (!fd_eventfd_drain(vu->rings[index].vhost.err_fd))
		return 0;
	return error_set(err, -EPROTO, "it reports an error of ring %u", index);
}

static int dispatch(struct vhost_user *vu, uint64_t data, struct error *err)
{
	unsigned int index = (unsigned int)(data >> 8);

	switch ((enum vhost_user_source)(data & 0xff)) {
	case VHOST_USER_SOURCE_WAKE:
		fd_eventfd_drain(vu->wake_fd);
		break;
	case VHOST_USER_SOURCE_TIMER:
		return time_over(vu, err);
	case VHOST_USER_SOURCE_LISTEN:
		accept_backend(vu);
		break;
	case VHOST_USER_SOURCE_REPLY:
		return vhost_user_session_reply(&vu->session, err);
	case VHOST_USER_SOURCE_REQUEST:
		return vhost_user_channel_refuse(&vu->session.requests, err);
	case VHOST_USER_SOURCE_RELAY:
		if (fd_eventfd_drain(vu->rings[index].vhost.relay_fd))
			vhost_ring_interrupt(&vu->rings[index].vhost);
		break;
	case VHOST_USER_SOURCE_ERR:
		return ring_error(vu, index, err);
	}
	return 0;
}

static void set_carrier(struct vhost_user *vu)
{
	if (vu->up || !vhost_user_session_complete(&vu->session))
		return;
	vu->up = true;
	if (vu->missed)
		log_info(vu->log, "%s: vhost-user back-end at %s: it is there", vu->name, vu->path);
	vu->missed = false;
}

static void vhost_user_ready(struct loop_watch *watch, uint32_t events)
{
	struct vhost_user *vu = watch->opaque;
	struct datapath_owner owner = vu->datapath.owner;
	struct epoll_event event;
	struct error err = {0};
	bool tell, up;
	int ret = 0;

	(void)events;
	pthread_mutex_lock(&vu->lock);
	/* One at a time: it may change what the others were about. */
	if (epoll_wait(vu->watch.fd, &event, 1, 0) > 0)
		ret = dispatch(vu, event.data.u64, &err);
	if (ret >= 0)
		ret = vhost_user_session_advance(&vu->session, &err);
	if (ret < 0)
		fail(vu, &err);
	set_carrier(vu);
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
	features = vu->session.met ? vu->session.first
				   : net_features_common | vu->session.config.assumed;
	pthread_mutex_unlock(&vu->lock);
	return vu->session.config.queue_pairs > 1 ? features
						  : features & ~(1ULL << VIRTIO_NET_F_MQ);
}

static unsigned int vhost_user_max_queue_pairs(const struct datapath *dp)
{
	return ((const struct vhost_user *)dp)->session.config.queue_pairs;
}

static int vhost_user_set_features(struct datapath *dp, uint64_t features)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	pthread_mutex_lock(&vu->lock);
	vhost_user_session_set_driver(&vu->session, features);
	/* What the back-end took amiss may have been the driver's fault; that one begins anew. */
	if (!connected(vu))
		try_again(vu, AT_ONCE_MS);
	fd_eventfd_signal(vu->wake_fd);
	pthread_mutex_unlock(&vu->lock);
	return 0;
}

static int vhost_user_start_ring(struct datapath *dp, unsigned int index,
				 const struct ring_state *state, const struct datapath_wires *wires)
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	struct vhost_ring *ring = &vu->rings[index].vhost;

	pthread_mutex_lock(&vu->lock);
	vhost_ring_start(ring, vu->session.config.mem, state, wires, vu->session.features);
	fd_eventfd_signal(vu->wake_fd);
	pthread_mutex_unlock(&vu->lock);
	if (ring->broken && dp->events.ring_broken)
		dp->events.ring_broken(dp->events.opaque, index, ring->broken);
	return 0;
}

static void vhost_user_stop_ring(struct datapath *dp, unsigned int index, struct ring_state *state)
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	struct vhost_user_ring *ring = &vu->rings[index];
	struct error err = {0};

	pthread_mutex_lock(&vu->lock);
	if (ring->given && vhost_user_session_stop_ring(&vu->session, index, &err))
		fail(vu, &err);
	vhost_user_session_find_ring(&vu->session, index);
	ring->vhost.started = false;
	*state = ring->vhost.state;
	/* Replies that were taken here may have been waited for. */
	fd_eventfd_signal(vu->wake_fd);
	pthread_mutex_unlock(&vu->lock);
}

/* What the device wants has changed. With the lock, which is let go. */
static int update_and_unlock(struct vhost_user *vu)
{
	struct error err = {0};

	if (vhost_user_session_update_rings(&vu->session, &err))
		fail(vu, &err);
	pthread_mutex_unlock(&vu->lock);
	return 0;
}

static int vhost_user_set_link(struct datapath *dp, bool up)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	pthread_mutex_lock(&vu->lock);
	vu->session.link = up;
	return update_and_unlock(vu);
}

static int vhost_user_set_queue_pairs(struct datapath *dp, unsigned int n)
{
	struct vhost_user *vu = (struct vhost_user *)dp;

	pthread_mutex_lock(&vu->lock);
	vu->session.pairs = n;
	return update_and_unlock(vu);
}

static int vhost_user_announce(struct datapath *dp, const uint8_t mac[6])
{
	struct vhost_user *vu = (struct vhost_user *)dp;
	struct error err = {0};
	int ret;

	pthread_mutex_lock(&vu->lock);
	ret = vhost_user_session_announce(&vu->session, mac, &err);
	if (ret && ret != -ENOTSUP)
		fail(vu, &err);
	pthread_mutex_unlock(&vu->lock);
	return ret ? -EOPNOTSUPP : 0;
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
	const struct opening removal = {.kind = OPENING_REMOVAL, .name = vu->path};

	loop_watch_remove(vu->loop, &vu->watch);
	vhost_user_session_end(&vu->session);
	if (vu->listen_fd >= 0)
		opener_open(vu->opener, &removal, vu->log, NULL, NULL);
	fd_close(&vu->listen_fd);
	fd_close(&vu->given_fd);
	fd_close(&vu->timer_fd);
	fd_close(&vu->wake_fd);
	fd_close(&vu->watch.fd);
	fd_close(&vu->session.inflight_fd);
	for (unsigned int i = 0; i < vu->session.n_rings; i++)
		vhost_ring_destroy(&vu->rings[i].vhost);
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
	struct vhost_user_session *session = &vu->session;
	int ret = 0;

	for (unsigned int i = 0; i < session->n_rings && !ret; i++)
		ret = vhost_ring_init(&vu->rings[i].vhost);
	if (ret)
		return ret;
	session->epoll_fd = vu->watch.fd = epoll_create1(EPOLL_CLOEXEC);
	if (session->epoll_fd < 0)
		return -errno;
	session->timer_fd = vu->timer_fd = timerfd_create(CLOCK_MONOTONIC,
							  TFD_CLOEXEC | TFD_NONBLOCK);
	if (session->timer_fd < 0)
		return -errno;
	vu->wake_fd = fd_eventfd();
	if (vu->wake_fd < 0)
		return vu->wake_fd;
	ret = vhost_user_session_watch(session, vu->timer_fd, VHOST_USER_SOURCE_TIMER, 0);
	return ret ? ret
		   : vhost_user_session_watch(session, vu->wake_fd, VHOST_USER_SOURCE_WAKE, 0);
}

static int open_socket(struct vhost_user *vu, struct error *err)
{
	const struct opening opening = {.kind = OPENING_LISTENER, .name = vu->path};
	int ret;

	if (vu->has_fd) {
		vu->given_fd = vhost_user_socket_adopt(vu->session.config.fd, err);
		if (vu->given_fd < 0)
			return vu->given_fd;
	}
	if (!vu->session.config.server) {
		ret = connect_to_backend(vu, err);
		if (!may_come(ret))
			return ret;
		if (!vu->session.config.required)
			return 0;
		error_append(err, "; try: start the back-end first");
		return ret;
	}
	ret = opener_open(vu->opener, &opening, vu->log, &vu->listen_fd, err);
	if (!ret)
		try_again(vu, 0);
	return ret;
}

static int wait_for_backend(struct vhost_user *vu, struct error *err)
{
	unsigned int wait_ms = vu->session.config.wait_ms;
	int64_t end = now_ms() + wait_ms;

	/* Look at what it has to say first. */
	fd_eventfd_signal(vu->wake_fd);
	while (!vu->session.met && !vu->unusable && (vu->listen_fd >= 0 || connected(vu))) {
		struct pollfd poll_fd = {.fd = vu->watch.fd, .events = POLLIN};
		int64_t left = end - now_ms();

		if (left <= 0)
			break;
		if (poll(&poll_fd, 1, (int)left) > 0)
			vhost_user_ready(&vu->watch, EPOLLIN);
	}
	if (vu->unusable)
		return error_set(err, -EOPNOTSUPP, "back-end at %s: %s", vu->path, vu->said.text);
	if (!vu->session.config.required || vu->up)
		return 0;
	if (vu->said.code)
		return error_set(err, vu->said.code, "back-end at %s: %s", vu->path, vu->said.text);
	return error_set(err, -ENOTCONN,
			 connected(vu) ? "back-end at %s: it doesn't answer within %u ms"
				       : "no back-end has connected to %s within %u ms",
			 vu->path, wait_ms);
}

static int set_up(struct vhost_user *vu, struct error *err)
{
	int ret = open_all(vu);

	if (ret) {
		errno = -ret;
		return error_errno(err, "creating it");
	}
	ret = open_socket(vu, err);
	if (!ret)
		ret = wait_for_backend(vu, err);
	if (!ret) {
		ret = loop_watch_set(vu->loop, &vu->watch, EPOLLIN);
		if (ret)
			error_code(err, ret, "watching its sockets");
	}
	return ret;
}

static int check_config(const struct vhost_user_config *config, struct error *err)
{
	if (config->mem->fd < 0)
		return error_usage(err, "it needs memory that another process can map; try: "
					"--memory SIZE,shared=on");
	if (!config->queue_pairs || config->queue_pairs > MAX_PAIRS)
		return error_usage(err, "it has 1 to %d pairs of queues", MAX_PAIRS);
	return vhost_user_socket_check(config->path, err);
}

static struct vhost_user *allocate(const struct vhost_user_config *config)
{
	size_t rings_size = 2UL * config->queue_pairs * sizeof(struct vhost_user_ring);
	struct vhost_user *vu = calloc(1, sizeof(*vu) + rings_size);
	struct vhost_user_session *session;

	if (!vu)
		return NULL;
	session = &vu->session;
	vu->datapath.ops = &vhost_user_ops;
	vu->datapath.kind = "vhost-user";
	snprintf(vu->name, sizeof(vu->name), "%s", config->name);
	snprintf(vu->path, sizeof(vu->path), "%s", config->path);
	vu->loop = config->loop;
	vu->log = config->log;
	vu->opener = config->opener;
	vu->watch = (struct loop_watch){.fd = -1, .ready = vhost_user_ready, .opaque = vu};
	vu->has_fd = config->has_fd;
	vu->listen_fd = vu->given_fd = vu->timer_fd = vu->wake_fd = -1;
	pthread_mutex_init(&vu->lock, NULL);

	session->config = *config;
	session->config.name = vu->name;
	session->config.path = vu->path;
	session->n_rings = 2 * config->queue_pairs;
	session->rings = vu->rings;
	session->epoll_fd = session->timer_fd = session->inflight_fd = -1;
	vhost_user_channel_init(&session->channel);
	vhost_user_channel_init(&session->requests);
	for (unsigned int i = 0; i < session->n_rings; i++)
		vu->rings[i].vhost = (struct vhost_ring){.relay_fd = -1, .err_fd = -1};
	return vu;
}

int vhost_user_create(const struct vhost_user_config *config, struct datapath **dp,
		      struct error *err)
{
	struct vhost_user *vu = NULL;
	int ret = check_config(config, err);

	*dp = NULL;
	if (!ret) {
		vu = allocate(config);
		ret = vu ? set_up(vu, err) : error_set(err, -ENOMEM, "out of memory");
	}
	if (ret) {
		error_prefix(err, "%s: vhost-user: ", config->name);
		if (vu)
			vhost_user_destroy(&vu->datapath);
		return ret;
	}
	*dp = &vu->datapath;
	return 0;
}
