/* SPDX-License-Identifier: Apache-2.0 */
/* The memory table that the front-end sets: as guest memory, and by user addresses. */
#ifndef VHOST_USER_BACKEND_TABLE_H
#define VHOST_USER_BACKEND_TABLE_H

#include "tests/vhost_user_backend/message.h"
#include "vmm/core/memory.h"

struct table {
	struct guest_memory mem; /* its regions are not in order */
	struct {
		uint64_t user;
		void *map;
		size_t map_len;
	} maps[MEMORY_MAX_REGIONS];
};

void table_clear(struct table *table);

/* Map a region; @fd stays the caller's. Violations: it is no memory, or overlaps another one. */
void table_add(struct table *table, const struct memory_area *area, int fd);

void table_remove(struct table *table, const struct memory_area *area);

/* The guest address for user address @user, so that @len bytes from there are in one region. */
gpa_t table_from_user(const struct table *table, uint64_t user, uint64_t len, const char *what);

#endif
