/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic: one register by which a guest's kernel says that it panicked (QEMU,
 * docs/specs/pvpanic.rst). Of the events we offer only "panicked": a guest with a crash kernel
 * goes on to boot that, which is not the end of it.
 */
#ifndef DEVICES_PVPANIC_H
#define DEVICES_PVPANIC_H

#include "devices/bus.h"
#include "devices/guest_exit.h"

enum {
	PVPANIC_SIZE = 1, /* of the register range, in bytes */
};

enum {
	PVPANIC_PANICKED = 1 << 0,
};

struct pvpanic {
	struct guest_exit_sink exit;
};

/* The device reports GUEST_EXIT_PANIC. */
void pvpanic_init(struct pvpanic *pvpanic, const struct guest_exit_sink *exit);

/* For bus_add(), with the struct pvpanic as the device. */
extern const struct bus_ops pvpanic_bus_ops;

#endif
