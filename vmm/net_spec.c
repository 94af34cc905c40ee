/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net_spec.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "virtio/net_features.h"
#include "vmm/core/error.h"
#include "vmm/net_faults_spec.h"

enum {
	POLL_US_MAX = 1000000,
	OPTION_SIZE = 64, /* "net-switch: queue_size", for messages */
};

/* What the first word says. */
enum backend {
	BACKEND_TAP,
	BACKEND_FD,
	BACKEND_VHOST_USER,
	BACKEND_USER,
};

static const char fd_prefix[] = "fd=";

static const char *const backend_names[] = {
	[BACKEND_TAP] = "a tap",
	[BACKEND_FD] = "a descriptor",
	[BACKEND_VHOST_USER] = "vhost-user",
	[BACKEND_USER] = "user",
};

static const char *const own_keys[][6] = {
	[BACKEND_TAP] = {"vhost", "poll_us", NULL},
	[BACKEND_FD] = {"vhost", "poll_us", NULL},
	[BACKEND_VHOST_USER] = {"socket", "fd", "server", "fallback", "grace", NULL},
	[BACKEND_USER] = {"hostfwd...", "restrict", NULL},
};

/* The last one of any device but a user's, which has one pair. */
static const char *const common_keys[] = {
	"mac",	  "mtu",    "id",   "transport", "queue_size", "speed",
	"duplex", "switch", "pcap", "queues",	 NULL,
};

static bool begins_with(const char *text, const char *word)
{
	return strcspn(text, ",") == strlen(word) && strncmp(text, word, strlen(word)) == 0;
}

static enum backend find_backend(const char *text)
{
	if (strncmp(text, fd_prefix, strlen(fd_prefix)) == 0)
		return BACKEND_FD;
	if (begins_with(text, backend_names[BACKEND_VHOST_USER]))
		return BACKEND_VHOST_USER;
	return begins_with(text, backend_names[BACKEND_USER]) ? BACKEND_USER : BACKEND_TAP;
}

/* The backend's own keys, those of any device, faults, then the features. */
static void list_keys(enum backend backend, const char *keys[SPEC_MAX_KEYS + 1])
{
	size_t n = 0;

	for (size_t i = 0; own_keys[backend][i]; i++)
		keys[n++] = own_keys[backend][i];
	for (size_t i = 0; common_keys[i]; i++) {
		if (backend != BACKEND_USER || common_keys[i + 1])
			keys[n++] = common_keys[i];
	}
	for (size_t i = 0; net_faults_keys[i]; i++)
		keys[n++] = net_faults_keys[i];
	for (size_t i = 0; net_features[i].name && n < SPEC_MAX_KEYS; i++)
		keys[n++] = net_features[i].name;
	keys[n] = NULL;
}

/* "--net: mtu" */
static const char *key_option(const struct spec *spec, const char *key, char text[OPTION_SIZE])
{
	snprintf(text, OPTION_SIZE, "%s: %s", spec->option, key);
	return text;
}

/* A number that may be missing; then *@value stays. */
static int parse_number(const struct spec *spec, const char *key, uint64_t min, uint64_t max,
			uint64_t *value, struct error *err)
{
	const char *text = spec_value(spec, key);
	char option[OPTION_SIZE];

	return text ? spec_number(key_option(spec, key, option), text, min, max, value, err) : 0;
}

/* The same for one of several words. */
static int parse_choice(const struct spec *spec, const char *key, const char *const *choices,
			unsigned int *index, struct error *err)
{
	const char *text = spec_value(spec, key);
	char option[OPTION_SIZE];

	return text ? spec_choice(key_option(spec, key, option), text, choices, index, err) : 0;
}

static int parse_numbers(const struct spec *spec, struct xvmm_net *net, struct error *err)
{
	uint64_t mtu = 0, queues = 0, queue_size = 0, speed = 0;
	/* The least MTU that IPv4 allows (virtio 1.3, 5.1.4.1), the most that fits. */
	int ret = parse_number(spec, "mtu", 68, 65535, &mtu, err);

	if (!ret)
		ret = parse_number(spec, "queues", 1, 16, &queues, err);
	if (!ret)
		ret = parse_number(spec, "queue_size", 32, 32768, &queue_size, err);
	if (!ret)
		ret = parse_number(spec, "speed", 1, INT32_MAX, &speed, err);
	net->mtu = (uint16_t)mtu;
	net->queues = (unsigned int)queues;
	net->queue_size = (unsigned int)queue_size;
	net->speed = (uint32_t)speed;
	return ret;
}

