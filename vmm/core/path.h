/* SPDX-License-Identifier: Apache-2.0 */
/* Why a file can't be opened, made or connected to: what the kernel doesn't say. Any thread. */
#ifndef VMM_CORE_PATH_H
#define VMM_CORE_PATH_H

struct error;

enum path_use {
	PATH_READ,
	PATH_WRITE,   /* or make it */
	PATH_CONNECT, /* a unix socket's: stream */
};

/*
 * The call for @path failed with errno: have @err say so, why as far as the file and its directory
 * tell, and what mends it. It doesn't say @path first: the caller prefixes it. Returns -errno.
 */
int path_explain(const char *path, enum path_use use, struct error *err);

/* Whether a file at @path could be written, or made if there is none: 0, or as path_explain(). */
int path_check_write(const char *path, struct error *err);

#endif
