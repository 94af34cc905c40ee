/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/datapath_vhost_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/net_backend.h"
#include "virtio/net_features.h"
#include "virtio/opener.h"
#include "virtio/rarp.h"
#include "virtio/vhost_ring.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/core/memory.h"

#define FEATURE(name) (1ULL << (name))

static const char device_path[] = "/dev/vhost-net";

enum {
	NAME_SIZE = 32,
	EVENTS = 16, /* that are taken at a time */
	DRAIN_MAX = 65536,
};

/* The kernel's part of virtio: what the format of rings and packets depends on. */
static const uint64_t kernel_features = FEATURE(VIRTIO_NET_F_MRG_RXBUF) |
					FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
					FEATURE(VIRTIO_RING_F_EVENT_IDX) |
					FEATURE(VIRTIO_F_IN_ORDER) | FEATURE(VIRTIO_F_RING_PACKED);

struct net_ring {
	struct vhost_ring vhost;
	bool given;	 /* to the kernel, which serves it while the link is up */
	bool failed;	 /* the device was told that it is not served any more, or will be */
	const char *why; /* it is not (static), if that is known */
};

struct vhost_net {
	struct datapath datapath;
	char name[NAME_SIZE];
	const struct guest_memory *mem;
	struct loop *loop;
	const struct logger *log;
	struct net_backend *backend; /* a reference, owned */
	unsigned int queue_pairs;
	int *fds;	   /* of /dev/vhost-net, one a pair, owned; -1: see lose_pair() */
	uint64_t kernel;   /* the features that it has */
	uint64_t features; /* the driver's */
	bool usable;	   /* and the kernel and the tap know them */
	/* Of an epoll set, owned, with the eventfds by which rings that run speak to us. */
	struct loop_watch watch;

	/* What follows: the loop's thread hears of rings while another starts and stops them. */
	pthread_mutex_t lock;
	bool link_up;
	struct net_ring *rings;
};

/* --- the kernel --- */

static void warn(const struct vhost_net *dp, unsigned int index, const char *request)
{
	log_warning(dp->log, "%s: vhost-net: %s for the %s ring %u: %s", dp->name, request,
		    index % 2 ? "transmit" : "receive", index, strerror(errno));
}

/* The descriptor by which ring @index receives, or sends. */
static int tap_fd(const struct vhost_net *dp, unsigned int index)
{
	struct net_backend *backend = dp->backend;

	return (index % 2 && backend->ops->sender_fd ? backend->ops->sender_fd
						     : backend->ops->fd)(backend, index / 2);
}

/* Connect ring @index with the tap, or (false) with nothing: then no packet moves any more. */
static int connect_tap(const struct vhost_net *dp, unsigned int index, bool connected)
{
	const struct vhost_vring_file file = {
		.index = index % 2,
		.fd = connected ? tap_fd(dp, index) : -1,
	};

	if (ioctl(dp->fds[index / 2], VHOST_NET_SET_BACKEND, &file) < 0) {
		int ret = -errno;

		warn(dp, index, "VHOST_NET_SET_BACKEND");
		return ret;
	}
	/* Kicks from before were lost on it. */
	if (connected)
		fd_eventfd_signal_shared(dp->rings[index].vhost.wires.kick_fd);
	return 0;
}

/* Ring @index is not served any more: let the loop's thread tell the device. Under the lock. */
static void fail(struct vhost_net *dp, unsigned int index, const char *why)
{
	dp->rings[index].why = why;
	fd_eventfd_signal(dp->rings[index].vhost.err_fd);
}

/*
 * The kernel refuses to let go of ring @index, and guest memory must not be touched any more by a
 * ring that was stopped: closing the device ends both of its rings, for good.
 */
static void lose_pair(struct vhost_net *dp, unsigned int index)
{
	struct net_ring *other = &dp->rings[index ^ 1];

	log_warning(dp->log,
		    "%s: vhost-net is closed for a ring that does not stop; try: xvmm ctl PATH "
		    "net-switch %s TAP,vhost=on",
		    dp->name, dp->name);
	fd_close(&dp->fds[index / 2]);
	dp->rings[index].given = false;
	if (other->given)
		fail(dp, index ^ 1, "vhost-net: it was closed");
	other->given = false;
}

