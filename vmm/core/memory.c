/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/memory.h"

#include <errno.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"

static const uint64_t huge_page_size = 2ULL << 20;

static int create_memfd(struct guest_memory *mem, uint64_t size, bool hugepages, struct error *err)
{
	unsigned int flags = MFD_CLOEXEC;

	if (hugepages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	mem->fd = memfd_create("xvmm-memory", flags);
	if (mem->fd < 0)
		return error_errno(err, "guest memory: memfd_create");
	if (ftruncate(mem->fd, (off_t)size) < 0)
		return error_errno(err, "guest memory: %llu MiB", (unsigned long long)size >> 20);
	return 0;
}

static int map_region(struct guest_memory *mem, struct memory_region *region,
		      const struct memory_config *config, struct error *err)
{
	/* MAP_NORESERVE: what the guest never touches costs the host nothing. */
	int flags = config->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	if (config->hugepages)
		/* Reserved at once, so that a short pool is an error here and no SIGBUS later. */
		flags = (flags & ~MAP_NORESERVE) | (config->shared ? 0 : MAP_HUGETLB);
	if (config->prealloc)
		flags |= MAP_POPULATE;
	region->host = mmap(NULL, region->range.size, PROT_READ | PROT_WRITE, flags, mem->fd,
			    (off_t)region->fd_offset);
	if (region->host == MAP_FAILED) {
		unsigned long long mib = region->range.size >> 20;

		region->host = NULL;
		if (config->hugepages)
			return error_errno(err,
					   "guest memory: %llu MiB of 2 MiB pages (try: sysctl "
					   "vm.nr_hugepages=%llu)",
					   mib, mib / 2);
		return error_errno(err, "guest memory: %llu MiB", mib);
	}
	return 0;
}

int memory_create(struct guest_memory *mem, const struct memory_range *ranges, size_t n,
		  const struct memory_config *config, struct error *err)
{
	uint64_t offset = 0;
	int ret = 0;

	*mem = (struct guest_memory){.fd = -1};
	if (n > MEMORY_MAX_REGIONS)
		return error_set(err, -E2BIG, "guest memory: too many regions");
	for (size_t i = 0; i < n; i++) {
		if (config->hugepages && ranges[i].size % huge_page_size)
			return error_usage(err, "guest memory: with huge pages the size must be a "
						"multiple of 2M");
		mem->regions[i] = (struct memory_region){.range = ranges[i], .fd_offset = offset};
		offset += ranges[i].size;
	}
	if (config->shared)
		ret = create_memfd(mem, offset, config->hugepages, err);
	for (size_t i = 0; i < n && !ret; i++) {
		ret = map_region(mem, &mem->regions[i], config, err);
		if (!ret)
			mem->n_regions = i + 1;
	}
	if (ret)
		memory_destroy(mem);
	return ret;
}

void memory_destroy(struct guest_memory *mem)
{
	for (size_t i = 0; i < mem->n_regions; i++)
		munmap(mem->regions[i].host, mem->regions[i].range.size);
	if (mem->fd > 0)
		fd_close(&mem->fd);
	*mem = (struct guest_memory){.fd = -1};
}

uint64_t memory_size(const struct guest_memory *mem)
{
	uint64_t size = 0;

	for (size_t i = 0; i < mem->n_regions; i++)
		size += mem->regions[i].range.size;
	return size;
}

void *memory_translate(const struct guest_memory *mem, gpa_t addr, uint64_t len)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		const struct memory_range *range = &mem->regions[i].range;
		uint64_t offset = addr.value - range->base;

		/* An address below base wraps to an offset past the end. */
		if (offset < range->size)
			return len <= range->size - offset ? (char *)mem->regions[i].host + offset
							   : NULL;
	}
	return NULL;
}

int memory_read(const struct guest_memory *mem, gpa_t addr, void *to, size_t len)
{
	const void *from = memory_translate(mem, addr, len);

	if (!from)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

int memory_write(const struct guest_memory *mem, gpa_t addr, const void *from, size_t len)
{
	void *to = memory_translate(mem, addr, len);

	if (!to)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

int memory_zero(const struct guest_memory *mem, gpa_t addr, size_t len)
{
	void *to = memory_translate(mem, addr, len);

	if (!to)
		return -EFAULT;
	memset(to, 0, len);
	return 0;
}

int memory_read_file(const struct guest_memory *mem, gpa_t addr, int fd, uint64_t offset,
		     uint64_t len)
{
	char *to = memory_translate(mem, addr, len);

	if (!to)
		return -EFAULT;
	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n == 0)
			return -ENODATA;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		to += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}
