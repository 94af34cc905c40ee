/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net_faults_spec.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "vmm/core/error.h"

enum {
	MILLION = 1000000,
	PERCENT = MILLION / 100,
	OPTION_SIZE = 64, /* "net-switch: duplicate", for messages */
	PART_SIZE = 64,	  /* of a rate */
};

static const uint64_t delay_max_us = 1000ULL * MILLION;
static const uint64_t bits_max = 100ULL * 1000 * MILLION;
static const uint64_t packets_max = 1000ULL * MILLION, burst_max = 1000ULL * MILLION;

const char *const net_faults_keys[] = {
	"loss", "duplicate", "corrupt", "reorder", "delay", "rate", "seed", NULL,
};

/* --- shares --- */

static int parse_share(const struct spec *spec, const char *key, uint32_t *of_a_million,
		       struct error *err)
{
	const char *text = spec_value(spec, key), *rest = text;
	uint64_t percent = 0;

	if (!text)
		return 0;
	/* A percentage in millionths; a millionth is 0.0001%. */
	if (!spec_decimal(&rest, &percent) || strcmp(rest, "%") != 0 ||
	    percent > 100ULL * MILLION || percent % 100)
		return error_usage(
			err,
			"%s: %s: '%s' is not a share like 1%% or 0.05%% (0%% to 100%%, at "
			"most four decimals)",
			spec->option, key, text);
	*of_a_million = (uint32_t)(percent / (MILLION / PERCENT));
	return 0;
}

/* --- times --- */

/* As a whole the text up to @end. */
static bool parse_time(const char *text, const char *end, uint64_t *us)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = {{"us", 1}, {"ms", 1000}, {"s", MILLION}};
	uint64_t millionths;

	if (!spec_decimal(&text, &millionths) || text > end)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if ((size_t)(end - text) != len || strncmp(text, units[i].name, len) != 0)
			continue;
		*us = millionths * units[i].us / MILLION;
		return millionths * units[i].us % MILLION == 0 && *us <= delay_max_us;
	}
	return false;
}

static int parse_delay(const struct spec *spec, struct xvmm_net_faults *faults, struct error *err)
{
	const char *text = spec_value(spec, "delay");
	const char *jitter = text ? strchr(text, '~') : NULL;

	if (!text)
		return 0;
	if (parse_time(text, jitter ? jitter : text + strlen(text), &faults->delay_us) &&
	    (!jitter || parse_time(jitter + 1, text + strlen(text), &faults->jitter_us)))
		return 0;
	return error_usage(
		err,
		"%s: delay: '%s' is not a time like 10ms, or one with jitter like 10ms~2ms "
		"(units: us, ms, s; in whole us, up to 1000s)",
		spec->option, text);
}

/* --- rates --- */

/* Bits or packets, as the unit says. False if it isn't one. */
static bool parse_per_second(const char *text, bool *packets, uint64_t *per_second)
{
	static const struct {
		const char *name;
		uint64_t factor;
		bool packets;
	} units[] = {
		{"bit", 1, false},	  {"kbit", 1000, false},
		{"mbit", MILLION, false}, {"gbit", 1000ULL * MILLION, false},
		{"pps", 1, true},
	};
	uint64_t millionths;

	if (!spec_decimal(&text, &millionths))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcasecmp(text, units[i].name) != 0)
			continue;
		if (millionths > UINT64_MAX / units[i].factor)
			return false;
		*packets = units[i].packets;
		*per_second = millionths * units[i].factor / MILLION;
		return *per_second > 0 && *per_second <= (*packets ? packets_max : bits_max);
	}
	return false;
}

/* RATE[/BURST], in @part, which is changed. */
static int parse_rate_part(const struct spec *spec, char *part, struct xvmm_net_faults *faults,
			   struct error *err)
{
	char *burst = strchr(part, '/');
	struct xvmm_rate *rate, parsed = {0};
	char option[OPTION_SIZE];
	bool packets;
	int ret = 0;

