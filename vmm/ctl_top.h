/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM does, again and again, as a table: its vCPUs and the queues of its network devices. */
#ifndef VMM_CTL_TOP_H
#define VMM_CTL_TOP_H

struct ctl_sample;

/* Print rates from @before to @now to standard output: one screen of a terminal, or a block. */
void ctl_top_print(const struct ctl_sample *before, const struct ctl_sample *now);

#endif
