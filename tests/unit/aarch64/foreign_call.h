/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_AARCH64_FOREIGN_CALL_H
#define TESTS_UNIT_AARCH64_FOREIGN_CALL_H

#include <unistd.h>

/*
 * A system call of another architecture: AArch32's set_tls(), which AArch64 doesn't have; there is
 * but one way in for both.
 */
static inline void foreign_call(void)
{
	syscall(0x0f0005);
}

#endif
