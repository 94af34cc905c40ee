/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPECs: the values of options that have options of their own, as in
 * "tap0,mac=02:00:00:00:00:01,mtu=9000": a bare first word, then keys with values. Nothing is
 * ignored: an unknown, repeated or empty key is an error that lists the keys there are. One key may
 * be made to be repeated: it is listed with "..." behind it.
 */
#ifndef VMM_SPEC_H
#define VMM_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum {
	SPEC_MAX_KEYS = 64,
	SPEC_MAX_REPEATS = 64,
};

struct spec {
	const char *option; /* for messages: "--net" */
	const char *what;   /* for messages: whose keys they are, "a tap"; or NULL */
	char *text;	    /* owned: what the next ones point into */
	const char *first;
	const char *const *keys;		/* NULL at the end; at most SPEC_MAX_KEYS */
	const char *values[SPEC_MAX_KEYS];	/* by the index of the key; NULL: not given */
	const char *repeated[SPEC_MAX_REPEATS]; /* of the key that may be */
	size_t n_repeated;
};

/*
 * Take @text apart. @option, @what and @keys outlive the spec. All errors are usage errors, but for
 * -ENOMEM. On failure there is nothing to free.
 */
int spec_parse(struct spec *spec, const char *option, const char *text, const char *what,
	       const char *const *keys, struct error *err);
void spec_free(struct spec *spec);

/* The value of @key; NULL: not given, or no key of these. Valid until spec_free(). */
const char *spec_value(const struct spec *spec, const char *key);

/* "on" or "off"; *@value stays where the key wasn't given. */
int spec_flag(const struct spec *spec, const char *key, bool *value, struct error *err);

/* A decimal number from @min to @max. */
int spec_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *value,
		struct error *err);

/*
 * A decimal number, as 12 or 0.5, at *@text, in millionths; *@text is what follows it then. With a
 * point in any locale. False if there is none, or it has more than 9 digits before the point, or
 * more than 6 after it.
 */
bool spec_decimal(const char **text, uint64_t *millionths);

/* Seconds, as 3 or 0.5, from @min_ms on; in milliseconds. */
int spec_seconds(const char *option, const char *text, uint64_t min_ms, uint64_t *ms,
		 struct error *err);

/* One of @choices (NULL at the end), by its index. */
int spec_choice(const char *option, const char *text, const char *const *choices,
		unsigned int *index, struct error *err);

/* Choices of several options: "mmio", "pci". */
extern const char *const spec_transports[];

/* A size in bytes: a number, and K, M, G or T for the powers of 1024. */
int spec_size(const char *option, const char *text, uint64_t *bytes, struct error *err);

/* A unicast MAC address, "02:00:00:00:00:01". */
int spec_mac(const char *option, const char *text, uint8_t mac[6], struct error *err);

#endif
