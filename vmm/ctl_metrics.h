/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's counters as Prometheus reads them: its text format, version 0.0.4. */
#ifndef VMM_CTL_METRICS_H
#define VMM_CTL_METRICS_H

struct ctl_sample;
struct error;

/* To standard output. 0 or a negative errno. */
int ctl_print_metrics(const struct ctl_sample *sample, struct error *err);

#endif
