/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/guest_mark.h"

#include "vmm/core/timeline.h"

void guest_mark_init(struct guest_mark *mark, struct timeline *timeline)
{
	mark->timeline = timeline;
}

static void guest_mark_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	/* Nothing to read: all ones, as the bus has them. */
	(void)device;
	(void)offset;
	(void)data;
	(void)len;
}

static void guest_mark_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct guest_mark *mark = device;
	uint32_t value = 0;

	if (offset != 0)
		return;
	for (unsigned int i = 0; i < len && i < sizeof(value); i++)
		value |= (uint32_t)data[i] << (8 * i);
	timeline_mark_guest(mark->timeline, value);
}

const struct bus_ops guest_mark_bus_ops = {
	.read = guest_mark_read,
	.write = guest_mark_write,
};
