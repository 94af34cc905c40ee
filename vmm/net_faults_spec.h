/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of a network device as SPECs have them: "loss=1%,delay=20ms~5ms,rate=10mbit/32K,seed=7".
 */
#ifndef VMM_NET_FAULTS_SPEC_H
#define VMM_NET_FAULTS_SPEC_H

#include "vmm/spec.h"
#include "vmm/xvmm.h"

struct error;

/* Their keys; NULL at the end. */
extern const char *const net_faults_keys[];

/*
 * What @spec says of them. All errors are usage errors.
 *
 *	loss=, duplicate=, corrupt=, reorder=	a share of the packets: 1%, 0.05%
 *	delay=TIME[~JITTER]			times with a unit: 100us, 10ms, 1.5s
 *	rate=RATE[/BURST][+RATE[/BURST]]	10mbit/32K: bits, bytes at once; 1000pps/10
 *	seed=N
 */
int net_faults_parse(const struct spec *spec, struct xvmm_net_faults *faults, struct error *err);

/* Whether these can be together, for messages of @who: 0, or a usage error. */
int net_faults_check(const char *who, const struct xvmm_net_faults *faults, struct error *err);

#endif
