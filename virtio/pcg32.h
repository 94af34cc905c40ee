/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator PCG32 (M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically
 * Good Algorithms for Random Number Generation", XSH-RR 64/32): repeatable numbers, no secrets.
 */
#ifndef VIRTIO_PCG32_H
#define VIRTIO_PCG32_H

#include <stdint.h>

struct pcg32 {
	uint64_t state;
	uint64_t increment;
};

/* The next number, of all 32 bits. */
static inline uint32_t pcg32_next(struct pcg32 *pcg)
{
	const uint64_t state = pcg->state;
	const uint32_t xorshifted = (uint32_t)((state >> 18 ^ state) >> 27);
	const unsigned int rotation = (unsigned int)(state >> 59);

	pcg->state = state * 6364136223846793005ULL + pcg->increment;
	return xorshifted >> rotation | xorshifted << (-rotation & 31);
}

/* Another @stream is another sequence, of the same @seed. */
static inline struct pcg32 pcg32_seed(uint64_t seed, uint64_t stream)
{
	struct pcg32 pcg = {.increment = stream << 1 | 1};

	pcg32_next(&pcg);
	pcg.state += seed;
	pcg32_next(&pcg);
	return pcg;
}

/* A number from 0 to @limit - 1, or 0, made of @draw, one of pcg32_next(). */
static inline uint32_t pcg32_below(uint32_t draw, uint32_t limit)
{
	return (uint32_t)((uint64_t)draw * limit >> 32);
}

#endif
