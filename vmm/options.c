/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/net_features.h"
#include "vmm/core/error.h"

const char options_help[] =
	"xvmm " XVMM_VERSION ": boots a Linux guest under KVM, with its network on a tap\n"
	"\n"
	"  xvmm --kernel bzImage --initrd initrd.img --net tap0\n"
	"  xvmm selftest          tests the virtio devices on this machine; see its --help\n"
	"\n"
	"Options:\n"
	"  --kernel FILE      bzImage or ELF (vmlinux); needed\n"
	"  --initrd FILE      initial RAM disk\n"
	"  --cmdline STRING   the kernel's command line (default: console=ttyS0)\n"
	"  --boot auto|linux|pvh\n"
	"                     how an ELF kernel is entered: auto takes PVH where it has the note,\n"
	"                     else Linux's 64-bit entry\n"
	"  --cpus N           number of vCPUs (default: 1)\n"
	"  --memory SIZE[,shared=on|off][,hugepages=on|off][,prealloc=on|off]\n"
	"                     32M or more (default: 512M); shared: a memfd, not private memory;\n"
	"                     hugepages: 2 MiB pages from the host's pool; prealloc: all of it now\n"
	"  --net TAP[,mac=M][,mtu=N][,id=ID][,transport=mmio|pci][,queues=N][,queue_size=N]\n"
	"           [,packed=on|off][,speed=MBITS][,duplex=full|half][,FEATURE=on|off]...\n"
	"                     a network device on an existing tap; may be repeated; queues: pairs of\n"
	"                     them (1 to 16; more than one need a multi_queue tap); FEATURE: csum,\n"
	"                     mrg_rxbuf, ctrl_vq, ... as virtio names them; off takes along what\n"
	"                     needs it. fd=N instead of TAP: on an inherited descriptor, a tap or a\n"
	"                     unix socket with one packet, virtio-net header first, per message\n"
	"  --transport mmio|pci\n"
	"                     how virtio devices are attached that don't say (default: pci)\n"
	"  --console stdio|off|file:PATH\n"
	"                     where the guest's serial console (ttyS0) goes (default: stdio);\n"
	"                     on a terminal C-a h tells the keys, C-a x quits\n"
	"  --timeout SECONDS  end the guest after so long (fractions allowed)\n"
	"  --version, --help\n"
	"\n"
	"Sizes take K, M, G, T. SIGTERM and SIGINT press the guest's power button, a second one ends\n"
	"it at once.\n"
	"\n"
	"Exit status: 0 the guest powered off or rebooted (or C-a x); 1 xvmm or the host failed;\n"
	"2 wrong usage; 3 the guest panicked, triple-faulted or hit what KVM can't run;\n"
	"124 --timeout ran out; or the value that the guest wrote to the debug-exit port 0xf4.\n";

static int parse_kernel(struct options *options, const char *value, struct error *err)
{
	(void)err;
	options->config.kernel = value;
	return 0;
}

static int parse_initrd(struct options *options, const char *value, struct error *err)
{
	(void)err;
	options->config.initrd = value;
	return 0;
}

static int parse_cmdline(struct options *options, const char *value, struct error *err)
{
	(void)err;
	options->config.cmdline = value;
	return 0;
}

static int parse_boot(struct options *options, const char *value, struct error *err)
{
	if (strcmp(value, "auto") == 0)
		options->config.boot = XVMM_BOOT_AUTO;
	else if (strcmp(value, "linux") == 0)
		options->config.boot = XVMM_BOOT_LINUX;
	else if (strcmp(value, "pvh") == 0)
		options->config.boot = XVMM_BOOT_PVH;
	else
		return error_usage(err, "--boot: '%s' is none of auto, linux, pvh", value);
	return 0;
}

static int parse_cpus(struct options *options, const char *value, struct error *err)
{
	uint64_t n;
	int ret = spec_number("--cpus", value, 1, 255, &n, err);

	options->config.cpus = (unsigned int)n;
	return ret;
}

