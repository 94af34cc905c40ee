/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring that somebody outside of this process's threads serves: the kernel (vhost-net), or another
 * process (vhost-user). What the two have in common: where the ring's areas are in this process's
 * address space, which is how both protocols name them, and interrupts, which go straight to the
 * guest unless its driver looks at the interrupt status; then they make a detour through the loop,
 * which sets it.
 *
 * Threads: as datapaths, the caller sees to it that one thread at a time is in here.
 */
#ifndef VIRTIO_VHOST_RING_H
#define VIRTIO_VHOST_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/datapath.h"
#include "virtio/ring.h"

struct vhost_ring {
	bool started;
	struct ring_state state; /* where it was started */
	struct datapath_wires wires;
	/* Addresses of the three areas in this process; 0 if the ring is @broken. */
	uint64_t desc;
	uint64_t driver;
	uint64_t device;
	const char *broken; /* how the driver broke the rules (static), or NULL */
	/* What the other side signals instead of wires.call_fd if there is an interrupt status. */
	int relay_fd; /* eventfd, owned */
	int err_fd;   /* eventfd, owned: the other side says that it can't serve the ring */
};

/* 0 or a negative errno; then, too, destroy it. */
int vhost_ring_init(struct vhost_ring *ring);
void vhost_ring_destroy(struct vhost_ring *ring);

/*
 * Begin: fill in everything but the eventfds. A ring whose areas are wrong is started, too, but
 * @broken, and must not be given away.
 */
void vhost_ring_start(struct vhost_ring *ring, const struct guest_memory *mem,
		      const struct ring_state *state, const struct datapath_wires *wires,
		      uint64_t features);

/* The eventfd that the other side has to signal for an interrupt. */
int vhost_ring_call_fd(const struct vhost_ring *ring);

/* Interrupt the driver: the relay, and when the other side may have died before it did. */
void vhost_ring_interrupt(const struct vhost_ring *ring);

#endif
