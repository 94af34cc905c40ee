/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that clients of the control socket have passed (getfd), by the names that they gave
 * them. By the thread that runs the control socket.
 */
#ifndef VMM_CONTROL_FDS_H
#define VMM_CONTROL_FDS_H

struct error;

enum {
	CONTROL_FDS_MAX = 16,	   /* at a time, of all clients */
	CONTROL_FD_NAME_SIZE = 64, /* of a name, with its end */
};

/* All zero: none. */
struct control_fds {
	unsigned int n;
	struct control_fd {
		char name[CONTROL_FD_NAME_SIZE];
		int fd; /* owned */
	} fds[CONTROL_FDS_MAX];
};

/*
 * @fd becomes @name: taken over, on success. Another one of that name is closed. -EINVAL: a SPEC
 * couldn't say that name; -ENOSPC.
 */
int control_fds_put(struct control_fds *fds, const char *name, int fd, struct error *err);

/* The descriptor @name, which has no name any more: the caller's. -ENOENT. */
int control_fds_take(struct control_fds *fds, const char *name, struct error *err);

void control_fds_close(struct control_fds *fds);

#endif