static int parse_memory(struct options *options, const char *value, struct error *err)
{
	static const char *const keys[] = {"shared", "hugepages", "prealloc", NULL};
	struct xvmm_config *config = &options->config;
	struct spec spec;
	int ret = spec_parse(&spec, "--memory", value, keys, err);

	if (ret)
		return ret;
	ret = spec_size("--memory", spec.first, &config->memory, err);
	if (!ret && !config->memory)
		ret = error_usage(err, "--memory: a guest needs some");
	if (!ret)
		ret = spec_flag(&spec, "shared", &config->memory_shared, err);
	if (!ret)
		ret = spec_flag(&spec, "hugepages", &config->memory_hugepages, err);
	if (!ret)
		ret = spec_flag(&spec, "prealloc", &config->memory_prealloc, err);
	spec_free(&spec);
	return ret;
}

/* Room for one more net and its spec. */
static int grow_nets(struct options *options, struct error *err)
{
	size_t n = options->n_nets + 1;
	struct xvmm_net *nets = realloc(options->nets, n * sizeof(*nets));
	struct spec *specs;

	if (nets)
		options->nets = nets;
	specs = realloc(options->net_specs, n * sizeof(*specs));
	if (specs)
		options->net_specs = specs;
	return nets && specs ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int set_transport(const char *what, const char *value, enum xvmm_transport *transport,
			 struct error *err)
{
	if (strcmp(value, "mmio") == 0)
		*transport = XVMM_TRANSPORT_MMIO;
	else if (strcmp(value, "pci") == 0)
		*transport = XVMM_TRANSPORT_PCI;
	else
		return error_usage(err, "%s: '%s' is none of mmio, pci", what, value);
	return 0;
}

/* The keys of --net: its own, then the features. */
static const char *const *net_keys(struct options *options)
{
	static const char *const own[] = {"mac",    "mtu",	  "id",	   "transport",
					  "queues", "queue_size", "speed", "duplex"};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		options->net_keys[n++] = own[i];
	for (size_t i = 0; net_features[i].name && n < SPEC_MAX_KEYS; i++)
		options->net_keys[n++] = net_features[i].name;
	options->net_keys[n] = NULL;
	return options->net_keys;
}

/* A number that may be missing; then *@value stays. */
static int net_number(const struct spec *spec, const char *key, uint64_t min, uint64_t max,
		      uint64_t *value, struct error *err)
{
	const char *text = spec_value(spec, key);
	char option[32];

	snprintf(option, sizeof(option), "--net: %s", key);
	return text ? spec_number(option, text, min, max, value, err) : 0;
}

static int parse_net_features(const struct spec *spec, struct xvmm_net *net, struct error *err)
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

static int parse_net_numbers(const struct spec *spec, struct xvmm_net *net, struct error *err)
{
	uint64_t mtu = 0, queues = 0, queue_size = 0, speed = 0;
	/* The least MTU that IPv4 allows (virtio 1.3, 5.1.4.1), the most that fits. */
	int ret = net_number(spec, "mtu", 68, 65535, &mtu, err);

	if (!ret)
		ret = net_number(spec, "queues", 1, 16, &queues, err);
	if (!ret)
		ret = net_number(spec, "queue_size", 32, 32768, &queue_size, err);
	if (!ret)
		ret = net_number(spec, "speed", 1, INT32_MAX, &speed, err);
	net->mtu = (uint16_t)mtu;
	net->queues = (unsigned int)queues;
	net->queue_size = (unsigned int)queue_size;
	net->speed = (uint32_t)speed;
	return ret;
}

static int parse_duplex(const struct spec *spec, struct xvmm_net *net, struct error *err)
{
	const char *text = spec_value(spec, "duplex");

	net->half_duplex = text && strcmp(text, "half") == 0;
	if (!text || net->half_duplex || strcmp(text, "full") == 0)
		return 0;
	return error_usage(err, "--net: duplex: '%s' is none of full, half", text);
}

static int parse_net(struct options *options, const char *value, struct error *err)
{
	struct xvmm_net *net;
	struct spec *spec;
	const char *mac, *transport;
	uint64_t fd = 0;
	bool has_fd = strncmp(value, "fd=", 3) == 0;
	int ret = grow_nets(options, err);

	if (ret)
		return ret;
	spec = &options->net_specs[options->n_nets];
	ret = spec_parse(spec, "--net", has_fd ? value + 3 : value, net_keys(options), err);
	if (ret)
		return ret;
	net = &options->nets[options->n_nets++];
	*net = (struct xvmm_net){.tap = spec->first, .id = spec_value(spec, "id")};
	if (has_fd) {
		ret = spec_number("--net: fd", spec->first, 0, INT_MAX, &fd, err);
		net->tap = NULL;
		net->has_fd = true;
		net->fd = (int)fd;
	}
	mac = spec_value(spec, "mac");
	if (mac && !ret)
		ret = spec_mac("--net: mac", mac, net->mac, err);
	transport = spec_value(spec, "transport");
	if (transport && !ret)
		ret = set_transport("--net: transport", transport, &net->transport, err);
	if (!ret)
		ret = parse_net_numbers(spec, net, err);
	if (!ret)
		ret = parse_duplex(spec, net, err);
	if (!ret)
		ret = parse_net_features(spec, net, err);
	return ret;
}

static int parse_transport(struct options *options, const char *value, struct error *err)
{
	return set_transport("--transport", value, &options->config.transport, err);
}

static int parse_console(struct options *options, const char *value, struct error *err)
{
	options->console_stdio = strcmp(value, "stdio") == 0;
	if (options->console_stdio || strcmp(value, "off") == 0)
		return 0;
	if (strncmp(value, "file:", 5) != 0 || !value[5])
		return error_usage(err, "--console: '%s' is none of stdio, off, file:PATH", value);
	options->console_file = value + 5;
	return 0;
}

static int parse_timeout(struct options *options, const char *value, struct error *err)
{
	static const double longest = 1e9;
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !(seconds >= 0.001 && seconds <= longest))
		return error_usage(err, "--timeout: '%s' is not a number of seconds", value);
	options->config.timeout_ms = (uint64_t)(seconds * 1000);
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(struct options *options, const char *value, struct error *err);
	bool repeats;
} table[] = {
	{"--kernel", parse_kernel, false},   {"--initrd", parse_initrd, false},
	{"--cmdline", parse_cmdline, false}, {"--boot", parse_boot, false},
	{"--cpus", parse_cpus, false},	     {"--memory", parse_memory, false},
	{"--net", parse_net, true},	     {"--transport", parse_transport, false},
	{"--console", parse_console, false}, {"--timeout", parse_timeout, false},
};
enum {
	N_OPTIONS = sizeof(table) / sizeof(table[0]),
};

