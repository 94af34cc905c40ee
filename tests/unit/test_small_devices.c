/* SPDX-License-Identifier: Apache-2.0 */
/* The devices with a handful of registers: acpi_pm, debug_exit, pvpanic. */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#include "devices/acpi_pm.h"
#include "devices/bus.h"
#include "devices/debug_exit.h"
#include "devices/pvpanic.h"
#include "vmm/core/fd.h"

struct reports {
	unsigned int count;
	enum guest_exit reason;
	int value;
};

static void report(void *opaque, enum guest_exit reason, int value)
{
	struct reports *reports = opaque;

	reports->count++;
	reports->reason = reason;
	reports->value = value;
}

static struct reports reports;
static const struct guest_exit_sink sink = {report, &reports};
static struct bus bus;

static void setup(void)
{
	reports = (struct reports){0};
	bus = (struct bus){0};
}

static void attach(uint64_t base, uint64_t size, const struct bus_ops *ops, void *device)
{
	const struct bus_range range = {base, size, ops, device};

	ck_assert_int_eq(bus_add(&bus, &range, NULL), 0);
}

static void out8(uint64_t addr, uint8_t value)
{
	bus_write(&bus, addr, &value, 1);
}

static uint8_t in8(uint64_t addr)
{
	uint8_t value = 0;

	bus_read(&bus, addr, &value, 1);
	return value;
}

START_TEST(pm_sleep)
{
	struct acpi_pm pm;

	acpi_pm_init(&pm, &sink, -1);
	attach(0x600, ACPI_PM_SIZE, &acpi_pm_bus_ops, &pm);
	/* Only SLP_EN with the type of \_S5 does anything. */
	for (unsigned int value = 0; value < 256; value++) {
		unsigned int before = reports.count;
		bool off = value & 0x20 && (value >> 2 & 7) == ACPI_PM_S5_TYPE;

		out8(0x600 + ACPI_PM_SLEEP_CONTROL, (uint8_t)value);
		ck_assert_uint_eq(reports.count, before + (off ? 1 : 0));
		if (off)
			ck_assert_int_eq(reports.reason, GUEST_EXIT_POWER_OFF);
	}
	ck_assert_uint_gt(reports.count, 0);
	ck_assert_uint_eq(in8(0x600 + ACPI_PM_SLEEP_CONTROL), 0);
	reports.count = 0;
	out8(0x600 + ACPI_PM_SLEEP_STATUS, 0x80);
	ck_assert_uint_eq(in8(0x600 + ACPI_PM_SLEEP_STATUS), 0);
	ck_assert_uint_eq(reports.count, 0);
}
END_TEST

START_TEST(pm_reset)
{
	struct acpi_pm pm;

	acpi_pm_init(&pm, &sink, -1);
	attach(0x600, ACPI_PM_SIZE, &acpi_pm_bus_ops, &pm);
	for (unsigned int value = 0; value < 256; value++) {
		if (value != ACPI_PM_RESET_VALUE)
			out8(0x600 + ACPI_PM_RESET, (uint8_t)value);
	}
	ck_assert_uint_eq(reports.count, 0);
	out8(0x600 + ACPI_PM_RESET, ACPI_PM_RESET_VALUE);
	ck_assert_uint_eq(reports.count, 1);
	ck_assert_int_eq(reports.reason, GUEST_EXIT_RESET);
}
END_TEST

START_TEST(pm_power_button)
{
	struct acpi_pm pm;
	uint8_t all[4];
	int irq_fd = fd_eventfd();

	acpi_pm_init(&pm, &sink, irq_fd);
	attach(0x600, ACPI_PM_SIZE, &acpi_pm_bus_ops, &pm);
	ck_assert_uint_eq(in8(0x600 + ACPI_PM_EVENTS), 0);
	ck_assert_uint_eq(fd_eventfd_drain(irq_fd), 0);
	acpi_pm_power_button(&pm);
	ck_assert_uint_eq(fd_eventfd_drain(irq_fd), 1);
	/* Asserted anew until the guest has looked. */
	acpi_pm_resample(&pm);
	ck_assert_uint_eq(fd_eventfd_drain(irq_fd), 1);
	/* Reading other registers or writing takes nothing; reading this one does. */
	in8(0x600 + ACPI_PM_SLEEP_STATUS);
	in8(0x600 + ACPI_PM_RESET);
	out8(0x600 + ACPI_PM_EVENTS, 0xff);
	ck_assert_uint_eq(in8(0x600 + ACPI_PM_EVENTS), ACPI_PM_EVENT_POWER_BUTTON);
	ck_assert_uint_eq(in8(0x600 + ACPI_PM_EVENTS), 0);
	acpi_pm_resample(&pm);
	ck_assert_uint_eq(fd_eventfd_drain(irq_fd), 0);
	/* Every press raises an edge, read or not. */
	acpi_pm_power_button(&pm);
	acpi_pm_power_button(&pm);
	ck_assert_uint_eq(fd_eventfd_drain(irq_fd), 2);
	bus_read(&bus, 0x600, all, 4);
	ck_assert_uint_eq(all[ACPI_PM_EVENTS], ACPI_PM_EVENT_POWER_BUTTON);
	ck_assert_uint_eq(in8(0x600 + ACPI_PM_EVENTS), 0);
	ck_assert_uint_eq(reports.count, 0);
	close(irq_fd);
}
END_TEST

START_TEST(debug_exit_values)
{
	static const struct {
		uint8_t data[4];
		unsigned int len;
		int value;
	} cases[] = {
		{{0}, 1, 0},
		{{42}, 1, 42},
		{{255}, 1, 255},
		{{7, 0}, 2, 7},
		{{0, 1}, 2, 255},
		{{7, 0, 0, 0}, 4, 7},
		{{0, 0, 0, 0x80}, 4, 255},
		{{1, 0, 1, 0}, 4, 255},
		{{255, 255, 255, 255}, 4, 255},
	};
	struct debug_exit debug;

	debug_exit_init(&debug, &sink);
	attach(0xf4, DEBUG_EXIT_SIZE, &debug_exit_bus_ops, &debug);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bus_write(&bus, 0xf4, cases[i].data, cases[i].len);
		ck_assert_uint_eq(reports.count, i + 1);
		ck_assert_int_eq(reports.reason, GUEST_EXIT_DEBUG);
		ck_assert_int_eq(reports.value, cases[i].value);
	}
	reports.count = 0;
	out8(0xf5, 1);
	out8(0xf8, 1);
	ck_assert_uint_eq(in8(0xf4), 0xff);
	ck_assert_uint_eq(reports.count, 0);
}
END_TEST

START_TEST(pvpanic_events)
{
	struct pvpanic pvpanic;

	pvpanic_init(&pvpanic, &sink);
	attach(0x505, PVPANIC_SIZE, &pvpanic_bus_ops, &pvpanic);
	ck_assert_uint_eq(in8(0x505), PVPANIC_PANICKED);
	ck_assert_uint_eq(reports.count, 0);
	/* "A crash kernel is loaded" is not offered, and not the end. */
	out8(0x505, 0);
	out8(0x505, 2);
	ck_assert_uint_eq(reports.count, 0);
	out8(0x505, 1);
	ck_assert_uint_eq(reports.count, 1);
	ck_assert_int_eq(reports.reason, GUEST_EXIT_PANIC);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("small devices");
	TCase *tc = tcase_create("small devices");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, pm_sleep);
	tcase_add_test(tc, pm_reset);
	tcase_add_test(tc, pm_power_button);
	tcase_add_test(tc, debug_exit_values);
	tcase_add_test(tc, pvpanic_events);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
