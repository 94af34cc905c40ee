/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "vmm/core/counter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/progress.h"

static const uint64_t page_size = 4096;
static const uint64_t populate_step = 128ULL << 20; /* fractions of a second */
static const uint64_t read_step = 512ULL << 10;	    /* what is still in a CPU's cache */

static int create_memfd(struct guest_memory *mem, uint64_t size, bool hugepages, struct error *err)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	if (hugepages)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	mem->fd = memfd_create("xvmm-memory", flags);
	if (mem->fd < 0)
		return error_errno(err, "guest memory: memfd_create");
	if (ftruncate(mem->fd, (off_t)size) < 0)
		return error_errno(err, "guest memory: %llu MiB", (unsigned long long)size >> 20);
	/* Whoever gets it can't take the memory away, which would end this process (SIGBUS). */
	if (fcntl(mem->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_errno(err, "guest memory: F_ADD_SEALS");
	return 0;
}

/*
 * Address space for a region, placed so that guest and host addresses agree below 2 MiB: else KVM
 * can't map the guest's memory by 2 MiB pages (api.rst, KVM_SET_USER_MEMORY_REGION).
 */
static void *reserve(const struct memory_range *range)
{
	uint64_t size = range->size + MEMORY_HUGE_PAGE_SIZE, before, after;
	char *start;

	start = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return NULL;
	before = (range->base - (uintptr_t)start) % MEMORY_HUGE_PAGE_SIZE;
	after = MEMORY_HUGE_PAGE_SIZE - before;
	if (before)
		munmap(start, before);
	munmap(start + before + range->size, after);
	return start + before;
}

static int map_region(struct guest_memory *mem, struct memory_region *region,
		      const struct memory_config *config)
{
	/* MAP_NORESERVE: what the guest never touches costs the host nothing. */
	int flags = config->shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *host = reserve(&region->range);
	int ret;

	if (!host)
		return -errno;
	if (config->hugepages)
		/* Reserved at once, so that a short pool is an error here and no SIGBUS later. */
		flags = (flags & ~MAP_NORESERVE) | (config->shared ? 0 : MAP_HUGETLB);
	region->host = mmap(host, region->range.size, PROT_READ | PROT_WRITE, flags | MAP_FIXED,
			    mem->fd, (off_t)region->fd_offset);
	if (region->host == MAP_FAILED) {
		/* The kernel has perhaps freed the reserved space, and another thread has it. */
		ret = -errno;
		region->host = NULL;
		return ret;
	}
	if (config->ask_huge)
		madvise(region->host, region->range.size, MADV_HUGEPAGE);
	return 0;
}

/* Of a kernel before 5.14, which can't be asked to, and says EINVAL. */
static void touch_pages(char *host, uint64_t size)
{
	for (uint64_t i = 0; i < size; i += page_size)
		((volatile char *)host)[i] = 0;
}

/* Have all pages present. */
static int populate(const struct guest_memory *mem, uint64_t total, const struct logger *log)
{
	struct progress progress = progress_begin(log, "guest memory", total, counter_now_ms());
	uint64_t done = 0;

	for (size_t i = 0; i < mem->n_regions; i++) {
		char *host = mem->regions[i].host;
		uint64_t left = mem->regions[i].range.size;

		while (left > 0) {
			uint64_t size = left < populate_step ? left : populate_step;

			if (madvise(host, size, MADV_POPULATE_WRITE) < 0) {
				if (errno != EINVAL)
					return -errno;
				touch_pages(host, size);
			}
			host += size;
			left -= size;
			done += size;
			progress_tell(&progress, done, counter_now_ms());
		}
	}
	return 0;
}

/* What this machine has, in bytes; 0: not known. */
static uint64_t machine_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
}

