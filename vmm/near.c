/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/near.h"

#include <stddef.h>
#include <string.h>

enum {
	LENGTH_MAX = 32,     /* of a word that is looked at */
	PREFIX_MIN = 3,	     /* a beginning that says something */
	LETTERS_A_FAULT = 3, /* a word may have one fault in so many letters */
	FAULTS_MAX = 2,
};

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * How many letters to insert, remove, replace or swap with the next one make @a of @b: the optimal
 * string alignment, row by row. Each has at most LENGTH_MAX.
 */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LENGTH_MAX + 1] = {0};
	size_t *before = rows[0], *last = rows[1], *row = rows[2];
	const size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		last[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			row[j] = min(last[j - 1] + (a[i - 1] != b[j - 1]),
				     min(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[n];
}

const char *near_word(const char *word, const char *const *words)
{
	const size_t len = strlen(word);
	const char *nearest = NULL, *longer = NULL;
	size_t least = FAULTS_MAX + 1;

	if (len > LENGTH_MAX)
		return NULL;
	for (size_t i = 0; words[i]; i++) {
		const size_t known = strlen(words[i]);
		size_t faults;

		if (!longer && len >= PREFIX_MIN && strncmp(words[i], word, len) == 0)
			longer = words[i];
		if (known > LENGTH_MAX)
			continue;
		faults = distance(word, words[i]);
		if (faults < least && faults * LETTERS_A_FAULT <= (len > known ? len : known)) {
			least = faults;
			nearest = words[i];
		}
	}
	return nearest ? nearest : longer;
}
