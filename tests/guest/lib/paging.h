/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_LIB_PAGING_H
#define GUEST_LIB_PAGING_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Map [@base, @base + @size) to itself; it must not be mapped yet. The first 4 GiB always are.
 * @device: accesses are not cached.
 */
void map_identity(uint64_t base, uint64_t size, bool device);

#endif
