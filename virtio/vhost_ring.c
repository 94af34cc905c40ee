/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vhost_ring.h"

#include <linux/virtio_mmio.h>
#include <stdatomic.h>

#include "vmm/core/fd.h"

int vhost_ring_init(struct vhost_ring *ring)
{
	*ring = (struct vhost_ring){.relay_fd = fd_eventfd(), .err_fd = fd_eventfd()};
	if (ring->relay_fd < 0)
		return ring->relay_fd;
	return ring->err_fd < 0 ? ring->err_fd : 0;
}

void vhost_ring_destroy(struct vhost_ring *ring)
{
	fd_close(&ring->relay_fd);
	fd_close(&ring->err_fd);
}

void vhost_ring_start(struct vhost_ring *ring, const struct guest_memory *mem,
		      const struct ring_state *state, const struct datapath_wires *wires,
		      uint64_t features)
{
	struct ring areas;

	ring_start(&areas, mem, state, features);
	ring->started = true;
	ring->state = *state;
	ring->wires = *wires;
	ring->broken = areas.broken;
	ring->desc = areas.broken ? 0 : (uintptr_t)areas.desc;
	ring->driver = areas.broken ? 0 : (uintptr_t)areas.driver;
	ring->device = areas.broken ? 0 : (uintptr_t)areas.device;
	/* What another ring's server left there is not ours. */
	fd_eventfd_drain(ring->relay_fd);
	fd_eventfd_drain(ring->err_fd);
}

int vhost_ring_call_fd(const struct vhost_ring *ring)
{
	return ring->wires.interrupt_status ? ring->relay_fd : ring->wires.call_fd;
}

void vhost_ring_interrupt(const struct vhost_ring *ring)
{
	if (ring->wires.interrupt_status)
		atomic_fetch_or(ring->wires.interrupt_status, VIRTIO_MMIO_INT_VRING);
	fd_eventfd_signal_shared(ring->wires.call_fd);
}
