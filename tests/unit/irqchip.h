/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real VM with one vCPU that never runs: what reaches its interrupt controller can be looked at.
 * For tests of what goes through KVM; on a machine without it they are skipped. irqchip.c of the
 * architecture implements it.
 */
#ifndef TESTS_UNIT_IRQCHIP_H
#define TESTS_UNIT_IRQCHIP_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/core/kvm.h"

struct irqchip {
	struct kvm_vm vm;
	struct kvm_vcpu vcpu;
};

/*
 * A message of @data, 0x40 to 0xff, to this address is the interrupt of that number, whichever
 * function of the first slots sends it.
 */
extern const uint32_t irqchip_msi_address;

/* False where there is no KVM. One at a time. */
bool irqchip_create(struct irqchip *chip);
void irqchip_destroy(struct irqchip *chip);

/* Is message @number there, for the vCPU to take? Takes it. */
bool irqchip_take(struct irqchip *chip, uint8_t number);

/* Is the pin that @gsi stands for asserted? */
bool irqchip_pin(struct irqchip *chip, uint32_t gsi);

/* KVM may inject from a kernel thread: so look for it, until it is there or 10 s are over. */
#define irqchip_eventually(condition)                                           \
	do {                                                                    \
		time_t end_ = time(NULL) + 10;                                  \
		bool is_;                                                       \
		while (!(is_ = (condition)) && time(NULL) < end_)               \
			nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL); \
		ck_assert_msg(is_, "never came: %s", #condition);               \
	} while (0)

#endif
