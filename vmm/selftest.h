/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xvmm selftest: the conformance suite of the virtio devices, on this machine's KVM. Its guest is
 * part of the program; the network that it needs is a thread that sends frames back.
 */
#ifndef VMM_SELFTEST_H
#define VMM_SELFTEST_H

#include <stdbool.h>

struct error;

struct selftest_options {
	bool help;
	unsigned int transports; /* one bit each of enum selftest_transport; 0: all */
	unsigned int rings;	 /* likewise, enum selftest_ring */
};

enum selftest_transport {
	SELFTEST_MMIO,
	SELFTEST_PCI,
};

enum selftest_ring {
	SELFTEST_SPLIT,
	SELFTEST_PACKED,
};

/* Parse @argv from argv[2] on. All errors are usage errors. */
int selftest_parse(struct selftest_options *options, int argc, char *const *argv,
		   struct error *err);

/* Print TAP on standard output. True if all cases passed; what is SKIPped did. */
bool selftest_run(const struct selftest_options *options);

/* The text of xvmm selftest --help. */
extern const char selftest_help[];

#endif
