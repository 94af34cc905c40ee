/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/rarp.h"

#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/uio.h>

#include "virtio/net_backend.h"

enum {
	TO = 0,
	FROM = TO + ETH_ALEN,
	PACKET = ETH_HLEN,
	SENDER = PACKET + 8, /* hardware address; then the protocol's, of 4 bytes: unknown, 0 */
	TARGET = SENDER + ETH_ALEN + 4,
};

void rarp_frame(uint8_t frame[RARP_FRAME_SIZE], const uint8_t mac[6])
{
	/* RFC 903, by RFC 826's format: Ethernet, IPv4, their addresses' sizes, request reverse. */
	static const uint8_t start[] = {ETH_P_RARP >> 8, ETH_P_RARP & 0xff, 0, 1, 8, 0, 6, 4, 0, 3};

	_Static_assert(FROM + ETH_ALEN + sizeof(start) == SENDER, "nothing between");
	memset(frame, 0, RARP_FRAME_SIZE);
	memset(frame + TO, 0xff, ETH_ALEN);
	memcpy(frame + FROM, mac, ETH_ALEN);
	memcpy(frame + FROM + ETH_ALEN, start, sizeof(start));
	memcpy(frame + SENDER, mac, ETH_ALEN);
	memcpy(frame + TARGET, mac, ETH_ALEN);
}

int rarp_send(struct net_backend *backend, size_t header_size, const uint8_t mac[6])
{
	struct virtio_net_hdr_v1_hash header = {0};
	uint8_t frame[RARP_FRAME_SIZE];
	const struct iovec iov[] = {{&header, header_size}, {frame, sizeof(frame)}};
	ssize_t ret;

	rarp_frame(frame, mac);
	ret = backend->ops->send(backend, 0, iov, 2);
	return ret < 0 ? (int)ret : 0;
}
