/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debug-exit device: a test guest writes a number and the VM ends with it as its exit status.
 * Four ports, as QEMU's isa-debug-exit has; the value is taken as it is, not shifted as QEMU does.
 */
#ifndef DEVICES_DEBUG_EXIT_H
#define DEVICES_DEBUG_EXIT_H

#include "devices/bus.h"
#include "devices/guest_exit.h"

enum {
	DEBUG_EXIT_SIZE = 4,	  /* of the register range, in bytes */
	DEBUG_EXIT_LARGEST = 255, /* what an exit status holds; more is reported as this */
};

struct debug_exit {
	struct guest_exit_sink exit;
};

/* The device reports GUEST_EXIT_DEBUG with the value that was written to its first register. */
void debug_exit_init(struct debug_exit *debug, const struct guest_exit_sink *exit);

/* For bus_add(), with the struct debug_exit as the device. */
extern const struct bus_ops debug_exit_bus_ops;

#endif
