/* SPDX-License-Identifier: Apache-2.0 */
/* A flattened device tree (Devicetree Specification 0.4, chapter 5), as far as guests need it. */
#ifndef GUEST_LIB_FDT_H
#define GUEST_LIB_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fdt_node {
	const char *name;	/* with the unit address; empty for the root */
	const uint8_t *content; /* the structure block behind it: its properties come first */
};

/* Look at @tree from now on, which stays where it is. Ends the guest if it isn't one. */
void fdt_init(const void *tree);

struct fdt_node fdt_root(void);

/* The @index-th node, in the order of the tree, that has @value in its string list @property. */
bool fdt_find(const char *property, const char *value, unsigned int index, struct fdt_node *node);

/* The first node of this name. */
bool fdt_find_name(const char *name, struct fdt_node *node);

/* The value of a property, and its length in bytes; NULL if there is none. */
const void *fdt_property(const struct fdt_node *node, const char *name, uint32_t *len);

/* Whether @value is in the string list @name. */
bool fdt_has_string(const struct fdt_node *node, const char *name, const char *value);

/* A number of @n cells (1 or 2), from cell @first of a property on; 0 where it ends before. */
uint64_t fdt_number(const struct fdt_node *node, const char *name, unsigned int first,
		    unsigned int n);

#endif