/* The kernel serves ring @index no more and forgets its eventfds. */
static void take_back(struct vhost_net *dp, unsigned int index)
{
	static const struct {
		unsigned long request;
		const char *name;
	} steps[] = {
		{VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK"},
		{VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL"},
		{VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR"},
	};
	const struct vhost_vring_file none = {.index = index % 2, .fd = VHOST_FILE_UNBIND};

	/*
	 * The kernel ends what it is at, with the interrupt for it, and puts packets that it has
	 * taken from the tap in advance back there.
	 */
	if (connect_tap(dp, index, false)) {
		lose_pair(dp, index);
		return;
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (ioctl(dp->fds[index / 2], steps[i].request, &none) < 0)
			warn(dp, index, steps[i].name);
	}
	dp->rings[index].given = false;
}

/* Where the kernel is to go on: it finds the used index of a split ring in the ring. */
static unsigned int base(const struct vhost_net *dp, const struct ring_state *state)
{
	if (dp->features & FEATURE(VIRTIO_F_RING_PACKED))
		return state->next_avail | (unsigned int)state->next_used << 16;
	return state->next_avail;
}

/* The kernel gets ring @index, and serves it if the link is up. */
static int give(struct vhost_net *dp, unsigned int index)
{
	const struct vhost_ring *ring = &dp->rings[index].vhost;
	const unsigned int queue = index % 2;
	const struct vhost_vring_state num = {queue, ring->state.size};
	const struct vhost_vring_state start = {queue, base(dp, &ring->state)};
	const struct vhost_vring_addr addr = {
		.index = queue,
		.desc_user_addr = ring->desc,
		.avail_user_addr = ring->driver,
		.used_user_addr = ring->device,
	};
	const struct vhost_vring_file err = {queue, ring->err_fd};
	const struct vhost_vring_file call = {queue, vhost_ring_call_fd(ring)};
	const struct vhost_vring_file kick = {queue, ring->wires.kick_fd};
	const struct {
		unsigned long request;
		const char *name;
		const void *arg;
	} steps[] = {
		{VHOST_SET_VRING_NUM, "VHOST_SET_VRING_NUM", &num},
		{VHOST_SET_VRING_BASE, "VHOST_SET_VRING_BASE", &start},
		{VHOST_SET_VRING_ADDR, "VHOST_SET_VRING_ADDR", &addr},
		{VHOST_SET_VRING_ERR, "VHOST_SET_VRING_ERR", &err},
		{VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL", &call},
		{VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK", &kick},
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (ioctl(dp->fds[index / 2], steps[i].request, steps[i].arg) < 0) {
			ret = -errno;
			warn(dp, index, steps[i].name);
		}
	}
	if (!ret && dp->link_up)
		ret = connect_tap(dp, index, true);
	dp->rings[index].given = true;
	if (ret)
		take_back(dp, index);
	return ret;
}

/* --- what the kernel says of rings, heard by the loop's thread --- */

enum {
	RELAY,
	ERROR
};

static uint32_t event_of(unsigned int index, unsigned int what)
{
	return 2 * index + what;
}

static int listen_to(const struct vhost_net *dp, unsigned int index)
{
	const struct vhost_ring *ring = &dp->rings[index].vhost;
	struct epoll_event relay = {.events = EPOLLIN, .data.u32 = event_of(index, RELAY)};
	struct epoll_event error = {.events = EPOLLIN, .data.u32 = event_of(index, ERROR)};

	if (epoll_ctl(dp->watch.fd, EPOLL_CTL_ADD, ring->err_fd, &error) < 0 ||
	    epoll_ctl(dp->watch.fd, EPOLL_CTL_ADD, ring->relay_fd, &relay) < 0)
		return -errno;
	return 0;
}

static void listen_no_more(const struct vhost_net *dp, unsigned int index)
{
	const struct vhost_ring *ring = &dp->rings[index].vhost;

	epoll_ctl(dp->watch.fd, EPOLL_CTL_DEL, ring->err_fd, NULL);
	epoll_ctl(dp->watch.fd, EPOLL_CTL_DEL, ring->relay_fd, NULL);
}

/* Pass the interrupt on, unless that was done. */
static void relay_interrupt(const struct net_ring *ring)
{
	if (fd_eventfd_drain(ring->vhost.relay_fd))
		vhost_ring_interrupt(&ring->vhost);
}

/* The kernel says no more than that it failed. */
static const char *explain(const struct vhost_net *dp, unsigned int index)
{
	struct ifreq ifr;

	if (ioctl(dp->backend->ops->fd(dp->backend, index / 2), TUNGETIFF, &ifr) < 0)
		return "vhost-net: its tap is gone";
	return "vhost-net: the kernel can't serve it: it breaks the rules";
}

/* The ring of an error event: why it can't be served; NULL if it was told, or is another ring. */
static const char *take_failure(struct vhost_net *dp, unsigned int index)
{
	struct net_ring *ring = &dp->rings[index];

	if (!ring->vhost.started || ring->failed || !fd_eventfd_drain(ring->vhost.err_fd))
		return NULL;
	ring->failed = true;
	if (ring->given)
		take_back(dp, index);
	return ring->why ? ring->why : explain(dp, index);
}

static void hear(struct vhost_net *dp, uint32_t event)
{
	const unsigned int index = event / 2;
	const char *why = NULL;

	pthread_mutex_lock(&dp->lock);
	if (event % 2 == ERROR)
		why = take_failure(dp, index);
	else if (dp->rings[index].vhost.started)
		relay_interrupt(&dp->rings[index]);
	/* With the lock: once the device has stopped the ring it hears no more of it. */
	if (why && dp->datapath.events.ring_broken)
		dp->datapath.events.ring_broken(dp->datapath.events.opaque, index, why);
	pthread_mutex_unlock(&dp->lock);
}

static void events_ready(struct loop_watch *watch, uint32_t events)
{
	struct vhost_net *dp = watch->opaque;
	struct epoll_event got[EVENTS];
	int n = epoll_wait(watch->fd, got, EVENTS, 0);

	(void)events;
	for (int i = 0; i < n; i++)
		hear(dp, got[i].data.u32);
}

/* --- rings --- */

static int start(struct vhost_net *dp, unsigned int index, const struct ring_state *state,
		 const struct datapath_wires *wires)
{
	struct net_ring *ring = &dp->rings[index];
	int ret;

	vhost_ring_start(&ring->vhost, dp->mem, state, wires, dp->features);
	ring->failed = false;
	ring->why = NULL;
	ret = listen_to(dp, index);
	if (!ret && ring->vhost.broken)
		fail(dp, index, ring->vhost.broken);
	else if (!ret && dp->usable)
		ret = give(dp, index);
	if (ret) {
		listen_no_more(dp, index);
		ring->vhost.started = false;
	}
	return ret;
}

static int vhost_net_start_ring(struct datapath *datapath, unsigned int index,
				const struct ring_state *state, const struct datapath_wires *wires)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;
	int ret;

	pthread_mutex_lock(&dp->lock);
	ret = start(dp, index, state, wires);
	pthread_mutex_unlock(&dp->lock);
	return ret;
}

static void vhost_net_stop_ring(struct datapath *datapath, unsigned int index,
				struct ring_state *state)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;
	struct net_ring *ring = &dp->rings[index];

	pthread_mutex_lock(&dp->lock);
	if (ring->given)
		take_back(dp, index);
	listen_no_more(dp, index);
	/* Nobody else does that now. */
	relay_interrupt(ring);
	/*
	 * The ring itself says where the kernel was, as VHOST_GET_VRING_BASE would, but for chains
	 * that were taken and never returned: those of packets that the tap refused all at once.
	 * They are not forgotten like that.
	 */
	*state = ring->vhost.state;
	if (!ring->vhost.broken && dp->usable)
		ring_state_recover(state, dp->mem, dp->features, true);
	ring->vhost.started = false;
	pthread_mutex_unlock(&dp->lock);
}

/* --- features and settings --- */

static uint64_t vhost_net_features(const struct datapath *datapath)
{
	const struct vhost_net *dp = (const struct vhost_net *)datapath;
	uint64_t features = dp->backend->ops->features(dp->backend);

	/* The kernel fills in a header of 12 bytes. */
	features &= ~FEATURE(VIRTIO_NET_F_HASH_REPORT);
	features |= (dp->kernel & kernel_features) | FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	return features | (dp->queue_pairs > 1 ? FEATURE(VIRTIO_NET_F_MQ) : 0);
}

static unsigned int vhost_net_max_queue_pairs(const struct datapath *datapath)
{
	return ((const struct vhost_net *)datapath)->queue_pairs;
}

static int refuse(const struct vhost_net *dp, uint64_t missing)
{
	const struct net_feature *feature = net_features_first(missing);

	log_warning(dp->log, "%s: vhost-net: this kernel can't serve a driver that has accepted %s",
		    dp->name, feature ? feature->name : "an unknown feature");
	return -EOPNOTSUPP;
}

static int vhost_net_set_features(struct datapath *datapath, uint64_t features)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;
	/* The tap has the header, so no VHOST_NET_F_VIRTIO_NET_HDR; of 12 bytes by VERSION_1. */
	uint64_t kernel = (features & dp->kernel & kernel_features) | FEATURE(VIRTIO_F_VERSION_1);
	uint64_t missing = features & ~(net_features_own | net_features_optional |
					vhost_net_features(datapath));
	int ret;

	dp->features = features;
	dp->usable = false;
	dp->link_up = true;
	if (missing)
		return refuse(dp, missing);
	for (unsigned int pair = 0; pair < dp->queue_pairs; pair++) {
		if (ioctl(dp->fds[pair], VHOST_SET_FEATURES, &kernel) < 0) {
			ret = -errno;
			warn(dp, 2 * pair, "VHOST_SET_FEATURES");
			return ret;
		}
	}
	ret = dp->backend->ops->set_features(dp->backend, features);
	dp->usable = !ret;
	return ret;
}

/* The first @n rings, as far as the kernel has them. */
static void connect_again(struct vhost_net *dp, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (dp->rings[i].given && dp->link_up && connect_tap(dp, i, true))
			fail(dp, i, "vhost-net: the kernel does not take the tap back");
	}
}

/*
 * From here to settings_end() no packet moves. What the kernel had taken from the tap in advance is
 * there again: the tap handles it by its new settings. Or a negative errno, and all is as before.
 */
static int settings_begin(struct vhost_net *dp)
{
	pthread_mutex_lock(&dp->lock);
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++) {
		int ret = dp->rings[i].given ? connect_tap(dp, i, false) : 0;

		if (ret) {
			connect_again(dp, i);
			pthread_mutex_unlock(&dp->lock);
			return ret;
		}
	}
	return 0;
}

