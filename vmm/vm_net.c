/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the network devices of a VM that runs. */
#include <endian.h>
#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/device.h"
#include "virtio/net.h"
#include "virtio/net_features.h"
#include "virtio/opener.h"
#include "virtio/queue_stats.h"
#include "vmm/broker.h"
#include "vmm/control.h"
#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/nic.h"
#include "vmm/vm.h"
#include "vmm/vm_parts.h"

static struct nic *find_net(const struct xvmm *vm, const char *id)
{
	for (unsigned int i = 0; i < vm->n_nets; i++) {
		if (strcmp(nic_device(vm->nets[i])->name, id) == 0)
			return vm->nets[i];
	}
	return NULL;
}

int vm_take_fd(struct xvmm *vm, const char *name, int *fd, struct error *err)
{
	const struct opening opening = {.kind = OPENING_RECEIVED, .name = name};

	if (vm->broker)
		return opener_open(broker_opener(vm->broker), &opening, &vm->log, fd, err);
	*fd = control_take_fd(vm->control, name, err);
	return *fd < 0 ? *fd : 0;
}

int vm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net,
		  unsigned int *pause_us, struct error *err)
{
	struct nic *nic = find_net(vm, id);
	int ret = 0;

	if (!nic)
		return error_set(err, -ENODEV, "there is no network device '%s'", id);
	for (unsigned int i = 0; i < vm->n_nets && !ret; i++) {
		if (vm->nets[i] != nic)
			ret = nic_check_free(vm->nets[i], net, err);
	}
	if (!ret)
		ret = nic_switch(nic, net, pause_us, err);
	/* Of a device alone, not of a tap that isn't there. */
	if (ret == -ENODEV)
		ret = err->code = -ENXIO;
	return ret;
}

struct switch_call {
	struct xvmm *vm;
	const char *id;
	const struct xvmm_net *net;
	struct error err;
	int ret;
};

static void call_switch(void *argument)
{
	struct switch_call *call = argument;
	unsigned int pause_us;

	call->ret = vm_net_switch(call->vm, call->id, call->net, &pause_us, &call->err);
}

int xvmm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net,
		    struct xvmm_error *error)
{
	struct switch_call call = {.vm = vm, .id = id, .net = net};

	if (vm->confined && !vm->broker)
		call.ret = error_set(&call.err, -EPERM,
				     "after xvmm_confine() nothing can be opened");
	else if (!loop_call(&vm->caller, call_switch, &call))
		call.ret = error_set(&call.err, -EAGAIN, "the VM doesn't run");
	return call.ret ? vm_report(error, &call.err) : 0;
}

int xvmm_net_set_link(struct xvmm *vm, const char *id, bool up)
{
	const struct nic *nic = find_net(vm, id);

	if (!nic)
		return -ENODEV;
	virtio_net_set_link(nic_device(nic), up);
	return 0;
}

void vm_net_pause(struct xvmm *vm, bool pause)
{
	for (unsigned int i = 0; i < vm->n_nets; i++) {
		struct virtio_device *dev = nic_device(vm->nets[i]);

		pthread_mutex_lock(&dev->lock);
		(pause ? virtio_device_suspend : virtio_device_resume)(dev, VIRTIO_SUSPEND_PAUSE);
		pthread_mutex_unlock(&dev->lock);
	}
}

int xvmm_net_announce(struct xvmm *vm, const char *id)
{
	const struct nic *nic = find_net(vm, id);

	return nic ? virtio_net_announce(nic_device(nic)) : -ENODEV;
}

int xvmm_net_stats(struct xvmm *vm, const char *id, unsigned int queue,
		   struct xvmm_queue_stats *stats)
{
	const struct nic *nic = find_net(vm, id);
	uint64_t counters[QUEUE_COUNTERS], progress_ms;
	int ret = nic ? virtio_net_queue_stats(nic_device(nic), queue, counters, &progress_ms)
		      : -ENODEV;

	if (ret)
		return ret;
	*stats = (struct xvmm_queue_stats){
		.packets = counters[QUEUE_PACKETS],
		.bytes = counters[QUEUE_BYTES],
		.dropped_link_down = counters[QUEUE_DROPPED_LINK_DOWN],
		.dropped_filtered = counters[QUEUE_DROPPED_FILTERED],
		.dropped_mtu = counters[QUEUE_DROPPED_MTU],
		.dropped_no_buffers = counters[QUEUE_DROPPED_NO_BUFFERS],
		.dropped_malformed = counters[QUEUE_DROPPED_MALFORMED],
		.dropped_refused = counters[QUEUE_DROPPED_REFUSED],
		.kicks = counters[QUEUE_KICKS],
		.interrupts = counters[QUEUE_INTERRUPTS],
		.interrupts_suppressed = counters[QUEUE_SUPPRESSED],
		.stalls = counters[QUEUE_STALLS],
		.broken = counters[QUEUE_BROKEN],
		.idle_ms = progress_ms ? (int64_t)(counter_now_ms() - progress_ms) : -1,
	};
	return 0;
}

int vm_net_info(struct xvmm *vm, unsigned int index, struct vm_net_info *info)
{
	const struct nic *nic = index < vm->n_nets ? vm->nets[index] : NULL;
	struct virtio_device *dev;
	uint16_t status = 0;

	if (!nic)
		return -ENODEV;
	dev = nic_device(nic);
	*info = (struct vm_net_info){
		.id = dev->name,
		.backend = nic_backend(nic),
		.datapath = virtio_net_datapath(dev)->kind,
	};
	virtio_device_read_config(dev, offsetof(struct virtio_net_config, mac), info->mac,
				  sizeof(info->mac));
	virtio_device_read_config(dev, offsetof(struct virtio_net_config, status), &status,
				  sizeof(status));
	info->connected = nic_connected(nic);
	info->link_up = le16toh(status) & VIRTIO_NET_S_LINK_UP;
	info->needs_reset = atomic_load(&dev->status) & VIRTIO_CONFIG_S_NEEDS_RESET;
	info->has_faults = nic_faults(nic, &info->faults);
	return 0;
}

int vm_net_filter(struct xvmm *vm, unsigned int index, struct net_filter *filter)
{
	if (index >= vm->n_nets)
		return -ENODEV;
	nic_filter(vm->nets[index], filter);
	return 0;
}

static void tell_filter(struct xvmm *vm, const char *id)
{
	char path[64];

	/* As QEMU would call it, whose clients are to know the device by its name. */
	snprintf(path, sizeof(path), "/machine/peripheral/%s/virtio-backend", id);
	vm_tell(vm, "NIC_RX_FILTER_CHANGED", json_pack("{s:s,s:s}", "name", id, "path", path));
}

void vm_net_tell(void *vm, const struct nic *nic, enum nic_event event)
{
	const char *id = nic_device(nic)->name;

	if (!vm_is_heard(vm))
		return;
	if (event == NIC_FILTER_CHANGED)
		tell_filter(vm, id);
	else
		vm_tell(vm, "XVMM_NET_BACKEND_CHANGED",
			json_pack("{s:s,s:o*,s:s,s:b}", "id", id, "backend",
				  json_string(nic_backend(nic)), "datapath",
				  virtio_net_datapath(nic_device(nic))->kind, "connected",
				  nic_connected(nic)));
}

uint64_t xvmm_net_feature(const char *name)
{
	return net_features_find(name);
}
