/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_AARCH64_IRQ_H
#define GUEST_AARCH64_IRQ_H

/* Take one interrupt of those that are pending, with interrupts off. */
void irq_handle(void);

#endif
