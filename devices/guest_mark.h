/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest-mark device: what a guest writes becomes a mark of the timeline, "guest-mark" with that
 * value. Four ports, of which the first one counts: one byte, or a number of two or four bytes,
 * little-endian.
 */
#ifndef DEVICES_GUEST_MARK_H
#define DEVICES_GUEST_MARK_H

#include "devices/bus.h"

struct timeline;

enum {
	GUEST_MARK_SIZE = 4, /* of the register range, in bytes */
};

struct guest_mark {
	struct timeline *timeline; /* borrowed */
};

void guest_mark_init(struct guest_mark *mark, struct timeline *timeline);

/* For bus_add(), with the struct guest_mark as the device. */
extern const struct bus_ops guest_mark_bus_ops;

#endif
