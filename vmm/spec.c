/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/spec.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"
#include "vmm/near.h"

enum {
	MEANT_SIZE = 64,
};

/* "known keys: a, b, c" */
static const char *list_keys(const struct spec *spec, char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "known keys%s%s: ", spec->what ? " of " : "",
				      spec->what ? spec->what : "");

	for (size_t i = 0; spec->keys[i] && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i ? ", " : "",
					spec->keys[i]);
	return text;
}

/* What others call it, or what is another backend's. */
static const struct {
	const char *name, *cure;
} elsewhere[] = {
	{"ifname", "the tap's name as the first word"},
	{"tap", "the tap's name as the first word"},
	{"path", "socket"},
	{"vhost_socket", "socket"},
	{"socket", "vhost-user as the first word"},
	{"hostfwd", "user as the first word"},
	{"macaddr", "mac"},
	{"guest_mac", "mac"},
	{"num_queues", "queues"},
	{"prefault", "prealloc"},
};

static const char repeats[] = "...";

/* "; try: mtu", or nothing, for what isn't one of the keys. */
static const char *meant_by(const struct spec *spec, const char *key, char text[MEANT_SIZE])
{
	const char *cure = near_word(key, spec->keys);

	*text = '\0';
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (strcmp(key, elsewhere[i].name) == 0)
			cure = elsewhere[i].cure;
	}
	if (cure)
		snprintf(text, MEANT_SIZE, "; try: %.*s", (int)strcspn(cure, repeats), cure);
	return text;
}

static int key_index(const struct spec *spec, const char *key)
{
	size_t len = strlen(key);

	for (int i = 0; spec->keys[i]; i++) {
		const char *known = spec->keys[i];

		if (strncmp(known, key, len) == 0 &&
		    (!known[len] || strcmp(known + len, repeats) == 0))
			return i;
	}
	return -1;
}

static int add_repeated(struct spec *spec, const char *key, const char *value, struct error *err)
{
	if (spec->n_repeated == SPEC_MAX_REPEATS)
		return error_usage(err, "%s: key '%s' is given more than %d times", spec->option,
				   key, SPEC_MAX_REPEATS);
	spec->repeated[spec->n_repeated++] = value;
	return 0;
}

static int parse_pair(struct spec *spec, char *pair, struct error *err)
{
	char *value = strchr(pair, '=');
	char known[1024], meant[MEANT_SIZE];
	int i;

	if (!*pair)
		return error_usage(err, "%s: a comma has nothing behind it", spec->option);
	if (value)
		*value++ = '\0';
	i = key_index(spec, pair);
	if (i < 0)
		return error_usage(err, "%s: unknown key '%s' (%s)%s", spec->option, pair,
				   list_keys(spec, known, sizeof(known)),
				   meant_by(spec, pair, meant));
	if (!value || !*value)
		return error_usage(err, "%s: key '%s' needs a value: %s=VALUE", spec->option, pair,
				   pair);
	if (strstr(spec->keys[i], repeats))
		return add_repeated(spec, pair, value, err);
	if (spec->values[i])
		return error_usage(err, "%s: key '%s' is given twice (%s)", spec->option, pair,
				   list_keys(spec, known, sizeof(known)));
	spec->values[i] = value;
	return 0;
}

int spec_parse(struct spec *spec, const char *option, const char *text, const char *what,
	       const char *const *keys, struct error *err)
{
	char *next;
	int ret = 0;

	*spec = (struct spec){
		.option = option,
		.what = what,
		.keys = keys,
		.text = strdup(text),
	};
	if (!spec->text)
		return error_set(err, -ENOMEM, "out of memory");
	next = spec->text;
	spec->first = strsep(&next, ",");
	if (!*spec->first || strchr(spec->first, '='))
		ret = error_usage(err, "%s: '%s' does not begin with a bare word", option, text);
	while (!ret && next)
		ret = parse_pair(spec, strsep(&next, ","), err);
	if (ret)
		spec_free(spec);
	return ret;
}