/* The index in the table of the option that @arg names, as "--name" or "--name=value"; or -1. */
static int find_option(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (int i = 0; i < N_OPTIONS; i++) {
		if (strlen(table[i].name) == len && strncmp(table[i].name, arg, len) == 0)
			return i;
	}
	return -1;
}

/* One option with its value at @argv[@i]; returns how many arguments it took. */
static int parse_option(struct options *options, char *const *argv, int i, unsigned int *seen,
			struct error *err)
{
	const char *value = strchr(argv[i], '=');
	int option = find_option(argv[i]);
	int taken = value ? 1 : 2;
	int ret;

	if (option < 0)
		return error_usage(err, "unknown %s '%s'; try: xvmm --help",
				   argv[i][0] == '-' ? "option" : "argument", argv[i]);
	value = value ? value + 1 : argv[i + 1];
	if (!value)
		return error_usage(err, "%s needs a value; try: xvmm --help", argv[i]);
	if (*seen & 1u << option && !table[option].repeats)
		return error_usage(err, "%s is given twice", table[option].name);
	*seen |= 1u << option;
	ret = table[option].parse(options, value, err);
	return ret ? ret : taken;
}

int options_parse(struct options *options, int argc, char *const *argv, struct error *err)
{
	unsigned int seen = 0;

	*options = (struct options){.console_stdio = true};
	for (int i = 1; i < argc;) {
		int ret;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			options->action = OPTIONS_HELP;
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0) {
			options->action = OPTIONS_VERSION;
			return 0;
		}
		ret = parse_option(options, argv, i, &seen, err);
		if (ret < 0) {
			options_free(options);
			return ret;
		}
		i += ret;
	}
	if (!options->config.kernel) {
		options_free(options);
		return error_usage(err, "--kernel is missing; try: xvmm --help");
	}
	options->config.nets = options->nets;
	options->config.n_nets = options->n_nets;
	return 0;
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->n_nets; i++)
		spec_free(&options->net_specs[i]);
	free(options->net_specs);
	free(options->nets);
	*options = (struct options){0};
}
