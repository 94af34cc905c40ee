/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/debug_exit.h"

void debug_exit_init(struct debug_exit *debug, const struct guest_exit_sink *exit)
{
	debug->exit = *exit;
}

static void debug_exit_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	/* Nothing to read: all ones, as the bus has them. */
	(void)device;
	(void)offset;
	(void)data;
	(void)len;
}

static void debug_exit_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	struct debug_exit *debug = device;
	uint64_t value = 0;

	if (offset != 0)
		return;
	for (unsigned int i = 0; i < len; i++)
		value |= (uint64_t)data[i] << (8 * i);
	/* Cut to eight bits by exit(), 256 would look like success. */
	if (value > DEBUG_EXIT_LARGEST)
		value = DEBUG_EXIT_LARGEST;
	debug->exit.report(debug->exit.opaque, GUEST_EXIT_DEBUG, (int)value);
}

const struct bus_ops debug_exit_bus_ops = {
	.read = debug_exit_read,
	.write = debug_exit_write,
};
