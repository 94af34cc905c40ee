/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of a VM at one time, as `xvmm ctl` has them. */
#ifndef VMM_CTL_SAMPLE_H
#define VMM_CTL_SAMPLE_H

#include <jansson.h>

/* The members are owned. */
struct ctl_sample {
	json_t *cpus;	 /* what xvmm-cpu-stats returns */
	json_t *devices; /* what xvmm-net-stats returns */
	double seconds;	 /* CLOCK_MONOTONIC */
};

/* Accepts what is all zero, and leaves it so. */
static inline void ctl_sample_free(struct ctl_sample *sample)
{
	json_decref(sample->cpus);
	json_decref(sample->devices);
	*sample = (struct ctl_sample){0};
}

#endif
