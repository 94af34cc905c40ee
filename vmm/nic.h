/* SPDX-License-Identifier: Apache-2.0 */
/* A network device, put together from its parts: net backend, datapath, virtio device. */
#ifndef VMM_NIC_H
#define VMM_NIC_H

#include "vmm/xvmm.h"

struct error;
struct guest_memory;
struct logger;
struct loop;
struct virtio_device;

enum {
	NIC_ID_SIZE = 16, /* of a made-up id */
};

/* What all of a VM's devices work with; they outlive the devices. */
struct nic_parts {
	const struct guest_memory *mem;
	struct loop *loop;
	const struct logger *log;
};

/* The id of the VM's network device @index: its own, or one made up in @text. */
const char *nic_id(const struct xvmm_net *config, unsigned int index, char text[NIC_ID_SIZE]);

/* Whether the VM's network device @index can be, apart from the host: 0, or a usage error. */
int nic_check(const struct xvmm_config *config, unsigned int index, struct error *err);

/* Create device @index, checked, for @transport, to which the caller gives *@dev. */
int nic_create(const struct nic_parts *parts, const struct xvmm_net *config, unsigned int index,
	       enum xvmm_transport transport, struct virtio_device **dev, struct error *err);

#endif
