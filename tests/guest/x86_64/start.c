/* SPDX-License-Identifier: Apache-2.0 */
/* The first C code, in ring 3: from the state that head.S left to main(). */
#include "lib/guest.h"
#include "lib/serial.h"
#include "lib/string.h"
#include "x86_64/boot.h"
#include "x86_64/cpu.h"
#include "x86_64/ring0.h"
#include "x86_64/trap.h"

enum {
	PORT_DEBUG_EXIT = 0xf4,
	PORT_PIC1_MASK = 0x21,
	PORT_PIC2_MASK = 0xa1,
};

extern uint8_t bss_start[], bss_end[];
_Noreturn void guest_start(unsigned int protocol, uintptr_t boot_data); /* from head.S */

/* Interrupts are on in ring 3, and an 8259A that nobody set up would use vectors of exceptions. */
static uint64_t do_mask_pics(uint64_t unused, uint64_t unused2, uint64_t unused3)
{
	(void)unused;
	(void)unused2;
	(void)unused3;
	out8(PORT_PIC1_MASK, 0xff);
	out8(PORT_PIC2_MASK, 0xff);
	return 0;
}

static uint64_t do_halt(uint64_t unused, uint64_t unused2, uint64_t unused3)
{
	(void)unused;
	(void)unused2;
	(void)unused3;
	__asm__ volatile("cli; hlt");
	return 0;
}

void guest_start(unsigned int protocol, uintptr_t boot_data)
{
	memset(bss_start, 0, (size_t)(bss_end - bss_start));
	trap_init();
	ring0_call(do_mask_pics, 0, 0, 0);
	serial_init();
	boot_read(protocol, boot_data);
	guest_exit(main());
}

void halt(void)
{
	for (;;)
		ring0_call(do_halt, 0, 0, 0);
}

void guest_exit(int status)
{
	port_write(PORT_DEBUG_EXIT, 1, (uint8_t)status);
	halt();
}

uint64_t clock_ticks(void)
{
	return read_tsc();
}

/* No clock is needed for this, and none is sure to be there: no TSC is faster than 4 GHz. */
deadline_t deadline(unsigned int milliseconds)
{
	return read_tsc() + milliseconds * 4000000ull;
}
