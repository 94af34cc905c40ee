/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of network devices as Prometheus reads them: its text format, version 0.0.4. */
#ifndef VMM_CTL_METRICS_H
#define VMM_CTL_METRICS_H

#include <jansson.h>

struct error;

/* @devices: what xvmm-net-stats returns; borrowed. To standard output. 0 or a negative errno. */
int ctl_print_metrics(json_t *devices, struct error *err);

#endif
