/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/opener.h"

#include <errno.h>
#include <unistd.h>

#include "virtio/datapath_vhost_net.h"
#include "virtio/net_capture.h"
#include "virtio/tap.h"
#include "virtio/vhost_user_socket.h"
#include "vmm/core/error.h"

unsigned int opening_n_fds(const struct opening *opening)
{
	switch (opening->kind) {
	case OPENING_TAP:
		return opening->n_queues;
	case OPENING_NAMES:
	case OPENING_VHOST_NET:
	case OPENING_CONNECTION:
	case OPENING_LISTENER:
	case OPENING_CAPTURE:
	case OPENING_RECEIVED:
		return 1;
	default:
		return 0;
	}
}

/* A descriptor or a negative errno becomes what opener_open() gives. */
static int one(int fd, int *fds)
{
	if (fd < 0)
		return fd;
	*fds = fd;
	return 0;
}

static int open_here(const struct opening *opening, const struct logger *log, int *fds,
		     struct error *err)
{
	switch (opening->kind) {
	case OPENING_TAP:
		return tap_open(opening->name, opening->n_queues, log, fds, err);
	case OPENING_NAMES:
		return one(tap_open_names(err), fds);
	case OPENING_VHOST_NET:
		return one(vhost_net_open(err), fds);
	case OPENING_CONNECTION:
		return one(vhost_user_socket_connect(opening->name, err), fds);
	case OPENING_LISTENER:
		return one(vhost_user_socket_listen(opening->name, err), fds);
	case OPENING_REMOVAL:
		return unlink(opening->name) ? error_errno(err, "removing %s", opening->name) : 0;
	case OPENING_CAPTURE:
		return one(net_capture_open(opening->name, err), fds);
	default:
		return error_set(err, -EINVAL, "there is nothing to open of kind %d",
				 (int)opening->kind);
	}
}

int opener_open(const struct opener *opener, const struct opening *opening,
		const struct logger *log, int *fds, struct error *err)
{
	return opener ? opener->open(opener->opaque, opening, fds, err)
		      : open_here(opening, log, fds, err);
}
