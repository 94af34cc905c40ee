/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/net_capture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "virtio/defs.h"
#include "virtio/net_backend.h"
#include "virtio/opener.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/path.h"

/* draft-ietf-opsawg-pcap, 4 and 5; all fields are little-endian here. */
struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t reserved[2];
	uint32_t snaplen;
	uint32_t linktype;
};
_Static_assert(sizeof(struct file_header) == 24, "section 4");

struct record_header {
	uint32_t seconds, nanoseconds; /* since 1970 */
	uint32_t captured;	       /* bytes of the packet that follow */
	uint32_t len;		       /* that it had */
};
_Static_assert(sizeof(struct record_header) == 16, "section 5");

static const uint32_t magic_nanoseconds = 0xa1b23c4d;

enum {
	SNAPLEN = 262144, /* more than any packet */
	LINKTYPE_ETHERNET = 1,
};

struct net_capture_file {
	int fd; /* owned */
	char *path;
	const struct logger *log;
	unsigned int more_users; /* than one */
	/* Held from before a packet is sent until it is written down: no answer comes before it. */
	pthread_mutex_t lock;
	bool ended; /* a write has failed */
};

struct net_capture {
	struct net_backend backend;
	struct net_backend *inner;     /* owned */
	struct net_capture_file *file; /* a share */
	size_t header_size;	       /* of virtio-net; fixed while packets move */
};

/* --- the file --- */

/* The file is there, and nobody's else. 0 or a negative errno. */
static int prepare(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	/* A file system that knows no locks is no reason to do without a capture. */
	if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return -EBUSY;
	return ftruncate(fd, 0) ? -errno : 0;
}

