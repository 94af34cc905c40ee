/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_X86_64_FOREIGN_CALL_H
#define TESTS_UNIT_X86_64_FOREIGN_CALL_H

/*
 * A system call by another architecture's way in: getpid() of i386. SIGSEGV where the kernel has
 * none (CONFIG_IA32_EMULATION).
 */
static inline void foreign_call(void)
{
	__asm__ volatile("int $0x80" : : "a"(20) : "memory");
}

#endif
