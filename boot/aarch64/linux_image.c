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

struct gzip {
	const struct image *file;
	uint64_t at; /* bytes of it that were read */
	z_stream stream;
	bool ended; /* and its checksum is right */
	uint8_t input[INPUT_SIZE];
};

/* More input, when there is none left. */
static int refill(struct gzip *gzip, struct error *err)
{
	uint64_t left = gzip->file->size - gzip->at;
	size_t len = left < INPUT_SIZE ? (size_t)left : INPUT_SIZE;
	int ret;

	if (gzip->stream.avail_in > 0)
		return 0;
	if (len == 0)
		return error_set(err, -ENODATA, "truncated: its gzip stream doesn't end");
	ret = image_read(gzip->file, gzip->at, gzip->input, len, "its gzip stream", err);
	gzip->at += len;
	gzip->stream.next_in = gzip->input;
	gzip->stream.avail_in = (uInt)len;
	return ret;
}

/* Unpack to @to until its @size bytes are full or there is no more. */
static int inflate_to(struct gzip *gzip, void *to, uint32_t size, struct error *err)
{
	z_stream *stream = &gzip->stream;

	stream->next_out = to;
	stream->avail_out = size;
	while (stream->avail_out > 0 && !gzip->ended) {
		int ret = refill(gzip, err);

		if (ret)
			return ret;
		ret = inflate(stream, Z_NO_FLUSH);
		gzip->ended = ret == Z_STREAM_END;
		if (ret != Z_OK && !gzip->ended)
			return error_set(err, -ENOEXEC, "damaged: gzip: %s",
					 stream->msg ? stream->msg : zError(ret));
	}
	return 0;
}

/* What follows the stream is left alone, as by gunzip, unless more of the kernel would be in it. */
static int check_rest(const struct gzip *gzip, struct error *err)
{
	uint64_t end = gzip->at - gzip->stream.avail_in;
	uint8_t magic[2];
	int ret;

	if (gzip->file->size - end < sizeof(magic))
		return 0;
	ret = image_read(gzip->file, end, magic, sizeof(magic), "what follows gzip's stream", err);
	if (!ret && linux_image_match_gzip(magic, sizeof(magic)))
		ret = error_set(err, -ENOEXEC,
				"it has several gzip members; unpack it first: gunzip -c FILE > "
				"Image");
	return ret;
}

static int unpack_to(struct gzip *gzip, void *to, uint32_t size, uint32_t *n, bool *all,
		     struct error *err)
{
	uint8_t more;
	int ret = inflate_to(gzip, to, size, err);

	*n = size - gzip->stream.avail_out;
	*all = gzip->ended;
	/* The end may come just behind. */
	if (!ret && !gzip->ended) {
		ret = inflate_to(gzip, &more, sizeof(more), err);
		*all = gzip->ended && gzip->stream.avail_out > 0;
	}
	return ret || !*all ? ret : check_rest(gzip, err);
}

/*
 * Unpack the first @size bytes to @to; *@n: how many there were. *@all: there are no more, and the
 * file's checksum is theirs.
 */
static int unpack(const struct image *file, void *to, uint32_t size, uint32_t *n, bool *all,
		  struct error *err)
{
	struct gzip gzip = {.file = file};
	int ret = inflateInit2(&gzip.stream, GZIP_WINDOW);

	*n = 0;
	*all = false;
	if (ret != Z_OK)
		return error_set(err, -ENOMEM, "gzip: %s", zError(ret));
	ret = unpack_to(&gzip, to, size, n, all, err);
	inflateEnd(&gzip.stream);
	return ret;
}

/* --- the Image --- */

static int read_header(const struct image *file, bool gzip, struct header *header,
		       struct error *err)
{
	uint32_t n;
	bool all;
	int ret;

	if (!gzip)
		return image_read(file, 0, header, sizeof(*header), "the header", err);
	ret = unpack(file, header, sizeof(*header), &n, &all, err);
	if (!ret && !linux_image_match((const uint8_t *)header, n))
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
	bool all;
	int ret;

	if (!to)
		return error_set(err, -EFAULT, "the guest has no memory at 0x%llx for %llu bytes",
				 (unsigned long long)extent->base,
				 (unsigned long long)extent->size);
	ret = unpack(file, to, (uint32_t)extent->size, &n, &all, err);
	if (!ret && !all)
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
