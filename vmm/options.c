/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config_file.h"
#include "vmm/core/error.h"
#include "vmm/near.h"
#include "vmm/net_spec.h"
#include "vmm/sandbox.h"
#include "vmm/spec.h"

const char options_help[] =
	"xvmm " XVMM_VERSION ": boots a Linux guest under KVM, with its network on a tap\n"
	"\n"
	"  xvmm --kernel bzImage --initrd initrd.img --net tap0\n"
	"  xvmm check [--json] OPTION...  says what a run would find, and what it would fail for\n"
	"  xvmm ctl PATH COMMAND  tells a running VM what to do; see its --help\n"
	"  xvmm selftest          tests the virtio devices on this machine; see its --help\n"
	"\n"
	"Options:\n"
	"  --kernel FILE      bzImage or ELF (vmlinux); needed\n"
	"  --initrd FILE      initial RAM disk\n"
	"  --cmdline STRING   the kernel's command line (default: console=ttyS0)\n"
	"  --boot auto|linux|pvh  how an ELF kernel is entered; auto: by PVH if it has the note\n"
	"  --cpus N           number of vCPUs (default: 1)\n"
	"  --memory SIZE[,shared=on|off][,hugepages=on|off][,prealloc=on|off]\n"
	"                     32M or more (default: 512M); shared: a memfd (else where a device needs it);\n"
	"                     hugepages: 2 MiB pages from the host's pool; prealloc: all of it now\n"
	"  --net TAP[,vhost=on|off|auto][,poll_us=N][,KEY=VALUE]...\n"
	"  --net fd=N[,...]   a network device on an existing tap, or on an inherited descriptor: a\n"
	"                     tap, or a unix socket with a packet, virtio-net header first, a message;\n"
	"                     vhost: the kernel serves it; poll_us: it polls so long before it sleeps\n"
	"  --net user[,hostfwd=tcp:[ADDRESS]:PORT-[ADDRESS]:PORT]...[,restrict=on][,KEY=VALUE]...\n"
	"                     user-mode networking, without tap or privileges (the guest asks DHCP);\n"
	"                     hostfwd: a port of the host leads to it; restrict: it to nothing else\n"
	"  --net vhost-user,socket=PATH|fd=N[,server=on][,fallback=TAP][,grace=SECONDS][,KEY=VALUE]...\n"
	"                     another process serves it, which may come later, die and come back;\n"
	"                     fallback: a tap for meanwhile; grace: else the link goes down then (3)\n"
	"         KEY=VALUE   mac=M, mtu=N, id=ID, transport=mmio|pci, queue_size=N, speed=MBITS,\n"
	"                     duplex=full|half; queues=N: pairs of them (1 to 16; of a multi_queue tap);\n"
	"                     switch=on: can move to any other kind while the guest runs; packed=on,\n"
	"                     csum=off, ...: features, as virtio names them; pcap=FILE: what passes; faults:\n"
	"                     loss=1%, duplicate=, corrupt=, reorder=, delay=9ms~1ms, rate=9mbit, seed=N\n"
	"  --transport mmio|pci  of virtio devices that don't say (default: pci)\n"
	"  --console stdio|off|file:PATH  where the serial console (ttyS0) goes (default: stdio);\n"
	"                     on a terminal C-a h tells the keys, C-a x quits\n"
	"  --control PATH     make a socket there that takes QMP commands, and those of xvmm ctl\n"
	"  --sandbox on|off[,user=USER][,group=GROUP][,chroot=DIR][,namespaces=on|off]\n"
	"                     confine what the guest drives (default: on); and, once all is open,\n"
	"                     be this user, have DIR for a root, and no namespace of the host\n"
	"  --panic-line on|off  \"Kernel panic - not syncing\" on the console is a panic, too (off)\n"
	"  --config FILE      more of them, in JSON, but for those given here; --print-config: as such\n"
	"  --timeline FILE    write there, in JSON, when what happened; xvmm timeline FILE draws it\n"
	"  --timeout SECONDS  end the guest after so long (fractions allowed); --version; --help\n"
	"\n"
	"Sizes take K, M, G, T. SIGTERM or SIGINT presses the power button, a second one ends the VM.\n"
	"Exit status: 0 the guest powered off or rebooted (or C-a x); 1 xvmm or the host failed;\n"
	"2 wrong usage; 3 the guest panicked, triple-faulted or hit what KVM can't run;\n"
	"124 --timeout ran out; or what the guest wrote to its debug-exit device (x86: port 0xf4).\n";

