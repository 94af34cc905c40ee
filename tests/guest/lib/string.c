/* SPDX-License-Identifier: Apache-2.0 */
/* memcpy() and memset() are the architecture's. */
#include "lib/string.h"

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *left = a;
	const unsigned char *right = b;

	for (size_t i = 0; i < len; i++)
		if (left[i] != right[i])
			return left[i] - right[i];
	return 0;
}

size_t strlen(const char *text)
{
	size_t len = 0;

	while (text[len] != '\0')
		len++;
	return len;
}
