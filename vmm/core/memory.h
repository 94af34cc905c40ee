/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory.
 *
 * The one way to reach what a guest can write. A guest-physical address is a type of its own that
 * can't be dereferenced; translating takes an address and a length, is checked for overflow and
 * for the end of the region, and can fail.
 *
 * The guest changes its memory at any time, from other threads: copy what must be validated, once
 * (memory_read(), memory_load_le16()), then validate and use the copy.
 *
 * The set of regions is fixed at creation, so every function but create and destroy may be called
 * from any thread.
 */
#ifndef VMM_CORE_MEMORY_H
#define VMM_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct logger;

/* A guest-physical address, in bytes, host byte order. */
typedef struct gpa {
	uint64_t value;
} gpa_t;

static inline gpa_t gpa(uint64_t value)
{
	return (gpa_t){value};
}

static inline gpa_t gpa_add(gpa_t addr, uint64_t offset)
{
	return (gpa_t){addr.value + offset};
}

/* A piece of guest-physical address space, in bytes. */
struct memory_range {
	uint64_t base;
	uint64_t size;
};

enum {
	MEMORY_MAX_REGIONS = 4, /* below and above the hole; spare ones for other architectures */
	MEMORY_HUGE_PAGE_SIZE = 2 << 20, /* bytes */
};

/* One region: guest-physical range, its mapping in this process, and what backs it. */
struct memory_region {
	struct memory_range range;
	void *host;	    /* page aligned */
	uint64_t fd_offset; /* where the region starts in guest_memory.fd */
};

struct memory_config {
	bool shared;	/* a memfd, mapped MAP_SHARED, that other processes can map (vhost-user) */
	bool hugepages; /* 2 MiB pages from the host's pool */
	bool ask_huge;	/* or such as the kernel has, if it gives them to who asks */
	bool prealloc;	/* all pages present before the guest starts */
	const struct logger
		*log; /* of how far that is, or of memory this machine hasn't; or NULL */
};

struct guest_memory {
	struct memory_region regions[MEMORY_MAX_REGIONS]; /* by rising address */
	size_t n_regions;
	/* The memfd of shared memory, of sealed size, owned by this struct; -1 if private. */
	int fd;
	/* Private, and a page of it is there once it was touched. */
	bool comes_when_touched;
};

/* -ENOMEM: this machine hasn't @size bytes that prealloc could take at once. */
int memory_check_prealloc(uint64_t size, struct error *err);

/*
 * Map memory for the @n @ranges (page aligned, rising, not touching) into *@mem. On failure *@mem
 * is as after memory_destroy(). Errors: -ENOMEM, and what mmap() and memfd_create() give.
 */
int memory_create(struct guest_memory *mem, const struct memory_range *ranges, size_t n,
		  const struct memory_config *config, struct error *err);

/* Unmap everything. Accepts a zeroed struct and may be called twice. */
void memory_destroy(struct guest_memory *mem);

/* The sum of all regions, in bytes. */
uint64_t memory_size(const struct guest_memory *mem);

/* The host address of [@addr, @addr + @len), or NULL unless all of it lies in one region. */
void *memory_translate(const struct guest_memory *mem, gpa_t addr, uint64_t len);

/* Copy out of or into guest memory: 0, or -EFAULT if not all of the range lies in one region. */
int memory_read(const struct guest_memory *mem, gpa_t addr, void *to, size_t len);
int memory_write(const struct guest_memory *mem, gpa_t addr, const void *from, size_t len);

/* Fill with zeroes: 0, or -EFAULT as above. */
int memory_zero(const struct guest_memory *mem, gpa_t addr, size_t len);

/*
 * Read @len bytes at @offset of @fd straight into guest memory. -EFAULT as above, -ENODATA if the
 * file ends before, or the errno of pread().
 */
int memory_read_file(const struct guest_memory *mem, gpa_t addr, int fd, uint64_t offset,
		     uint64_t len);

#endif