static int parse_features(const struct spec *spec, struct xvmm_net *net, struct error *err)
{
	for (const struct net_feature *feature = net_features; feature->name; feature++) {
		bool on = false;
		int ret = spec_flag(spec, feature->name, &on, err);

		if (ret)
			return ret;
		if (spec_value(spec, feature->name))
			*(on ? &net->features_on : &net->features_off) |= feature->bit;
	}
	return 0;
}

/* What a device on any backend has. */
static int parse_common(const struct spec *spec, struct xvmm_net *net, struct error *err)
{
	static const char *const duplexes[] = {"full", "half", NULL};
	const char *mac = spec_value(spec, "mac");
	unsigned int duplex = 0, transport = XVMM_TRANSPORT_DEFAULT;
	char option[OPTION_SIZE];
	int ret = 0;

	net->id = spec_value(spec, "id");
	net->pcap = spec_value(spec, "pcap");
	if (mac)
		ret = spec_mac(key_option(spec, "mac", option), mac, net->mac, err);
	if (spec_value(spec, "transport") && !ret) {
		ret = parse_choice(spec, "transport", spec_transports, &transport, err);
		transport += XVMM_TRANSPORT_MMIO;
	}
	if (!ret)
		ret = parse_numbers(spec, net, err);
	if (!ret)
		ret = parse_choice(spec, "duplex", duplexes, &duplex, err);
	if (!ret)
		ret = spec_flag(spec, "switch", &net->switchable, err);
	if (!ret)
		ret = net_faults_parse(spec, &net->faults, err);
	if (!ret)
		ret = parse_features(spec, net, err);
	net->transport = (enum xvmm_transport)transport;
	net->half_duplex = duplex;
	return ret;
}

static int parse_vhost(const struct spec *spec, struct xvmm_net *net, struct error *err)
{
	static const char *const choices[] = {
		[XVMM_VHOST_OFF] = "off",
		[XVMM_VHOST_ON] = "on",
		[XVMM_VHOST_AUTO] = "auto",
		NULL,
	};
	unsigned int vhost = XVMM_VHOST_OFF;
	uint64_t poll_us = 0;
	int ret = parse_choice(spec, "vhost", choices, &vhost, err);

	if (!ret)
		ret = parse_number(spec, "poll_us", 0, POLL_US_MAX, &poll_us, err);
	if (!ret && vhost == XVMM_VHOST_OFF && spec_value(spec, "poll_us"))
		ret = error_usage(err, "%s: poll_us needs vhost=on or vhost=auto", spec->option);
	net->vhost = (enum xvmm_vhost)vhost;
	net->vhost_poll_us = (uint32_t)poll_us;
	return ret;
}

static int parse_tap(struct net_spec *net_spec, struct error *err)
{
	net_spec->net.tap = net_spec->spec.first;
	return parse_vhost(&net_spec->spec, &net_spec->net, err);
}

/* A number, or the name that a client of the control socket has given one. */
static int parse_descriptor(struct net_spec *net_spec, const char *text, struct error *err)
{
	struct xvmm_net *net = &net_spec->net;
	char option[OPTION_SIZE];
	uint64_t fd = 0;
	int ret;

	net->has_fd = true;
	net->fd = -1;
	if (isdigit((unsigned char)*text)) {
		ret = spec_number(key_option(&net_spec->spec, "fd", option), text, 0, INT_MAX, &fd,
				  err);
		net->fd = (int)fd;
		return ret;
	}
	net_spec->received = text;
	snprintf(net_spec->fd_name, sizeof(net_spec->fd_name), "%s%s", fd_prefix, text);
	net->fd_name = net_spec->fd_name;
	return 0;
}

static int parse_fd(struct net_spec *net_spec, struct error *err)
{
	const struct spec *spec = &net_spec->spec;
	int ret = parse_descriptor(net_spec, spec->first, err);

	return ret ? ret : parse_vhost(spec, &net_spec->net, err);
}

