/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between memory in one piece and the pieces of guest memory that an iovec array names. */
#ifndef VIRTIO_IOV_H
#define VIRTIO_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

/* Copy @len bytes into @iovs from byte @offset on; they hold that many. */
static inline void iov_scatter(const struct iovec *iovs, size_t offset, const void *from,
			       size_t len)
{
	const uint8_t *at = from;

	for (; len > 0; iovs++) {
		size_t n;

		if (offset >= iovs->iov_len) {
			offset -= iovs->iov_len;
			continue;
		}
		n = iovs->iov_len - offset;
		n = n < len ? n : len;
		memcpy((uint8_t *)iovs->iov_base + offset, at, n);
		offset = 0;
		at += n;
		len -= n;
	}
}

/* Copy @len bytes out of @iovs from byte @offset on; they hold that many. */
static inline void iov_gather(void *to, const struct iovec *iovs, size_t offset, size_t len)
{
	uint8_t *at = to;

	for (; len > 0; iovs++) {
		size_t n;

		if (offset >= iovs->iov_len) {
			offset -= iovs->iov_len;
			continue;
		}
		n = iovs->iov_len - offset;
		n = n < len ? n : len;
		memcpy(at, (const uint8_t *)iovs->iov_base + offset, n);
		offset = 0;
		at += n;
		len -= n;
	}
}

#endif
