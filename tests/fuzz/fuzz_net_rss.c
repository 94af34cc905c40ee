/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames as hostile input of the receive hash. The first four bytes choose the hash types, the rest
 * is the frame. What lies behind the bytes that decide must not matter, and a report must be of a
 * type that is enabled.
 */
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "virtio/net_rss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_rss rss = {0};
	uint16_t report, again;
	uint32_t hash;

	if (size < 4)
		return 0;
	memcpy(&rss.hash_types, data, 4);
	data += 4;
	size -= 4;
	for (unsigned int i = 0; i < NET_RSS_KEY_SIZE; i++)
		rss.key[i] = (uint8_t)(i * 37 + 1);
	hash = net_rss_hash(&rss, data, size, &report);
	require(report ? report <= 9 && rss.hash_types >> (report - 1) & 1 : hash == 0);
	if (size > NET_RSS_HEADER) {
		require(net_rss_hash(&rss, data, NET_RSS_HEADER, &again) == hash);
		require(again == report);
	}
	return 0;
}