static void settings_end(struct vhost_net *dp)
{
	connect_again(dp, 2 * dp->queue_pairs);
	pthread_mutex_unlock(&dp->lock);
}

/* What came for the driver while its link was down is lost; what comes meanwhile may be. */
static void drain(const struct vhost_net *dp)
{
	struct virtio_net_hdr_v1 start; /* the rest of a packet is cut off */
	const struct iovec iov = {&start, sizeof(start)};

	for (unsigned int queue = 0; queue < dp->queue_pairs; queue++) {
		for (unsigned int n = 0; n < DRAIN_MAX; n++) {
			if (dp->backend->ops->receive(dp->backend, queue, &iov, 1) <= 0)
				break;
		}
	}
}

static int vhost_net_set_link(struct datapath *datapath, bool up)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;
	int ret;

	if (up && !dp->usable)
		return -EOPNOTSUPP;
	ret = settings_begin(dp);
	if (ret)
		return ret;
	if (up && !dp->link_up)
		drain(dp);
	dp->link_up = up;
	settings_end(dp);
	return 0;
}

static int vhost_net_set_queue_pairs(struct datapath *datapath, unsigned int n)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;
	int ret;

	if (n == 0 || n > dp->queue_pairs)
		return -EINVAL;
	ret = settings_begin(dp);
	if (ret)
		return ret;
	if (dp->queue_pairs > 1)
		ret = dp->backend->ops->set_queues(dp->backend, n);
	settings_end(dp);
	return ret;
}

