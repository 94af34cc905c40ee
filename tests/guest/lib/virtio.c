/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/virtio.h"

#include "lib/guest.h"
#include "lib/virtio_mmio.h"
#include "lib/virtio_pci.h"

bool virtio_find(enum virtio_device_id id, unsigned int index, struct virtio_device *device)
{
	if (arg_is("transport", "mmio"))
		return virtio_mmio_find(id, index, device);
	if (arg_is("transport", "pci"))
		return virtio_pci_find(id, index, device);
	return virtio_mmio_find(id, index, device) || virtio_pci_find(id, index, device);
}

void virtio_connect(struct virtio_device *device)
{
	device->transport->connect(device);
	device->connected = true;
}

bool virtio_reset(struct virtio_device *device)
{
	device->transport->set_status(device, 0);
	for (deadline_t d = deadline(1000); device->transport->status(device) != 0;)
		if (deadline_passed(d))
			return false;
	return true;
}

bool virtio_negotiate(struct virtio_device *device, uint64_t wanted)
{
	const struct virtio_transport *transport = device->transport;
	uint8_t status = VIRTIO_ACKNOWLEDGE;

	if (!virtio_reset(device))
		fatal("virtio: reset does not end");
	if (device->connected)
		transport->connect(device);
	transport->set_status(device, status);
	status |= VIRTIO_DRIVER;
	transport->set_status(device, status);
	device->features = (wanted & transport->offered(device)) |
			   VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
	transport->accept(device, device->features);
	status |= VIRTIO_FEATURES_OK;
	transport->set_status(device, status);
	return transport->status(device) & VIRTIO_FEATURES_OK;
}

bool virtio_reset_queue(struct virtio_device *device, uint16_t queue)
{
	device->transport->reset_queue(device, queue);
	for (deadline_t d = deadline(1000); device->transport->queue_resetting(device, queue);)
		if (deadline_passed(d))
			return false;
	return true;
}

void virtio_driver_ok(struct virtio_device *device)
{
	device->transport->set_status(device, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER |
						      VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

bool virtio_has(const struct virtio_device *device, unsigned int feature_bit)
{
	return device->features & VIRTIO_FEATURE(feature_bit);
}
