/* SPDX-License-Identifier: Apache-2.0 */
/* The VM from inside: what the control socket asks of it, by the thread that runs the loop. */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/xvmm.h"

struct error;

/* xvmm_net_switch(). */
int vm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net, struct error *err);

#endif