int net_capture_open(const char *path, struct error *err)
{
	FD_CLEANUP int fd = open(
		path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
	int ret;

	if (fd < 0 && errno == ELOOP)
		return error_set(err, -ELOOP,
				 "%s: a capture is not written by way of a symbolic link", path);
	if (fd < 0) {
		ret = path_explain(path, PATH_WRITE, err);
		error_prefix(err, "the capture %s: ", path);
		return ret;
	}
	ret = prepare(fd);
	if (ret == -EBUSY)
		return error_set(err, ret, "%s: another capture is being written to it", path);
	if (ret)
		return error_code(err, ret, "the capture %s", path);
	return fd_take(&fd);
}

/* Under the lock. @pieces: @len bytes. */
static void write_pieces(struct net_capture_file *file, const struct iovec *pieces, unsigned int n,
			 size_t len)
{
	ssize_t written = writev(file->fd, pieces, (int)n);

	if (written == (ssize_t)len)
		return;
	file->ended = true;
	log_warning(file->log, "%s: the capture has ended, the network goes on: %s", file->path,
		    written < 0 ? strerror(errno) : "no space is left for a whole packet");
}

static void begin(struct net_capture_file *file)
{
	struct file_header header = {
		.magic = htole32(magic_nanoseconds),
		.major = htole16(2),
		.minor = htole16(4),
		.snaplen = htole32(SNAPLEN),
		.linktype = htole32(LINKTYPE_ETHERNET),
	};

	write_pieces(file, &(struct iovec){&header, sizeof(header)}, 1, sizeof(header));
}

int net_capture_file_create(const char *path, const struct opener *opener, const struct logger *log,
			    struct net_capture_file **out, struct error *err)
{
	const struct opening opening = {.kind = OPENING_CAPTURE, .name = path};
	struct net_capture_file *file = calloc(1, sizeof(*file));
	int ret;

	*out = NULL;
	if (!file)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	file->fd = -1;
	file->log = log;
	pthread_mutex_init(&file->lock, NULL);
	file->path = strdup(path);
	ret = file->path ? opener_open(opener, &opening, log, &file->fd, err)
			 : error_set(err, -ENOMEM, "%s: out of memory", path);
	if (ret) {
		net_capture_file_release(file);
		return ret;
	}
	begin(file);
	*out = file;
	return 0;
}

struct net_capture_file *net_capture_file_share(struct net_capture_file *file)
{
	file->more_users++;
	return file;
}

void net_capture_file_release(struct net_capture_file *file)
{
	if (!file || file->more_users--)
		return;
	fd_close(&file->fd);
	pthread_mutex_destroy(&file->lock);
	free(file->path);
	free(file);
}

bool net_capture_file_has_ended(struct net_capture_file *file)
{
	bool ended;

	pthread_mutex_lock(&file->lock);
	ended = file->ended;
	if (ended)
		fd_close(&file->fd);
	pthread_mutex_unlock(&file->lock);
	return ended;
}

const char *net_capture_file_path(const struct net_capture_file *file)
{
	return file->path;
}

/* --- records --- */

/*
 * Of the packet of @len bytes at @iov, header included, the frame; under the lock. If it is in too
 * many pieces the last ones are missing.
 */
static void record(const struct net_capture *capture, const struct iovec *iov, unsigned int n,
		   size_t len, const struct timespec *when)
{
	const size_t frame_len = len - capture->header_size;
	struct record_header header;
	struct iovec pieces[IOV_MAX];
	unsigned int n_pieces = 1;
	size_t skip = capture->header_size, captured = 0;

	for (unsigned int i = 0; i < n && captured < frame_len && n_pieces < IOV_MAX; i++) {
		size_t skipped = iov[i].iov_len < skip ? iov[i].iov_len : skip;
		size_t part = iov[i].iov_len - skipped;

		skip -= skipped;
		part = part < frame_len - captured ? part : frame_len - captured;
		if (!part)
			continue;
		pieces[n_pieces++] = (struct iovec){(uint8_t *)iov[i].iov_base + skipped, part};
		captured += part;
	}
	header = (struct record_header){
		.seconds = htole32((uint32_t)when->tv_sec),
		.nanoseconds = htole32((uint32_t)when->tv_nsec),
		.captured = htole32((uint32_t)captured),
		.len = htole32((uint32_t)frame_len),
	};
	pieces[0] = (struct iovec){&header, sizeof(header)};
	write_pieces(capture->file, pieces, n_pieces, sizeof(header) + captured);
}

/*
 * Whether that is to be written down. Of a packet that is only to be lost, for the link is down,
 * less is taken than an Ethernet header.
 */
static bool is_frame(const struct net_capture *capture, size_t len)
{
	return len >= capture->header_size + ETH_HLEN;
}

static size_t length(const struct iovec *iov, unsigned int n)
{
	size_t len = 0;

	for (unsigned int i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

/* --- the backend --- */

static uint64_t capture_features(const struct net_backend *backend)
{
	const struct net_backend *inner = ((const struct net_capture *)backend)->inner;

	return inner->ops->features(inner);
}

static int capture_set_features(struct net_backend *backend, uint64_t features)
{
	struct net_capture *capture = (struct net_capture *)backend;
	int ret = capture->inner->ops->set_features(capture->inner, features);

	if (!ret)
		capture->header_size = features >> VIRTIO_NET_F_HASH_REPORT & 1
					       ? sizeof(struct virtio_net_hdr_v1_hash)
					       : sizeof(struct virtio_net_hdr_v1);
	return ret;
}

static int capture_set_queues(struct net_backend *backend, unsigned int n)
{
	struct net_backend *inner = ((struct net_capture *)backend)->inner;

	return inner->ops->set_queues(inner, n);
}

static int capture_fd(const struct net_backend *backend, unsigned int queue)
{
	const struct net_backend *inner = ((const struct net_capture *)backend)->inner;

	return inner->ops->fd(inner, queue);
}

static ssize_t capture_receive(struct net_backend *backend, unsigned int queue,
			       const struct iovec *iov, unsigned int n)
{
	const struct net_capture *capture = (const struct net_capture *)backend;
	struct net_capture_file *file = capture->file;
	ssize_t len = capture->inner->ops->receive(capture->inner, queue, iov, n);
	struct timespec now;

	if (len <= 0 || !is_frame(capture, (size_t)len))
		return len;
	pthread_mutex_lock(&file->lock);
	clock_gettime(CLOCK_REALTIME, &now);
	if (!file->ended)
		record(capture, iov, n, (size_t)len, &now);
	pthread_mutex_unlock(&file->lock);
	return len;
}

static ssize_t capture_send(struct net_backend *backend, unsigned int queue,
			    const struct iovec *iov, unsigned int n)
{
	const struct net_capture *capture = (const struct net_capture *)backend;
	struct net_capture_file *file = capture->file;
	const size_t len = length(iov, n);
	struct timespec now;
	ssize_t ret;

	pthread_mutex_lock(&file->lock);
	clock_gettime(CLOCK_REALTIME, &now);
	ret = capture->inner->ops->send(capture->inner, queue, iov, n);
	if (ret >= 0 && !file->ended && is_frame(capture, len))
		record(capture, iov, n, len, &now);
	pthread_mutex_unlock(&file->lock);
	return ret;
}

static void capture_destroy(struct net_backend *backend)
{
	struct net_capture *capture = (struct net_capture *)backend;

	net_backend_release(capture->inner);
	net_capture_file_release(capture->file);
	free(capture);
}

static const struct net_backend_ops capture_ops = {
	.features = capture_features,
	.set_features = capture_set_features,
	.set_queues = capture_set_queues,
	.fd = capture_fd,
	.receive = capture_receive,
	.send = capture_send,
	.destroy = capture_destroy,
};

struct net_backend *net_capture_create(struct net_capture_file *file, struct net_backend *inner)
{
	struct net_capture *capture = calloc(1, sizeof(*capture));

	if (!capture) {
		net_backend_release(inner);
		net_capture_file_release(file);
		return NULL;
	}
	capture->backend.ops = &capture_ops;
	capture->inner = inner;
	capture->file = file;
	capture->header_size = sizeof(struct virtio_net_hdr_v1);
	return &capture->backend;
}
