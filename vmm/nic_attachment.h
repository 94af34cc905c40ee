/* SPDX-License-Identifier: Apache-2.0 */
/* What a network device is attached to: the datapath that serves it, and what that is on. */
#ifndef VMM_NIC_ATTACHMENT_H
#define VMM_NIC_ATTACHMENT_H

#include "vmm/nic.h"

struct datapath;
struct net_backend;
struct net_capture_file;

struct nic_attachment {
	struct datapath *primary; /* owned */
	struct datapath *standby; /* owned; serves while the primary's back-end is away; or NULL */
	/* The tap of either, which another attachment may take over; a share, or NULL. */
	struct net_backend *backend;
	bool gone; /* that, for good: it was deleted, or its other end closed */
	/* What is before that in-process, from the guest to it: shares, or NULL. */
	struct net_capture_file *capture;
	struct net_backend *faults;
	uint32_t seed; /* of these */
	char *name;    /* owned: of the tap, of the socket; NULL: a descriptor */
	bool vhost_user;
	uint64_t grace_ms;
};

/* What doesn't change of a device, wherever it is attached. */
struct nic_identity {
	const char *id;
	unsigned int queue_pairs;
	uint16_t queue_size;
	uint16_t mtu;
	/* What is served here, a tap or socket, has gone for good; see struct inprocess_config. */
	void (*backend_gone)(void *opaque);
	void *opaque;
};

/*
 * Attach to what @config says. If that is the tap of @current (NULL: there is none) it is shared,
 * unless it has gone, and so is its capture, unless that has ended. A vhost-user back-end may come
 * later, unless this is a switch (@current) without a fallback. On failure *@attachment is empty.
 */
int nic_attach(const struct nic_parts *parts, const struct nic_identity *identity,
	       const struct xvmm_net *config, const struct nic_attachment *current,
	       struct nic_attachment *attachment, struct error *err);

/* @but: the datapath that somebody else has, and destroys; or NULL. Accepts an empty one. */
void nic_detach(struct nic_attachment *attachment, const struct datapath *but);

#endif
