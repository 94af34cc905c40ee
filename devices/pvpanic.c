/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/pvpanic.h"

void pvpanic_init(struct pvpanic *pvpanic, const struct guest_exit_sink *exit)
{
	pvpanic->exit = *exit;
}

/* Reading gives the events that the device knows. */
static void pvpanic_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	(void)device;
	(void)offset;
	(void)len; /* 1: the range has no more */
	data[0] = PVPANIC_PANICKED;
}

static void pvpanic_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct pvpanic *pvpanic = device;

	(void)offset;
	(void)len;
	if (data[0] & PVPANIC_PANICKED)
		pvpanic->exit.report(pvpanic->exit.opaque, GUEST_EXIT_PANIC, 0);
}

const struct bus_ops pvpanic_bus_ops = {
	.read = pvpanic_read,
	.write = pvpanic_write,
};
