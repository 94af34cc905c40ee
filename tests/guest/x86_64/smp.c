/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/smp.h"

#include "lib/acpi.h"
#include "lib/guest.h"
#include "lib/string.h"
#include "x86_64/apic.h"
#include "x86_64/segments.h"

extern const uint8_t trampoline[], trampoline_end[];
extern volatile uint32_t smp_starting;
_Noreturn void smp_started(unsigned int cpu); /* from trampoline.S */

/* One CPU is started at a time: which one, what it shall run, and whether it got there. */
volatile uint32_t smp_starting;
static void (*volatile start_function)(unsigned int cpu);
static volatile bool arrived;

unsigned int smp_cpus(void)
{
	const struct acpi_madt_local_apic *apic;
	const struct acpi_madt_local_x2apic *x2apic;
	unsigned int n = 0;

	for (unsigned int i = 0;
	     (apic = acpi_madt_entry(ACPI_MADT_LOCAL_APIC, sizeof(*apic), i)) != NULL; i++)
		n += !!(apic->flags & ACPI_MADT_ENABLED);
	for (unsigned int i = 0;
	     (x2apic = acpi_madt_entry(ACPI_MADT_LOCAL_X2APIC, sizeof(*x2apic), i)) != NULL; i++)
		n += !!(x2apic->flags & ACPI_MADT_ENABLED);
	return n;
}

uint64_t smp_hardware_id(unsigned int cpu)
{
	const struct acpi_madt_local_apic *apic;
	const struct acpi_madt_local_x2apic *x2apic;

	for (unsigned int i = 0;
	     (apic = acpi_madt_entry(ACPI_MADT_LOCAL_APIC, sizeof(*apic), i)) != NULL; i++)
		if ((apic->flags & ACPI_MADT_ENABLED) && cpu-- == 0)
			return apic->apic_id;
	for (unsigned int i = 0;
	     (x2apic = acpi_madt_entry(ACPI_MADT_LOCAL_X2APIC, sizeof(*x2apic), i)) != NULL; i++)
		if ((x2apic->flags & ACPI_MADT_ENABLED) && cpu-- == 0)
			return x2apic->apic_id;
	fatal("ACPI: the MADT has fewer CPUs than were asked for");
}

void smp_started(unsigned int cpu)
{
	apic_init();
	arrived = true;
	start_function(cpu);
	fatal("CPU %u has nothing to do", cpu);
}

bool smp_start(unsigned int cpu, void (*function)(unsigned int cpu))
{
	uint32_t id = (uint32_t)smp_hardware_id(cpu);

	if (cpu >= MAX_CPUS)
		fatal("this guest has stacks for %u CPUs", MAX_CPUS);
	memcpy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	smp_starting = cpu;
	start_function = function;
	arrived = false;
	apic_init();
	/* Intel SDM volume 3, 9.4.4. The second SIPI is for the case that the first is missed. */
	apic_send(id, APIC_ICR_INIT);
	for (int i = 0; i < 2 && !arrived; i++) {
		apic_send(id, APIC_ICR_STARTUP | TRAMPOLINE >> 12);
		for (deadline_t d = deadline(500); !arrived && !deadline_passed(d);)
			;
	}
	return arrived;
}
