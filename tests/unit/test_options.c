/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: what it takes, and how it refuses the rest. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virtio/net_features.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/net_faults_spec.h"
#include "vmm/net_spec.h"
#include "vmm/options.h"
#include "vmm/sandbox.h"

static struct options options;
static struct error err;

enum {
	MAX_ARGS = 32,
};

/* Parse "--kernel k" and the words of @line, which a space separates. */
static int parse(const char *line)
{
	static char copy[512];
	char *argv[MAX_ARGS] = {(char *)"xvmm", (char *)"--kernel", (char *)"k"};
	char *next = copy;
	int argc = 3;

	snprintf(copy, sizeof(copy), "%s", line);
	while (next && *next && argc < MAX_ARGS - 1)
		argv[argc++] = strsep(&next, " ");
	memset(&err, 0, sizeof(err));
	return options_parse(&options, argc, argv, &err);
}

START_TEST(defaults)
{
	ck_assert_int_eq(parse(""), 0);
	ck_assert_str_eq(options.config.kernel, "k");
	ck_assert_ptr_null(options.config.initrd);
	ck_assert_ptr_null(options.config.cmdline);
	ck_assert_ptr_null(options.config.control);
	ck_assert_uint_eq(options.config.n_nets, 0);
	ck_assert_uint_eq(options.config.timeout_ms, 0);
	ck_assert(options.console_stdio);
	ck_assert(options.config.sandbox == sandbox_possible);
	options_free(&options);
}
END_TEST

START_TEST(everything)
{
	ck_assert_int_eq(parse("--initrd i --cmdline=a=b --boot pvh --cpus 4 "
			       "--memory 5g,shared=on,prealloc=on --net tap0 "
			       "--net=tap1,mac=02:00:00:00:00:0a,mtu=9000,id=wan,transport=mmio "
			       "--net fd=7,mtu=100 --transport pci "
			       "--console file:/x,y --control /c --timeout 1.5 "
			       "--sandbox off"),
			 0);
	ck_assert_str_eq(options.config.initrd, "i");
	ck_assert_str_eq(options.config.cmdline, "a=b");
	ck_assert_int_eq(options.config.boot, XVMM_BOOT_PVH);
	ck_assert_uint_eq(options.config.cpus, 4);
	ck_assert_uint_eq(options.config.memory, 5ULL << 30);
	ck_assert(options.config.memory_shared);
	ck_assert(options.config.memory_prealloc);
	ck_assert(!options.config.memory_hugepages);
	ck_assert_uint_eq(options.config.n_nets, 3);
	ck_assert_str_eq(options.config.nets[0].tap, "tap0");
	ck_assert_ptr_null(options.config.nets[0].id);
	ck_assert_str_eq(options.config.nets[1].tap, "tap1");
	ck_assert_str_eq(options.config.nets[1].id, "wan");
	ck_assert_uint_eq(options.config.nets[1].mtu, 9000);
	ck_assert_uint_eq(options.config.nets[1].mac[5], 0xa);
	ck_assert_int_eq(options.config.transport, XVMM_TRANSPORT_PCI);
	ck_assert_int_eq(options.config.nets[0].transport, XVMM_TRANSPORT_DEFAULT);
	ck_assert_int_eq(options.config.nets[1].transport, XVMM_TRANSPORT_MMIO);
	ck_assert(!options.config.nets[1].has_fd);
	ck_assert(options.config.nets[2].has_fd);
	ck_assert_int_eq(options.config.nets[2].fd, 7);
	ck_assert_ptr_null(options.config.nets[2].tap);
	ck_assert_uint_eq(options.config.nets[2].mtu, 100);
	ck_assert_str_eq(options.console_file, "/x,y");
	ck_assert_str_eq(options.config.control, "/c");
	ck_assert(!options.console_stdio);
	ck_assert_uint_eq(options.config.timeout_ms, 1500);
	ck_assert(!options.config.sandbox);
	options_free(&options);
}
END_TEST

