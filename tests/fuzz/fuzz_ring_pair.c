/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver and a device may do in turns, on a split and on a packed ring at once: they must
 * move the same bytes. The input throws the dice.
 */
#include "tests/fuzz/fuzz.h"

#define MUST(condition) require(condition)
#include "tests/unit/ring_pair.h"

static struct input input;

static unsigned int dice(unsigned int n)
{
	return take(&input, 1) % n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct memory_range range = {0, 2 * STEP};
	static const struct memory_config config;
	uint64_t features;
	uint16_t ring_size;

	MUST(memory_create(&mem, &range, 1, &config, NULL) == 0);
	input = (struct input){data, size};
	features = INDIRECT | (dice(2) ? EVENT_IDX : 0);
	ring_size = (uint16_t)(1u << dice(7));
	pair_start(ring_size, features);
	while (input.len)
		pair_step(ring_size, features);
	memory_destroy(&mem);
	return 0;
}