static int parse_kernel(struct options *options, const char *value, struct error *err)
{
	if (!*value)
		return error_usage(err, "--kernel: it needs the path of a file");
	options->config.kernel = value;
	return 0;
}

static int parse_initrd(struct options *options, const char *value, struct error *err)
{
	if (!*value)
		return error_usage(err, "--initrd: it needs the path of a file");
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
	static const char *const choices[] = {
		[XVMM_BOOT_AUTO] = "auto",
		[XVMM_BOOT_LINUX] = "linux",
		[XVMM_BOOT_PVH] = "pvh",
		NULL,
	};
	unsigned int boot = XVMM_BOOT_AUTO;
	int ret = spec_choice("--boot", value, choices, &boot, err);

	options->config.boot = (enum xvmm_boot)boot;
	return ret;
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
	const char *unit;
	struct spec spec;
	int ret = spec_parse(&spec, "--memory", value, NULL, keys, err);

	if (ret)
		return ret;
	unit = spec.first + strlen(spec.first) - 1;
	ret = spec_size("--memory", spec.first, &config->memory, err);
	if (!ret && !config->memory)
		ret = error_usage(err, "--memory: a guest needs some");
	/* As others take it. */
	if (!ret && config->memory < 1 << 20 && isdigit((unsigned char)*unit))
		ret = error_usage(err, "--memory: %s is a number of bytes; try: --memory %sM",
				  spec.first, spec.first);
	if (!ret)
		ret = spec_flag(&spec, "shared", &config->memory_shared, err);
	config->memory_private = !ret && spec_value(&spec, "shared") && !config->memory_shared;
	if (!ret)
		ret = spec_flag(&spec, "hugepages", &config->memory_hugepages, err);
	if (!ret)
		ret = spec_flag(&spec, "prealloc", &config->memory_prealloc, err);
	spec_free(&spec);
	return ret;
}

static void free_net(struct net_spec *spec)
{
	net_spec_free(spec);
	free(spec);
}

