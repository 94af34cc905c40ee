/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM does, again and again, as a table: its vCPUs and the queues of its network devices. */
#ifndef VMM_CTL_TOP_H
#define VMM_CTL_TOP_H

#include <jansson.h>

/* What was known at one time; the members are owned. */
struct ctl_top_sample {
	json_t *cpus;	 /* what xvmm-cpu-stats returns */
	json_t *devices; /* what xvmm-net-stats returns */
	double seconds;	 /* CLOCK_MONOTONIC */
};

void ctl_top_free(struct ctl_top_sample *sample);

/* Print rates from @before to @now to standard output: one screen of a terminal, or a block. */
void ctl_top_print(const struct ctl_top_sample *before, const struct ctl_top_sample *now);

#endif
