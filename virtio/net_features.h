/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features that a network device may offer and that can be switched off by their names: those
 * of virtio-net (virtio 1.3, 5.1.3) and of its rings (6). What isn't here is never offered, but for
 * VERSION_1, MAC and MTU, which follow from the device's options.
 */
#ifndef VIRTIO_NET_FEATURES_H
#define VIRTIO_NET_FEATURES_H

#include <linux/virtio_config.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/defs.h"

struct net_feature {
	const char *name; /* the specification's, in lower case and without its prefix */
	uint64_t bit;
	uint64_t needs; /* nothing without one of these; 0: stands alone */
	bool of_device; /* the device is not to offer it without them; a driver may accept it */
};

/* NULL is the name after the last one. */
extern const struct net_feature net_features[];

/* What takes no datapath: the device serves it by itself, or it is best effort (5.1.6.5.1). */
extern const uint64_t net_features_own;

/* What the driver may switch while it runs (5.1.6.5.8.1). */
extern const uint64_t net_features_guest_offloads;

/* Permits what need not be done, so that a datapath which can't is given it all the same. */
extern const uint64_t net_features_optional;

/* What every kind of datapath can, besides these two: with it a device can move to any. */
extern const uint64_t net_features_common;

/* The bit of the feature with that name; 0: there is none. */
uint64_t net_features_find(const char *name);

/* The entry of the lowest of these features, which are not 0; NULL if it isn't in the table. */
const struct net_feature *net_features_first(uint64_t features);

/* @features without what is not in the table, or lacks what it needs. */
uint64_t net_features_offer(uint64_t features);

/* May a driver have these together (5.1.3.1)? */
bool net_features_valid(uint64_t features);

#endif
