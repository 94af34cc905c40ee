/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines: each line of the input is an argument. What is accepted keeps within what
 * xvmm.h allows, names nothing that was not said, and a network device that is described anew by
 * what was understood of it is understood alike. What is refused is wrong usage, in words.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/core/error.h"
#include "vmm/net_faults_spec.h"
#include "vmm/net_spec.h"
#include "vmm/options.h"

enum {
	ARGUMENTS_MAX = 64,
};

static void check_refused(const struct error *err)
{
	size_t len = strnlen(err->text, sizeof(err->text));

	require(err->code < 0 && err->usage && len > 0 && len < sizeof(err->text));
}

static void check_faults(const struct xvmm_net_faults *faults)
{
	require(net_faults_check("net", faults, NULL) == 0);
	require(faults->enabled || (!faults->loss && !faults->duplicate && !faults->corrupt &&
				    !faults->reorder && !faults->delay_us && !faults->has_seed &&
				    !faults->bits.per_second && !faults->packets.per_second));
	require(faults->bits.per_second || !faults->bits.burst);
	require(faults->packets.per_second || !faults->packets.burst);
}

static void check_net(const struct xvmm_net *net)
{
	char text[NET_SPEC_BACKEND_SIZE];
	struct net_spec again;
	struct error err = {0};

	require(!!net->tap + net->has_fd + !!net->socket == 1);
	/* That of a user-mode network is opened later. */
	require(!net->has_fd || net->fd >= 0 || net->fd_name);
	require(!net->mtu || net->mtu >= 68);
	require(net->queues <= 16 && !(net->mac[0] & 1) && !(net->features_on & net->features_off));
	require(!net->queue_size || (net->queue_size >= 32 && net->queue_size <= 32768));
	require(net->vhost <= XVMM_VHOST_AUTO && net->transport <= XVMM_TRANSPORT_PCI);
	check_faults(&net->faults);
	require(!net->vhost_poll_us || net->vhost != XVMM_VHOST_OFF);

	net_spec_backend(net, text);
	/* A path or a name that was cut is another one. */
	if (strlen(text) == sizeof(text) - 1)
		return;
	require(net_spec_parse(&again, "--net", text, &err) == 0);
	require(again.net.has_fd == net->has_fd && again.net.fd == net->fd);
	require(!net->tap || strcmp(net->tap, again.net.tap) == 0);
	require(!net->socket || strcmp(net->socket, again.net.socket) == 0);
	net_spec_free(&again);
}

static void check(const struct options *options)
{
	const struct xvmm_config *config = &options->config;

	require(config->kernel != NULL && config->n_nets == options->n_nets);
	require(config->cpus <= 255 && config->boot <= XVMM_BOOT_PVH);
	require(config->transport <= XVMM_TRANSPORT_PCI);
	require(!config->memory_private || !config->memory_shared);
	require(!options->console_stdio || !options->console_file);
	for (size_t i = 0; i < config->n_nets; i++)
		check_net(&config->nets[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *arguments[ARGUMENTS_MAX + 2] = {(char[]){"xvmm"}};
	char *text = malloc(size + 1), *rest = text;
	struct options options;
	struct error err = {0};
	int n = 1;

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	/* A file of any name may be without end, or a device. */
	if (strstr(text, "--config")) {
		free(text);
		return 0;
	}
	while (rest && n <= ARGUMENTS_MAX)
		arguments[n++] = strsep(&rest, "\n");
	if (options_parse(&options, n, arguments, &err)) {
		check_refused(&err);
	} else {
		if (options.action == OPTIONS_RUN)
			check(&options);
		options_free(&options);
	}
	free(text);
	return 0;
}
