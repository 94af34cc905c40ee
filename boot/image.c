/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/memory_fill.h"
#include "vmm/core/path.h"
#include "vmm/core/progress.h"

enum {
	NAME_SIZE = 288,
};
static const uint64_t load_step = 64ULL << 20; /* fractions of a second */

static const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static int check_file(const struct stat *st, struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, -EINVAL, "it is %s, not a regular file",
				 file_kind(st->st_mode));
	if (st->st_size <= 0)
		return error_set(err, -EINVAL, "the file is empty");
	return 0;
}

int image_open(struct image *image, const char *path, struct error *err)
{
	struct stat st;
	int ret;

	*image = (struct image){.fd = -1};

	/* Before open(), which is enough to start a watchdog or rewind a tape. */
	if (stat(path, &st) < 0)
		return path_explain(path, PATH_READ, err);
	ret = check_file(&st, err);
	if (ret)
		return ret;

	/* O_NONBLOCK: should it be a FIFO by now. */
	image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (image->fd < 0)
		return path_explain(path, PATH_READ, err);
	if (fstat(image->fd, &st) < 0)
		ret = error_cause(err, -errno);
	else
		ret = check_file(&st, err);
	if (ret) {
		image_close(image);
		return ret;
	}
	image->size = (uint64_t)st.st_size;
	return 0;
}

void image_close(struct image *image)
{
	fd_close(&image->fd);
	image->size = 0;
}

int image_check(const struct image *image, uint64_t offset, uint64_t len, const char *what,
		struct error *err)
{
	uint64_t end;

	if (__builtin_add_overflow(offset, len, &end))
		end = UINT64_MAX;
	if (end > image->size)
		return error_set(err, -ENODATA,
				 "truncated or damaged: %s ends at byte %llu, the file has %llu",
				 what, (unsigned long long)end, (unsigned long long)image->size);
	return 0;
}

int image_read(const struct image *image, uint64_t offset, void *to, size_t len, const char *what,
	       struct error *err)
{
	int ret = image_check(image, offset, len, what, err);

	if (ret)
		return ret;
	ret = fd_read_all_at(image->fd, to, len, offset);
	if (ret == -ENODATA)
		return error_set(err, ret, "it became shorter while it was read");
	return ret ? error_cause(err, ret) : 0;
}

static int load_later(const struct image *image, uint64_t offset, gpa_t addr, uint64_t len)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s %.255s", image->name, image->path);
	return memory_fill_add(image->fill, addr, image->fd, offset, len, name);
}

int image_load(const struct image *image, uint64_t offset, const struct guest_memory *mem,
	       gpa_t addr, uint64_t len, struct error *err)
{
	struct progress progress = progress_begin(image->log, image->name, len, counter_now_ms());
	uint64_t done = 0;
	int ret = 0;

	/* Before anything is read. */
	if (!memory_translate(mem, addr, len)) {
		ret = -EFAULT;
	} else if (image->fill) {
		ret = load_later(image, offset, addr, len);
		done = len;
	}
	while (!ret && done < len) {
		uint64_t size = len - done < load_step ? len - done : load_step;

		if (image->cancelled && atomic_load(image->cancelled))
			return error_cause(err, -ECANCELED);
		ret = memory_read_file(mem, gpa(addr.value + done), image->fd, offset + done, size);
		done += size;
		progress_tell(&progress, done, counter_now_ms());
	}
	if (ret == -EFAULT)
		return error_set(err, ret, "the guest has no memory at 0x%llx for %llu bytes",
				 (unsigned long long)addr.value, (unsigned long long)len);
	if (ret == -ENODATA)
		return error_set(err, ret, "it became shorter after it was opened");
	if (ret)
		return error_cause(err, ret);
	return 0;
}
