/* SPDX-License-Identifier: Apache-2.0 */
#include "aarch64/psci.h"

#include "lib/fdt.h"
#include "lib/guest.h"

static bool by_hvc(void)
{
	struct fdt_node psci;

	if (!fdt_find("compatible", "arm,psci-0.2", 0, &psci))
		fatal("device tree: no PSCI");
	return fdt_has_string(&psci, "method", "hvc");
}

int64_t psci_call(enum psci_function function, uint64_t a, uint64_t b, uint64_t c)
{
	bool hvc = by_hvc();
	/* SMC Calling Convention (Arm DEN 0028), 2.6: x4 to x17 may change, too. */
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a;
	register uint64_t x2 __asm__("x2") = b;
	register uint64_t x3 __asm__("x3") = c;

	__asm__ volatile("cbz %w4, 1f; hvc #0; b 2f; 1: smc #0; 2:"
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			 : "r"(hvc)
			 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
			   "x15", "x16", "x17", "memory");
	return (int64_t)x0;
}