static int parse_user(struct net_spec *net_spec, struct error *err)
{
	const struct spec *spec = &net_spec->spec;
	char option[OPTION_SIZE];
	int ret = spec_flag(spec, "restrict", &net_spec->restricted, err);

	key_option(spec, "hostfwd", option);
	net_spec->is_user = net_spec->net.has_fd = true;
	net_spec->net.fd = -1;
	net_spec->net.fd_name = backend_names[BACKEND_USER];
	while (net_spec->n_forwards < spec->n_repeated && !ret) {
		size_t i = net_spec->n_forwards++;

		ret = user_net_parse_forward(option, spec->repeated[i], &net_spec->forwards[i],
					     err);
	}
	return ret;
}

static int parse_vhost_user(struct net_spec *net_spec, struct error *err)
{
	const struct spec *spec = &net_spec->spec;
	struct xvmm_net *net = &net_spec->net;
	const char *grace = spec_value(spec, "grace"), *fd = spec_value(spec, "fd");
	char option[OPTION_SIZE];
	int ret = 0;

	net->socket = spec_value(spec, "socket");
	net->fallback = spec_value(spec, "fallback");
	net->vhost_user = fd != NULL;
	if (!net->socket && !fd)
		return error_usage(err, "%s: vhost-user needs socket=PATH, or fd=N", spec->option);
	if (net->socket && fd)
		return error_usage(err, "%s: vhost-user takes socket or fd, not both",
				   spec->option);
	if (fd)
		ret = parse_descriptor(net_spec, fd, err);
	if (!ret)
		ret = spec_flag(spec, "server", &net->server, err);
	if (!ret && fd && net->server)
		ret = error_usage(err, "%s: server: the descriptor is a connection already",
				  spec->option);
	if (!ret && grace)
		ret = spec_seconds(key_option(spec, "grace", option), grace, 0, &net->grace_ms,
				   err);
	net->has_grace = grace != NULL;
	return ret;
}

int net_spec_parse(struct net_spec *spec, const char *option, const char *text, struct error *err)
{
	static int (*const parse[])(struct net_spec *, struct error *) = {
		[BACKEND_TAP] = parse_tap,
		[BACKEND_FD] = parse_fd,
		[BACKEND_VHOST_USER] = parse_vhost_user,
		[BACKEND_USER] = parse_user,
	};
	enum backend backend = find_backend(text);
	const size_t key = strcspn(text, "=");
	int ret;

	*spec = (struct net_spec){0};
	if (!*text || *text == ',' || (backend == BACKEND_TAP && key < strcspn(text, ",")))
		return error_usage(err,
				   "%s: '%s' does not begin with a tap's name, user, vhost-user or "
				   "fd=N",
				   option, text);
	list_keys(backend, spec->keys);
	if (backend == BACKEND_FD)
		text += strlen(fd_prefix);
	if (!*text || *text == ',')
		return error_usage(err, "%s: fd= needs the number of a descriptor", option);
	ret = spec_parse(&spec->spec, option, text, backend_names[backend], spec->keys, err);
	if (ret)
		return ret;
	ret = parse[backend](spec, err);
	if (!ret)
		ret = parse_common(&spec->spec, &spec->net, err);
	if (ret)
		net_spec_free(spec);
	return ret;
}

void net_spec_free(struct net_spec *spec)
{
	spec_free(&spec->spec);
}

struct user_net_config net_spec_user_net(const struct net_spec *spec)
{
	return (struct user_net_config){
		.fd = -1,
		.forwards = spec->forwards,
		.n_forwards = spec->n_forwards,
		.restricted = spec->restricted,
		.mtu = spec->net.mtu,
	};
}

void net_spec_backend(const struct xvmm_net *net, char text[NET_SPEC_BACKEND_SIZE])
{
	const char *kind = net->vhost_user ? "vhost-user," : "";

	if (net->socket)
		snprintf(text, NET_SPEC_BACKEND_SIZE, "vhost-user,socket=%s", net->socket);
	else if (net->has_fd && net->fd_name)
		snprintf(text, NET_SPEC_BACKEND_SIZE, "%s%s", kind, net->fd_name);
	else if (net->has_fd)
		snprintf(text, NET_SPEC_BACKEND_SIZE, "%sfd=%d", kind, net->fd);
	else
		snprintf(text, NET_SPEC_BACKEND_SIZE, "%s", net->tap ? net->tap : "");
}
