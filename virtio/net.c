/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "virtio/iov.h"
#include "virtio/net_device.h"
#include "virtio/net_features.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/timeline.h"

enum {
	CONTROL_QUEUE_SIZE = 64,
	EMPTY_TRIES = 50,
};

_Static_assert(offsetof(struct virtio_net_config, status) == 6, "5.1.4");
_Static_assert(offsetof(struct virtio_net_config, mtu) == 10, "5.1.4");
_Static_assert(offsetof(struct virtio_net_config, rss_max_key_size) == 17, "5.1.4");
_Static_assert(sizeof(struct virtio_net_config) == 24, "5.1.4");
_Static_assert((int)VIRTIO_NET_ID_SIZE == (int)TIMELINE_DEVICE_SIZE, "no id is cut");

#define FEATURE(name) (1ULL << (name))

/* --- configuration space --- */

/* A new generation, and the interrupt if @tell and there is a driver. Under the config lock. */
static void config_changed(struct net *net, bool tell)
{
	if (tell && atomic_load(&net->dev.status) & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_device_config_changed(&net->dev);
	else
		atomic_fetch_add(&net->dev.config_generation, 1);
}

static void set_status(struct net *net, uint16_t set, uint16_t clear, bool tell)
{
	uint16_t before, after;

	pthread_mutex_lock(&net->config_lock);
	before = le16toh(net->config.status);
	after = (uint16_t)((before | set) & ~clear);
	net->config.status = htole16(after);
	if (before != after)
		config_changed(net, tell);
	pthread_mutex_unlock(&net->config_lock);
}

void net_set_mac(struct net *net, const uint8_t mac[6])
{
	pthread_mutex_lock(&net->config_lock);
	if (memcmp(net->config.mac, mac, sizeof(net->config.mac)) != 0) {
		memcpy(net->config.mac, mac, sizeof(net->config.mac));
		config_changed(net, false);
	}
	pthread_mutex_unlock(&net->config_lock);
}

void net_clear_announce(struct net *net)
{
	set_status(net, 0, VIRTIO_NET_S_ANNOUNCE, false);
}

static void net_read_config(struct virtio_device *dev, size_t offset, void *data, size_t len)
{
	struct net *net = (struct net *)dev;

	pthread_mutex_lock(&net->config_lock);
	memcpy(data, (const char *)&net->config + offset, len);
	pthread_mutex_unlock(&net->config_lock);
}

/* As the datapath is to have it. */
static bool link_is_up(const struct net *net)
{
	return net->link_up && !net->failed;
}

static void set_link_status(struct net *net, bool tell)
{
	bool up = link_is_up(net) && net->carrier;

	set_status(net, up ? VIRTIO_NET_S_LINK_UP : 0, up ? 0 : VIRTIO_NET_S_LINK_UP, tell);
}

/* Let the datapath know what the link is like. */
static int apply_link(const struct net *net)
{
	struct datapath *dp = net->datapath;

	return dp->ops->set_link ? dp->ops->set_link(dp, link_is_up(net)) : 0;
}

void virtio_net_set_link(struct virtio_device *dev, bool up)
{
	struct net *net = (struct net *)dev;

	pthread_mutex_lock(&dev->lock);
	if (net->link_up != up) {
		net->link_up = up;
		if (atomic_load(&dev->status) & VIRTIO_CONFIG_S_DRIVER_OK && apply_link(net))
			log_warning(dev->log, "%s: the datapath does not take the link's state",
				    dev->name);
		set_link_status(net, true);
	}
	pthread_mutex_unlock(&dev->lock);
}

void virtio_net_set_carrier(struct virtio_device *dev, bool up)
{
	struct net *net = (struct net *)dev;

	pthread_mutex_lock(&dev->lock);
	net->carrier = up;
	set_link_status(net, true);
	pthread_mutex_unlock(&dev->lock);
}

/* Ask the driver to announce itself. */
static void ask_to_announce(struct net *net)
{
	pthread_mutex_lock(&net->config_lock);
	net->config.status |= htole16(VIRTIO_NET_S_ANNOUNCE);
	/* Even if it was set: the driver may have announced itself, and not told us yet. */
	config_changed(net, true);
	pthread_mutex_unlock(&net->config_lock);
}

int virtio_net_announce(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;
	struct datapath *dp;
	int ret = -EOPNOTSUPP;

	pthread_mutex_lock(&dev->lock);
	dp = net->datapath;
	if (!(atomic_load(&dev->status) & VIRTIO_CONFIG_S_DRIVER_OK)) {
		/* There is nobody to be found. */
	} else if (net_accepted(net, VIRTIO_NET_F_GUEST_ANNOUNCE) &&
		   net_accepted(net, VIRTIO_NET_F_STATUS)) {
		ask_to_announce(net);
		ret = 0;
	} else if (dp->ops->announce) {
		ret = dp->ops->announce(dp, net->config.mac);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* --- the control queue --- */

/* Carry out the command in @chain; returns how many bytes were written into it. */
static uint32_t execute(struct net *net, const struct ring_chain *chain, const struct iovec *iov)
{
	/* What can't be read is a command that doesn't exist. */
	size_t len = chain->out_len <= NET_CTRL_COMMAND_MAX ? chain->out_len : 0;
	struct net_ctrl_reply reply;
	uint8_t *command;

	/* A driver that leaves no room for the ack doesn't get to know, so nothing is done. */
	if (!chain->in_len)
		return 0;
	command = malloc(len + 1);
	if (!command)
		len = 0;
	iov_gather(command, iov, 0, len);
	net_ctrl_execute(net, command, len, &reply);
	free(command);
	if (reply.len > chain->in_len)
		reply = (struct net_ctrl_reply){.len = 1, .bytes = {VIRTIO_NET_ERR}};
	iov_scatter(iov + chain->n_out, 0, reply.bytes, reply.len);
	return (uint32_t)reply.len;
}

/*
 * One command: its way through the host's kernel may take long, and the loop's other descriptors
 * wait.
 */
static void serve_control(struct net *net)
{
	struct virtio_device *dev = &net->dev;
	struct ring *ring = &net->control_ring;
	struct iovec iov[CONTROL_QUEUE_SIZE];
	struct ring_chain chain;
	char text[128];
	int ret;

	fd_eventfd_drain(net->control->kick_fd);
	ret = ring_pop(ring, &chain, iov, CONTROL_QUEUE_SIZE);
	if (ret < 0) {
		snprintf(text, sizeof(text), "control ring: %s", ring->broken);
		virtio_device_break(dev, text);
		return;
	}
	if (ret == 0 && !ring_enable_kicks(ring))
		return;
	if (ret > 0) {
		ring_push(ring, &chain, execute(net, &chain, iov));
		if (ring_publish(ring)) {
			atomic_fetch_or(&dev->interrupt_status, VIRTIO_MMIO_INT_VRING);
			fd_eventfd_signal(net->control->call_fd);
		}
	}
	/* There may be more: in the loop's next turn. */
	fd_eventfd_signal(net->control->kick_fd);
}

static void control_ready(struct loop_watch *watch, uint32_t events)
{
	struct net *net = watch->opaque;

	(void)events;
	pthread_mutex_lock(&net->dev.lock);
	/* A vCPU may have stopped it since the kick. */
	if (net->control)
		serve_control(net);
	pthread_mutex_unlock(&net->dev.lock);
}

static int start_control(struct net *net, struct virtio_queue *queue)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(net->control_watch.fd, EPOLL_CTL_ADD, queue->kick_fd, &event) < 0)
		return -errno;
	/* A ring that is wrong from the start breaks when the first command is taken. */
	ring_start(&net->control_ring, net->mem, &queue->ring, net->dev.accepted);
	net->control = queue;
	/* Look for commands at once, kick or no kick. */
	fd_eventfd_signal(queue->kick_fd);
	return 0;
}

static void stop_control(struct net *net)
{
	epoll_ctl(net->control_watch.fd, EPOLL_CTL_DEL, net->control->kick_fd, NULL);
	net->control->ring = net->control_ring.state;
	net->control = NULL;
}

/* --- the device --- */

static bool is_control(const struct net *net, unsigned int index)
{
	return net_accepted(net, VIRTIO_NET_F_CTRL_VQ) && index == 2 * net_pairs(net);
}

static bool net_validate_features(const struct virtio_device *dev, uint64_t features)
{
	(void)dev;
	return net_features_valid(features);
}

static uint16_t power_of_two_below(uint16_t n)
{
	while (n & (n - 1))
		n = (uint16_t)(n & (n - 1));
	return n;
}

static void net_negotiated(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;
	/* As long as nothing was accepted, all queues that may be are there. */
	bool all = !dev->accepted;
	uint16_t size = net->queue_size;

	if (!net_accepted(net, VIRTIO_F_RING_PACKED))
		size = power_of_two_below(size); /* 2.7, 4.1.4.3.1 */
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		bool control = all ? i == 2 * net->max_pairs : is_control(net, i);

		dev->queues[i].size_max = control			  ? CONTROL_QUEUE_SIZE
					  : all || i < 2 * net_pairs(net) ? size
									  : 0;
	}
	net_ctrl_reset(net);
	net_set_mac(net, net->mac);
	net_clear_announce(net);
	net->failed = false;
	set_link_status(net, false);
}

