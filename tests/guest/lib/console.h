/* SPDX-License-Identifier: Apache-2.0 */
/* What print() writes to; the architecture has it. */
#ifndef GUEST_LIB_CONSOLE_H
#define GUEST_LIB_CONSOLE_H

#include <stddef.h>

void console_write(const char *text, size_t len);

#endif