START_TEST(net)
{
	const struct xvmm_net *nets;

	ck_assert_int_eq(parse("--net tap0 "
			       "--net tap1,queues=16,queue_size=32768,packed=on,speed=2147483647,"
			       "duplex=half,mrg_rxbuf=off,csum=off,rss=on --net tap2,duplex=full"),
			 0);
	nets = options.config.nets;
	ck_assert_uint_eq(nets[0].queues, 0);
	ck_assert_uint_eq(nets[0].queue_size, 0);
	ck_assert_uint_eq(nets[0].speed, 0);
	ck_assert_uint_eq(nets[0].features_on | nets[0].features_off, 0);
	ck_assert_uint_eq(nets[1].queues, 16);
	ck_assert_uint_eq(nets[1].queue_size, 32768);
	ck_assert_uint_eq(nets[1].speed, INT32_MAX);
	ck_assert(nets[1].half_duplex);
	ck_assert_uint_eq(nets[1].features_on,
			  1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_NET_F_RSS);
	ck_assert_uint_eq(nets[1].features_off,
			  1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_CSUM);
	ck_assert(!nets[2].half_duplex);
	options_free(&options);
}
END_TEST

START_TEST(net_backends)
{
	const struct xvmm_net *nets;

	ck_assert_int_eq(parse("--net tap0,vhost=on,poll_us=50 --net fd=3,vhost=auto,switch=on "
			       "--net vhost-user,socket=/run/s,server=on,fallback=tap1,grace=0.25 "
			       "--net vhost-user,queues=2,socket=s --net vhost-users,vhost=off"),
			 0);
	ck_assert_uint_eq(options.config.n_nets, 5);
	nets = options.config.nets;
	ck_assert_int_eq(nets[0].vhost, XVMM_VHOST_ON);
	ck_assert_uint_eq(nets[0].vhost_poll_us, 50);
	ck_assert(!nets[0].switchable);
	ck_assert_ptr_null(nets[0].socket);
	ck_assert(nets[1].has_fd);
	ck_assert_int_eq(nets[1].vhost, XVMM_VHOST_AUTO);
	ck_assert(nets[1].switchable);
	ck_assert_ptr_null(nets[2].tap);
	ck_assert(!nets[2].has_fd);
	ck_assert_str_eq(nets[2].socket, "/run/s");
	ck_assert(nets[2].server);
	ck_assert_str_eq(nets[2].fallback, "tap1");
	ck_assert(nets[2].has_grace);
	ck_assert_uint_eq(nets[2].grace_ms, 250);
	ck_assert_str_eq(nets[3].socket, "s");
	ck_assert_uint_eq(nets[3].queues, 2);
	ck_assert(!nets[3].server);
	ck_assert(!nets[3].has_grace);
	ck_assert_ptr_null(nets[3].fallback);
	ck_assert_str_eq(nets[4].tap, "vhost-users");
	ck_assert_int_eq(nets[4].vhost, XVMM_VHOST_OFF);
	options_free(&options);
	ck_assert_int_eq(parse("--net vhost-user,socket=s,grace=0"), 0);
	ck_assert(options.config.nets[0].has_grace);
	ck_assert_uint_eq(options.config.nets[0].grace_ms, 0);
	options_free(&options);
}
END_TEST

START_TEST(user_networks)
{
	const struct net_spec *spec;
	char text[NET_SPEC_BACKEND_SIZE];

	ck_assert_int_eq(parse("--net user --net user,hostfwd=tcp::1-:2,mtu=9000,restrict=on,"
			       "hostfwd=udp:127.0.0.1:3-:4 --net users"),
			 0);
	ck_assert_uint_eq(options.config.n_nets, 3);
	spec = options.net_specs[0];
	ck_assert(spec->is_user && spec->net.has_fd && !spec->restricted);
	ck_assert_int_eq(spec->net.fd, -1);
	ck_assert_uint_eq(spec->n_forwards, 0);
	net_spec_backend(&options.config.nets[0], text);
	ck_assert_str_eq(text, "user");
	spec = options.net_specs[1];
	ck_assert(spec->is_user && spec->restricted);
	ck_assert_uint_eq(spec->net.mtu, 9000);
	ck_assert_uint_eq(spec->n_forwards, 2);
	ck_assert(!spec->forwards[0].udp && spec->forwards[1].udp);
	ck_assert_uint_eq(spec->forwards[0].host_port, 1);
	ck_assert_uint_eq(spec->forwards[1].guest_port, 4);
	ck_assert(!options.net_specs[2]->is_user);
	ck_assert_str_eq(options.config.nets[2].tap, "users");
	options_free(&options);
}
END_TEST

