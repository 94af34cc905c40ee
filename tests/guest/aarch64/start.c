/* SPDX-License-Identifier: Apache-2.0 */
/* The first C code: from the state that head.S left to main(). */
#include "aarch64/boot.h"
#include "aarch64/cpu.h"
#include "aarch64/psci.h"
#include "lib/fdt.h"
#include "lib/guest.h"
#include "lib/serial.h"
#include "lib/string.h"

/* What no device tree tells of: xvmm's own, README.md. */
#define DEBUG_EXIT 0x10020000

/* Arm semihosting (SYS_EXIT, and why), which QEMU ends by with a status of the guest's choice. */
enum {
	SEMIHOSTING_EXIT = 0x18,
	SEMIHOSTING_APPLICATION_EXIT = 0x20026,
};

static uint64_t first_cpu; /* its affinity */

extern uint8_t bss_start[], bss_end[];
_Noreturn void guest_start(const void *tree); /* from head.S */

void guest_start(const void *tree)
{
	memset(bss_start, 0, (size_t)(bss_end - bss_start));
	first_cpu = read_affinity();
	boot_read(tree);
	serial_init();
	interrupts_on();
	guest_exit(main());
}

void halt(void)
{
	interrupts_off();
	/* Once it is off, smp_start() can start it again. */
	if (read_affinity() != first_cpu)
		psci_call(PSCI_CPU_OFF, 0, 0, 0);
	for (;;)
		wait_for_interrupt();
}

static void semihosting_exit(int status)
{
	const uint64_t block[] = {SEMIHOSTING_APPLICATION_EXIT, (uint8_t)status};
	register uint64_t w0 __asm__("x0") = SEMIHOSTING_EXIT;
	register uint64_t x1 __asm__("x1") = (uintptr_t)block;

	__asm__ volatile("hlt #0xf000" : "+r"(w0) : "r"(x1) : "memory");
}

void guest_exit(int status)
{
	struct fdt_node root = fdt_root();

	if (fdt_has_string(&root, "model", "xvmm"))
		*(volatile uint8_t *)DEBUG_EXIT = (uint8_t)status;
	else
		semihosting_exit(status);
	halt();
}

uint64_t clock_ticks(void)
{
	__asm__ volatile("isb");
	return READ_REGISTER(cntvct_el0);
}

deadline_t deadline(unsigned int milliseconds)
{
	return clock_ticks() + milliseconds * READ_REGISTER(cntfrq_el0) / 1000 + 1;
}
