/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device, put together from its parts: net backend, datapath, virtio device; and taken
 * apart and put together anew while its guest runs: net-switch, and back-ends that come and go.
 *
 * All by the thread that runs the loop, or before it runs.
 */
#ifndef VMM_NIC_H
#define VMM_NIC_H

#include "virtio/net_faults.h"
#include "vmm/xvmm.h"

struct error;
struct guest_memory;
struct logger;
struct loop;
struct net_filter;
struct nic;
struct opener;
struct thread_filters;
struct timeline;
struct virtio_device;

enum {
	NIC_ID_SIZE = 16, /* of a made-up id */
};

/* What may be worth telling of a device. */
enum nic_event {
	NIC_BACKEND_CHANGED, /* it came or went, or a switch has put another one in its place */
	NIC_FILTER_CHANGED,  /* the driver's; not again until nic_filter() */
};

/* What all of a VM's devices work with; they outlive the devices. */
struct nic_parts {
	const struct guest_memory *mem;
	struct loop *loop;
	const struct logger *log;
	struct timeline *timeline;		     /* or NULL */
	const struct thread_filters *thread_filters; /* of the threads of rings, or NULL */
	const struct opener *opener;		     /* of taps and sockets, or NULL */
	/*
	 * Once a device is created; or NULL. Its lock may be held: nothing of this is to be called,
	 * but for nic_device(), nic_backend() and nic_connected().
	 */
	void (*tell)(void *opaque, const struct nic *nic, enum nic_event event);
	void *opaque;
};

/* The id of the VM's network device @index: its own, or one made up in @text. */
const char *nic_id(const struct xvmm_net *config, unsigned int index, char text[NIC_ID_SIZE]);

/* How the VM's network device @net is attached. */
enum xvmm_transport nic_transport(const struct xvmm_config *config, const struct xvmm_net *net);

/* Whether a vhost-user back-end is to serve it. */
bool nic_is_vhost_user(const struct xvmm_net *config);

/* Whether another process must be able to map guest memory, or may have to. */
bool nic_shares_memory(const struct xvmm_net *config);

/* Whether the VM's network device @index can be, apart from the host: 0, or a usage error. */
int nic_check(const struct xvmm_config *config, unsigned int index, struct error *err);

/* Whether the descriptor that @net is on, if it is on one, is open: 0, or -EBADF. */
int nic_check_fd(const struct xvmm_net *net, struct error *err);

/* Create device @index, checked, for @transport. */
int nic_create(const struct nic_parts *parts, const struct xvmm_net *config, unsigned int index,
	       enum xvmm_transport transport, struct nic **nic, struct error *err);

/* Its virtio device, which the caller gives to a transport. It outlives what the nic does. */
struct virtio_device *nic_device(const struct nic *nic);

/* Whether @nic leaves another device the taps that @config says: 0, or -EBUSY. */
int nic_check_free(const struct nic *nic, const struct xvmm_net *config, struct error *err);

/*
 * Move the device to what @config says: xvmm_net_switch(). On success, for *@pause_us microseconds
 * no ring was served.
 */
int nic_switch(struct nic *nic, const struct xvmm_net *config, unsigned int *pause_us,
	       struct error *err);

/* What it is on now, as net_spec_backend() says it; valid until the next switch. */
const char *nic_backend(const struct nic *nic);

/* Whether that is there: a vhost-user back-end has connected, a tap or socket has not gone. */
bool nic_connected(const struct nic *nic);

/* Which packets its driver wants. */
void nic_filter(struct nic *nic, struct net_filter *filter);

/* The faults of the network that it is on now, and what they have done. */
struct nic_faults {
	uint32_t seed;
	uint64_t counters[NET_FAULTS_DIRECTIONS][NET_FAULTS_COUNTERS];
};

/* False: there are none. */
bool nic_faults(const struct nic *nic, struct nic_faults *faults);

/* After the virtio device was destroyed. Accepts NULL. */
void nic_destroy(struct nic *nic);

#endif
