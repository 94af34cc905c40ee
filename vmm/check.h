/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `xvmm check`: what a run with these options would find on this machine, and what its network
 * devices would offer to the guest. Nothing is run, and nothing is left behind; but taps are
 * attached to for a moment, ports listened at, and vhost-user back-ends talked to, as a run would.
 */
#ifndef VMM_CHECK_H
#define VMM_CHECK_H

#include <stdbool.h>

struct options;

/*
 * Print what there is to say on standard output, all of it. Whether a run could begin. By a process
 * with one thread.
 */
bool check_run(const struct options *options);

#endif
