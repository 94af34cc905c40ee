/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver's receive filters (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3): each time the host unplugs the
 * cable and plugs it in again there are others, and the console says so. It ends after the last.
 */
#include "lib/guest.h"
#include "lib/virtio_net.h"
#include "lib/virtio_net_control.h"

enum {
	PATIENCE_MS = 20000,
	QUEUE_SIZE = 64,
	TOO_MANY = 65, /* addresses for any table */
};

static struct virtio_device device;
static struct virtqueue queues[3]; /* receive, transmit, control */

static void await_link(bool up)
{
	deadline_t d = deadline(PATIENCE_MS);
	uint16_t status;

	do
		device.transport->read_config(&device, VIRTIO_NET_CONFIG_STATUS, &status,
					      sizeof(status));
	while ((status & VIRTIO_NET_LINK_UP) != (up ? VIRTIO_NET_LINK_UP : 0) &&
	       !deadline_passed(d));
}

static void mode(enum net_control_command command, bool on)
{
	check(net_control_rx(&queues[2], command, on) == NET_CTRL_OK, "mode %u", command);
}

static void vlan(enum net_control_command command, uint16_t id)
{
	check(net_control(&queues[2], NET_CTRL_VLAN, command, &id, sizeof(id)) == NET_CTRL_OK,
	      "VLAN %u", id);
}

static void tables(uint32_t n_unicast, uint32_t n_multicast)
{
	uint8_t unicast[2][6], multicast[TOO_MANY][6];

	for (uint8_t i = 0; i < 2; i++)
		for (uint8_t k = 0; k < 6; k++)
			unicast[i][k] = k ? i : 2;
	for (uint8_t i = 0; i < TOO_MANY; i++)
		for (uint8_t k = 0; k < 6; k++)
			multicast[i][k] = k ? i : 1;
	check(net_control_mac_table(&queues[2], unicast, n_unicast, multicast, n_multicast) ==
		      NET_CTRL_OK,
	      "tables");
}

static void addresses(void)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x99};

	mode(NET_CTRL_RX_PROMISC, false);
	tables(2, 3);
	check(net_control(&queues[2], NET_CTRL_MAC, NET_CTRL_MAC_ADDR_SET, mac, sizeof(mac)) ==
		      NET_CTRL_OK,
	      "address");
	vlan(NET_CTRL_VLAN_ADD, 1);
	vlan(NET_CTRL_VLAN_ADD, 4095);
}

static void overflow(void)
{
	tables(0, TOO_MANY);
	mode(NET_CTRL_RX_ALLMULTI, true);
	mode(NET_CTRL_RX_ALLUNI, true);
	vlan(NET_CTRL_VLAN_DEL, 1);
}

static void nothing(void)
{
	tables(1, 0);
	mode(NET_CTRL_RX_NOMULTI, true);
	mode(NET_CTRL_RX_NOUNI, true);
	mode(NET_CTRL_RX_PROMISC, true);
	vlan(NET_CTRL_VLAN_DEL, 4095);
}

int main(void)
{
	static void (*const filters[])(void) = {addresses, overflow, nothing};
	static const uint64_t features =
		VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) |
		VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VLAN) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR);

	if (!virtio_find(VIRTIO_ID_NET, 0, &device))
		fatal("no network device");
	if (!virtio_negotiate(&device, features) || !virtio_has(&device, VIRTIO_NET_F_CTRL_VLAN))
		fatal("the device has no receive filters");
	for (uint16_t i = 0; i < 3; i++)
		virtqueue_init(&queues[i], &device, i, QUEUE_SIZE);
	virtio_driver_ok(&device);
	print("ready\n");
	for (unsigned int i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		await_link(false);
		filters[i]();
		print("filters %u\n", i);
		await_link(true);
		print("up %u\n", i);
	}
	await_link(false);
	return check_done();
}
