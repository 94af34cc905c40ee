/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/vhost_user_backend/table.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void table_clear(struct table *table)
{
	for (size_t i = 0; i < table->mem.n_regions; i++)
		munmap(table->maps[i].map, table->maps[i].map_len);
	*table = (struct table){.mem.fd = -1};
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static void check(const struct table *table, const struct memory_area *area, int fd)
{
	struct stat file;

	if (area->size == 0)
		violation("memory region: its size is 0");
	if (area->guest + area->size < area->guest || area->user + area->size < area->user ||
	    area->mmap_offset + area->size < area->mmap_offset)
		violation("memory region: addresses wrap around");
	for (size_t i = 0; i < table->mem.n_regions; i++) {
		const struct memory_range *range = &table->mem.regions[i].range;

		if (overlap(area->guest, area->size, range->base, range->size) ||
		    overlap(area->user, area->size, table->maps[i].user, range->size))
			violation("memory region: it overlaps another one");
	}
	if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode))
		violation("memory region: the descriptor is no memory");
	if (area->mmap_offset + area->size > (uint64_t)file.st_size)
		violation("memory region: the file ends before it");
}

void table_add(struct table *table, const struct memory_area *area, int fd)
{
	size_t i = table->mem.n_regions, len = area->mmap_offset + area->size;
	void *map;

	check(table, area, fd);
	if (i == MEMORY_MAX_REGIONS)
		failure("more than %d memory regions", MEMORY_MAX_REGIONS);
	/* From the start of the file: the offset need not be one of a page. */
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		violation("memory region: can't be mapped: %s", strerror(errno));
	table->mem.regions[i].range = (struct memory_range){area->guest, area->size};
	table->mem.regions[i].host = (char *)map + area->mmap_offset;
	table->maps[i].user = area->user;
	table->maps[i].map = map;
	table->maps[i].map_len = len;
	table->mem.n_regions++;
}

void table_remove(struct table *table, const struct memory_area *area)
{
	for (size_t i = 0; i < table->mem.n_regions; i++) {
		size_t last = table->mem.n_regions - 1;

		if (table->mem.regions[i].range.base != area->guest ||
		    table->mem.regions[i].range.size != area->size ||
		    table->maps[i].user != area->user)
			continue;
		munmap(table->maps[i].map, table->maps[i].map_len);
		table->mem.regions[i] = table->mem.regions[last];
		table->maps[i] = table->maps[last];
		table->mem.n_regions--;
		return;
	}
	violation("REM_MEM_REG: there is no such region");
}

gpa_t table_from_user(const struct table *table, uint64_t user, uint64_t len, const char *what)
{
	for (size_t i = 0; i < table->mem.n_regions; i++) {
		uint64_t offset = user - table->maps[i].user;
		const struct memory_range *range = &table->mem.regions[i].range;

		if (offset < range->size && len <= range->size - offset)
			return gpa(range->base + offset);
	}
	violation("%s %#llx is not in one memory region", what, (unsigned long long)user);
}
