/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a guest: words "name=value" of the kernel command line. */
#include "lib/boot_info.h"
#include "lib/guest.h"
#include "lib/string.h"

/* The value in place, as long as the rest of the command line; NULL without it. */
static const char *find(const char *name)
{
	size_t len = strlen(name);
	bool word_begins = true;

	for (const char *at = boot_info.cmdline; *at != '\0'; at++) {
		if (word_begins && memcmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
		word_begins = *at == ' ';
	}
	return NULL;
}

static size_t word_length(const char *word)
{
	size_t len = 0;

	while (word[len] != '\0' && word[len] != ' ')
		len++;
	return len;
}

const char *arg_string(const char *name, const char *otherwise)
{
	const char *value = find(name);

	return value == NULL ? otherwise : value;
}

bool arg_is(const char *name, const char *value)
{
	const char *is = find(name);

	return is != NULL && word_length(is) == strlen(value) &&
	       memcmp(is, value, strlen(value)) == 0;
}

static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	return 16;
}

uint64_t arg_number(const char *name, uint64_t otherwise)
{
	const char *at = find(name);
	unsigned int base = 10;
	uint64_t value = 0;

	if (at == NULL)
		return otherwise;
	if (at[0] == '0' && at[1] == 'x') {
		base = 16;
		at += 2;
	}
	for (; digit_value(*at) < base; at++)
		value = value * base + digit_value(*at);
	switch (*at) {
	case 'K':
		return value << 10;
	case 'M':
		return value << 20;
	case 'G':
		return value << 30;
	case ' ':
	case '\0':
		return value;
	default:
		fatal("%s: no number", name);
	}
}

bool arg_switch(const char *name, bool otherwise)
{
	if (find(name) == NULL)
		return otherwise;
	if (!arg_is(name, "on") && !arg_is(name, "off"))
		fatal("%s: neither on nor off", name);
	return arg_is(name, "on");
}