static int vhost_net_set_offloads(struct datapath *datapath, uint64_t features)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;
	int ret = settings_begin(dp);

	if (ret)
		return ret;
	ret = dp->backend->ops->set_features(
		dp->backend, dp->features & (features | ~net_features_guest_offloads));
	settings_end(dp);
	return ret;
}

static int vhost_net_announce(struct datapath *datapath, const uint8_t mac[6])
{
	struct vhost_net *dp = (struct vhost_net *)datapath;

	return rarp_send(dp->backend, sizeof(struct virtio_net_hdr_v1), mac);
}

/* Accepts a half-built one. */
static void vhost_net_destroy(struct datapath *datapath)
{
	struct vhost_net *dp = (struct vhost_net *)datapath;

	if (dp->watch.fd >= 0)
		loop_watch_remove(dp->loop, &dp->watch);
	fd_close(&dp->watch.fd);
	for (unsigned int i = 0; dp->rings && i < 2 * dp->queue_pairs; i++)
		vhost_ring_destroy(&dp->rings[i].vhost);
	for (unsigned int i = 0; dp->fds && i < dp->queue_pairs; i++)
		fd_close(&dp->fds[i]);
	net_backend_release(dp->backend);
	pthread_mutex_destroy(&dp->lock);
	free(dp->rings);
	free(dp->fds);
	free(dp);
}

