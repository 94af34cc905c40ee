/* SPDX-License-Identifier: Apache-2.0 */
/* The Power State Coordination Interface (Arm DEN 0022). */
#ifndef GUEST_AARCH64_PSCI_H
#define GUEST_AARCH64_PSCI_H

#include <stdint.h>

/* 5.1 */
enum psci_function {
	PSCI_CPU_OFF = 0x84000002, /* the one that calls */
	PSCI_SYSTEM_OFF = 0x84000008,
	PSCI_SYSTEM_RESET = 0x84000009,
	PSCI_CPU_ON = 0xc4000003, /* affinity, entry point, what x0 will be there */
};

enum {
	PSCI_ALREADY_ON = -4, /* 5.2.2 */
};

/* By hvc or smc, as the device tree says. Returns 0 or what went wrong, negative. */
int64_t psci_call(enum psci_function function, uint64_t a, uint64_t b, uint64_t c);

#endif
