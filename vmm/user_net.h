/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-mode networking: a network for one guest that ends in sockets of the host, made by libslirp.
 * It takes no tap and no privileges, and is at the other end of a socket that a network device has
 * as its descriptor (virtio/fd.h). libslirp is loaded when the first one is created, not before; it
 * has global state: one thread of a process at a time.
 *
 * As with QEMU the guest is 10.0.2.15 (DHCP tells it so), 10.0.2.2 the gateway and the host itself,
 * 10.0.2.3 a DNS server that asks the host's; the same in IPv6: fec0::/64, fec0::2, fec0::3.
 */
#ifndef VMM_USER_NET_H
#define VMM_USER_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct logger;
struct user_net;

/* The guest's address, as DHCP tells it. */
extern const char user_net_guest[];

/* A port of the host that leads to the guest. */
struct user_net_forward {
	bool udp;		    /* else TCP */
	struct in_addr host, guest; /* network byte order */
	uint16_t host_port, guest_port;
};

/*
 * From "tcp:[HOST]:PORT-[GUEST]:PORT", or udp, as QEMU has it: without HOST, any address of the
 * host's; without GUEST, the one that DHCP gives. A usage error that begins with @option.
 */
int user_net_parse_forward(const char *option, const char *text, struct user_net_forward *forward,
			   struct error *err);

struct user_net_config {
	int fd; /* borrowed: one end of a pair of SOCK_SEQPACKET sockets */
	const struct user_net_forward *forwards;
	size_t n_forwards;
	bool restricted; /* the guest reaches nobody but who uses a forward */
	uint16_t mtu;	 /* 0: 1500 */
	const struct logger *log;
};

/*
 * Load the library, and listen on the forwards. -EOPNOTSUPP: the library isn't there, or wasn't
 * when xvmm was built; what bind() gives.
 */
int user_net_create(const struct user_net_config *config, struct user_net **net, struct error *err);

/* Move packets until the socket's other end is closed. */
void user_net_run(struct user_net *net);

/* Accepts NULL. */
void user_net_destroy(struct user_net *net);

#endif
