/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host does to a network device while it runs (virtio 1.3, 5.1.4 and 5.1.6.5.4): the link
 * goes down, comes up again, and the driver is asked to announce itself. Each is told on the
 * console when it was seen.
 */
#include "lib/guest.h"
#include "lib/virtio_net.h"
#include "lib/virtio_net_control.h"

enum {
	PATIENCE_MS = 10000,
	QUEUE_SIZE = 64,
};

static struct virtio_device device;

static uint16_t status(void)
{
	uint16_t value;

	device.transport->read_config(&device, VIRTIO_NET_CONFIG_STATUS, &value, sizeof(value));
	return value;
}

static void expect(uint16_t bits, uint16_t wanted, const char *what)
{
	deadline_t d = deadline(PATIENCE_MS);

	while ((status() & bits) != wanted && !deadline_passed(d))
		;
	check((status() & bits) == wanted, "%s", what);
}

/* After a switch it is asked several times, and so it may have been asked again before it looks. */
static void acknowledge(struct virtqueue *control)
{
	deadline_t d = deadline(PATIENCE_MS);
	bool ok, asked;

	do {
		ok = net_control(control, NET_CTRL_ANNOUNCE, NET_CTRL_ANNOUNCE_ACK, NULL, 0) ==
		     NET_CTRL_OK;
		asked = status() & VIRTIO_NET_ANNOUNCE;
	} while (ok && asked && !deadline_passed(d));
	check(ok, "acknowledged");
	check(!asked, "asked no more");
}

int main(void)
{
	struct virtqueue queues[3]; /* receive, transmit, control */

	if (!virtio_find(VIRTIO_ID_NET, 0, &device))
		fatal("no network device");
	if (!virtio_negotiate(&device, VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) |
					       VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) |
					       VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE)) ||
	    !virtio_has(&device, VIRTIO_NET_F_GUEST_ANNOUNCE))
		fatal("the device can't ask for announcements");
	for (uint16_t i = 0; i < 3; i++)
		virtqueue_init(&queues[i], &device, i, QUEUE_SIZE);
	virtio_driver_ok(&device);
	expect(VIRTIO_NET_LINK_UP | VIRTIO_NET_ANNOUNCE, VIRTIO_NET_LINK_UP, "begins up");
	print("ready\n");
	expect(VIRTIO_NET_LINK_UP, 0, "down");
	expect(VIRTIO_NET_LINK_UP, VIRTIO_NET_LINK_UP, "up");
	expect(VIRTIO_NET_ANNOUNCE, VIRTIO_NET_ANNOUNCE, "announce");
	acknowledge(&queues[2]);
	return check_done();
}