/*
 * No packet can pass, but all else goes on: Linux waits for the answer to a command for ever, with
 * a lock held that all its network devices need.
 */
static int start_failed(struct net *net, int code)
{
	if (!net->datapath->ops->set_link)
		return code;
	if (!net->failed_told)
		log_warning(net->dev.log,
			    "%s: its backend fails: %s; the link is down until the guest resets "
			    "the device",
			    net->id, strerror(-code));
	net->failed_told = true;
	net->failed = true;
	set_link_status(net, true);
	return apply_link(net);
}

/* Have the datapath do what the driver wants. */
static int apply_settings(struct net *net)
{
	int ret = net->datapath->ops->set_features(net->datapath, net->dev.accepted);

	/* A datapath begins with the link up. */
	if (!ret && !net->link_up)
		ret = apply_link(net);
	return ret ? ret : net_ctrl_apply(net);
}

static int net_start(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;
	int ret = apply_settings(net);

	return ret ? start_failed(net, ret) : 0;
}

static int start_ring(struct net *net, unsigned int index)
{
	struct virtio_device *dev = &net->dev;
	const struct virtio_queue *queue = &dev->queues[index];
	const struct datapath_wires wires = {
		.kick_fd = queue->kick_fd,
		.call_fd = queue->call_fd,
		.interrupt_status = dev->messages ? NULL : &dev->interrupt_status,
	};

	return net->datapath->ops->start_ring(net->datapath, index, &queue->ring, &wires);
}