/* The kernel would not say so, but end some process. */
int memory_check_prealloc(uint64_t size, struct error *err)
{
	const uint64_t total = machine_memory();

	if (!total || size <= total)
		return 0;
	return error_set(err, -ENOMEM,
			 "guest memory: %llu MiB at once, and this machine has %llu; try: without "
			 "prealloc=on",
			 (unsigned long long)size >> 20, (unsigned long long)total >> 20);
}

/* Guests may be promised more than there is, which is seldom meant of a single one. */
static void warn_of_size(uint64_t size, const struct logger *log)
{
	const uint64_t total = machine_memory();

	if (total && size > total)
		log_warning(log,
			    "guest memory: %llu MiB, and this machine has %llu: a guest that uses "
			    "more gets xvmm killed",
			    (unsigned long long)size >> 20, (unsigned long long)total >> 20);
}

static void map_failed(int code, uint64_t size, const struct memory_config *config,
		       struct error *err)
{
	unsigned long long mib = size >> 20;

	if (config->hugepages)
		error_set(err, code,
			  "guest memory: %llu MiB of 2 MiB pages: %s; try: sysctl "
			  "vm.nr_hugepages=%llu",
			  mib, strerror(-code), mib / 2);
	else
		error_code(err, code, "guest memory: %llu MiB", mib);
}

int memory_create(struct guest_memory *mem, const struct memory_range *ranges, size_t n,
		  const struct memory_config *config, struct error *err)
{
	uint64_t offset = 0;
	int ret = 0;

	*mem = (struct guest_memory){
		.fd = -1,
		.comes_when_touched = !config->shared && !config->hugepages && !config->prealloc,
	};
	if (n > MEMORY_MAX_REGIONS)
		return error_set(err, -E2BIG, "guest memory: too many regions");
	for (size_t i = 0; i < n; i++) {
		if (config->hugepages && ranges[i].size % MEMORY_HUGE_PAGE_SIZE)
			return error_usage(err, "guest memory: with huge pages the size must be a "
						"multiple of 2M");
		mem->regions[i] = (struct memory_region){.range = ranges[i], .fd_offset = offset};
		offset += ranges[i].size;
	}
	if (config->prealloc && !config->hugepages)
		ret = memory_check_prealloc(offset, err);
	else if (!config->hugepages)
		warn_of_size(offset, config->log);
	if (!ret && config->shared)
		ret = create_memfd(mem, offset, config->hugepages, err);
	for (size_t i = 0; i < n && !ret; i++) {
		ret = map_region(mem, &mem->regions[i], config);
		if (ret)
			map_failed(ret, offset, config, err);
		else
			mem->n_regions = i + 1;
	}
	if (!ret && config->prealloc) {
		ret = populate(mem, offset, config->log);
		if (ret)
			map_failed(ret, offset, config, err);
	}
	if (ret) {
		fd_close(&mem->fd);
		memory_destroy(mem);
	}
	return ret;
}

void memory_destroy(struct guest_memory *mem)
{
	for (size_t i = 0; i < mem->n_regions; i++)
		munmap(mem->regions[i].host, mem->regions[i].range.size);
	/* Not in a zeroed struct, which doesn't own descriptor 0. */
	if (mem->n_regions > 0)
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

/*
 * Have the pages there at once, which costs less than a fault for each. Where that can't be done,
 * writing to them is what tells.
 */
static void expect_writes(char *host, uint64_t len)
{
	const uint64_t before = -(uintptr_t)host % page_size;

	madvise(host + before, len - before, MADV_POPULATE_WRITE);
}

int memory_read_file(const struct guest_memory *mem, gpa_t addr, int fd, uint64_t offset,
		     uint64_t len)
{
	char *to = memory_translate(mem, addr, len);
	int ret = 0;

	if (!to)
		return -EFAULT;
	while (len > 0 && !ret) {
		const uint64_t size = len < read_step ? len : read_step;

		if (size == read_step)
			expect_writes(to, size);
		ret = fd_read_all_at(fd, to, size, offset);
		to += size;
		offset += size;
		len -= size;
	}
	return ret;
}
