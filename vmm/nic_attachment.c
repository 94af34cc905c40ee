/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic_attachment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "virtio/datapath_inprocess.h"
#include "virtio/datapath_vhost_net.h"
#include "virtio/datapath_vhost_user.h"
#include "virtio/fd.h"
#include "virtio/net_backend.h"
#include "virtio/net_capture.h"
#include "virtio/net_faults.h"
#include "virtio/tap.h"
#include "vmm/core/error.h"
#include "vmm/core/log.h"
#include "vmm/net_spec.h"

enum {
	/* How long a vhost-user back-end has to answer: when a VM is created, when one switches. */
	CREATE_WAIT_MS = 1000,
	SWITCH_WAIT_MS = 2000,
	GRACE_MS = 3000, /* a back-end that is restarted is back by then */
	NS_PER_US = 1000,
	BITS_PER_BYTE = 8,
};

struct making {
	const struct nic_parts *parts;
	const struct nic_identity *identity;
	const struct xvmm_net *config;
	const struct nic_attachment *current;
	struct nic_attachment *attachment;
};

static int out_of_memory(const struct making *making, struct error *err)
{
	return error_set(err, -ENOMEM, "%s: out of memory", making->identity->id);
}

static int open_tap(const struct making *making, const char *name, struct net_backend **backend,
		    struct error *err)
{
	const struct nic_attachment *current = making->current;

	if (current && current->backend && !current->gone && current->name &&
	    strcmp(current->name, name) == 0) {
		*backend = net_backend_share(current->backend);
		return 0;
	}
	return tap_create(name, making->identity->queue_pairs, making->parts->opener,
			  making->parts->log, backend, err);
}

static int open_fd(const struct making *making, struct net_backend **backend, struct error *err)
{
	int fd = making->config->fd;

	if (making->identity->queue_pairs > 1)
		return error_usage(err, "descriptor %d: it has one queue, not %u", fd,
				   making->identity->queue_pairs);
	if (fd_is_socket(fd))
		return fd_backend_create(fd, backend, err);
	return tap_adopt(fd, making->parts->opener, backend, err);
}

/* Another one each time; and it takes no system call that a confined process may not make. */
static uint32_t any_seed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint32_t)now.tv_sec * 1000003U ^ (uint32_t)now.tv_nsec;
}

/* Faults before *@backend, which is taken over, also on failure. */
static int add_faults(const struct making *making, struct net_backend **backend, struct error *err)
{
	const struct xvmm_net_faults *faults = &making->config->faults;
	struct nic_attachment *attachment = making->attachment;
	const uint32_t seed = faults->has_seed ? faults->seed : any_seed();
	const struct net_faults_config config = {
		.name = making->identity->id,
		.queue_pairs = making->identity->queue_pairs,
		.loss = faults->loss,
		.duplicate = faults->duplicate,
		.corrupt = faults->corrupt,
		.reorder = faults->reorder,
		.delay_ns = faults->delay_us * NS_PER_US,
		.jitter_ns = faults->jitter_us * NS_PER_US,
		.bits = {faults->bits.per_second, faults->bits.burst * BITS_PER_BYTE},
		.packets = {faults->packets.per_second, faults->packets.burst},
		.seed = seed,
		.thread_filters = making->parts->thread_filters,
	};
	int ret = net_faults_create(&config, *backend, backend, err);

	if (ret)
		return ret;
	attachment->faults = net_backend_share(*backend);
	attachment->seed = seed;
	log_info(making->parts->log, "%s: its network has faults; seed=%u gives the same ones",
		 making->identity->id, seed);
	return 0;
}

static int open_capture(const struct making *making, struct error *err)
{
	const struct nic_attachment *current = making->current;
	const char *path = making->config->pcap;
	struct net_capture_file **capture = &making->attachment->capture;

	if (current && current->capture &&
	    strcmp(net_capture_file_path(current->capture), path) == 0 &&
	    !net_capture_file_has_ended(current->capture)) {
		*capture = net_capture_file_share(current->capture);
		return 0;
	}
	return net_capture_file_create(path, making->parts->opener, making->parts->log, capture,
				       err);
}

/* What is between the datapath and the attachment's backend: a capture as the guest sees it. */
static int add_wire(const struct making *making, struct net_backend **backend, struct error *err)
{
	int ret = 0;

	*backend = net_backend_share(making->attachment->backend);
	if (making->config->faults.enabled)
		ret = add_faults(making, backend, err);
	if (ret || !making->config->pcap)
		return ret;
	ret = open_capture(making, err);
	if (ret) {
		net_backend_release(*backend);
		return ret;
	}
	*backend = net_capture_create(net_capture_file_share(making->attachment->capture),
				      *backend);
	return *backend ? 0 : out_of_memory(making, err);
}

static int make_inprocess(const struct making *making, struct datapath **dp, struct error *err)
{
	struct inprocess_config config = {
		.name = making->identity->id,
		.queue_pairs = making->identity->queue_pairs,
		.mem = making->parts->mem,
		.mtu = making->identity->mtu,
		.thread_filters = making->parts->thread_filters,
		.backend_gone = making->identity->backend_gone,
		.opaque = making->identity->opaque,
	};

	int ret = add_wire(making, &config.backend, err);

	if (ret)
		return ret;
	*dp = inprocess_create(&config);
	return *dp ? 0 : out_of_memory(making, err);
}