START_TEST(net_faults)
{
	const struct xvmm_net_faults *faults;

	ck_assert_int_eq(
		parse("--net tap0,pcap=/tmp/p "
		      "--net fd=3,loss=0.0001%,duplicate=2.5%,corrupt=100%,delay=1.5s~20ms,"
		      "reorder=0%,rate=10mbit/32K+2000pps/10,seed=4294967295,pcap=p "
		      "--net user,rate=0.5kbit --net user,rate=1GBIT "
		      "--net user,rate=1pps+1bit --net user,loss=0% --net user,delay=7us"),
		0);
	ck_assert_str_eq(options.config.nets[0].pcap, "/tmp/p");
	ck_assert(!options.config.nets[0].faults.enabled);
	ck_assert_str_eq(options.config.nets[1].pcap, "p");
	faults = &options.config.nets[1].faults;
	ck_assert(faults->enabled && faults->has_seed);
	ck_assert_uint_eq(faults->loss, 1);
	ck_assert_uint_eq(faults->duplicate, 25000);
	ck_assert_uint_eq(faults->corrupt, 1000000);
	ck_assert_uint_eq(faults->reorder, 0);
	ck_assert_uint_eq(faults->delay_us, 1500000);
	ck_assert_uint_eq(faults->jitter_us, 20000);
	ck_assert_uint_eq(faults->bits.per_second, 10000000);
	ck_assert_uint_eq(faults->bits.burst, 32768);
	ck_assert_uint_eq(faults->packets.per_second, 2000);
	ck_assert_uint_eq(faults->packets.burst, 10);
	ck_assert_uint_eq(faults->seed, UINT32_MAX);
	faults = &options.config.nets[2].faults;
	ck_assert(faults->enabled && !faults->has_seed);
	ck_assert_uint_eq(faults->bits.per_second, 500);
	ck_assert_uint_eq(faults->bits.burst, 0);
	ck_assert_uint_eq(options.config.nets[3].faults.bits.per_second, 1000000000);
	ck_assert_uint_eq(options.config.nets[4].faults.bits.per_second, 1);
	ck_assert_uint_eq(options.config.nets[4].faults.packets.per_second, 1);
	ck_assert(options.config.nets[5].faults.enabled);
	ck_assert_uint_eq(options.config.nets[6].faults.delay_us, 7);
	options_free(&options);
}
END_TEST

/* What a program may put into the struct, and no SPEC. */
START_TEST(net_faults_of_a_program)
{
	static const struct xvmm_net_faults bad[] = {
		{.enabled = true, .loss = 1000001},
		{.enabled = true, .reorder = 1},
		{.enabled = true, .delay_us = 1, .jitter_us = 2},
		{.enabled = true, .delay_us = UINT64_MAX},
		{.enabled = true, .bits = {UINT64_MAX, 0}},
		{.enabled = true, .packets = {1, UINT64_MAX}},
	};
	struct xvmm_net_faults faults;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(net_faults_check("net0", &bad[i], &err), -EINVAL);
		ck_assert(err.usage && strncmp(err.text, "net0: ", 6) == 0);
		/* Who has none needs no others. */
		faults = bad[i];
		faults.enabled = false;
		ck_assert_int_eq(net_faults_check("net0", &faults, &err), 0);
	}
}
END_TEST

START_TEST(too_many_forwards)
{
	struct net_spec spec;
	char text[4096] = "user";
	size_t len = strlen(text);

	for (unsigned int i = 0; i <= SPEC_MAX_REPEATS; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ",hostfwd=tcp::%u-:1",
					i + 1);
	ck_assert_int_eq(net_spec_parse(&spec, "--net", text, &err), -EINVAL);
	ck_assert_str_eq(err.text, "--net: key 'hostfwd' is given more than 64 times");
}
END_TEST

