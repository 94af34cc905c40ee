/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>

#include "arch/arch.h"
#include "devices/pci.h"
#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/net.h"
#include "virtio/net_faults.h"
#include "virtio/net_features.h"
#include "virtio/ring.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/net_faults_spec.h"
#include "vmm/net_spec.h"
#include "vmm/nic_attachment.h"

enum {
	QUEUE_SIZE_MIN = 32,
	ANNOUNCEMENTS = 5,
	ANNOUNCE_FIRST_MS = 50, /* after the first one; then each time so much longer: */
	ANNOUNCE_STEP_MS = 100,
	CHANGES_TOLD = 10, /* of a back-end that comes and goes, in so much time: */
	CHANGES_MS = 1000,
	TURN_AGAIN_MS = 500,
};

struct nic {
	struct nic_parts parts;
	char id[VIRTIO_NET_ID_SIZE];
	struct xvmm_net config; /* as it was created; its strings are gone */
	uint8_t mac[6];
	char backend[NET_SPEC_BACKEND_SIZE];
	enum xvmm_transport transport;
	struct virtio_device *dev; /* borrowed: its transport's */
	struct nic_attachment attachment;
	struct datapath *serving; /* the attachment's that the device has */
	bool created;
	bool turn_failed;	/* the last one, of primary and standby */
	bool filter_told;	/* that its driver has set another one */
	struct loop_watch gone; /* of an eventfd, owned: what is served here has gone */
	/* Of a timerfd, owned: the back-end is gone for the guest then, or a turn tried again. */
	struct loop_watch grace;
	struct loop_watch announcing; /* of a timerfd, owned: then it is announced once more */
	unsigned int announced;	      /* so often since it was somewhere else */
	struct loop_watch telling;    /* of a timerfd, owned: then more changes may be told */
	unsigned int n_told;	      /* since it was set */
	bool untold;		      /* there were more */
};

/* --- what can be --- */