void spec_free(struct spec *spec)
{
	free(spec->text);
	spec->text = NULL;
}

const char *spec_value(const struct spec *spec, const char *key)
{
	int i = key_index(spec, key);

	return i < 0 ? NULL : spec->values[i];
}

int spec_flag(const struct spec *spec, const char *key, bool *value, struct error *err)
{
	const char *text = spec_value(spec, key);

	if (!text)
		return 0;
	*value = strcmp(text, "on") == 0;
	if (!*value && strcmp(text, "off") != 0)
		return error_usage(err, "%s: %s=%s: must be on or off", spec->option, key, text);
	return 0;
}

int spec_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value,
		struct error *err)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || *value < min || *value > max)
		return error_usage(err, "%s: '%s' is not a number from %llu to %llu", option, text,
				   (unsigned long long)min, (unsigned long long)max);
	return 0;
}

bool spec_decimal(const char **text, uint64_t *millionths)
{
	enum {
		MILLION = 1000000,
		DIGITS_MAX = 9, /* so that nothing overflows */
		DECIMALS_MAX = 6,
	};
	const char *at = *text;
	uint64_t unit = MILLION;
	int digits = 0, decimals = 0;

	for (*millionths = 0; isdigit((unsigned char)*at) && digits <= DIGITS_MAX; digits++)
		*millionths = *millionths * 10 + (uint64_t)(*at++ - '0') * MILLION;
	if (*at == '.') {
		for (at++; isdigit((unsigned char)*at) && decimals <= DECIMALS_MAX; decimals++) {
			unit /= 10;
			*millionths += (uint64_t)(*at++ - '0') * unit;
		}
		if (!decimals)
			return false;
	}
	*text = at;
	return digits && digits <= DIGITS_MAX && decimals <= DECIMALS_MAX;
}

int spec_seconds(const char *option, const char *text, uint64_t min_ms, uint64_t *ms,
		 struct error *err)
{
	const char *rest = text;
	uint64_t us;

	if (!spec_decimal(&rest, &us) || *rest || us / 1000 < min_ms)
		return error_usage(
			err,
			"%s: '%s' is not a number of seconds from %s to 999999999, with at "
			"most 6 decimals",
			option, text, min_ms ? "0.001" : "0");
	*ms = us / 1000;
	return 0;
}

const char *const spec_transports[] = {"mmio", "pci", NULL};

int spec_choice(const char *option, const char *text, const char *const *choices,
		unsigned int *index, struct error *err)
{
	char list[128] = "";
	size_t len = 0;

	for (unsigned int i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text) == 0) {
			*index = i;
			return 0;
		}
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
						i ? ", " : "", choices[i]);
	}
	return error_usage(err, "%s: '%s' is none of %s", option, text, list);
}

int spec_size(const char *option, const char *text, uint64_t *bytes, struct error *err)
{
	static const char units[] = "KMGT";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	if (isdigit((unsigned char)*text) && *end) {
		unit = strchr(units, toupper((unsigned char)*end));
		shift = unit ? 10 * (unsigned int)(unit - units + 1) : 0;
		end += unit != NULL;
	}
	if (!isdigit((unsigned char)*text) || *end || errno || *bytes > UINT64_MAX >> shift)
		return error_usage(err, "%s: '%s' is not a size like 512M or 4G", option, text);
	*bytes <<= shift;
	return 0;
}

/* Six times two hex digits, with colons between. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)strtoul(text, NULL, 16);
	}
	return true;
}

int spec_mac(const char *option, const char *text, uint8_t mac[6], struct error *err)
{
	if (!parse_mac(text, mac))
		return error_usage(err, "%s: '%s' is not a MAC address like 02:00:00:00:00:01",
				   option, text);
	if (mac[0] & 1)
		return error_usage(err,
				   "%s: '%s' is a multicast address; the first byte must be even",
				   option, text);
	if (!(mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]))
		return error_usage(err, "%s: a device can't have the MAC address %s", option, text);
	return 0;
}
