/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and interrupts. An exception that nobody expects is told and ends the guest.
 * An interrupt is only counted: what there is to do about it is done in ring 3, which watches the
 * counts.
 */
#ifndef GUEST_X86_64_TRAP_H
#define GUEST_X86_64_TRAP_H

#include <stdint.h>

enum {
	VECTOR_BREAKPOINT = 3, /* ring0_call() */
	VECTOR_FIRST_IRQ = 0x30,
	VECTOR_SPURIOUS = 0xff, /* the low four bits must be ones on old local APICs */
};

/* How often each vector was taken. */
extern volatile uint32_t trap_counts[256];

/* What is called at each interrupt, in ring 0, before it may come again. NULL: nothing. */
struct trap_handler {
	void (*call)(void *opaque);
	void *opaque;
};
extern struct trap_handler trap_handlers[256];

/* Fill the interrupt descriptor table, which cpu_init() loads. */
void trap_init(void);

#endif
