/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/smp.h"

#include "aarch64/cpu.h"
#include "aarch64/layout.h"
#include "aarch64/psci.h"
#include "lib/fdt.h"
#include "lib/guest.h"

extern const uint8_t secondary_entry[];
_Noreturn void smp_started(unsigned int cpu); /* from head.S */

/* One CPU is started at a time: what it shall run, and whether it got there. */
static void (*volatile start_function)(unsigned int cpu);
static volatile bool arrived;

unsigned int smp_cpus(void)
{
	struct fdt_node node;
	unsigned int n = 0;

	while (fdt_find("device_type", "cpu", n, &node))
		n++;
	return n;
}

uint64_t smp_hardware_id(unsigned int cpu)
{
	struct fdt_node node;
	uint32_t len;

	if (!fdt_find("device_type", "cpu", cpu, &node))
		fatal("device tree: it has fewer CPUs than were asked for");
	fdt_property(&node, "reg", &len);
	return fdt_number(&node, "reg", 0, len / 4);
}

void smp_started(unsigned int cpu)
{
	interrupts_on();
	arrived = true;
	start_function(cpu);
	fatal("CPU %u has nothing to do", cpu);
}

bool smp_start(unsigned int cpu, void (*function)(unsigned int cpu))
{
	deadline_t d = deadline(1000);
	int64_t error;

	if (cpu >= MAX_CPUS)
		fatal("this guest has stacks for %u CPUs", MAX_CPUS);
	start_function = function;
	arrived = false;
	/* One that was started before may be on its way to be off. */
	do
		error = psci_call(PSCI_CPU_ON, smp_hardware_id(cpu), (uintptr_t)secondary_entry,
				  cpu);
	while (error == PSCI_ALREADY_ON && !deadline_passed(d));
	while (error == 0 && !arrived && !deadline_passed(d))
		;
	return arrived;
}
