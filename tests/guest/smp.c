/* SPDX-License-Identifier: Apache-2.0 */
/* All "cpus" CPUs that the tables list start, and run at once; each is the one that they say. */
#include "lib/smp.h"

#include "lib/guest.h"
#include "smp_identity.h"

static uint32_t running;

static void other_cpu(unsigned int cpu)
{
	smp_identity_note(cpu);
	__atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
	halt();
}

int main(void)
{
	unsigned int n = smp_cpus();
	unsigned int expected = (unsigned int)arg_number("cpus", 1);

	check(n == expected && n <= SMP_IDENTITY_MAX, "%u CPUs are listed: %u", expected, n);
	smp_identity_note(0);
	for (unsigned int i = 1; i < n && i < SMP_IDENTITY_MAX; i++)
		check(smp_start(i, other_cpu), "CPU %u starts", i);
	for (deadline_t d = deadline(1000);
	     __atomic_load_n(&running, __ATOMIC_ACQUIRE) < n - 1 && !deadline_passed(d);)
		;
	check(running == n - 1, "%u other CPUs ran", running);
	for (unsigned int i = 0; i < n && i < SMP_IDENTITY_MAX; i++)
		smp_identity_check(i, n);
	return check_done();
}
