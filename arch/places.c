/* SPDX-License-Identifier: Apache-2.0 */
/* Which device is where: of any architecture, by its table. */
#include "arch/places.h"

#include "vmm/core/error.h"

int arch_place_device(enum arch_device_kind kind, unsigned int index, struct arch_device *device,
		      struct error *err)
{
	unsigned int limit = kind == ARCH_DEVICE_VIRTIO_MMIO ? arch_max_virtio_mmio : 1;

	if (index >= limit)
		return error_usage(err, "too many devices: at most %u on virtio-mmio", limit);
	*device = arch_places[kind];
	device->kind = kind;
	device->base += index * device->size;
	if (device->gsi != ARCH_NO_GSI)
		device->gsi += index;
	return 0;
}
