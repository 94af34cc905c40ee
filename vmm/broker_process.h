/* SPDX-License-Identifier: Apache-2.0 */
/* The broker (vmm/broker.h), in its own process. */
#ifndef VMM_BROKER_PROCESS_H
#define VMM_BROKER_PROCESS_H

#include "vmm/xvmm.h"

/*
 * Be the broker of a VM with @config, whose process has the other ends of @openings_fd and
 * @commands_fd (vmm/broker_channel.h), until that is gone. The first answer on @openings_fd tells
 * whether it could begin. Right after fork(), by the only thread. Closes all that is open, but for
 * the standard descriptors.
 */
void broker_process(const struct xvmm_config *config, int openings_fd, int commands_fd);

#endif
