/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fdt.h"

#include "lib/guest.h"
#include "lib/string.h"

enum { /* 5.2: offsets into the header */
	HEADER_MAGIC = 0,
	HEADER_STRUCTURE = 8,
	HEADER_STRINGS = 12,
	HEADER_LAST_COMPATIBLE = 24,
	VERSION = 17,
	CELL = 4,
};

#define MAGIC 0xd00dfeed

enum token { /* 5.4.1 */
	BEGIN_NODE = 1,
	END_NODE = 2,
	PROPERTY = 3,
	NOP = 4,
	END = 9,
};

static const uint8_t *header;

/* Everything is big-endian. */
static uint32_t read_cell(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* What a token of the structure block takes, with all that belongs to it. */
static size_t token_size(const uint8_t *at)
{
	size_t size = CELL;

	if (read_cell(at) == BEGIN_NODE)
		size += strlen((const char *)at + CELL) + 1;
	else if (read_cell(at) == PROPERTY)
		size += 2 * CELL + read_cell(at + CELL);
	return (size + CELL - 1) / CELL * CELL;
}

/* The first node from @at on. */
static bool node_from(const uint8_t *at, struct fdt_node *node)
{
	for (; read_cell(at) != END; at += token_size(at)) {
		if (read_cell(at) != BEGIN_NODE)
			continue;
		node->name = (const char *)at + CELL;
		node->content = at + token_size(at);
		return true;
	}
	return false;
}

void fdt_init(const void *tree)
{
	header = tree;
	if (read_cell(header + HEADER_MAGIC) != MAGIC ||
	    read_cell(header + HEADER_LAST_COMPATIBLE) > VERSION)
		fatal("device tree: magic %#x, compatible with version %u", read_cell(header),
		      read_cell(header + HEADER_LAST_COMPATIBLE));
}

struct fdt_node fdt_root(void)
{
	struct fdt_node root;

	if (!node_from(header + read_cell(header + HEADER_STRUCTURE), &root))
		fatal("device tree: it has no root");
	return root;
}

bool fdt_find(const char *property, const char *value, unsigned int index, struct fdt_node *node)
{
	bool more = true;

	for (*node = fdt_root(); more; more = node_from(node->content, node))
		if (fdt_has_string(node, property, value) && index-- == 0)
			return true;
	return false;
}

bool fdt_find_name(const char *name, struct fdt_node *node)
{
	bool more = true;

	for (*node = fdt_root(); more; more = node_from(node->content, node))
		if (strlen(node->name) == strlen(name) &&
		    memcmp(node->name, name, strlen(name)) == 0)
			return true;
	return false;
}

const void *fdt_property(const struct fdt_node *node, const char *name, uint32_t *len)
{
	const char *strings = (const char *)header + read_cell(header + HEADER_STRINGS);

	for (const uint8_t *at = node->content; read_cell(at) == PROPERTY || read_cell(at) == NOP;
	     at += token_size(at)) {
		const char *is = strings + read_cell(at + 2 * CELL);

		if (read_cell(at) == NOP || strlen(is) != strlen(name) ||
		    memcmp(is, name, strlen(name)) != 0)
			continue;
		*len = read_cell(at + CELL);
		return at + 3 * CELL;
	}
	*len = 0;
	return NULL;
}

bool fdt_has_string(const struct fdt_node *node, const char *name, const char *value)
{
	uint32_t len;
	const char *list = fdt_property(node, name, &len);
	size_t size = strlen(value) + 1;

	for (uint32_t at = 0; at + size <= len; at += (uint32_t)strlen(list + at) + 1)
		if (memcmp(list + at, value, size) == 0)
			return true;
	return false;
}

uint64_t fdt_number(const struct fdt_node *node, const char *name, unsigned int first,
		    unsigned int n)
{
	uint32_t len;
	const uint8_t *cells = fdt_property(node, name, &len);
	uint64_t value = 0;

	if ((first + n) * CELL > len)
		return 0;
	for (unsigned int i = first; i < first + n; i++)
		value = value << 32 | read_cell(cells + (size_t)i * CELL);
	return value;
}
