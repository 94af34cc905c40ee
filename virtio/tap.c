/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "virtio/net_backend.h"
#include "virtio/tap_info.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"

struct tap {
	struct net_backend backend;
	int fd;		       /* owned */
	unsigned int offloads; /* TUN_F_* that this tap takes */
	unsigned int in_use;   /* and those that are on */
};

/* Which receive feature asks the tap for which offload. */
static const struct {
	unsigned int feature;
	unsigned int offload;
} receive_offloads[] = {
	{VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM},
	{VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
	{VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6},
	{VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
};

/* A tap always takes these from us once it has the header: its kernel finishes the packet. */
static const uint64_t transmit_features = 1ULL << VIRTIO_NET_F_CSUM |
					  1ULL << VIRTIO_NET_F_HOST_TSO4 |
					  1ULL << VIRTIO_NET_F_HOST_TSO6 |
					  1ULL << VIRTIO_NET_F_HOST_ECN;

static uint64_t tap_features(const struct net_backend *backend)
{
	const struct tap *tap = (const struct tap *)backend;
	uint64_t features = transmit_features;

	for (size_t i = 0; i < sizeof(receive_offloads) / sizeof(receive_offloads[0]); i++) {
		if (tap->offloads & receive_offloads[i].offload)
			features |= 1ULL << receive_offloads[i].feature;
	}
	return features;
}

static int set_offloads(struct tap *tap, unsigned int offloads)
{
	struct virtio_net_hdr_v1 start; /* of a packet; the rest of it is cut off */

	if (ioctl(tap->fd, TUNSETOFFLOAD, (unsigned long)offloads) < 0)
		return -errno;
	/* What waits in the tap was for the driver before; this one may not understand it. */
	while (tap->in_use & ~offloads && read(tap->fd, &start, sizeof(start)) > 0)
		;
	tap->in_use = offloads;
	return 0;
}

static int tap_set_features(struct net_backend *backend, uint64_t features)
{
	unsigned int offloads = 0;

	for (size_t i = 0; i < sizeof(receive_offloads) / sizeof(receive_offloads[0]); i++) {
		if (features >> receive_offloads[i].feature & 1)
			offloads |= receive_offloads[i].offload;
	}
	return set_offloads((struct tap *)backend, offloads);
}

static int tap_fd(const struct net_backend *backend, unsigned int queue)
{
	(void)queue;
	return ((const struct tap *)backend)->fd;
}

static ssize_t tap_receive(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			   unsigned int n)
{
	ssize_t ret = readv(((struct tap *)backend)->fd, iov, (int)n);

	(void)queue;
	return ret < 0 ? -errno : ret;
}

static ssize_t tap_send(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			unsigned int n)
{
	ssize_t ret = writev(((struct tap *)backend)->fd, iov, (int)n);

	(void)queue;
	return ret < 0 ? -errno : ret;
}

static void tap_destroy(struct net_backend *backend)
{
	struct tap *tap = (struct tap *)backend;

	fd_close(&tap->fd);
	free(tap);
}

static const struct net_backend_ops tap_ops = {
	.features = tap_features,
	.set_features = tap_set_features,
	.fd = tap_fd,
	.receive = tap_receive,
	.send = tap_send,
	.destroy = tap_destroy,
};

static int open_tun(const char *name, struct error *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV)
		return error_errno(err, "%s: /dev/net/tun (try: modprobe tun)", name);
	return error_errno(err, "%s: /dev/net/tun (try: sudo chmod 0666 /dev/net/tun)", name);
}

/* TUNSETIFF failed with errno: say why, as far as it can be found out. */
static int explain_attach(const char *name, const struct tap_info *info, struct error *err)
{
	int code = errno;

	if (info->tun_driver && !info->tap)
		return error_set(
			err, -EINVAL,
			"%s: it is a tun device, not a tap; try: ip tuntap del %s mode tun; "
			"ip tuntap add %s mode tap",
			name, name, name);
	switch (code) {
	case EBUSY:
		return error_set(err, -code,
				 "%s: in use by another process; try: another tap, or "
				 "end that process",
				 name);
	case EPERM:
		if (info->has_owner && info->owner != geteuid())
			return error_set(
				err, -code,
				"%s: Operation not permitted: it belongs to uid %u; try: "
				"ip tuntap add %s mode tap user $USER (after ip link del %s)",
				name, info->owner, name, name);
		return error_set(err, -code,
				 "%s: Operation not permitted; try: ip tuntap add %s mode tap user "
				 "$USER (after ip link del %s)",
				 name, name, name);
	case EINVAL:
		if (info->multi_queue)
			return error_set(err, -code,
					 "%s: it is a multi-queue tap and one queue was asked for; "
					 "try: ip link del %s; ip tuntap add %s mode tap",
					 name, name, name);
		return error_set(err, -code, "%s: it is not a tap device", name);
	default:
		errno = code;
		return error_errno(err, "%s: attaching to the tap", name);
	}
}

/* Attach @fd to the existing tap @name. TUNSETIFF would create one; nobody asked for that. */
static int attach(int fd, const char *name, const struct logger *log, struct error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct tap_info info;
	int ret;

	if (strlen(name) >= IFNAMSIZ)
		return error_usage(err, "%s: an interface name has at most %d characters", name,
				   IFNAMSIZ - 1);
	ret = tap_info_get(name, &info);
	if (ret == -ENODEV)
		return error_set(err, ret,
				 "%s: no such network interface; try: ip tuntap add %s mode tap && "
				 "ip link set %s up",
				 name, name, name);
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return explain_attach(name, &info, err);
	if (!ret && !info.up)
		log_warning(
			log,
			"%s: the interface is down, so no packet passes; try: ip link set %s up",
			name, name);
	return 0;
}

/* Find out which offloads the kernel takes for packets towards the guest. */
static void probe_offloads(struct tap *tap)
{
	for (size_t i = 0; i < sizeof(receive_offloads) / sizeof(receive_offloads[0]); i++) {
		unsigned int with = tap->offloads | receive_offloads[i].offload;

		if (set_offloads(tap, with) == 0)
			tap->offloads = with;
	}
	/* Until a driver has said what it takes, packets come whole. */
	set_offloads(tap, 0);
}

/* A backend on the tap @fd, which is attached and taken over. */
static int create_backend(int *fd, const char *name, struct net_backend **backend,
			  struct error *err)
{
	int header = sizeof(struct virtio_net_hdr_v1);
	struct tap *tap;

	if (ioctl(*fd, TUNSETVNETHDRSZ, &header) < 0)
		return error_errno(err, "%s: setting the size of the virtio-net header", name);
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return error_set(err, -ENOMEM, "%s: out of memory", name);
	tap->backend.ops = &tap_ops;
	tap->fd = fd_take(fd);
	probe_offloads(tap);
	*backend = &tap->backend;
	return 0;
}

int tap_create(const char *name, const struct logger *log, struct net_backend **backend,
	       struct error *err)
{
	FD_CLEANUP int fd = -1;
	int ret;

	fd = open_tun(name, err);
	if (fd < 0)
		return fd;
	ret = attach(fd, name, log, err);
	return ret ? ret : create_backend(&fd, name, backend, err);
}

int tap_adopt(int fd, struct net_backend **backend, struct error *err)
{
	static const short needed = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	FD_CLEANUP int copy = -1;
	struct ifreq ifr;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return error_set(err, -EBADFD, "descriptor %d: it is no attached tap", fd);
	if ((ifr.ifr_flags & needed) != needed)
		return error_set(err, -EBADFD,
				 "descriptor %d: %s must be attached with IFF_TAP, IFF_NO_PI and "
				 "IFF_VNET_HDR",
				 fd, ifr.ifr_name);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || fcntl(copy, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return error_errno(err, "descriptor %d", fd);
	return create_backend(&copy, ifr.ifr_name, backend, err);
}