/* A MAC address that is nobody's: locally administered, unicast. */
static void random_mac(uint8_t mac[6])
{
	if (getrandom(mac, 6, 0) != 6)
		memset(mac, 0x5a, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

/* What a device does not offer unless it is asked to. */
static uint64_t features_off(enum xvmm_transport transport)
{
	uint64_t features = 1ULL << VIRTIO_F_RING_PACKED;

	/* On virtio-mmio KVM has no doorbell for kicks that carry data. */
	if (transport == XVMM_TRANSPORT_MMIO)
		features |= 1ULL << VIRTIO_F_NOTIFICATION_DATA;
	return features;
}

const char *nic_id(const struct xvmm_net *config, unsigned int index, char text[NIC_ID_SIZE])
{
	snprintf(text, NIC_ID_SIZE, "net%u", index);
	return config->id ? config->id : text;
}

enum xvmm_transport nic_transport(const struct xvmm_config *config, const struct xvmm_net *net)
{
	if (net->transport)
		return net->transport;
	return config->transport ? config->transport : XVMM_TRANSPORT_PCI;
}

bool nic_is_vhost_user(const struct xvmm_net *config)
{
	return config->socket || (config->has_fd && config->vhost_user);
}

bool nic_shares_memory(const struct xvmm_net *config)
{
	return nic_is_vhost_user(config) || config->switchable;
}

static int check_queues(const struct xvmm_net *net, const char *id, struct error *err)
{
	unsigned int size = net->queue_size;

	if (net->queues > VIRTIO_NET_PAIRS_MAX)
		return error_usage(err, "%s: %u pairs of queues: at most %u", id, net->queues,
				   VIRTIO_NET_PAIRS_MAX);
	/* Linux stops a queue that has no room for a packet in 19 pieces, and a small one for ever.
	 */
	if (size && (size < QUEUE_SIZE_MIN || size > RING_SIZE_MAX))
		return error_usage(err, "%s: queues of size %u: need %d to %d", id, size,
				   QUEUE_SIZE_MIN, RING_SIZE_MAX);
	if (size & (size - 1) && !(net->features_on >> VIRTIO_F_RING_PACKED & 1))
		return error_usage(err,
				   "%s: queues of size %u: without packed=on a power of two is "
				   "needed",
				   id, size);
	return 0;
}

/* Whether it can be attached so, and who moves the packets does what is to be done to them. */
static int check_attachment(const struct xvmm_net *net, const char *id, struct error *err)
{
	const char *key = net->pcap ? "pcap" : "faults";

	if (net->has_fd && net->vhost_user && net->server)
		return error_usage(err, "%s: server: descriptor %d is a connection already", id,
				   net->fd);
	if (!net->pcap && !net->faults.enabled)
		return 0;
	if (nic_is_vhost_user(net))
		return error_usage(
			err,
			"%s: %s: with vhost-user another process moves the packets; try: "
			"a tap; or while the guest runs: xvmm ctl PATH net-switch %s "
			"TAP,%s",
			id, key, id, net->pcap ? "pcap=FILE" : "loss=1%");
	if (net->vhost == XVMM_VHOST_ON)
		return error_usage(
			err,
			"%s: %s: with vhost=on the kernel moves the packets; try: "
			"vhost=off; or while the guest runs: xvmm ctl PATH net-switch %s "
			"TAP,%s",
			id, key, id, net->pcap ? "pcap=FILE" : "loss=1%");
	return net_faults_check(id, &net->faults, err);
}

/* What JSON, metrics and messages can have. */
static bool is_printable(const char *id)
{
	for (; *id > ' ' && *id <= '~'; id++)
		;
	return !*id;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* The first tap or socket that both take, or NULL. */
static const char *shared(const struct xvmm_net *a, const struct xvmm_net *b)
{
	const char *const taps[] = {a->tap, a->fallback};

	if (same(a->socket, b->socket))
		return a->socket;
	for (int i = 0; i < 2; i++) {
		if (same(taps[i], b->tap) || same(taps[i], b->fallback))
			return taps[i];
	}
	return NULL;
}

/* Whether there is room on the transport of the device @index, behind those before. */
static int check_place(const struct xvmm_config *config, unsigned int index, struct error *err)
{
	const enum xvmm_transport transport = nic_transport(config, &config->nets[index]);
	struct arch_device place;
	unsigned int before = 0;

	for (unsigned int i = 0; i < index; i++)
		before += nic_transport(config, &config->nets[i]) == transport;
	if (transport != XVMM_TRANSPORT_PCI)
		return arch_place_device(ARCH_DEVICE_VIRTIO_MMIO, before, &place, err);
	/* Slot 0 is the bridge. */
	return before + 1 < PCI_SLOTS
		       ? 0
		       : error_usage(err, "too many devices: at most %d on virtio-pci",
				     PCI_SLOTS - 1);
}

int nic_check(const struct xvmm_config *config, unsigned int index, struct error *err)
{
	const struct xvmm_net *net = &config->nets[index];
	char text[NIC_ID_SIZE], other[NIC_ID_SIZE];
	const char *id = nic_id(net, index, text), *both;
	int ret;

	if (strlen(id) >= VIRTIO_NET_ID_SIZE)
		return error_usage(err, "the id '%s' has more than %d characters", id,
				   VIRTIO_NET_ID_SIZE - 1);
	if (!*id || !is_printable(id))
		return error_usage(
			err, "the id '%s' is not of printable ASCII characters without blanks", id);
	for (unsigned int i = 0; i < index; i++) {
		if (strcmp(id, nic_id(&config->nets[i], i, other)) == 0)
			return error_usage(err, "two network devices have the id '%s'", id);
		both = shared(net, &config->nets[i]);
		if (both)
			return error_usage(err, "%s: %s already has %s; each device needs its own",
					   id, nic_id(&config->nets[i], i, other), both);
	}
	if (net->mac[0] & 1)
		return error_usage(err, "%s: its MAC address is a multicast address", id);
	if (net->speed > INT32_MAX)
		return error_usage(err, "%s: a speed of %u Mbit/s: at most %d", id, net->speed,
				   INT32_MAX);
	if (config->memory_private && nic_shares_memory(net))
		return error_usage(err,
				   "%s: %s takes guest memory that can be shared, and shared=off "
				   "says no; try: --memory without shared=off",
				   id, nic_is_vhost_user(net) ? "vhost-user" : "switch=on");
	ret = check_attachment(net, id, err);
	if (!ret)
		ret = check_queues(net, id, err);
	return ret ? ret : check_place(config, index, err);
}

int nic_check_fd(const struct xvmm_net *net, struct error *err)
{
	if (net->has_fd && fcntl(net->fd, F_GETFD) < 0)
		return error_set(err, -EBADF, "descriptor %d: it is not open", net->fd);
	return 0;
}

/* --- back-ends that come and go --- */

/*
 * A timer goes off after @ms, 0: never. Its event may be in the loop's hands by then: so whoever it
 * calls looks first whether it is still true.
 */
static void set_timer(const struct loop_watch *timer, uint64_t ms)
{
	const struct itimerspec when = {
		.it_value.tv_sec = (time_t)(ms / 1000),
		.it_value.tv_nsec = (long)(ms % 1000) * 1000000,
	};

	timerfd_settime(timer->fd, 0, &when, NULL);
}

static void tell(const struct nic *nic, enum nic_event event)
{
	if (nic->created && nic->parts.tell)
		nic->parts.tell(nic->parts.opaque, nic, event);
}

/*
 * The backend has come or gone by itself. It may do so as fast as it can connect: then how it is is
 * told when there was time enough.
 */
static void tell_change(struct nic *nic)
{
	nic->untold = nic->n_told == CHANGES_TOLD;
	if (nic->untold)
		return;
	if (nic->n_told++ == 0)
		set_timer(&nic->telling, CHANGES_MS);
	tell(nic, NIC_BACKEND_CHANGED);
}

static void tell_more(struct loop_watch *watch, uint32_t events)
{
	struct nic *nic = watch->opaque;

	(void)events;
	if (!fd_eventfd_drain(watch->fd))
		return;
	nic->n_told = 0;
	if (nic->untold)
		tell_change(nic);
}

static void set_grace(const struct nic *nic, uint64_t ms)
{
	set_timer(&nic->grace, ms);
}

/*
 * The device is somewhere else in its network, or in another one: have that learn it. Not once
 * only: the port of a switch that has just come up may not forward yet. In the rhythm that QEMU
 * has.
 */
static void announce(struct nic *nic)
{
	virtio_net_announce(nic->dev);
	nic->announced = 1;
	set_timer(&nic->announcing, ANNOUNCE_FIRST_MS);
}

static void announce_again(struct loop_watch *watch, uint32_t events)
{
	struct nic *nic = watch->opaque;

	(void)events;
	if (!fd_eventfd_drain(watch->fd))
		return;
	virtio_net_announce(nic->dev);
	if (++nic->announced < ANNOUNCEMENTS)
		set_timer(watch, ANNOUNCE_FIRST_MS + (nic->announced - 1) * ANNOUNCE_STEP_MS);
}

/* Have the device served by @datapath, one of the attachment's. */
static int serve(struct nic *nic, struct datapath *datapath, struct error *err)
{
	struct datapath *other = datapath;
	int ret = virtio_net_switch(nic->dev, &other, err);

	if (!ret) {
		nic->serving = datapath;
		announce(nic);
	}
	return ret;
}

static bool has_carrier(struct datapath *datapath)
{
	return !datapath->ops->carrier || datapath->ops->carrier(datapath);
}

/*
 * Have the primary serve, or else the standby. One that can't now, for the driver is just starting,
 * say, can later. The link is up if who serves has its other end.
 */
static void take_turns(struct nic *nic)
{
	struct nic_attachment *attachment = &nic->attachment;
	bool up = has_carrier(attachment->primary);
	struct datapath *was = nic->serving, *next = up ? attachment->primary : attachment->standby;
	struct error err;
	bool failed = next != was && serve(nic, next, &err);

	if (failed && !nic->turn_failed)
		log_warning(nic->parts.log, "%s", err.text);
	else if (nic->serving != was)
		log_info(nic->parts.log, "%s: %s", nic->id,
			 up ? "its back-end serves it again" : "the fallback serves it");
	nic->turn_failed = failed;
	set_grace(nic, failed ? TURN_AGAIN_MS : 0);
	virtio_net_set_carrier(nic->dev,
			       nic->serving == attachment->standby ? !attachment->gone : up);
}

static void grace_over(struct loop_watch *watch, uint32_t events)
{
	struct nic *nic = watch->opaque;

	(void)events;
	if (!fd_eventfd_drain(watch->fd))
		return;
	if (nic->attachment.standby) {
		take_turns(nic);
		return;
	}
	log_warning(nic->parts.log,
		    "%s: its back-end stays away: the link is down until it is back", nic->id);
	virtio_net_set_carrier(nic->dev, false);
}

static void carrier_changed(void *opaque, bool up)
{
	struct nic *nic = opaque;

	if (nic->attachment.standby) {
		take_turns(nic);
	} else if (up) {
		set_grace(nic, 0);
		virtio_net_set_carrier(nic->dev, true);
		/* A switch that was restarted has forgotten where everybody is. */
		announce(nic);
	} else if (nic->attachment.grace_ms) {
		set_grace(nic, nic->attachment.grace_ms);
	} else {
		virtio_net_set_carrier(nic->dev, false);
	}
	tell_change(nic);
}

/* By a ring's thread. */
static void backend_gone(void *opaque)
{
	const struct nic *nic = opaque;

	fd_eventfd_signal(nic->gone.fd);
}

/* A tap that was deleted, a socket whose other end was closed: it won't come back. */
static void tell_gone(struct loop_watch *watch, uint32_t events)
{
	struct nic *nic = watch->opaque;

	(void)events;
	/* What has gone may be what served before a switch. */
	if (!fd_eventfd_drain(watch->fd))
		return;
	loop_watch_remove(nic->parts.loop, watch);
	nic->attachment.gone = true;
	if (nic->attachment.standby) {
		log_warning(nic->parts.log, "%s: its fallback has gone", nic->id);
		take_turns(nic);
		return;
	}
	log_warning(nic->parts.log,
		    "%s: %s has gone: the link is down; try: xvmm ctl PATH net-switch %s TAP",
		    nic->id, nic->backend, nic->id);
	virtio_net_set_carrier(nic->dev, false);
	tell_change(nic);
}

/* Of what serves from now on. */
static void watch_backend(struct nic *nic)
{
	fd_eventfd_drain(nic->gone.fd);
	if (loop_watch_set(nic->parts.loop, &nic->gone, EPOLLIN))
		log_warning(nic->parts.log, "%s: %s can't be watched", nic->id, nic->backend);
}

/* From now on the attachment's comings and goings are the device's. */
static void follow_carrier(struct nic *nic)
{
	struct nic_attachment *attachment = &nic->attachment;
	bool up = has_carrier(attachment->primary);

	nic->turn_failed = false;
	attachment->primary->owner = (struct datapath_owner){carrier_changed, nic};
	set_grace(nic, 0);
	watch_backend(nic);
	if (attachment->standby) {
		take_turns(nic);
		return;
	}
	if (!up)
		log_warning(nic->parts.log,
			    "%s: no back-end at %s yet: the link is down until then", nic->id,
			    attachment->name ? attachment->name : "its descriptor");
	virtio_net_set_carrier(nic->dev, up);
}

/* --- creation --- */

static void filter_changed(void *opaque)
{
	struct nic *nic = opaque;

	if (!nic->filter_told)
		tell(nic, NIC_FILTER_CHANGED);
	nic->filter_told = true;
}

static int create_device(struct nic *nic, const struct xvmm_net *config, struct error *err)
{
	struct nic_attachment *attachment = &nic->attachment;
	struct virtio_net_options options = {
		.id = nic->id,
		.mem = nic->parts.mem,
		.loop = nic->parts.loop,
		.timeline = nic->parts.timeline,
		.mtu = config->mtu,
		.queue_size = (uint16_t)config->queue_size,
		.speed = config->speed,
		.half_duplex = config->half_duplex,
		.disabled = config->features_off |
			    (features_off(nic->transport) & ~config->features_on),
		.required = config->features_on,
		.switchable = config->switchable,
		.filter_changed = filter_changed,
		.opaque = nic,
	};
	int ret;

	if (attachment->standby)
		options.available = attachment->standby->ops->features(attachment->standby);
	memcpy(options.mac, nic->mac, sizeof(options.mac));
	nic->serving = attachment->primary;
	ret = virtio_net_create(&options, attachment->primary, nic->parts.log, &nic->dev, err);
	if (ret)
		attachment->primary = NULL; /* was taken */
	return ret;
}

static int create_timer(struct nic *nic, struct loop_watch *timer,
			void (*ready)(struct loop_watch *watch, uint32_t events), struct error *err)
{
	int ret;

	*timer = (struct loop_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = ready,
		.opaque = nic,
	};
	if (timer->fd < 0)
		return error_errno(err, "%s: creating a timer", nic->id);
	ret = loop_watch_set(nic->parts.loop, timer, EPOLLIN);
	return ret ? error_code(err, ret, "%s: a timer", nic->id) : 0;
}

static struct nic_identity identity(const struct nic *nic)
{
	const struct xvmm_net *config = &nic->config;

	return (struct nic_identity){
		.id = nic->id,
		.queue_pairs = config->queues ? config->queues : 1,
		.queue_size = (uint16_t)(config->queue_size ? config->queue_size
							    : VIRTIO_NET_QUEUE_SIZE),
		.mtu = config->mtu,
		.backend_gone = backend_gone,
		.opaque = (void *)nic,
	};
}

int nic_create(const struct nic_parts *parts, const struct xvmm_net *config, unsigned int index,
	       enum xvmm_transport transport, struct nic **out, struct error *err)
{
	static const uint8_t no_mac[6];
	struct nic *nic = calloc(1, sizeof(*nic));
	struct nic_identity self;
	char id[NIC_ID_SIZE];
	int ret;

	*out = NULL;
	if (!nic)
		return error_set(err, -ENOMEM, "%s: out of memory", nic_id(config, index, id));
	nic->parts = *parts;
	nic->config = *config;
	nic->transport = transport;
	snprintf(nic->id, sizeof(nic->id), "%s", nic_id(config, index, id));
	memcpy(nic->mac, config->mac, sizeof(nic->mac));
	if (memcmp(nic->mac, no_mac, sizeof(no_mac)) == 0)
		random_mac(nic->mac);
	self = identity(nic);
	nic->grace.fd = nic->announcing.fd = nic->telling.fd = -1;
	nic->gone = (struct loop_watch){.fd = fd_eventfd(), .ready = tell_gone, .opaque = nic};
	ret = nic->gone.fd < 0 ? nic->gone.fd : 0;
	if (ret)
		error_code(err, ret, "%s: an eventfd", nic->id);
	if (!ret)
		ret = create_timer(nic, &nic->grace, grace_over, err);
	if (!ret)
		ret = create_timer(nic, &nic->announcing, announce_again, err);
	if (!ret)
		ret = create_timer(nic, &nic->telling, tell_more, err);
	if (!ret)
		ret = nic_attach(parts, &self, config, NULL, &nic->attachment, err);
	if (!ret)
		ret = create_device(nic, config, err);
	if (ret) {
		nic_destroy(nic);
		return ret;
	}
	net_spec_backend(config, nic->backend);
	follow_carrier(nic);
	nic->created = true;
	*out = nic;
	return 0;
}

struct virtio_device *nic_device(const struct nic *nic)
{
	return nic->dev;
}

void nic_destroy(struct nic *nic)
{
	if (!nic)
		return;
	/* Without a device there is nobody who has destroyed what served it. */
	nic_detach(&nic->attachment, nic->dev ? nic->serving : NULL);
	loop_watch_remove(nic->parts.loop, &nic->gone);
	loop_watch_remove(nic->parts.loop, &nic->grace);
	loop_watch_remove(nic->parts.loop, &nic->announcing);
	loop_watch_remove(nic->parts.loop, &nic->telling);
	fd_close(&nic->gone.fd);
	fd_close(&nic->grace.fd);
	fd_close(&nic->announcing.fd);
	fd_close(&nic->telling.fd);
	free(nic);
}

/* --- switching --- */

/* The first thing that @to says of the device and that is not so, or NULL. */
static const char *difference(const struct nic *nic, const struct xvmm_net *to)
{
	static const uint8_t no_mac[6];
	const struct xvmm_net *is = &nic->config;

	if (to->id && strcmp(to->id, nic->id) != 0)
		return "id";
	if (memcmp(to->mac, no_mac, 6) != 0 && memcmp(to->mac, nic->mac, 6) != 0)
		return "mac";
	if (to->mtu && to->mtu != is->mtu)
		return "mtu";
	if (to->transport && to->transport != nic->transport)
		return "transport";
	if (to->queues && to->queues != (is->queues ? is->queues : 1))
		return "queues";
	if (to->queue_size && to->queue_size != identity(nic).queue_size)
		return "queue_size";
	if (to->speed && to->speed != is->speed)
		return "speed";
	if (to->half_duplex && !is->half_duplex)
		return "duplex";
	if (to->switchable && !is->switchable)
		return "switch";
	if (to->features_on & ~is->features_on)
		return net_features_first(to->features_on & ~is->features_on)->name;
	if (to->features_off & ~is->features_off)
		return net_features_first(to->features_off & ~is->features_off)->name;
	return NULL;
}

static bool same_network(const struct nic_attachment *a, const struct nic_attachment *b)
{
	return !a->gone && !a->vhost_user && !b->vhost_user && a->name && b->name &&
	       strcmp(a->name, b->name) == 0;
}

static void hold_faults(const struct nic *nic, bool hold)
{
	struct net_backend *faults = nic->attachment.faults;

	if (faults && net_faults_hold(faults, hold))
		log_warning(nic->parts.log, "%s: no packet passes: its thread can't be started",
			    nic->id);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int nic_check_free(const struct nic *nic, const struct xvmm_net *config, struct error *err)
{
	const struct nic_attachment *has = &nic->attachment;
	const struct xvmm_net mine = {.tap = has->backend ? has->name : NULL};
	const char *both = shared(config, &mine);

	return both ? error_set(err, -EBUSY, "%s already has %s; each device needs its own",
				nic->id, both)
		    : 0;
}

int nic_switch(struct nic *nic, const struct xvmm_net *config, unsigned int *pause_us,
	       struct error *err)
{
	const struct nic_identity self = identity(nic);
	const char *differs = difference(nic, config);
	struct nic_attachment next, old = nic->attachment;
	struct datapath *datapath;
	uint64_t before;
	int ret;

	if (differs)
		return error_usage(err,
				   "%s: %s: a switch changes what is behind a device, not what the "
				   "guest knows of it; leave it out",
				   nic->id, differs);
	if (nic_is_vhost_user(config) && nic->parts.mem->fd < 0)
		return error_set(err, -EOPNOTSUPP,
				 "%s: guest memory is private, and vhost-user takes shared memory; "
				 "try: --memory SIZE,shared=on, or switch=on, from the start",
				 nic->id);
	ret = check_attachment(config, nic->id, err);
	if (!ret)
		ret = nic_attach(&nic->parts, &self, config, &nic->attachment, &next, err);
	if (ret)
		return ret;
	datapath = next.primary;
	before = now_us();
	/* Two may have the tap now; from here on one takes packets from it. */
	hold_faults(nic, true);
	ret = virtio_net_switch(nic->dev, &datapath, err);
	*pause_us = (unsigned int)(now_us() - before);
	if (ret) {
		nic_detach(&next, NULL);
		hold_faults(nic, false);
		return ret;
	}
	net_spec_backend(config, nic->backend);
	nic->attachment = next;
	nic->serving = next.primary;
	follow_carrier(nic);
	if (!same_network(&old, &next))
		announce(nic);
	nic_detach(&old, NULL);
	nic->untold = false;
	tell(nic, NIC_BACKEND_CHANGED);
	return 0;
}

const char *nic_backend(const struct nic *nic)
{
	return nic->backend;
}

bool nic_faults(const struct nic *nic, struct nic_faults *faults)
{
	const struct nic_attachment *attachment = &nic->attachment;

	if (!attachment->faults)
		return false;
	faults->seed = attachment->seed;
	for (unsigned int i = 0; i < NET_FAULTS_DIRECTIONS; i++)
		net_faults_count(attachment->faults, (enum net_faults_direction)i,
				 faults->counters[i]);
	return true;
}

bool nic_connected(const struct nic *nic)
{
	const struct nic_attachment *attachment = &nic->attachment;

	return has_carrier(attachment->primary) && (attachment->vhost_user || !attachment->gone);
}

void nic_filter(struct nic *nic, struct net_filter *filter)
{
	virtio_net_filter(nic->dev, filter);
	nic->filter_told = false;
}