	if (burst)
		*burst++ = '\0';
	if (!parse_per_second(part, &packets, &parsed.per_second))
		return error_usage(err,
				   "%s: rate: '%s' is not a rate like 10mbit, 10mbit/32K or "
				   "1000pps/10 (units: bit, kbit, mbit, gbit, up to 100gbit; pps)",
				   spec->option, part);
	rate = packets ? &faults->packets : &faults->bits;
	if (rate->per_second)
		return error_usage(err, "%s: rate: two limits of %s", spec->option,
				   packets ? "packets" : "bits");
	snprintf(option, sizeof(option), "%s: rate: burst", spec->option);
	if (burst && packets)
		ret = spec_number(option, burst, 1, burst_max, &parsed.burst, err);
	else if (burst)
		ret = spec_size(option, burst, &parsed.burst, err);
	if (!ret && burst && (!parsed.burst || parsed.burst > burst_max))
		ret = error_usage(err, "%s: '%s' is not from 1 byte to 10^9", option, burst);
	*rate = parsed;
	return ret;
}

static int parse_rate(const struct spec *spec, struct xvmm_net_faults *faults, struct error *err)
{
	const char *text = spec_value(spec, "rate");
	char part[PART_SIZE];
	int ret = 0;

	while (text && !ret) {
		const char *plus = strchr(text, '+');
		size_t len = plus ? (size_t)(plus - text) : strlen(text);

		/* What is cut is none. */
		snprintf(part, sizeof(part), "%.*s", len < sizeof(part) ? (int)len : 0, text);
		ret = parse_rate_part(spec, part, faults, err);
		text = plus ? plus + 1 : NULL;
	}
	return ret;
}

/* --- all of them --- */

static int parse_seed(const struct spec *spec, struct xvmm_net_faults *faults, struct error *err)
{
	const char *text = spec_value(spec, "seed");
	char option[OPTION_SIZE];
	uint64_t seed = 0;
	int ret;

	if (!text)
		return 0;
	snprintf(option, sizeof(option), "%s: seed", spec->option);
	ret = spec_number(option, text, 0, UINT32_MAX, &seed, err);
	faults->has_seed = true;
	faults->seed = (uint32_t)seed;
	if (!ret && !faults->enabled)
		ret = error_usage(err,
				  "%s: seed is that of faults: it needs loss, duplicate, corrupt, "
				  "reorder, delay or rate",
				  spec->option);
	return ret;
}

int net_faults_parse(const struct spec *spec, struct xvmm_net_faults *faults, struct error *err)
{
	int ret;

	for (size_t i = 0; net_faults_keys[i]; i++) {
		if (strcmp(net_faults_keys[i], "seed") != 0 && spec_value(spec, net_faults_keys[i]))
			faults->enabled = true;
	}
	ret = parse_share(spec, "loss", &faults->loss, err);
	if (!ret)
		ret = parse_share(spec, "duplicate", &faults->duplicate, err);
	if (!ret)
		ret = parse_share(spec, "corrupt", &faults->corrupt, err);
	if (!ret)
		ret = parse_share(spec, "reorder", &faults->reorder, err);
	if (!ret)
		ret = parse_delay(spec, faults, err);
	if (!ret)
		ret = parse_rate(spec, faults, err);
	if (!ret)
		ret = parse_seed(spec, faults, err);
	return ret ? ret : net_faults_check(spec->option, faults, err);
}

int net_faults_check(const char *who, const struct xvmm_net_faults *faults, struct error *err)
{
	if (!faults->enabled)
		return 0;
	if (faults->loss > MILLION || faults->duplicate > MILLION || faults->corrupt > MILLION ||
	    faults->reorder > MILLION)
		return error_usage(err, "%s: a share is at most %d in a million", who, MILLION);
	if (faults->reorder && !faults->delay_us)
		return error_usage(
			err, "%s: reorder needs delay: packets overtake those that are delayed",
			who);
	if (faults->jitter_us > faults->delay_us)
		return error_usage(err, "%s: delay: jitter is at most as long as the delay itself",
				   who);
	if (faults->delay_us > delay_max_us || faults->bits.per_second > bits_max ||
	    faults->packets.per_second > packets_max || faults->bits.burst > burst_max ||
	    faults->packets.burst > burst_max)
		return error_usage(err,
				   "%s: a delay of more than 1000 s, a rate of more than "
				   "100 Gbit/s or 10^9 packets/s, or a burst of more than 10^9",
				   who);
	return 0;
}
