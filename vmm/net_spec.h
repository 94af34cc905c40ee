/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that describes a network device, "tap0,vhost=on" or "vhost-user,socket=PATH", as --net
 * and the command net-switch take it: from text to a struct xvmm_net.
 */
#ifndef VMM_NET_SPEC_H
#define VMM_NET_SPEC_H

#include "vmm/spec.h"
#include "vmm/user_net.h"
#include "vmm/xvmm.h"

enum {
	NET_SPEC_BACKEND_SIZE = 160,
};

struct net_spec {
	struct xvmm_net net; /* its strings are in what follows */
	/* Of a descriptor that getfd named: this name, and the net's is -1 yet; or NULL. */
	const char *received;
	char fd_name[NET_SPEC_BACKEND_SIZE];
	/* User-mode networking, which the caller starts: its socket is the net's descriptor. */
	bool is_user;
	bool restricted;
	struct user_net_forward forwards[SPEC_MAX_REPEATS];
	size_t n_forwards;
	struct spec spec; /* owned */
	const char *keys[SPEC_MAX_KEYS + 1];
};

/*
 * Take @text apart, for the option or command @option (outlives the spec). All errors are usage
 * errors, but for -ENOMEM. On failure there is nothing to free. The struct must not be moved
 * meanwhile; a copy of its net is good until net_spec_free().
 */
int net_spec_parse(struct net_spec *spec, const char *option, const char *text, struct error *err);
void net_spec_free(struct net_spec *spec);

/* The user-mode network of @spec, valid as long as that, without a socket or a logger yet. */
struct user_net_config net_spec_user_net(const struct net_spec *spec);

/* What @net begins with, written as such a text: "tap0", "fd=3", "vhost-user,socket=PATH"; or as
 * its descriptor is called, "user". */
void net_spec_backend(const struct xvmm_net *net, char text[NET_SPEC_BACKEND_SIZE]);

#endif
