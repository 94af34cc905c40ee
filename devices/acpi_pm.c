/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/acpi_pm.h"

#include <stdatomic.h>

#include "vmm/core/fd.h"

/* The sleep control register (ACPI 6.4, table 4.20). */
enum {
	SLEEP_CONTROL_TYPE_SHIFT = 2,
	SLEEP_CONTROL_TYPE_MASK = 7,
	SLEEP_CONTROL_ENABLE = 1 << 5,
};

void acpi_pm_init(struct acpi_pm *pm, const struct guest_exit_sink *exit, int irq_fd)
{
	pm->exit = *exit;
	pm->irq_fd = irq_fd;
	atomic_init(&pm->events, 0);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
	/* The event first: whoever takes the interrupt must find it. */
	atomic_fetch_or(&pm->events, (uint8_t)ACPI_PM_EVENT_POWER_BUTTON);
	fd_eventfd_signal(pm->irq_fd);
}

void acpi_pm_resample(struct acpi_pm *pm)
{
	if (atomic_load(&pm->events))
		fd_eventfd_signal(pm->irq_fd);
}

static void acpi_pm_read(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	struct acpi_pm *pm = device;

	/* SLP_EN is write-only, and a guest that never sleeps never sees WAK_STS: zeroes. */
	for (unsigned int i = 0; i < len; i++)
		data[i] = offset + i == ACPI_PM_EVENTS ? atomic_exchange(&pm->events, 0) : 0;
}

static void write_byte(struct acpi_pm *pm, uint64_t offset, uint8_t value)
{
	switch (offset) {
	case ACPI_PM_SLEEP_CONTROL:
		/* \_S5 is the only sleep state there is: another type does nothing. */
		if (value & SLEEP_CONTROL_ENABLE && (value >> SLEEP_CONTROL_TYPE_SHIFT &
						     SLEEP_CONTROL_TYPE_MASK) == ACPI_PM_S5_TYPE)
			pm->exit.report(pm->exit.opaque, GUEST_EXIT_POWER_OFF, 0);
		break;
	case ACPI_PM_RESET:
		if (value == ACPI_PM_RESET_VALUE)
			pm->exit.report(pm->exit.opaque, GUEST_EXIT_RESET, 0);
		break;
	default:
		/* The sleep status register's only bit is cleared by a write; it is never set. */
		break;
	}
}

static void acpi_pm_write(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		write_byte(device, offset + i, data[i]);
}

const struct bus_ops acpi_pm_bus_ops = {
	.read = acpi_pm_read,
	.write = acpi_pm_write,
};
