/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/aarch64/linux_image.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "vmm/core/error.h"

/* booting.rst, "The decompressed kernel image contains a 64-byte header". Little-endian. */
struct header {
	uint32_t code0;
	uint32_t code1;
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t reserved[3];
	char magic[4];
	uint32_t pe_offset;
};
_Static_assert(sizeof(struct header) == 64, "booting.rst");
_Static_assert(offsetof(struct header, magic) == 56, "booting.rst");

#define MAGIC	       "ARM\x64"
#define GZIP_MAGIC     "\x1f\x8b"
#define TEXT_ALIGNMENT 0x200000 /* booting.rst: 2 MiB */

enum {
	INPUT_SIZE = 65536,
	GZIP_WINDOW = 15 + 16, /* zlib.h, inflateInit2(): the largest, with gzip's header */
};

bool linux_image_match(const uint8_t *head, size_t len)
{
	return len >= sizeof(struct header) &&
	       memcmp(head + offsetof(struct header, magic), MAGIC, 4) == 0;
}

bool linux_image_match_gzip(const uint8_t *head, size_t len)
{
	return len >= 2 && memcmp(head, GZIP_MAGIC, 2) == 0;
}

/* --- gzip --- */

/* More input, when there is none left. */
static int refill(z_stream *stream, const struct image *file, uint64_t *at, uint8_t *input,
		  struct error *err)
{
	uint64_t left = file->size - *at;
	size_t len = left < INPUT_SIZE ? (size_t)left : INPUT_SIZE;
	int ret;

	if (stream->avail_in > 0)
		return 0;
	if (len == 0)
		return error_set(err, -ENODATA, "truncated: its gzip stream doesn't end");
	ret = image_read(file, *at, input, len, "its gzip stream", err);
	*at += len;
	stream->next_in = input;
	stream->avail_in = (uInt)len;
	return ret;
}

static int inflate_all(z_stream *stream, const struct image *file, uint8_t *input, bool *ended,
		       struct error *err)
{
	uint64_t at = 0;

	while (stream->avail_out > 0 && !*ended) {
		int ret = refill(stream, file, &at, input, err);

		if (ret)
			return ret;
		ret = inflate(stream, Z_NO_FLUSH);
		*ended = ret == Z_STREAM_END;
		if (ret != Z_OK && !*ended)
			return error_set(err, -ENOEXEC, "damaged: gzip: %s",
					 stream->msg ? stream->msg : zError(ret));
	}
	return 0;
}

/*
 * Unpack the first @size bytes to @to; *@n: how many there were. *@ended: these are all, and the
 * file's checksum is theirs.
 */
static int unpack(const struct image *file, void *to, uint32_t size, uint32_t *n, bool *ended,
		  struct error *err)
{
	uint8_t input[INPUT_SIZE];
	z_stream stream = {.next_out = to, .avail_out = size};
	int ret = inflateInit2(&stream, GZIP_WINDOW);

	*n = 0;
	*ended = false;
	if (ret != Z_OK)
		return error_set(err, -ENOMEM, "gzip: %s", zError(ret));
	ret = inflate_all(&stream, file, input, ended, err);
	*n = size - stream.avail_out;
	inflateEnd(&stream);
	return ret;
}

/* --- the Image --- */

static int read_header(const struct image *file, bool gzip, struct header *header,
		       struct error *err)
{
	uint32_t n;
	bool ended;
	int ret;

	if (!gzip)
		return image_read(file, 0, header, sizeof(*header), "the header", err);
	ret = unpack(file, header, sizeof(*header), &n, &ended, err);
	if (!ret && (n < sizeof(*header) || !linux_image_match((const uint8_t *)header, n)))
		ret = error_set(err, -ENOEXEC, "what gzip has packed in it is no arm64 Image");
	return ret;
}

int linux_image_open(const struct image *file, bool gzip, uint64_t base,
		     struct memory_range *extent, struct error *err)
{
	struct header header;
	uint64_t offset, size;
	int ret = read_header(file, gzip, &header, err);

	if (ret)
		return ret;
	offset = le64toh(header.text_offset);
	size = le64toh(header.image_size);
	if (size == 0)
		return error_set(err, -ENOEXEC,
				 "its header doesn't say how large it is; xvmm needs Linux 3.17 or "
				 "later");
	if (offset >= TEXT_ALIGNMENT)
		return error_set(err, -ENOEXEC, "damaged: its text offset is 0x%llx",
				 (unsigned long long)offset);
	if (gzip && size > UINT32_MAX)
		return error_set(err, -ENOEXEC, "damaged: it says it has %llu bytes",
				 (unsigned long long)size);
	if (!gzip && size < file->size)
		size = file->size;
	*extent = (struct memory_range){base + offset, size};
	return 0;
}

static int load_gzip(const struct image *file, const struct memory_range *extent,
		     const struct guest_memory *mem, struct error *err)
{
	void *to = memory_translate(mem, gpa(extent->base), extent->size);
	uint32_t n;
	bool ended;
	int ret;

	if (!to)
		return error_set(err, -EFAULT, "the guest has no memory at 0x%llx for %llu bytes",
				 (unsigned long long)extent->base,
				 (unsigned long long)extent->size);
	ret = unpack(file, to, (uint32_t)extent->size, &n, &ended, err);
	if (!ret && !ended)
		ret = error_set(err, -ENOEXEC,
				"damaged: it has more than the %llu bytes that its header says",
				(unsigned long long)extent->size);
	return ret;
}

int linux_image_load(const struct image *file, bool gzip, const struct memory_range *extent,
		     const struct guest_memory *mem, struct error *err)
{
	if (gzip)
		return load_gzip(file, extent, mem, err);
	return image_load(file, 0, mem, gpa(extent->base), file->size, err);
}
