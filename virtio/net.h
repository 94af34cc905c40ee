/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio network device (virtio 1.3, section 5.1): its features and configuration space. Its
 * rings are served by a datapath.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <stdint.h>

struct datapath;
struct error;
struct logger;
struct virtio_device;

struct virtio_net_options {
	const char *id; /* for messages; copied */
	uint8_t mac[6];
	uint16_t mtu;	   /* offered to the driver; 0: not offered */
	uint64_t disabled; /* features not to offer, whatever the datapath has */
};

/*
 * Create a network device with one pair of queues, served by @datapath (taken over, also on
 * failure). *@dev is the caller's, to give to a transport. @log outlives the device.
 */
int virtio_net_create(const struct virtio_net_options *options, struct datapath *datapath,
		      const struct logger *log, struct virtio_device **dev, struct error *err);

#endif
