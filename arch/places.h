/* SPDX-License-Identifier: Apache-2.0 */
/* What an architecture gives to arch/places.c, which answers for all of them: arch_place_device().
 */
#ifndef ARCH_PLACES_H
#define ARCH_PLACES_H

#include "arch/arch.h"

/* By kind; there is one of each, but for the virtio devices, of which it is the first. */
extern const struct arch_device arch_places[ARCH_DEVICE_KINDS];

/* How many virtio devices there may be on virtio-mmio: one behind the other, as are their GSIs. */
extern const unsigned int arch_max_virtio_mmio;

#endif