static int make_vhost_net(const struct making *making, struct datapath **dp, struct error *err)
{
	const struct vhost_net_config config = {
		.name = making->identity->id,
		.mem = making->parts->mem,
		.loop = making->parts->loop,
		.log = making->parts->log,
		.opener = making->parts->opener,
		.backend = net_backend_share(making->attachment->backend),
		.queue_pairs = making->identity->queue_pairs,
		.poll_us = making->config->vhost_poll_us,
	};

	return vhost_net_create(&config, dp, err);
}

/* On the attachment's backend: in the kernel, or here. */
static int make_datapath(const struct making *making, struct error *err)
{
	const struct logger *log = making->parts->log;
	const char *id = making->identity->id;
	struct datapath **dp = &making->attachment->primary;
	struct error why = {0};

	if (making->config->vhost == XVMM_VHOST_OFF)
		return make_inprocess(making, dp, err);
	if (making->config->vhost == XVMM_VHOST_ON)
		return make_vhost_net(making, dp, err);
	if (making->config->pcap || making->config->faults.enabled) {
		log_info(log, "%s: vhost=auto: served in-process, for %s", id,
			 making->config->pcap ? "pcap" : "faults");
		return make_inprocess(making, dp, err);
	}
	if (make_vhost_net(making, dp, &why) == 0) {
		log_info(log, "%s: vhost=auto: the kernel serves it (vhost-net)", id);
		return 0;
	}
	log_info(log, "%s: vhost=auto: served in-process: %s", id, why.text);
	return make_inprocess(making, dp, err);
}

static int make_vhost_user(const struct making *making, struct error *err)
{
	const struct xvmm_net *net = making->config;
	char name[NET_SPEC_BACKEND_SIZE];
	const struct vhost_user_config config = {
		.name = making->identity->id,
		.mem = making->parts->mem,
		.loop = making->parts->loop,
		.log = making->parts->log,
		.opener = making->parts->opener,
		.path = net->socket ? net->socket : name,
		.server = net->server,
		.has_fd = !net->socket,
		.fd = net->fd,
		.queue_pairs = making->identity->queue_pairs,
		.queue_size = making->identity->queue_size,
		.mtu = making->identity->mtu,
		.assumed = net->features_on,
		.wait_ms = making->current ? SWITCH_WAIT_MS : CREATE_WAIT_MS,
		/* A guest that is served should not be left with nobody. */
		.required = making->current && !net->fallback,
	};
	struct nic_attachment *attachment = making->attachment;
	int ret;

	net_spec_backend(net, name);
	ret = vhost_user_create(&config, &attachment->primary, err);
	attachment->vhost_user = true;
	attachment->grace_ms = net->has_grace ? net->grace_ms : GRACE_MS;
	if (!ret && net->fallback) {
		ret = open_tap(making, net->fallback, &attachment->backend, err);
		if (!ret)
			ret = make_inprocess(making, &attachment->standby, err);
	}
	return ret;
}

static const char *attachment_name(const struct xvmm_net *config)
{
	if (nic_is_vhost_user(config))
		return config->fallback ? config->fallback : config->socket;
	return config->has_fd ? NULL : config->tap;
}

static int make(const struct making *making, struct error *err)
{
	const struct xvmm_net *net = making->config;
	struct nic_attachment *attachment = making->attachment;
	const char *name = attachment_name(net);
	int ret;

	if (name) {
		attachment->name = strdup(name);
		if (!attachment->name)
			return out_of_memory(making, err);
	}
	if (nic_is_vhost_user(net))
		return make_vhost_user(making, err);
	if (net->has_fd)
		ret = open_fd(making, &attachment->backend, err);
	else if (net->tap)
		ret = open_tap(making, net->tap, &attachment->backend, err);
	else
		ret = error_usage(err, "%s: on nothing: no tap, descriptor or vhost-user socket",
				  making->identity->id);
	return ret ? ret : make_datapath(making, err);
}

int nic_attach(const struct nic_parts *parts, const struct nic_identity *identity,
	       const struct xvmm_net *config, const struct nic_attachment *current,
	       struct nic_attachment *attachment, struct error *err)
{
	const struct making making = {parts, identity, config, current, attachment};
	int ret;

	*attachment = (struct nic_attachment){0};
	ret = make(&making, err);
	if (ret)
		nic_detach(attachment, NULL);
	return ret;
}

void nic_detach(struct nic_attachment *attachment, const struct datapath *but)
{
	if (attachment->primary && attachment->primary != but)
		attachment->primary->ops->destroy(attachment->primary);
	if (attachment->standby && attachment->standby != but)
		attachment->standby->ops->destroy(attachment->standby);
	if (attachment->faults)
		net_backend_release(attachment->faults);
	net_capture_file_release(attachment->capture);
	if (attachment->backend)
		net_backend_release(attachment->backend);
	free(attachment->name);
	*attachment = (struct nic_attachment){0};
}
