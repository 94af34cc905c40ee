/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers behind ACPI's power management on a hardware-reduced platform (ACPI 6.4, sections
 * 4.1 and 4.8.3.7): sleep control and status, reset, and the event selector that the AML of the
 * Generic Event Device reads (section 5.6.9). One byte each.
 */
#ifndef DEVICES_ACPI_PM_H
#define DEVICES_ACPI_PM_H

#include "devices/bus.h"
#include "devices/guest_exit.h"

enum {
	ACPI_PM_SLEEP_CONTROL = 0, /* FADT SLEEP_CONTROL_REG */
	ACPI_PM_SLEEP_STATUS = 1,  /* FADT SLEEP_STATUS_REG */
	ACPI_PM_RESET = 2,	   /* FADT RESET_REG */
	ACPI_PM_EVENTS = 3,	   /* what happened since the last read, ACPI_PM_EVENT_* */
	ACPI_PM_SIZE = 4,
};

enum {
	ACPI_PM_EVENT_POWER_BUTTON = 1 << 0,
};

enum {
	ACPI_PM_RESET_VALUE = 1, /* FADT RESET_VALUE */
	ACPI_PM_S5_TYPE = 5,	 /* SLP_TYP of \_S5 */
};

struct acpi_pm {
	struct guest_exit_sink exit;
	int irq_fd; /* borrowed: the Generic Event Device's interrupt, asserted until the guest
		     * has looked */
	_Atomic uint8_t events; /* ACPI_PM_EVENT_* that the guest has not read yet */
};

void acpi_pm_init(struct acpi_pm *pm, const struct guest_exit_sink *exit, int irq_fd);

/* Press the power button. Any thread. */
void acpi_pm_power_button(struct acpi_pm *pm);

/* The guest ended or unmasked the interrupt: raise it again if it has not looked. Any thread. */
void acpi_pm_resample(struct acpi_pm *pm);

/* For bus_add(), with the struct acpi_pm as the device. */
extern const struct bus_ops acpi_pm_bus_ops;

#endif