static const struct datapath_ops vhost_net_ops = {
	.features = vhost_net_features,
	.max_queue_pairs = vhost_net_max_queue_pairs,
	.set_features = vhost_net_set_features,
	.start_ring = vhost_net_start_ring,
	.stop_ring = vhost_net_stop_ring,
	.set_link = vhost_net_set_link,
	.set_queue_pairs = vhost_net_set_queue_pairs,
	.set_offloads = vhost_net_set_offloads,
	.announce = vhost_net_announce,
	.destroy = vhost_net_destroy,
};

/* --- creation --- */

/* The kernel takes a tap's packets without us; of other backends it knows nothing. */
static int check_tap(const struct vhost_net *dp, struct error *err)
{
	struct ifreq ifr;

	if (ioctl(dp->backend->ops->fd(dp->backend, 0), TUNGETIFF, &ifr) == 0)
		return 0;
	if (errno != ENOTTY && errno != EINVAL)
		return error_errno(err, "%s: asking its tap who it is", dp->name);
	return error_set(err, -EOPNOTSUPP,
			 "%s: vhost-net serves a tap only, and this is none; try: vhost=off",
			 dp->name);
}

int vhost_net_open(struct error *err)
{
	int fd = open(device_path, O_RDWR | O_CLOEXEC);
	int code;

	if (fd >= 0)
		return fd;
	code = error_errno(err, "%s", device_path);
	switch (-code) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		error_cure(err, "modprobe vhost_net");
		break;
	case EACCES:
	case EPERM:
		error_cure(err, "sudo chmod 0666 %s", device_path);
		break;
	}
	return code;
}

static int check_features(struct vhost_net *dp, int fd, struct error *err)
{
	uint64_t features = 0, of_backend = 0;

	if (ioctl(fd, VHOST_GET_FEATURES, &features) < 0)
		return error_errno(err, "%s: %s: VHOST_GET_FEATURES", dp->name, device_path);
	if (!(features & FEATURE(VIRTIO_F_VERSION_1)))
		return error_set(err, -EOPNOTSUPP,
				 "%s: this kernel's vhost-net knows no virtio 1.0; try: vhost=off, "
				 "or Linux 4.0 or later",
				 dp->name);
	dp->kernel = features;
	/* Of these we need none. Kernels before 4.20 don't know the request. */
	if (ioctl(fd, VHOST_GET_BACKEND_FEATURES, &of_backend) == 0) {
		of_backend = 0;
		if (ioctl(fd, VHOST_SET_BACKEND_FEATURES, &of_backend) < 0)
			return error_errno(err, "%s: %s: VHOST_SET_BACKEND_FEATURES", dp->name,
					   device_path);
	}
	return 0;
}

static int set_memory(const struct vhost_net *dp, int fd, struct error *err)
{
	const size_t n = dp->mem->n_regions;
	struct vhost_memory *table = calloc(1, sizeof(*table) + n * sizeof(table->regions[0]));
	int ret = 0;

	if (!table)
		return error_set(err, -ENOMEM, "%s: out of memory", dp->name);
	table->nregions = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		const struct memory_region *region = &dp->mem->regions[i];

		table->regions[i].guest_phys_addr = region->range.base;
		table->regions[i].memory_size = region->range.size;
		table->regions[i].userspace_addr = (uintptr_t)region->host;
	}
	if (ioctl(fd, VHOST_SET_MEM_TABLE, table) < 0)
		ret = error_errno(err, "%s: %s: VHOST_SET_MEM_TABLE", dp->name, device_path);
	free(table);
	return ret;
}

