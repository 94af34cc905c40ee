/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a guest ends itself, and whom a device tells. */
#ifndef DEVICES_GUEST_EXIT_H
#define DEVICES_GUEST_EXIT_H

enum guest_exit {
	GUEST_EXIT_POWER_OFF,
	GUEST_EXIT_RESET,
	GUEST_EXIT_PANIC, /* it said so itself (pvpanic) */
	GUEST_EXIT_DEBUG, /* with the value that it wrote to the debug-exit device */
};

/* Given to a device at creation; report() is called from vCPU threads and returns at once. */
struct guest_exit_sink {
	void (*report)(void *opaque, enum guest_exit reason, int value);
	void *opaque;
};

#endif