/* "shared" has three states: on, off, and what the devices need. */
START_TEST(memory_shared)
{
	static const struct {
		const char *line;
		bool is_shared, is_private;
	} cases[] = {
		{"--memory 64M", false, false},
		{"--memory 64M,shared=on", true, false},
		{"--memory 64M,shared=off", false, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(parse(cases[i].line), 0);
		ck_assert_int_eq(options.config.memory_shared, cases[i].is_shared);
		ck_assert_int_eq(options.config.memory_private, cases[i].is_private);
		options_free(&options);
	}
}
END_TEST

/* As the control socket uses it: by another name, which the messages have. */
START_TEST(net_spec_of_a_command)
{
	char text[NET_SPEC_BACKEND_SIZE];
	struct net_spec spec;

	ck_assert_int_eq(net_spec_parse(&spec, "net-switch", "tap3,vhost=on", &err), 0);
	ck_assert_str_eq(spec.net.tap, "tap3");
	net_spec_backend(&spec.net, text);
	ck_assert_str_eq(text, "tap3");
	net_spec_free(&spec);
	ck_assert_int_eq(net_spec_parse(&spec, "net-switch", "fd=0", &err), 0);
	net_spec_backend(&spec.net, text);
	ck_assert_str_eq(text, "fd=0");
	ck_assert_ptr_null(spec.received);
	net_spec_free(&spec);
	/* Of a client's descriptor, by its name. */
	ck_assert_int_eq(net_spec_parse(&spec, "net-switch", "fd=wire,vhost=on", &err), 0);
	ck_assert_str_eq(spec.received, "wire");
	ck_assert(spec.net.has_fd && spec.net.fd == -1);
	net_spec_backend(&spec.net, text);
	ck_assert_str_eq(text, "fd=wire");
	net_spec_free(&spec);
	ck_assert_int_lt(net_spec_parse(&spec, "net-switch", "fd=1x", &err), 0);
	ck_assert_int_lt(net_spec_parse(&spec, "net-switch", "fd=", &err), 0);
	ck_assert_int_lt(parse("--net fd=wire"), 0);
	ck_assert_str_eq(err.text, "--net: fd: 'wire' is not a number; only net-switch takes a "
				   "name, of getfd");
	ck_assert_int_eq(
		net_spec_parse(&spec, "net-switch", "vhost-user,server=on,socket=/s", &err), 0);
	net_spec_free(&spec);
	ck_assert_int_eq(net_spec_parse(&spec, "--net", "vhost-user,fd=5,fallback=tap3", &err), 0);
	ck_assert(spec.net.vhost_user && spec.net.has_fd && spec.net.fd == 5 && !spec.net.socket);
	net_spec_backend(&spec.net, text);
	ck_assert_str_eq(text, "vhost-user,fd=5");
	net_spec_free(&spec);
	ck_assert_int_lt(net_spec_parse(&spec, "--net", "vhost-user,fd=5,socket=/s", &err), 0);
	ck_assert_int_lt(net_spec_parse(&spec, "--net", "vhost-user,fallback=tap3", &err), 0);
	ck_assert_str_eq(err.text, "--net: vhost-user needs socket=PATH, or fd=N");
	ck_assert_int_lt(net_spec_parse(&spec, "--net", "vhost-user,fd=5,server=on", &err), 0);
	ck_assert_str_eq(err.text, "--net: server: the descriptor is a connection already");
	ck_assert_int_eq(
		net_spec_parse(&spec, "net-switch", "vhost-user,server=on,socket=/s", &err), 0);
	net_spec_backend(&spec.net, text);
	ck_assert_str_eq(text, "vhost-user,socket=/s");
	net_spec_free(&spec);
	ck_assert_int_lt(net_spec_parse(&spec, "net-switch", "tap3,mtu=1", &err), 0);
	ck_assert_str_eq(err.text, "net-switch: mtu: '1' is not a number from 68 to 65535");
	ck_assert_int_lt(net_spec_parse(&spec, "net-switch", "", &err), 0);
	ck_assert(err.usage);
}
END_TEST

/* Each feature by its name, which the library knows as well. */
START_TEST(net_feature_names)
{
	char line[64];

	for (const struct net_feature *feature = net_features; feature->name; feature++) {
		ck_assert_uint_eq(xvmm_net_feature(feature->name), feature->bit);
		snprintf(line, sizeof(line), "--net tap0,%s=off", feature->name);
		ck_assert_msg(parse(line) == 0, "%s", err.text);
		ck_assert_uint_eq(options.config.nets[0].features_off, feature->bit);
		ck_assert_uint_eq(options.config.nets[0].features_on, 0);
		options_free(&options);
	}
	ck_assert_uint_eq(xvmm_net_feature("host_uso"), 1ULL << 56);
	ck_assert_uint_eq(xvmm_net_feature("standby"), 0);
	/* All of them are told, in the longest list, too. */
	ck_assert_int_lt(parse("--net vhost-user,standby=on"), 0);
	for (const struct net_feature *feature = net_features; feature->name; feature++)
		ck_assert_ptr_nonnull(strstr(err.text, feature->name));
	ck_assert_str_eq(err.text + strlen(err.text) - 1, ")");
}
END_TEST

static const struct {
	const char *line;
	const char *text; /* a part of the error */
} wrong[] = {
	{"--nett tap0", "unknown option '--nett'; try: --net"},
	{"--kern x", "unknown option '--kern'; try: --kernel"},
	{"--kernal=x", "unknown option '--kernal=x'; try: --kernel"},
	{"--memroy 1G", "try: --memory"},
	{"-kernel x", "unknown option '-kernel'; try: --kernel"},
	{"-append x", "unknown option '-append'; try: --cmdline"},
	{"--print-config=on", "try: --print-config"},
	{"--frobnicate", "unknown option '--frobnicate'; try: xvmm --help"},
	{"-", "unknown option '-'; try: xvmm --help"},
	{"stray", "unknown argument 'stray'; try: xvmm --help"},
	{"/dev/null", "unknown argument '/dev/null'; try: --kernel /dev/null"},
	{"chekc", "unknown argument 'chekc'; try: xvmm check"},
	{"help", "unknown argument 'help'; try: --help"},
	{"--json", "unknown option '--json'; try: xvmm check --json"},
	{"--kernel again", "--kernel is given twice"},
	{"--cpus", "--cpus needs a value"},
	{"--cpus 0", "'0' is not a number from 1 to 255"},
	{"--cpus 256", "'256'"},
	{"--cpus -1", "'-1'"},
	{"--cpus 1x", "'1x'"},
	{"--cpus 99999999999999999999", "is not a number"},
	{"--memory x", "'x' is not a size like 512M"},
	{"--memory 1MB", "'1MB'"},
	{"--memory -5M", "'-5M'"},
	{"--memory 0", "--memory"},
	{"--memory 99999999999T", "is not a size"},
	{"--memory ,shared=on", "does not begin with a bare word"},
	{"--memory shared=on", "does not begin with a bare word"},
	{"--memory 64M,share=on",
	 "unknown key 'share' (known keys: shared, hugepages, prealloc); try: shared"},
	{"--memory 64M,shared=on,shared=on", "'shared' is given twice"},
	{"--memory 64M,shared", "'shared' needs a value"},
	{"--memory 64M,shared=", "'shared' needs a value"},
	{"--memory 64M,shared=yes", "shared=yes: must be on or off"},
	{"--memory 64M,", "--memory: a comma has nothing behind it"},
	{"--memory 512", "--memory: 512 is a number of bytes; try: --memory 512M"},
	{"--net tap0,socket=s",
	 "--net: unknown key 'socket' (known keys of a tap: vhost, poll_us, mac,"},
	{"--net tap0,server=on", "unknown key 'server'"},
	{"--net tap0,fallback=tap1", "unknown key 'fallback'"},
	{"--net fd=3,grace=1",
	 "unknown key 'grace' (known keys of a descriptor: vhost, poll_us, mac,"},
	{"--net vhost-user,socket=s,vhost=on",
	 "unknown key 'vhost' (known keys of vhost-user: socket, fd, server, fallback, grace, mac, "},
	{"--net vhost-user,socket=s,poll_us=1", "unknown key 'poll_us'"},
	{"--net vhost-user", "--net: vhost-user needs socket=PATH"},
	{"--net vhost-user,server=on", "--net: vhost-user needs socket=PATH"},
	{"--net vhost-user,socket=", "'socket' needs a value"},
	{"--net vhost-user,socket=s,server=yes", "server=yes: must be on or off"},
	{"--net vhost-user,socket=s,grace=-1", "--net: grace: '-1' is not a number of seconds"},
	{"--net vhost-user,socket=s,grace=nan", "'nan'"},
	{"--net vhost-user,socket=s,grace=1s", "'1s'"},
	{"--net tap0,vhost=yes", "--net: vhost: 'yes' is none of off, on, auto"},
	{"--net tap0,poll_us=5", "--net: poll_us needs vhost=on or vhost=auto"},
	{"--net tap0,vhost=off,poll_us=0", "poll_us needs vhost=on"},
	{"--net fd=3,poll_us=5", "poll_us needs vhost=on"},
	{"--net tap0,vhost=on,poll_us=1000001", "'1000001' is not a number from 0 to 1000000"},
	{"--net tap0,switch=1", "switch=1: must be on or off"},
	{"--net tap0,mac=1:2:3:4:5:6", "is not a MAC address"},
	{"--net tap0,mac=02:00:00:00:00:0g", "is not a MAC address"},
	{"--net tap0,mac=02:00:00:00:00:011", "is not a MAC address"},
	{"--net tap0,mac=02:00:00:00:00:1", "is not a MAC address"},
	{"--net tap0,mac=02:00:00:00:00:-1", "is not a MAC address"},
	{"--net tap0,mac=02:00:00:00:00:+1", "is not a MAC address"},
	{"--net tap0,mac=0x:00:00:00:00:00", "is not a MAC address"},
	{"--net tap0,mac=02:00:00:00:00-01", "is not a MAC address"},
	{"--net tap0,mac=03:00:00:00:00:01", "multicast"},
	{"--net tap0,mac=00:00:00:00:00:00", "can't have"},
	{"--net tap0,mtu=67", "'67' is not a number from 68 to 65535"},
	{"--net tap0,mtu=65536", "'65536'"},
	{"--transport isa", "--transport: 'isa' is none of mmio, pci"},
	{"--net tap0,transport=isa", "--net: transport: 'isa' is none of mmio, pci"},
	{"--net tap0,queues=0", "--net: queues: '0' is not a number from 1 to 16"},
	{"--net tap0,queues=17", "'17'"},
	{"--net tap0,queue_size=0", "'0' is not a number from 32 to 32768"},
	{"--net tap0,queue_size=32769", "'32769'"},
	{"--net tap0,speed=2147483648", "'2147483648'"},
	{"--net tap0,duplex=both", "duplex: 'both' is none of full, half"},
	{"--net tap0,mrg_rxbuf=0", "mrg_rxbuf=0: must be on or off"},
	{"--net tap0,csum=on,csum=off", "'csum' is given twice"},
	{"--net fd=", "--net: fd= needs the number of a descriptor"},
	{"--net fd=,mtu=1500", "--net: fd= needs the number of a descriptor"},
	{"--net ,tap0", "',tap0' does not begin with a tap's name, user, vhost-user or fd=N"},
	{"--net ifname=tap0", "'ifname=tap0' does not begin with a tap's name"},
	{"--net tap0,ifname=tap0", "); try: the tap's name as the first word"},
	{"--net tap0,vhots=on", "); try: vhost"},
	{"--net tap0,hostfwd=tcp::1-:2", "); try: user as the first word"},
	{"--net user,hostfw=tcp::1-:2", "); try: hostfwd"},
	{"--net fd=x", "--net: fd: 'x' is not a number"},
	{"--net fd=-1", "'-1'"},
	{"--net tap0,fd=3", "unknown key 'fd'"},
	{"--net user,queues=2",
	 "unknown key 'queues' (known keys of user: hostfwd..., restrict, mac, mtu,"},
	{"--net user,vhost=on", "unknown key 'vhost'"},
	{"--net user,hostfwd=", "'hostfwd' needs a value"},
	{"--net user,hostfw=tcp::1-:2", "unknown key 'hostfw'"},
	{"--net user,hostfwd=tcp::1-:2,hostfwd=tcp::1", "--net: hostfwd: 'tcp::1' is not tcp:"},
	{"--net user,restrict=yes", "restrict=yes: must be on or off"},
	{"--net tap0,hostfwd=tcp::1-:2", "unknown key 'hostfwd'"},
	{"--net tap0,los=1%", "seed, csum"},
	{"--net tap0,loss=1", "--net: loss: '1' is not a share like 1% or 0.05%"},
	{"--net tap0,loss=%", "'%' is not a share"},
	{"--net tap0,loss=-1%", "'-1%' is not a share"},
	{"--net tap0,loss=1%%", "'1%%' is not a share"},
	{"--net tap0,loss=1.%", "'1.%' is not a share"},
	{"--net tap0,loss=.1%", "'.1%' is not a share"},
	{"--net tap0,loss=1e1%", "'1e1%' is not a share"},
	{"--net tap0,duplicate=100.0001%", "duplicate: '100.0001%' is not a share"},
	{"--net tap0,corrupt=0.00001%", "corrupt: '0.00001%' is not a share"},
	{"--net tap0,corrupt=99999999999999999999%", "is not a share"},
	{"--net tap0,loss=1%,loss=1%", "'loss' is given twice"},
	{"--net tap0,reorder=1%", "--net: reorder needs delay"},
	{"--net tap0,reorder=1%,delay=0ms", "--net: reorder needs delay"},
	{"--net tap0,delay=10", "--net: delay: '10' is not a time like 10ms"},
	{"--net tap0,delay=10m", "(units: us, ms, s;"},
	{"--net tap0,delay=ms", "'ms' is not a time"},
	{"--net tap0,delay=10ms~", "'10ms~' is not a time"},
	{"--net tap0,delay=~1ms", "'~1ms' is not a time"},
	{"--net tap0,delay=1ms~1ms~1ms", "'1ms~1ms~1ms' is not a time"},
	{"--net tap0,delay=1.5us", "'1.5us' is not a time"},
	{"--net tap0,delay=1000.1s", "'1000.1s' is not a time"},
	{"--net tap0,delay=9999999999s", "is not a time"},
	{"--net tap0,delay=1ms~2ms", "jitter is at most as long as the delay"},
	{"--net tap0,rate=10", "--net: rate: '10' is not a rate like 10mbit"},
	{"--net tap0,rate=10mb", "(units: bit, kbit, mbit, gbit, up to 100gbit; pps)"},
	{"--net tap0,rate=0mbit", "'0mbit' is not a rate"},
	{"--net tap0,rate=0.5bit", "'0.5bit' is not a rate"},
	{"--net tap0,rate=100.1gbit", "'100.1gbit' is not a rate"},
	{"--net tap0,rate=999999999gbit", "'999999999gbit' is not a rate"},
	{"--net tap0,rate=1000000001pps", "'1000000001pps' is not a rate"},
	{"--net tap0,rate=10mbit+", "rate: '' is not a rate"},
	{"--net tap0,rate=10mbit+5kbit", "rate: two limits of bits"},
	{"--net tap0,rate=10pps+5pps", "rate: two limits of packets"},
	{"--net tap0,rate=10mbit/", "rate: burst: '' is not a size"},
	{"--net tap0,rate=10mbit/0", "rate: burst: '0' is not from 1 byte"},
	{"--net tap0,rate=10mbit/2G", "rate: burst: '2G' is not from 1 byte"},
	{"--net tap0,rate=10pps/0", "rate: burst: '0' is not a number from 1"},
	{"--net tap0,rate=10pps/1K", "rate: burst: '1K' is not a number"},
	{"--net tap0,rate=0000000000000000000000000000000000000000000000000000000000000001pps",
	 "is not a rate"},
	{"--net tap0,seed=1", "seed is that of faults: it needs loss, duplicate, corrupt,"},
	{"--net tap0,loss=1%,seed=-1", "--net: seed: '-1' is not a number from 0 to 4294967295"},
	{"--net tap0,loss=1%,seed=4294967296", "'4294967296' is not a number"},
	{"--net tap0,pcap=", "'pcap' needs a value"},
	{"--console tty", "'tty' is none of stdio, off, file:PATH"},
	{"--console file:", "'file:'"},
	{"--sandbox maybe", "'maybe' is none of off, on"},
	{"--sandbox on,user=nobody-at-all", "no user 'nobody-at-all'"},
	{"--sandbox on,user=4294967295", "4294967295"},
	{"--sandbox on,user=0,group=none-at-all", "no group 'none-at-all'"},
	{"--sandbox on,group=0", "without user"},
	{"--sandbox on,namespaces=1", "namespaces"},
	{"--sandbox off,chroot=/", "off, and yet"},
	{"--boot efi", "'efi' is none of auto, linux, pvh"},
	{"--panic-line maybe", "--panic-line: 'maybe' is none of off, on"},
	{"--timeout 0", "'0' is not a number of seconds from 0.001 to 999999999"},
	{"--timeout nan", "'nan'"},
	{"--timeout 5s", "'5s'"},
	{"--timeout 1e3", "'1e3'"},
	{"--timeout .5", "'.5'"},
	{"--timeout -5", "'-5'"},
	{"--control=", "--control: it needs the path of a socket"},
	{"--control a --control b", "--control is given twice"},
};

START_TEST(refused)
{
	ck_assert_int_lt(parse(wrong[_i].line), 0);
	ck_assert_msg(strstr(err.text, wrong[_i].text) != NULL, "%s", err.text);
	ck_assert(err.usage);
}
END_TEST

/* Parse "xvmm --config FILE" and the words of @line, with @text in the file. */
static int parse_with_file(const char *text, const char *line)
{
	static char path[] = "/tmp/xvmm-options.XXXXXX", words[64];
	char *argv[MAX_ARGS] = {(char *)"xvmm", (char *)"--config", path};
	char *next = words;
	int argc = 3, fd, ret;

	strcpy(strrchr(path, '.'), ".XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
	snprintf(words, sizeof(words), "%s", line);
	while (next && *next && argc < MAX_ARGS - 1)
		argv[argc++] = strsep(&next, " ");
	memset(&err, 0, sizeof(err));
	ret = options_parse(&options, argc, argv, &err);
	unlink(path);
	return ret;
}

START_TEST(a_file_has_options)
{
	static const char text[] = "{\"kernel\": \"k\", \"cpus\": 3, \"timeout\": 1.5,"
				   " \"panic-line\": true, \"net\": [\"tap0\", \"tap1,mtu=1400\"],"
				   " \"memory\": \"64M\"}";

	ck_assert_msg(parse_with_file(text, "") == 0, "%s", err.text);
	ck_assert_str_eq(options.config.kernel, "k");
	ck_assert_uint_eq(options.config.cpus, 3);
	ck_assert_uint_eq(options.config.timeout_ms, 1500);
	ck_assert(options.config.panic_line);
	ck_assert_uint_eq(options.config.n_nets, 2);
	ck_assert_uint_eq(options.config.nets[1].mtu, 1400);
	options_free(&options);
	/* The command line wins; of what may be repeated, too. */
	ck_assert_msg(parse_with_file(text, "--cpus 1 --net tap9") == 0, "%s", err.text);
	ck_assert_uint_eq(options.config.cpus, 1);
	ck_assert_uint_eq(options.config.n_nets, 1);
	ck_assert_str_eq(options.config.nets[0].tap, "tap9");
	ck_assert_uint_eq(options.config.memory, 64 << 20);
	options_free(&options);
}
END_TEST

static const struct {
	const char *text, *part;
} wrong_files[] = {
	{"", "line 1: "},
	{"{\"kernel\": \"k\",\n\n}", "line 3: "},
	{"[]", "it is no JSON object"},
	{"{\"kernel\": \"k\", \"kernel\": \"l\"}", "duplicate"},
	{"{\"kernel\": [\"k\", \"l\"]}", "kernel is given twice"},
	{"{\"kernel\": null}", "kernel: a value is a string, a number"},
	{"{\"net\": [[\"tap0\"]]}", "net: a value is a string"},
	{"{\"kernel\": \"a\\u0000b\"}", ""},
	{"{\"cpus\": 256}", "--cpus: '256' is not a number from 1 to 255"},
	{"{\"cpus\": true}", "--cpus: 'on' is not a number"},
	{"{\"frobnicate\": 1}", "there is no option 'frobnicate'"},
	{"{\"config\": \"x\"}", "config belongs on the command line"},
	{"{\"help\": true}", "there is no option 'help'; try: xvmm --help"},
	{"{\"kernal\": \"k\"}", "there is no option 'kernal'; try: kernel"},
	{"{\"cpus=3\": 2}", "there is no option 'cpus=3'"},
	{"{\"--cpus\": 2}", "there is no option '--cpus'"},
	{"{\"cpus\": 1}", "--kernel is missing"},
};

START_TEST(a_file_is_wrong)
{
	ck_assert_int_eq(parse_with_file(wrong_files[_i].text, ""), -EINVAL);
	ck_assert(err.usage);
	ck_assert_msg(strstr(err.text, wrong_files[_i].part) != NULL, "%s", err.text);
}
END_TEST

START_TEST(kernel_is_needed)
{
	char *argv[] = {(char *)"xvmm", (char *)"--cpus", (char *)"1", NULL};

	ck_assert_int_lt(options_parse(&options, 3, argv, &err), 0);
	ck_assert_str_eq(err.text, "--kernel is missing; try: xvmm --help");
	ck_assert(err.usage);
}
END_TEST

START_TEST(help_fits_two_screens)
{
	int lines = 0;

	ck_assert_int_eq(parse("--help"), 0);
	ck_assert_int_eq(options.action, OPTIONS_HELP);
	for (const char *line = options_help; line; line = strchr(line, '\n')) {
		line += lines++ > 0;
		ck_assert_uint_le(strcspn(line, "\n"), 99);
	}
	ck_assert_int_le(lines, 48);
	ck_assert_int_eq(parse("--version"), 0);
	ck_assert_int_eq(options.action, OPTIONS_VERSION);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, defaults);
	tcase_add_test(tcase, everything);
	tcase_add_test(tcase, net);
	tcase_add_test(tcase, net_backends);
	tcase_add_test(tcase, user_networks);
	tcase_add_test(tcase, net_faults);
	tcase_add_test(tcase, net_faults_of_a_program);
	tcase_add_test(tcase, too_many_forwards);
	tcase_add_test(tcase, memory_shared);
	tcase_add_test(tcase, net_spec_of_a_command);
	tcase_add_test(tcase, net_feature_names);
	tcase_add_loop_test(tcase, refused, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tcase, a_file_has_options);
	tcase_add_loop_test(tcase, a_file_is_wrong, 0,
			    sizeof(wrong_files) / sizeof(wrong_files[0]));
	tcase_add_test(tcase, kernel_is_needed);
	tcase_add_test(tcase, help_fits_two_screens);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