static int set_polling(const struct vhost_net *dp, int fd, uint32_t us, struct error *err)
{
	for (unsigned int queue = 0; us && queue < 2; queue++) {
		const struct vhost_vring_state timeout = {queue, us};

		if (ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &timeout) == 0)
			continue;
		if (errno == ENOTTY)
			return error_set(err, -EOPNOTSUPP,
					 "%s: this kernel's vhost-net can't poll for %u us; try: "
					 "Linux 4.6 or later",
					 dp->name, us);
		return error_errno(err, "%s: polling for %u us", dp->name, us);
	}
	return 0;
}

static int setup_pair(struct vhost_net *dp, unsigned int pair,
		      const struct vhost_net_config *config, struct error *err)
{
	const struct opening opening = {.kind = OPENING_VHOST_NET};
	int ret = opener_open(config->opener, &opening, dp->log, &dp->fds[pair], err);
	int fd = dp->fds[pair];

	if (ret) {
		error_prefix(err, "%s: ", dp->name);
		return ret;
	}
	if (ioctl(fd, VHOST_SET_OWNER) < 0)
		return error_errno(err, "%s: %s: VHOST_SET_OWNER", dp->name, device_path);
	ret = check_features(dp, fd, err);
	if (!ret)
		ret = set_memory(dp, fd, err);
	if (!ret)
		ret = set_polling(dp, fd, config->poll_us, err);
	return ret;
}

static struct vhost_net *allocate(const struct vhost_net_config *config)
{
	unsigned int n = config->queue_pairs;
	struct vhost_net *dp = calloc(1, sizeof(*dp));

	if (!dp)
		return NULL;
	dp->datapath.ops = &vhost_net_ops;
	dp->datapath.kind = "vhost-net";
	snprintf(dp->name, sizeof(dp->name), "%s", config->name);
	dp->mem = config->mem;
	dp->loop = config->loop;
	dp->log = config->log;
	dp->backend = config->backend;
	dp->queue_pairs = n;
	dp->watch = (struct loop_watch){.fd = -1, .ready = events_ready, .opaque = dp};
	dp->link_up = true;
	pthread_mutex_init(&dp->lock, NULL);
	dp->fds = malloc(n * sizeof(dp->fds[0]));
	dp->rings = calloc(2ULL * n, sizeof(dp->rings[0]));
	for (unsigned int i = 0; dp->fds && i < n; i++)
		dp->fds[i] = -1;
	for (unsigned int i = 0; dp->rings && i < 2 * n; i++)
		dp->rings[i].vhost.relay_fd = dp->rings[i].vhost.err_fd = -1;
	return dp;
}

/* The eventfds, and the watch of those that will be in use. */
static int init_events(struct vhost_net *dp)
{
	for (unsigned int i = 0; i < 2 * dp->queue_pairs; i++) {
		int ret = vhost_ring_init(&dp->rings[i].vhost);

		if (ret)
			return ret;
	}
	dp->watch.fd = epoll_create1(EPOLL_CLOEXEC);
	if (dp->watch.fd < 0)
		return -errno;
	return loop_watch_set(dp->loop, &dp->watch, EPOLLIN);
}

static int setup(struct vhost_net *dp, const struct vhost_net_config *config, struct error *err)
{
	int ret;

	if (!dp->fds || !dp->rings)
		return error_set(err, -ENOMEM, "%s: out of memory", dp->name);
	ret = check_tap(dp, err);
	for (unsigned int pair = 0; !ret && pair < dp->queue_pairs; pair++)
		ret = setup_pair(dp, pair, config, err);
	if (ret)
		return ret;
	ret = init_events(dp);
	if (ret) {
		errno = -ret;
		error_errno(err, "%s: what vhost-net signals by", dp->name);
	}
	return ret;
}

int vhost_net_create(const struct vhost_net_config *config, struct datapath **dp, struct error *err)
{
	struct vhost_net *created = allocate(config);
	int ret;

	*dp = NULL;
	if (!created) {
		net_backend_release(config->backend);
		return error_set(err, -ENOMEM, "%s: out of memory", config->name);
	}
	ret = setup(created, config, err);
	if (ret) {
		vhost_net_destroy(&created->datapath);
		return ret;
	}
	*dp = &created->datapath;
	return 0;
}