static void stop_ring(struct net *net, unsigned int index)
{
	net->datapath->ops->stop_ring(net->datapath, index, &net->dev.queues[index].ring);
}

static int net_start_queue(struct virtio_device *dev, unsigned int index)
{
	struct net *net = (struct net *)dev;

	if (is_control(net, index))
		return start_control(net, &dev->queues[index]);
	if (!dev->queues[index].served)
		net_ctrl_queue_enabled(net, index);
	return start_ring(net, index);
}

static void net_stop_queue(struct virtio_device *dev, unsigned int index)
{
	struct net *net = (struct net *)dev;

	if (is_control(net, index))
		stop_control(net);
	else
		stop_ring(net, index);
	dev->queues[index].served = true;
}

static void net_destroy(struct virtio_device *dev)
{
	struct net *net = (struct net *)dev;

	loop_watch_remove(net->loop, &net->control_watch);
	fd_close(&net->control_watch.fd);
	net->datapath->ops->destroy(net->datapath);
	pthread_mutex_destroy(&net->config_lock);
	free(net);
}

static const struct virtio_device_ops net_ops = {
	.validate_features = net_validate_features,
	.negotiated = net_negotiated,
	.start = net_start,
	.start_queue = net_start_queue,
	.stop_queue = net_stop_queue,
	.read_config = net_read_config,
	.config_size = sizeof(struct virtio_net_config),
	.destroy = net_destroy,
};

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "%s ring: %s", index % 2 ? "transmit" : "receive", why);
	virtio_device_break(opaque, text);
}

