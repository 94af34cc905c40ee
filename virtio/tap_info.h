/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a network interface that may be a tap: by netlink, as `ip -d link`. */
#ifndef VIRTIO_TAP_INFO_H
#define VIRTIO_TAP_INFO_H

#include <stdbool.h>
#include <stdint.h>

struct tap_info {
	bool up;
	bool tun_driver; /* a tun or tap device; what follows is 0 otherwise */
	bool tap;	 /* of the two a tap */
	bool multi_queue;
	uint32_t queues; /* of a multi-queue tap: how many descriptors are attached to it */
	bool has_owner;
	uint32_t owner; /* uid */
	bool has_group;
	uint32_t group; /* gid */
	bool bridge;	/* none of the above, but a bridge */
};

/*
 * Ask for the interface @name of this thread's network namespace. 0, -ENODEV if there is none, or
 * another negative errno. Any thread.
 */
int tap_info_get(const char *name, struct tap_info *info);

#endif
