/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of the command sum(1), so that tests in shell can tell what it should be. */
#ifndef GUEST_LIB_SUM_H
#define GUEST_LIB_SUM_H

#include <stddef.h>
#include <stdint.h>

struct sum {
	uint16_t value;
};

static inline void sum_add(struct sum *sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		sum->value = (uint16_t)((sum->value >> 1) + (sum->value << 15) + bytes[i]);
}

#endif