/* Room for one more net and its spec. */
static int grow_nets(struct options *options, struct error *err)
{
	size_t n = options->n_nets + 1;
	struct xvmm_net *nets = realloc(options->nets, n * sizeof(*nets));
	struct net_spec **specs;

	if (nets)
		options->nets = nets;
	specs = realloc(options->net_specs, n * sizeof(struct net_spec *));
	if (specs)
		options->net_specs = specs;
	return nets && specs ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int parse_net(struct options *options, const char *value, struct error *err)
{
	struct net_spec *spec;
	int ret = grow_nets(options, err);

	if (ret)
		return ret;
	spec = malloc(sizeof(*spec));
	if (!spec)
		return error_set(err, -ENOMEM, "out of memory");
	ret = net_spec_parse(spec, "--net", value, err);
	if (!ret && spec->received) {
		ret = error_usage(err,
				  "--net: fd: '%s' is not a number; only net-switch takes a "
				  "name, of getfd",
				  spec->received);
		net_spec_free(spec);
	}
	if (ret) {
		free(spec);
		return ret;
	}
	options->nets[options->n_nets] = spec->net;
	options->net_specs[options->n_nets++] = spec;
	return 0;
}

static int parse_transport(struct options *options, const char *value, struct error *err)
{
	unsigned int transport = 0;
	int ret = spec_choice("--transport", value, spec_transports, &transport, err);

	options->config.transport = (enum xvmm_transport)(transport + XVMM_TRANSPORT_MMIO);
	return ret;
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
	return spec_seconds("--timeout", value, 1, &options->config.timeout_ms, err);
}

static int parse_timeline(struct options *options, const char *value, struct error *err)
{
	if (!*value)
		return error_usage(err, "--timeline: it needs the path of a file");
	options->timeline_file = value;
	return 0;
}

static int parse_panic_line(struct options *options, const char *value, struct error *err)
{
	static const char *const choices[] = {"off", "on", NULL};
	unsigned int on = 0;
	int ret = spec_choice("--panic-line", value, choices, &on, err);

	options->config.panic_line = on;
	return ret;
}

static int parse_jail(struct options *options, struct error *err)
{
	const struct spec *spec = &options->sandbox;
	const char *user = spec_value(spec, "user");
	const char *group = spec_value(spec, "group");
	int ret = spec_flag(spec, "namespaces", &options->jail.namespaces, err);

	options->jail.root = spec_value(spec, "chroot");
	if (!ret && user)
		ret = jail_set_user(&options->jail, user, group, err);
	if (!ret && group && !user)
		ret = error_usage(err, "--sandbox: group is nothing without user");
	if (!ret && !options->config.sandbox && jail_is_open(&options->jail))
		ret = error_usage(
			err, "--sandbox: off, and yet user, chroot or namespaces is asked of it");
	return ret;
}

static int parse_sandbox(struct options *options, const char *value, struct error *err)
{
	static const char *const choices[] = {"off", "on", NULL};
	static const char *const keys[] = {"user", "group", "chroot", "namespaces", NULL};
	unsigned int on = 0;
	int ret = spec_parse(&options->sandbox, "--sandbox", value, NULL, keys, err);

	if (ret)
		return ret;
	ret = spec_choice("--sandbox", options->sandbox.first, choices, &on, err);
	options->config.sandbox = on;
	return ret ? ret : parse_jail(options, err);
}

static int parse_control(struct options *options, const char *value, struct error *err)
{
	if (!*value)
		return error_usage(err, "--control: it needs the path of a socket");
	options->config.control = value;
	return 0;
}

static int parse_config(struct options *options, const char *value, struct error *err)
{
	(void)err;
	options->config_file = value;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(struct options *options, const char *value, struct error *err);
	bool repeats;
} table[] = {
	{"--kernel", parse_kernel, false},
	{"--initrd", parse_initrd, false},
	{"--cmdline", parse_cmdline, false},
	{"--boot", parse_boot, false},
	{"--cpus", parse_cpus, false},
	{"--memory", parse_memory, false},
	{"--net", parse_net, true},
	{"--transport", parse_transport, false},
	{"--console", parse_console, false},
	{"--control", parse_control, false},
	{"--sandbox", parse_sandbox, false},
	{"--timeout", parse_timeout, false},
	{"--timeline", parse_timeline, false},
	{"--panic-line", parse_panic_line, false},
	{"--config", parse_config, false},
};
enum {
	N_OPTIONS = sizeof(table) / sizeof(table[0]),
	MEANT_SIZE = 64,
};

/* What others call it, or need for what is so here anyway. Names without dashes. */
static const struct {
	const char *name, *cure;
} elsewhere[] = {
	{"append", "--cmdline"},
	{"params", "--cmdline"},
	{"initramfs", "--initrd"},
	{"smp", "--cpus"},
	{"m", "--memory"},
	{"netdev", "--net"},
	{"network", "--net"},
	{"nic", "--net"},
	{"device", "--net"},
	{"tap", "--net"},
	{"qmp", "--control"},
	{"monitor", "--control"},
	{"api-sock", "--control"},
	{"api-socket", "--control"},
	{"serial", "--console"},
	{"config-file", "--config"},
	{"readconfig", "--config"},
	{"V", "--version"},
	{"json", "xvmm check --json"},
	{"nographic", "without it, there are no graphics"},
	{"enable-kvm", "without it, there is nothing but KVM"},
	{"no-reboot", "without it, a reboot ends the guest"},
	{"disk", "--initrd, there are no disks"},
	{"drive", "--initrd, there are no disks"},
};

/* The option with a value whose name without dashes is most like @name; NULL: none is. */
static const char *near_option(const char *name)
{
	const char *names[N_OPTIONS + 1] = {NULL};

	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = table[i].name + 2;
	return near_word(name, names);
}

/* What @arg, which isn't known, was probably meant to be; "xvmm --help": no idea. */
static const char *meant_by(const char *arg, char text[MEANT_SIZE])
{
	static const char *const commands[] = {"check", "ctl", "timeline", "selftest", NULL};
	static const char *const without_value[] = {"help", "version", "print-config", NULL};
	const size_t dashes = strspn(arg, "-");
	const char *near;

	snprintf(text, MEANT_SIZE, "%.*s", (int)strcspn(arg + dashes, "="), arg + dashes);
	for (size_t i = 0; dashes && i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (strcmp(text, elsewhere[i].name) == 0)
			return elsewhere[i].cure;
	}
	near = dashes ? NULL : near_word(text, commands);
	if (near) {
		snprintf(text, MEANT_SIZE, "xvmm %s", near);
		return text;
	}
	near = near_option(text);
	if (!near)
		near = near_word(text, without_value);
	if (!near && !dashes && access(arg, R_OK) == 0) {
		snprintf(text, MEANT_SIZE, "--kernel %s", arg);
		return text;
	}
	if (!near)
		return "xvmm --help";
	snprintf(text, MEANT_SIZE, "--%s", near);
	return text;
}

/* The index in the table of the option whose name without dashes is the @len bytes @name; or -1. */
static int find_option(const char *name, size_t len)
{
	for (int i = 0; i < N_OPTIONS; i++) {
		const char *known = table[i].name + 2;

		if (strlen(known) == len && strncmp(known, name, len) == 0)
			return i;
	}
	return -1;
}

/* The option at @argv[@i], "--name" or "--name=value"; its index, or a usage error. */
static int take_option(char *const *argv, int i, const char **value, struct error *err)
{
	const bool dashes = strncmp(argv[i], "--", 2) == 0;
	int option = dashes ? find_option(argv[i] + 2, strcspn(argv[i] + 2, "=")) : -1;
	char text[MEANT_SIZE];

	if (strcmp(argv[i], "--print-config") == 0)
		return error_usage(err, "--print-config: not of xvmm check; try: xvmm, without "
					"check");
	if (option < 0)
		return error_usage(err, "unknown %s '%s'; try: %s",
				   argv[i][0] == '-' ? "option" : "argument", argv[i],
				   meant_by(argv[i], text));
	*value = strchr(argv[i], '=');
	*value = *value ? *value + 1 : argv[i + 1];
	if (!*value)
		return error_usage(err, "%s needs a value; try: xvmm --help", argv[i]);
	return option;
}

/* How many arguments an option with its value takes. */
static int arguments_of(const char *arg)
{
	return strchr(arg, '=') ? 1 : 2;
}

static int parse_option(struct options *options, char *const *argv, int i, unsigned int *seen,
			struct error *err)
{
	const char *value = NULL;
	int option = take_option(argv, i, &value, err);

	if (option < 0)
		return option;
	if (*seen & 1u << option && !table[option].repeats)
		return error_usage(err, "%s is given twice", table[option].name);
	*seen |= 1u << option;
	return table[option].parse(options, value, err);
}

/* One option of the configuration file, @name, with its @values. */
static int parse_member(struct options *options, const char *name, json_t *values,
			unsigned int seen, struct error *err)
{
	int option = find_option(name, strlen(name)), ret = 0;
	const char *near;
	size_t i;
	json_t *value;

	if (option >= 0 && table[option].parse == parse_config)
		return error_usage(err, "%s belongs on the command line", name);
	near = option < 0 ? near_option(name) : NULL;
	if (option < 0)
		return error_usage(err, "there is no option '%s'; try: %s", name,
				   near ? near : "xvmm --help");
	/* The command line wins. */
	if (seen & 1u << option)
		return 0;
	if (json_array_size(values) > 1 && !table[option].repeats)
		return error_usage(err, "%s is given twice", name);
	json_array_foreach(values, i, value)
	{
		ret = table[option].parse(options, json_string_value(value), err);
		if (ret)
			break;
	}
	return ret;
}

static int parse_config_file(struct options *options, unsigned int seen, struct error *err)
{
	const char *name;
	json_t *values;
	int ret = config_file_load(options->config_file, &options->from_file, err);

	if (ret)
		return ret;
	json_object_foreach(options->from_file, name, values)
	{
		ret = parse_member(options, name, values, seen, err);
		if (ret) {
			error_prefix(err, "--config %s: ", options->config_file);
			break;
		}
	}
	return ret;
}

/* An argument that needs no value. False: it is another one. */
static bool take_word(struct options *options, const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		options->action = OPTIONS_HELP;
	else if (strcmp(word, "--version") == 0)
		options->action = OPTIONS_VERSION;
	else if (options->action == OPTIONS_CHECK && strcmp(word, "--json") == 0)
		options->json = true;
	else if (options->action != OPTIONS_CHECK && strcmp(word, "--print-config") == 0)
		options->action = OPTIONS_PRINT;
	else
		return false;
	return true;
}

/* From @argv[@i] on; after --help and --version nothing counts. */
static int parse_arguments(struct options *options, int argc, char *const *argv, int i,
			   struct error *err)
{
	unsigned int seen = 0;

	while (i < argc) {
		int ret;

		if (take_word(options, argv[i])) {
			if (options->action == OPTIONS_HELP || options->action == OPTIONS_VERSION)
				return 0;
			i++;
			continue;
		}
		ret = parse_option(options, argv, i, &seen, err);
		if (ret)
			return ret;
		i += arguments_of(argv[i]);
	}
	return options->config_file ? parse_config_file(options, seen, err) : 0;
}

/* All that counts, of arguments that were parsed; then of the file what they haven't. */
static int note_down(struct options *options, int argc, char *const *argv, struct error *err)
{
	int ret = 0;

	options->given = json_object();
	if (!options->given)
		return error_set(err, -ENOMEM, "out of memory");
	for (int i = 1; i < argc && !ret;) {
		const char *value = NULL;
		int option;

		if (take_word(options, argv[i])) {
			i++;
			continue;
		}
		option = take_option(argv, i, &value, err);
		if (option < 0)
			return option;
		if (table[option].parse != parse_config)
			ret = config_file_add(options->given, table[option].name + 2, value, err);
		i += arguments_of(argv[i]);
	}
	if (!ret && options->from_file &&
	    json_object_update_missing(options->given, options->from_file))
		ret = error_set(err, -ENOMEM, "out of memory");
	return ret;
}

int options_parse(struct options *options, int argc, char *const *argv, struct error *err)
{
	const bool check = argc > 1 && strcmp(argv[1], "check") == 0;
	int ret;

	*options = (struct options){
		.action = check ? OPTIONS_CHECK : OPTIONS_RUN,
		.console_stdio = true,
		.config.sandbox = sandbox_possible,
		.config.load_on_demand = true,
	};
	ret = parse_arguments(options, argc, argv, check ? 2 : 1, err);
	if (!ret && options->action == OPTIONS_PRINT)
		ret = note_down(options, argc, argv, err);
	if (!ret && !options->config.kernel && options->action == OPTIONS_RUN)
		ret = error_usage(err, "--kernel is missing; try: xvmm --help");
	if (ret) {
		options_free(options);
		return ret;
	}
	options->config.nets = options->nets;
	options->config.n_nets = options->n_nets;
	return 0;
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->n_nets; i++)
		free_net(options->net_specs[i]);
	free(options->net_specs);
	free(options->nets);
	spec_free(&options->sandbox);
	json_decref(options->from_file);
	json_decref(options->given);
	*options = (struct options){0};
}
