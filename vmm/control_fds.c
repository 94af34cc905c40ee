/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control_fds.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"

static struct control_fd *find(struct control_fds *fds, const char *name)
{
	for (unsigned int i = 0; i < fds->n; i++) {
		if (strcmp(fds->fds[i].name, name) == 0)
			return &fds->fds[i];
	}
	return NULL;
}

/* In a SPEC a number is a descriptor of xvmm's own, and a comma ends the name. */
static int check_name(const char *name, struct error *err)
{
	if (*name >= '0' && *name <= '9')
		return error_set(err, -EINVAL,
				 "Parameter 'fdname' expects a name not starting with a digit");
	if (!*name || strlen(name) >= CONTROL_FD_NAME_SIZE || strchr(name, ','))
		return error_set(err, -EINVAL, "fdname: '%s' is not 1 to %d bytes without a comma",
				 name, CONTROL_FD_NAME_SIZE - 1);
	return 0;
}

int control_fds_put(struct control_fds *fds, const char *name, int fd, struct error *err)
{
	struct control_fd *at = find(fds, name);
	int ret = check_name(name, err);

	if (ret)
		return ret;
	if (at) {
		close(at->fd);
	} else if (fds->n == CONTROL_FDS_MAX) {
		return error_set(err, -ENOSPC,
				 "there are %d descriptors already, as many as there may be; try: "
				 "closefd",
				 CONTROL_FDS_MAX);
	} else {
		at = &fds->fds[fds->n++];
		memcpy(at->name, name, strlen(name) + 1);
	}
	at->fd = fd;
	return 0;
}

int control_fds_take(struct control_fds *fds, const char *name, struct error *err)
{
	struct control_fd *at = find(fds, name);
	int fd;

	if (!at)
		return error_set(err, -ENOENT, "File descriptor named '%s' not found", name);
	fd = at->fd;
	*at = fds->fds[--fds->n];
	return fd;
}

void control_fds_close(struct control_fds *fds)
{
	while (fds->n)
		fd_close(&fds->fds[--fds->n].fd);
}