static void first_packet(void *opaque, unsigned int index)
{
	const struct net *net = opaque;

	timeline_mark_device(net->dev.timeline,
			     index % 2 ? TIMELINE_PACKET_OUT : TIMELINE_PACKET_IN, net->id);
}

/* --- the datapath --- */

static unsigned int datapath_pairs(const struct datapath *datapath)
{
	return datapath->ops->max_queue_pairs ? datapath->ops->max_queue_pairs(datapath) : 1;
}

/* What can be had with @datapath. */
static uint64_t servable(const struct net *net, const struct datapath *datapath)
{
	uint64_t features = datapath->ops->features(datapath) | net_features_own;

	/* The control queue has its place behind all pairs that a driver may use. */
	if (datapath_pairs(datapath) < net->max_pairs)
		features &= ~(FEATURE(VIRTIO_NET_F_MQ) | FEATURE(VIRTIO_NET_F_RSS));
	return features;
}

static uint64_t offer(uint64_t features)
{
	static const uint64_t always = FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_NET_F_MAC) |
				       FEATURE(VIRTIO_NET_F_MTU);

	return net_features_offer(features) | (features & always);
}

/* May the device go on with @datapath as its driver is now? */
static int check_switch(const struct net *net, const struct datapath *datapath, struct error *err)
{
	uint8_t status = atomic_load(&net->dev.status);
	uint64_t missing = net->dev.accepted & ~(servable(net, datapath) | net_features_optional);
	const struct net_feature *feature;

	if (status & VIRTIO_CONFIG_S_DRIVER && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		return error_set(err, -EBUSY, "%s: the guest's driver is just starting; try again",
				 net->id);
	if (!(status & VIRTIO_CONFIG_S_FEATURES_OK) || !missing)
		return 0;
	feature = net_features_first(missing);
	return error_set(
		err, -EOPNOTSUPP,
		"%s: the guest uses %s, which %s can't serve here; try: switch=on from the "
		"start, or %s=off",
		net->id, feature ? feature->name : "a feature", datapath->kind,
		feature ? feature->name : "that feature");
}

/* Rings of packets that run, by index. */
static uint64_t running_rings(const struct net *net)
{
	uint64_t rings = 0;

	for (unsigned int i = 0; i < net->dev.n_queues; i++) {
		if (net->dev.queues[i].running && !is_control(net, i))
			rings |= 1ULL << i;
	}
	return rings;
}

static void stop_rings(struct net *net, uint64_t rings)
{
	for (unsigned int i = 0; rings; i++, rings >>= 1) {
		if (rings & 1)
			stop_ring(net, i);
	}
}

static int start_rings(struct net *net, uint64_t rings)
{
	uint64_t started = 0;
	int ret = 0;

	for (unsigned int i = 0; rings >> i && !ret; i++) {
		if (!(rings >> i & 1))
			continue;
		ret = start_ring(net, i);
		started |= ret ? 0 : 1ULL << i;
	}
	if (ret)
		stop_rings(net, started);
	return ret;
}

/* Have the datapath that the device has now do what its driver has set, and serve @rings. */
static int go_on(struct net *net, uint64_t rings)
{
	int ret = apply_settings(net);

	return ret ? ret : start_rings(net, rings);
}

static void take_datapath(struct net *net, struct datapath *datapath)
{
	datapath->events = (struct datapath_events){
		.ring_broken = ring_broken,
		.first_packet = first_packet,
		.opaque = net,
	};
	net->datapath = datapath;
	net->dev.offered = offer(net->wanted & servable(net, datapath));
}

/*
 * Stop the rings, but not while a packet waits inside of the datapath for a buffer to be made
 * available: the next one would not find it. It doesn't wait long, unless the guest does.
 */
static void stop_rings_empty(struct net *net, uint64_t rings)
{
	struct datapath *dp = net->datapath;

	for (int tries = 0; tries < EMPTY_TRIES; tries++) {
		stop_rings(net, rings);
		if (!rings || !dp->ops->empty || dp->ops->empty(dp) || start_rings(net, rings))
			return;
		poll(NULL, 0, 1); /* a call that the sandbox has */
	}
	stop_rings(net, rings);
}

/*
 * The datapath that served before serves again: with the link down if what is behind it has gone,
 * so that a later switch finds rings that run.
 */
static void go_back(struct net *net, struct datapath *datapath, uint64_t rings)
{
	int ret;

	take_datapath(net, datapath);
	ret = apply_settings(net);
	if (ret)
		ret = start_failed(net, ret);
	else
		set_link_status(net, true);
	if (!ret)
		ret = start_rings(net, rings);
	if (!ret)
		return;
	for (unsigned int i = 0; i < net->dev.n_queues; i++)
		net->dev.queues[i].running &= !(rings >> i & 1);
	virtio_device_break(&net->dev, "its rings can't go on after a switch that failed");
}

static int switch_datapath(struct net *net, struct datapath **datapath, struct error *err)
{
	uint64_t rings = running_rings(net);
	struct datapath *old = net->datapath;
	bool started = net->dev.started;
	int ret = check_switch(net, *datapath, err);

	if (ret)
		return ret;
	stop_rings_empty(net, rings);
	take_datapath(net, *datapath);
	net->failed = false;
	ret = started ? go_on(net, rings) : 0;
	if (!ret) {
		*datapath = old;
		set_link_status(net, true);
		return 0;
	}
	error_code(err, ret, "%s: %s can't take over", net->id, (*datapath)->kind);
	go_back(net, old, rings);
	return ret;
}

int virtio_net_switch(struct virtio_device *dev, struct datapath **datapath, struct error *err)
{
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = switch_datapath((struct net *)dev, datapath, err);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

struct datapath *virtio_net_datapath(struct virtio_device *dev)
{
	return ((struct net *)dev)->datapath;
}

int virtio_net_queue_stats(struct virtio_device *dev, unsigned int index,
			   uint64_t counters[QUEUE_COUNTERS], uint64_t *progress_ms)
{
	const struct net *net = (struct net *)dev;
	const struct queue_stats *stats;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (index >= 2 * net->max_pairs) {
		ret = -ERANGE;
	} else if (!net->datapath->ops->stats) {
		ret = -EOPNOTSUPP;
	} else {
		stats = net->datapath->ops->stats(net->datapath, index);
		for (unsigned int i = 0; i < QUEUE_COUNTERS; i++)
			counters[i] = queue_counted(stats, (enum queue_counter)i);
		*progress_ms = atomic_load(&stats->progress_ms);
	}
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

void virtio_net_filter(struct virtio_device *dev, struct net_filter *filter)
{
	pthread_mutex_lock(&dev->lock);
	*filter = ((struct net *)dev)->ctrl.filter;
	pthread_mutex_unlock(&dev->lock);
}

const char *virtio_net_why_not(struct virtio_device *dev, const struct net_feature *feature)
{
	const struct net *net = (struct net *)dev;

	if (dev->offered & feature->bit)
		return NULL;
	if (!(net->wanted & feature->bit))
		return "not asked for";
	if (feature->needs && !(feature->needs & dev->offered))
		return net_features_first(feature->needs)->name;
	return net->datapath->kind;
}

/* --- creation --- */

/* What to offer, as far as a datapath has it. */
static uint64_t wanted_features(const struct virtio_net_options *options)
{
	uint64_t features = ~options->disabled;

	if (options->switchable)
		features &= net_features_common | net_features_own | net_features_optional |
			    options->required;
	if (options->available)
		features &= options->available | net_features_own | net_features_optional;
	if (!options->mtu)
		features &= ~FEATURE(VIRTIO_NET_F_MTU);
	return features;
}

/* Why is the first of the features @missing not offered? */
static int missing_feature(const struct net *net, const struct virtio_net_options *options,
			   uint64_t missing, struct error *err)
{
	const struct net_feature *feature = net_features_first(missing);
	const struct net_feature *needs;

	if (!feature)
		return error_usage(err, "%s: unknown features 0x%llx are asked for", options->id,
				   (unsigned long long)missing);
	if (feature->bit & options->disabled)
		return error_usage(err, "%s: %s is both on and off", options->id, feature->name);
	if (feature->needs && !(feature->needs & net->dev.offered)) {
		needs = net_features_first(feature->needs);
		return error_usage(err, "%s: %s=on: it needs %s, which is not offered", options->id,
				   feature->name, needs->name);
	}
	return error_set(err, -EOPNOTSUPP, "%s: %s=on: %s can't serve that here%s", options->id,
			 feature->name, net->datapath->kind,
			 feature->bit == FEATURE(VIRTIO_NET_F_MQ) ? " (it takes queues=2 or more)"
								  : "");
}

static void init_config(struct net *net, const struct virtio_net_options *options)
{
	uint64_t offered = net->dev.offered;
	bool rss = offered & FEATURE(VIRTIO_NET_F_RSS);
	bool hash = rss || offered & FEATURE(VIRTIO_NET_F_HASH_REPORT);

	memcpy(net->config.mac, options->mac, sizeof(net->config.mac));
	net->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	net->config.max_virtqueue_pairs = htole16((uint16_t)net->max_pairs);
	net->config.mtu = htole16(options->mtu);
	net->config.speed = htole32(options->speed ? options->speed : UINT32_MAX);
	net->config.duplex = !options->half_duplex;
	net->config.rss_max_key_size = hash ? NET_RSS_KEY_SIZE : 0;
	net->config.rss_max_indirection_table_length = htole16(rss ? NET_RSS_TABLE_MAX : 0);
	net->config.supported_hash_types = htole32(hash ? NET_RSS_HASH_TYPES : 0);
}

static unsigned int max_pairs(const struct datapath *datapath, uint64_t offered)
{
	unsigned int n = datapath_pairs(datapath);

	if (!(offered & (FEATURE(VIRTIO_NET_F_MQ) | FEATURE(VIRTIO_NET_F_RSS))))
		return 1;
	return n < VIRTIO_NET_PAIRS_MAX ? n : VIRTIO_NET_PAIRS_MAX;
}

/* Queues, and what watches the control queue. */
static int init_queues(struct net *net)
{
	bool control = net->dev.offered & FEATURE(VIRTIO_NET_F_CTRL_VQ);
	int ret = virtio_device_init(&net->dev, 2 * net->max_pairs + control, net->queue_size);

	if (ret)
		return ret;
	net->control_watch = (struct loop_watch){
		.fd = epoll_create1(EPOLL_CLOEXEC),
		.ready = control_ready,
		.opaque = net,
	};
	if (net->control_watch.fd < 0)
		return -errno;
	ret = loop_watch_set(net->loop, &net->control_watch, EPOLLIN);
	if (!ret)
		net_negotiated(&net->dev);
	return ret;
}

int virtio_net_create(const struct virtio_net_options *options, struct datapath *datapath,
		      const struct logger *log, struct virtio_device **dev, struct error *err)
{
	struct net *net = calloc(1, sizeof(*net));
	uint64_t missing;
	int ret;

	*dev = NULL;
	if (!net) {
		datapath->ops->destroy(datapath);
		return error_set(err, -ENOMEM, "%s: out of memory", options->id);
	}
	pthread_mutex_init(&net->config_lock, NULL);
	snprintf(net->id, sizeof(net->id), "%s", options->id);
	net->mem = options->mem;
	net->loop = options->loop;
	net->control_watch.fd = -1;
	net->queue_size = options->queue_size ? options->queue_size : VIRTIO_NET_QUEUE_SIZE;
	net->link_up = net->carrier = true;
	net->wanted = wanted_features(options);
	net->filter_changed = options->filter_changed;
	net->opaque = options->opaque;
	take_datapath(net, datapath);
	memcpy(net->mac, options->mac, sizeof(net->mac));

	net->dev.ops = &net_ops;
	net->dev.id = VIRTIO_ID_NET;
	net->dev.name = net->id;
	net->dev.log = log;
	net->dev.timeline = options->timeline;
	net->max_pairs = max_pairs(datapath, net->dev.offered);
	init_config(net, options);
	ret = init_queues(net);
	if (ret) {
		errno = -ret;
		error_errno(err, "%s: creating its queues", options->id);
	}
	missing = options->required & ~net->dev.offered;
	if (!ret && missing)
		ret = missing_feature(net, options, missing, err);
	if (ret) {
		virtio_device_destroy(&net->dev);
		return ret;
	}
	*dev = &net->dev;
	return 0;
}
