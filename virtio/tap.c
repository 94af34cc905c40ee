/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "virtio/defs.h"
#include "virtio/iov.h"
#include "virtio/net_backend.h"
#include "virtio/net_rss.h"
#include "virtio/opener.h"
#include "virtio/tap_info.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"

/* Since Linux 6.2; Debian 12 builds with headers of 6.1. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	/* So many packets are taken to wait in a queue whose length can't be found out. */
	DRAIN_MAX = 65536,
};

struct tap {
	struct net_backend backend;
	int *fds; /* one a queue, and one more if there are several; owned */
	unsigned int n_queues;
	unsigned int attached; /* so many, the first ones, get packets */
	unsigned int offloads; /* TUN_F_* that this tap takes */
	unsigned int in_use;   /* and those that are on */
	int header_size;       /* of the virtio-net header */
	int names_fd;	       /* a socket, owned, by which the kernel tells of names; or -1 */
};

/* Which receive feature asks the tap for which offload. */
static const struct {
	unsigned int feature;
	unsigned int offload;
} receive_offloads[] = {
	{VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
	{VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6}, {VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
	{VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO},   {VIRTIO_NET_F_GUEST_USO4, TUN_F_USO4},
	{VIRTIO_NET_F_GUEST_USO6, TUN_F_USO6},
};

/* In this order a tap is asked what it takes; all of an entry need those before it. */
static const unsigned int probes[] = {
	TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_UFO, TUN_F_USO4 | TUN_F_USO6,
};

/* A tap always takes these from us once it has the header: its kernel finishes the packet. */
static const uint64_t transmit_features = 1ULL << VIRTIO_NET_F_CSUM |
					  1ULL << VIRTIO_NET_F_HOST_TSO4 |
					  1ULL << VIRTIO_NET_F_HOST_TSO6 |
					  1ULL << VIRTIO_NET_F_HOST_ECN |
					  1ULL << VIRTIO_NET_F_HOST_UFO;

static uint64_t tap_features(const struct net_backend *backend)
{
	const struct tap *tap = (const struct tap *)backend;
	/* Its header has any size that one asks for. */
	uint64_t features = transmit_features | 1ULL << VIRTIO_NET_F_HASH_REPORT;

	for (size_t i = 0; i < sizeof(receive_offloads) / sizeof(receive_offloads[0]); i++) {
		if (tap->offloads & receive_offloads[i].offload)
			features |= 1ULL << receive_offloads[i].feature;
	}
	/* The kernel learnt both directions of this at once. */
	if (tap->offloads & TUN_F_USO4)
		features |= 1ULL << VIRTIO_NET_F_HOST_USO;
	return features;
}

/*
 * A packet in, and out. By syscall(), for libc's functions are cancellation points, which costs two
 * locked operations a call. The kernel reads all of a long.
 */
static ssize_t read_packet(int fd, const struct iovec *iov, unsigned int n)
{
	return syscall(SYS_readv, (long)fd, iov, (long)n);
}

static ssize_t write_packet(int fd, const struct iovec *iov, unsigned int n)
{
	/* The kernel has less to do for a single buffer than for a list of one. */
	if (n == 1)
		return syscall(SYS_write, (long)fd, iov->iov_base, iov->iov_len);
	return syscall(SYS_writev, (long)fd, iov, (long)n);
}

static ssize_t tap_receive(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			   unsigned int n)
{
	ssize_t ret = read_packet(((struct tap *)backend)->fds[queue], iov, n);

	/* A packet that no header can describe. The kernel has freed it; others may wait. */
	if (ret < 0 && errno == EINVAL)
		return 1;
	return ret < 0 ? -errno : ret;
}

/*
 * How many packets can wait in a queue of @tap: its tx_queue_len. It can be asked for by name only,
 * which is another's if @tap was adopted from another network namespace: their addresses differ.
 */
static unsigned int queue_length(const struct tap *tap)
{
	struct ifreq ours, named;

	if (ioctl(tap->fds[0], TUNGETIFF, &named) < 0 ||
	    ioctl(tap->fds[0], SIOCGIFHWADDR, &ours) < 0 ||
	    ioctl(tap->names_fd, SIOCGIFHWADDR, &named) < 0 ||
	    memcmp(ours.ifr_hwaddr.sa_data, named.ifr_hwaddr.sa_data, ETH_ALEN) != 0 ||
	    ioctl(tap->names_fd, SIOCGIFTXQLEN, &named) < 0)
		return DRAIN_MAX;
	return (unsigned int)named.ifr_qlen;
}

/*
 * What waits in the tap was for the driver before; this one may not understand it. What comes
 * meanwhile may be lost, but doesn't keep us here.
 */
static void drain(struct tap *tap)
{
	struct virtio_net_hdr_v1_hash start; /* the rest of a packet is cut off */
	const struct iovec iov = {&start, sizeof(start)};
	const unsigned int length = queue_length(tap);

	for (unsigned int i = 0; i < tap->n_queues; i++) {
		for (unsigned int n = 0; n < length; n++) {
			if (tap_receive(&tap->backend, i, &iov, 1) <= 0)
				break;
		}
	}
}

static int set_offloads(struct tap *tap, unsigned int offloads)
{
	if (ioctl(tap->fds[0], TUNSETOFFLOAD, (unsigned long)offloads) < 0)
		return -errno;
	if (tap->in_use & ~offloads)
		drain(tap);
	tap->in_use = offloads;
	return 0;
}

/* Packets that wait have no header yet: the tap makes it when they are read. */
static int set_header_size(struct tap *tap, int size)
{
	if (ioctl(tap->fds[0], TUNSETVNETHDRSZ, &size) < 0)
		return -errno;
	tap->header_size = size;
	return 0;
}

/* Less what the kernel refuses because it needs others that are off; fewer offloads never harm. */
static unsigned int consistent(unsigned int offloads)
{
	const unsigned int uso = TUN_F_USO4 | TUN_F_USO6;

	if (!(offloads & TUN_F_CSUM))
		return 0;
	if (!(offloads & (TUN_F_TSO4 | TUN_F_TSO6)))
		offloads &= ~(unsigned int)TUN_F_TSO_ECN;
	if ((offloads & uso) != uso)
		offloads &= ~uso;
	return offloads;
}

static int tap_set_features(struct net_backend *backend, uint64_t features)
{
	struct tap *tap = (struct tap *)backend;
	int before = tap->header_size;
	unsigned int offloads = 0;
	int ret;

	for (size_t i = 0; i < sizeof(receive_offloads) / sizeof(receive_offloads[0]); i++) {
		if (features >> receive_offloads[i].feature & 1)
			offloads |= receive_offloads[i].offload;
	}
	ret = set_header_size(tap, features >> VIRTIO_NET_F_HASH_REPORT & 1
					   ? (int)sizeof(struct virtio_net_hdr_v1_hash)
					   : (int)sizeof(struct virtio_net_hdr_v1));
	if (ret)
		return ret;
	ret = set_offloads(tap, consistent(offloads));
	if (ret)
		set_header_size(tap, before);
	return ret;
}

/* A queue that is detached gets no packets, loses those that wait in it, and still sends. */
static int set_attached(const struct tap *tap, unsigned int queue, bool attached)
{
	struct ifreq ifr = {.ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

	return ioctl(tap->fds[queue], TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

static int tap_set_queues(struct net_backend *backend, unsigned int n)
{
	struct tap *tap = (struct tap *)backend;
	const unsigned int before = tap->attached;
	int ret = 0;

	while (!ret && tap->attached < n) {
		ret = set_attached(tap, tap->attached, true);
		tap->attached += !ret;
	}
	while (!ret && tap->attached > n) {
		ret = set_attached(tap, tap->attached - 1, false);
		tap->attached -= !ret;
	}
	/* Back to what was; detaching doesn't fail. */
	while (ret && tap->attached > before)
		set_attached(tap, --tap->attached, false);
	return ret;
}

static int tap_fd(const struct net_backend *backend, unsigned int queue)
{
	return ((const struct tap *)backend)->fds[queue];
}

/* How many descriptors a tap with @queue_pairs has. */
static unsigned int n_fds(unsigned int queue_pairs)
{
	return queue_pairs + (queue_pairs > 1);
}

/*
 * The kernel steers the packets of a flow to the queue that has sent one of it last (5.1.6.5.5), at
 * once: what is already in another queue comes after what follows it. A guest sends its
 * acknowledgements now from the CPU of the interrupt, now from that of the process, and a TCP
 * connection that is reordered each time slows down to a tenth. So there is one queue more, always
 * detached: what it sends changes nothing. Where nothing else is sent the kernel goes by a hash of
 * the connection.
 */
static int tap_sender_fd(const struct net_backend *backend, unsigned int queue)
{
	const struct tap *tap = (const struct tap *)backend;

	return tap->fds[tap->n_queues > 1 ? tap->n_queues : queue];
}

/* The queue by which to send a packet: that one if it is but an acknowledgement. */
static int choose_fd(const struct tap *tap, unsigned int queue, const struct iovec *iov,
		     unsigned int n)
{
	const size_t header = (size_t)tap->header_size;
	uint8_t frame[NET_RSS_HEADER];
	size_t frame_len = 0, len;

	for (unsigned int i = 0; i < n && tap->n_queues > 1; i++)
		frame_len += iov[i].iov_len;
	if (frame_len <= header)
		return tap->fds[queue];
	frame_len -= header;
	len = frame_len < sizeof(frame) ? frame_len : sizeof(frame);
	iov_gather(frame, iov, header, len);
	return net_rss_is_bare_segment(frame, len, frame_len) ? tap_sender_fd(&tap->backend, queue)
							      : tap->fds[queue];
}

/*
 * The kernel refuses a packet with an hdr_len that is too small or beyond its end; but that is a
 * hint, not to be relied on (5.1.6.2.2), and 0 is none. -EINVAL if the packet was refused for
 * another reason.
 */
static ssize_t send_without_hdr_len(const struct tap *tap, int fd, const struct iovec *iov,
				    unsigned int n)
{
	struct virtio_net_hdr_v1_hash header = {0};
	struct iovec pieces[IOV_MAX];
	ssize_t ret;

	pieces[0] = (struct iovec){&header, 0};
	/* Of each piece what is left after the driver's header, if only 0 bytes. */
	for (unsigned int i = 0; i < n; i++) {
		size_t missing = (size_t)tap->header_size - pieces[0].iov_len;
		size_t part = iov[i].iov_len < missing ? iov[i].iov_len : missing;
		uint8_t *from = iov[i].iov_base;

		memcpy((uint8_t *)&header + pieces[0].iov_len, from, part);
		pieces[0].iov_len += part;
		pieces[i + 1] = (struct iovec){from + part, iov[i].iov_len - part};
	}
	if (pieces[0].iov_len < (size_t)tap->header_size || !header.hdr.hdr_len)
		return -EINVAL;
	header.hdr.hdr_len = 0;
	ret = write_packet(fd, pieces, n + 1);
	return ret < 0 ? -errno : ret;
}

static ssize_t tap_send(struct net_backend *backend, unsigned int queue, const struct iovec *iov,
			unsigned int n)
{
	const struct tap *tap = (const struct tap *)backend;
	const int fd = choose_fd(tap, queue, iov, n);
	ssize_t ret = write_packet(fd, iov, n);

	if (ret < 0 && errno == EINVAL)
		return send_without_hdr_len(tap, fd, iov, n);
	return ret < 0 ? -errno : ret;
}

static void tap_destroy(struct net_backend *backend)
{
	struct tap *tap = (struct tap *)backend;

	for (unsigned int i = 0; tap->fds && i < n_fds(tap->n_queues); i++)
		fd_close(&tap->fds[i]);
	fd_close(&tap->names_fd);
	free(tap->fds);
	free(tap);
}

static const struct net_backend_ops tap_ops = {
	.features = tap_features,
	.set_features = tap_set_features,
	.set_queues = tap_set_queues,
	.fd = tap_fd,
	.sender_fd = tap_sender_fd,
	.receive = tap_receive,
	.send = tap_send,
	.destroy = tap_destroy,
};

static int open_tun(const char *name, struct error *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int code;

	if (fd >= 0)
		return fd;
	code = error_errno(err, "%s: /dev/net/tun", name);
	if (code == -ENOENT || code == -ENODEV)
		error_cure(err, "modprobe tun");
	else if (code == -EACCES || code == -EPERM)
		error_cure(err, "sudo chmod 0666 /dev/net/tun");
	return code;
}

static int explain_busy(const char *name, struct error *err)
{
	return error_set(err, -EBUSY,
			 "%s: in use by another process; try: another tap, or "
			 "end that process",
			 name);
}

/* Before a command that takes CAP_NET_ADMIN. */
static const char *sudo(void)
{
	return geteuid() ? "sudo " : "";
}

static int explain_permission(const char *name, const struct tap_info *info, struct error *err)
{
	char whose[48] = "";

	if (info->has_owner && info->owner != geteuid())
		snprintf(whose, sizeof(whose), ": it belongs to uid %u", info->owner);
	else if (info->has_group)
		snprintf(whose, sizeof(whose), ": it is for members of gid %u", info->group);
	return error_set(err, -EPERM,
			 "%s: Operation not permitted%s; try: %sip link del %s; %sip tuntap add %s "
			 "mode tap user $USER",
			 name, whose, sudo(), name, sudo(), name);
}

/* TUNSETIFF failed with errno: say why, as far as it can be found out. */
static int explain_attach(const char *name, unsigned int n_queues, const struct tap_info *info,
			  struct error *err)
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
		return explain_busy(name, err);
	case EPERM:
		return explain_permission(name, info, err);
	case EINVAL:
		if (info->tap && !info->multi_queue && n_queues > 1)
			return error_set(err, -code,
					 "%s: it has one queue, and several were asked for; try: "
					 "ip link del %s; ip tuntap add %s mode tap multi_queue",
					 name, name, name);
		if (info->bridge)
			return error_set(
				err, -code,
				"%s: it is a bridge, not a tap; try: a tap in it: ip "
				"tuntap add tap0 mode tap && ip link set tap0 master %s up",
				name, name);
		return error_set(err, -code, "%s: it is not a tap device", name);
	default:
		errno = code;
		return error_errno(err, "%s: attaching to the tap", name);
	}
}

/* The kernel wants to hear which kind of tap it is; tap_info_get() may not have found that out. */
static int set_interface(int fd, struct ifreq *ifr)
{
	int ret = ioctl(fd, TUNSETIFF, ifr);

	if (ret == 0 || errno != EINVAL || ifr->ifr_flags & IFF_MULTI_QUEUE)
		return ret;
	ifr->ifr_flags |= IFF_MULTI_QUEUE;
	return ioctl(fd, TUNSETIFF, ifr);
}

/* One more queue of the existing tap that @ifr names. */
static int attach(struct ifreq *ifr, unsigned int n_queues, const struct tap_info *info,
		  struct error *err)
{
	FD_CLEANUP int fd = open_tun(ifr->ifr_name, err);

	if (fd < 0)
		return fd;
	if (set_interface(fd, ifr) < 0)
		return explain_attach(ifr->ifr_name, n_queues, info, err);
	return fd_take(&fd);
}

/* TUNSETIFF would create a tap that doesn't exist; nobody asked for that. */
int tap_open(const char *name, unsigned int n_queues, const struct logger *log, int *fds,
	     struct error *err)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct tap_info info;
	int ret;

	if (strlen(name) >= IFNAMSIZ)
		return error_usage(err, "%s: an interface name has at most %d characters", name,
				   IFNAMSIZ - 1);
	/* The kernel makes none of such a name, or of % a number. */
	if (strpbrk(name, "/:% \t\n"))
		return error_usage(err, "'%s': an interface name has no blank, '/', ':' or '%%'",
				   name);
	ret = tap_info_get(name, &info);
	if (ret == -ENODEV)
		return error_set(err, ret,
				 "%s: no such network interface; try: %sip tuntap add %s mode "
				 "tap%s%s && %sip link set %s up",
				 name, sudo(), name, geteuid() ? " user $USER" : "",
				 n_queues > 1 ? " multi_queue" : "", sudo(), name);
	/* The kernel has room for another process's queues, which would get half of the packets. */
	if (info.multi_queue && info.queues)
		return explain_busy(name, err);
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	if (n_queues > 1 || info.multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	for (unsigned int i = 0; i < n_queues; i++) {
		fds[i] = attach(&ifr, n_queues, &info, err);
		if (fds[i] < 0) {
			int failed = fds[i];

			while (i--)
				fd_close(&fds[i]);
			return failed;
		}
	}
	if (!ret && !info.up)
		log_warning(
			log,
			"%s: the interface is down, so no packet passes; try: ip link set %s up",
			name, name);
	return 0;
}

int tap_open_names(struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_errno(err, "a socket to ask the kernel by") : fd;
}

/* Find out which offloads the kernel takes for packets towards the guest. */
static void probe_offloads(struct tap *tap)
{
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		unsigned int with = tap->offloads | probes[i];

		if (set_offloads(tap, with) == 0)
			tap->offloads = with;
	}
	/* Until a driver has said what it takes, packets come whole. */
	set_offloads(tap, 0);
}

static struct tap *allocate(unsigned int queue_pairs, const struct opener *opener)
{
	const struct opening names = {.kind = OPENING_NAMES};
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return NULL;
	tap->backend.ops = &tap_ops;
	/* Now: the thread that needs it may not open one (vmm/sandbox.h). It can do without. */
	if (opener_open(opener, &names, NULL, &tap->names_fd, NULL))
		tap->names_fd = -1;
	tap->fds = calloc(n_fds(queue_pairs), sizeof(tap->fds[0]));
	if (!tap->fds) {
		tap_destroy(&tap->backend);
		return NULL;
	}
	return tap;
}

/* With a limit, as its opener may have set, EPOLLOUT doesn't always follow EAGAIN. */
static int unlimit_send_buffer(const struct tap *tap)
{
	int size = INT_MAX;

	return ioctl(tap->fds[0], TUNSETSNDBUF, &size) < 0 ? -errno : 0;
}

/*
 * The queue by which tap_sender_fd() sends: the kernel's first one. Detached, it keeps the number
 * 0, which packets are marked with and the device has whatever becomes of others; and the last one
 * becomes the first.
 */
static int make_sender(struct tap *tap)
{
	int first = tap->fds[0];

	tap->fds[0] = tap->fds[tap->n_queues];
	tap->fds[tap->n_queues] = first;
	return set_attached(tap, tap->n_queues, false);
}

/* All queues of @tap are attached, or that failed with @ret: a backend, or nothing is left. */
static int finish(struct tap *tap, const char *name, int ret, struct net_backend **backend,
		  struct error *err)
{
	if (!ret && set_header_size(tap, sizeof(struct virtio_net_hdr_v1)) < 0)
		ret = error_errno(err, "%s: setting the size of the virtio-net header", name);
	if (!ret && unlimit_send_buffer(tap) < 0)
		ret = error_errno(err, "%s: setting the size of the send buffer", name);
	if (!ret && tap->n_queues > 1 && make_sender(tap))
		ret = error_errno(err, "%s: detaching a queue", name);
	if (ret) {
		tap_destroy(&tap->backend);
		return ret;
	}
	probe_offloads(tap);
	*backend = &tap->backend;
	return 0;
}

int tap_create(const char *name, unsigned int queue_pairs, const struct opener *opener,
	       const struct logger *log, struct net_backend **backend, struct error *err)
{
	const struct opening opening = {OPENING_TAP, name, n_fds(queue_pairs)};
	struct tap *tap = allocate(queue_pairs, opener);
	int ret;

	if (!tap)
		return error_set(err, -ENOMEM, "%s: out of memory", name);
	ret = opener_open(opener, &opening, log, tap->fds, err);
	if (!ret)
		tap->n_queues = tap->attached = queue_pairs;
	return finish(tap, name, ret, backend, err);
}

/* TUNGETIFF failed with errno. */
static int explain_descriptor(int fd, struct error *err)
{
	switch (errno) {
	case EBADF:
		return error_set(err, -EBADFD, "descriptor %d: it is not open", fd);
	case EBADFD:
		return error_set(err, -EBADFD,
				 "descriptor %d: it is of /dev/net/tun, and attached to no tap",
				 fd);
	default:
		return error_set(err, -EBADFD, "descriptor %d: it is no tap, and no socket", fd);
	}
}

int tap_adopt(int fd, const struct opener *opener, struct net_backend **backend, struct error *err)
{
	static const short needed = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	FD_CLEANUP int copy = -1;
	struct ifreq ifr;
	struct tap *tap;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return explain_descriptor(fd, err);
	if ((ifr.ifr_flags & needed) != needed)
		return error_set(err, -EBADFD,
				 "descriptor %d: %s must be attached with IFF_TAP, IFF_NO_PI and "
				 "IFF_VNET_HDR",
				 fd, ifr.ifr_name);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || fcntl(copy, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return error_errno(err, "descriptor %d", fd);
	tap = allocate(1, opener);
	if (!tap)
		return error_set(err, -ENOMEM, "descriptor %d: out of memory", fd);
	tap->fds[0] = fd_take(&copy);
	tap->n_queues = tap->attached = 1;
	return finish(tap, ifr.ifr_name, 0, backend, err);
}
