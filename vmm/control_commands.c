/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control_commands.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/arch.h"
#include "virtio/net_filter.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/net_spec.h"
#include "vmm/timeline_json.h"
#include "vmm/vm.h"
#include "vmm/xvmm.h"

enum {
	MAC_SIZE = 18, /* of its text */
};

/* Take arguments apart as json_unpack() does; @takes names them all, for the message. */
static int unpack(json_t *arguments, struct error *err, const char *takes, const char *format, ...)
{
	static const char left_over[] = "left unpacked: ";
	const char *extra;
	json_error_t error;
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = json_vunpack_ex(arguments, &error, 0, format, ap);
	va_end(ap);
	if (!ret)
		return 0;
	/* In Jansson's words, but for an argument too much. */
	extra = strstr(error.text, left_over);
	if (extra)
		return error_set(err, -EINVAL, "there is no argument '%s'; it takes %s",
				 extra + strlen(left_over), takes);
	return error_set(err, -EINVAL, "%s; it takes %s", error.text, takes);
}

static int no_arguments(json_t *arguments, struct error *err)
{
	return unpack(arguments, err, "no arguments", "{!}");
}

static int no_device(const char *id, struct error *err)
{
	return error_set(err, -ENODEV, "there is no network device '%s'; try: query-net", id);
}

static int query_status(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const bool paused = vm_paused(opaque);

	/* QEMU 7.2's clients may expect "singlestep"; later ones do without. */
	*result = json_pack("{s:s,s:b,s:b}", "status", paused ? "paused" : "running", "running",
			    !paused, "singlestep", 0);
	return no_arguments(arguments, err);
}

extern const char qmp_schema[]; /* a string: vmm/qmp_schema.S */

static int query_qmp_schema(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	*result = json_loads(qmp_schema, 0, NULL);
	return *result ? no_arguments(arguments, err) : error_set(err, -ENOMEM, "out of memory");
}

static int query_kvm(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	*result = json_pack("{s:b,s:b}", "enabled", 1, "present", 1);
	return no_arguments(arguments, err);
}

static int query_cpus_fast(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	struct vm_cpu_info info;
	char path[32];

	*result = json_array();
	for (unsigned int i = 0; vm_cpu_info(opaque, i, &info) == 0; i++) {
		snprintf(path, sizeof(path), "/machine/cpu[%u]", i);
		if (json_array_append_new(*result, json_pack("{s:i,s:s,s:i,s:s}", "cpu-index",
							     (int)i, "qom-path", path, "thread-id",
							     info.tid, "target", arch_name)))
			return error_set(err, -ENOMEM, "out of memory");
	}
	return no_arguments(arguments, err);
}

static int cpu_stats(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	struct vm_cpu_info info;

	*result = json_array();
	for (unsigned int i = 0; vm_cpu_info(opaque, i, &info) == 0; i++) {
		if (json_array_append_new(*result, json_pack("{s:i,s:I}", "cpu-index", (int)i,
							     "exits", (json_int_t)info.exits)))
			return error_set(err, -ENOMEM, "out of memory");
	}
	return no_arguments(arguments, err);
}

static int stop(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int ret = no_arguments(arguments, err);

	(void)result;
	if (!ret)
		vm_pause(opaque, true);
	return ret;
}

static int cont(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int ret = no_arguments(arguments, err);

	(void)result;
	if (!ret)
		vm_pause(opaque, false);
	return ret;
}

static int system_reset(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int ret = no_arguments(arguments, err);

	(void)result;
	if (!ret)
		vm_reset(opaque);
	return ret;
}

static int quit(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int ret = no_arguments(arguments, err);

	(void)result;
	if (!ret)
		vm_quit(opaque);
	return ret;
}

static int system_powerdown(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int ret = no_arguments(arguments, err);

	(void)result;
	if (!ret)
		vm_power_button(opaque);
	return ret;
}

static int inject_nmi(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	int ret = no_arguments(arguments, err);

	(void)result;
	return ret ? ret : vm_inject_nmi(opaque, err);
}

static int set_link(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const char *name = NULL;
	int up = 0;
	int ret = unpack(arguments, err, "name, up (a boolean)", "{s:s,s:b!}", "name", &name, "up",
			 &up);

	(void)result;
	if (ret)
		return ret;
	ret = xvmm_net_set_link(opaque, name, up);
	return ret ? no_device(name, err) : 0;
}

static int net_announce(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const char *id = NULL;
	int ret = unpack(arguments, err, "id", "{s:s!}", "id", &id);

	(void)result;
	if (ret)
		return ret;
	ret = xvmm_net_announce(opaque, id);
	if (ret == -ENODEV)
		return no_device(id, err);
	return ret ? error_code(err, ret, "%s: its driver does not run, or can't announce it", id)
		   : 0;
}

/*
 * A client may name what xvmm was given when it was started, not what it has opened for itself,
 * which alone is closed on exec.
 */
static int check_given(int fd, struct error *err)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags >= 0 && !(flags & FD_CLOEXEC))
		return 0;
	error_set(err, -EBADF, "descriptor %d: xvmm was not started with it", fd);
	error_cure(err, "getfd NAME, then fd=NAME");
	return -EBADF;
}

static int take_received(struct xvmm *vm, const char *name, int *fd, struct error *err)
{
	int ret = vm_take_fd(vm, name, fd, err);

	if (ret == -ENOENT)
		error_cure(err, "getfd %s, before", name);
	return ret;
}

static int net_switch(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const char *id = NULL, *text = NULL;
	struct net_spec spec;
	FD_CLEANUP int received = -1;
	unsigned int pause_us = 0;
	int ret = unpack(arguments, err, "id, spec", "{s:s,s:s!}", "id", &id, "spec", &text);

	if (!ret)
		ret = net_spec_parse(&spec, "net-switch", text, err);
	if (ret)
		return ret;
	if (spec.is_user)
		ret = error_set(err, -EOPNOTSUPP,
				"user-mode networking has a process of its own, which can't be "
				"started once the guest runs");
	else if (spec.received)
		ret = take_received(opaque, spec.received, &received, err);
	else if (spec.net.has_fd)
		ret = check_given(spec.net.fd, err);
	if (spec.received)
		spec.net.fd = received;
	if (!ret)
		ret = vm_net_switch(opaque, id, &spec.net, &pause_us, err);
	net_spec_free(&spec);
	if (ret == -ENODEV)
		return no_device(id, err);
	if (!ret)
		*result = json_pack("{s:i}", "pause-us", (int)pause_us);
	return ret;
}

static const char *mac_text(const uint8_t mac[6], char text[MAC_SIZE])
{
	snprintf(text, MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return text;
}

static json_t *net_object(const struct vm_net_info *info)
{
	char mac[MAC_SIZE];

	/* A path need not be UTF-8: then it is left out. */
	return json_pack("{s:s,s:o*,s:s,s:s,s:b,s:b}", "id", info->id, "backend",
			 json_string(info->backend), "datapath", info->datapath, "mac",
			 mac_text(info->mac, mac), "connected", info->connected, "link-up",
			 info->link_up);
}

static int query_net(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	struct vm_net_info info;

	*result = json_array();
	for (unsigned int i = 0; vm_net_info(opaque, i, &info) == 0; i++) {
		if (json_array_append_new(*result, net_object(&info)))
			return error_set(err, -ENOMEM, "out of memory");
	}
	return no_arguments(arguments, err);
}

static json_t *mac_table(const struct net_mac_table *table)
{
	json_t *macs = json_array();
	char text[MAC_SIZE];

	for (unsigned int i = 0; i < table->n; i++) {
		if (json_array_append_new(macs, json_string(mac_text(table->macs[i], text)))) {
			json_decref(macs);
			return NULL;
		}
	}
	return macs;
}

static json_t *vlan_table(const struct net_filter *filter)
{
	json_t *vlans = json_array();

	for (int vlan = 0; vlan < NET_FILTER_VLANS; vlan++) {
		if (filter->vlans[vlan / 8] >> vlan % 8 & 1 &&
		    json_array_append_new(vlans, json_integer(vlan))) {
			json_decref(vlans);
			return NULL;
		}
	}
	return vlans;
}

/* QEMU's RxState. */
static const char *rx_state(bool none, bool all)
{
	if (none)
		return "none";
	return all ? "all" : "normal";
}

/* QEMU's RxFilterInfo. Without filters of the driver's everything passes. */
static json_t *filter_object(const char *name, const struct net_filter *filter)
{
	const bool active = filter->active;
	json_t *vlans = vlan_table(filter);
	const bool no_vlans = json_array_size(vlans) == 0;
	char mac[MAC_SIZE];

	return json_pack("{s:s,s:b,s:s,s:s,s:s,s:b,s:b,s:b,s:s,s:o,s:o,s:o}", "name", name,
			 "promiscuous", !active || filter->promisc, "multicast",
			 rx_state(active && filter->nomulti, active && filter->allmulti), "unicast",
			 rx_state(active && filter->nouni, active && filter->alluni), "vlan",
			 rx_state(filter->vlan_active && no_vlans, !filter->vlan_active),
			 "broadcast-allowed", !filter->nobcast, "multicast-overflow",
			 filter->multicast.overflow, "unicast-overflow", filter->unicast.overflow,
			 "main-mac", mac_text(filter->mac, mac), "vlan-table", vlans,
			 "unicast-table", mac_table(&filter->unicast), "multicast-table",
			 mac_table(&filter->multicast));
}

static int query_rx_filter(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const char *name = NULL;
	struct net_filter filter;
	struct vm_net_info info;
	int ret = unpack(arguments, err, "name, or nothing", "{s?s!}", "name", &name);

	if (ret)
		return ret;
	*result = json_array();
	for (unsigned int i = 0; vm_net_info(opaque, i, &info) == 0; i++) {
		if (name && strcmp(name, info.id) != 0)
			continue;
		vm_net_filter(opaque, i, &filter);
		if (json_array_append_new(*result, filter_object(info.id, &filter)))
			return error_set(err, -ENOMEM, "out of memory");
	}
	/* No -ENODEV: QEMU's class is another one here. */
	if (name && !json_array_size(*result))
		return error_set(err, -EINVAL, "invalid net client name: %s", name);
	return 0;
}

struct number {
	const char *name;
	uint64_t value;
};

/* 0, or -1: there is no memory. */
static int set_numbers(json_t *object, const struct number *numbers, size_t n)
{
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		ret |= json_object_set_new(object, numbers[i].name,
					   json_integer((json_int_t)numbers[i].value));
	return ret;
}

/* How long a queue was idle is left out if it never was anything else. */
static json_t *queue_object(unsigned int queue, const struct xvmm_queue_stats *stats)
{
	const struct number drops[] = {
		{"link-down", stats->dropped_link_down},
		{"filtered", stats->dropped_filtered},
		{"mtu", stats->dropped_mtu},
		{"no-buffers", stats->dropped_no_buffers},
		{"malformed", stats->dropped_malformed},
		{"refused", stats->dropped_refused},
	};
	const struct number counters[] = {
		{"packets", stats->packets},
		{"bytes", stats->bytes},
		{"kicks", stats->kicks},
		{"interrupts", stats->interrupts},
		{"interrupts-suppressed", stats->interrupts_suppressed},
		{"stalls", stats->stalls},
		{"broken", stats->broken},
	};
	json_t *dropped = json_object();
	json_t *object = json_pack("{s:o}", "dropped", dropped);
	char name[16];
	int ret = object ? 0 : -1;

	snprintf(name, sizeof(name), "%s%u", queue % 2 ? "tx" : "rx", queue / 2);
	ret |= json_object_set_new(object, "queue", json_string(name));
	ret |= set_numbers(object, counters, sizeof(counters) / sizeof(counters[0]));
	if (!ret)
		ret = set_numbers(dropped, drops, sizeof(drops) / sizeof(drops[0]));
	if (stats->idle_ms >= 0)
		ret |= json_object_set_new(object, "idle-ms", json_integer(stats->idle_ms));
	if (!ret)
		return object;
	json_decref(object);
	return NULL;
}

/* All queues of a device, none if their counters can't be had; NULL: there is no memory. */
static json_t *queues_array(struct xvmm *vm, const char *id)
{
	struct xvmm_queue_stats stats;
	json_t *queues = json_array();

	for (unsigned int i = 0; queues && xvmm_net_stats(vm, id, i, &stats) == 0; i++) {
		if (json_array_append_new(queues, queue_object(i, &stats))) {
			json_decref(queues);
			return NULL;
		}
	}
	return queues;
}

/* What was done to packets in one direction. */
static json_t *fault_counters(const uint64_t counters[NET_FAULTS_COUNTERS])
{
	const struct number numbers[] = {
		{"lost", counters[NET_FAULTS_LOST]},
		{"duplicated", counters[NET_FAULTS_DUPLICATED]},
		{"corrupted", counters[NET_FAULTS_CORRUPTED]},
		{"reordered", counters[NET_FAULTS_REORDERED]},
		{"dropped", counters[NET_FAULTS_DROPPED]},
	};
	json_t *object = json_object();

	_Static_assert(sizeof(numbers) / sizeof(numbers[0]) == NET_FAULTS_COUNTERS, "all");
	if (set_numbers(object, numbers, NET_FAULTS_COUNTERS) == 0)
		return object;
	json_decref(object);
	return NULL;
}

/* NULL: there are none, or there is no memory; it is left out then. */
static json_t *faults_object(const struct vm_net_info *info)
{
	const struct nic_faults *faults = &info->faults;

	if (!info->has_faults)
		return NULL;
	return json_pack("{s:I,s:o,s:o}", "seed", (json_int_t)faults->seed, "rx",
			 fault_counters(faults->counters[NET_FAULTS_RECEIVE]), "tx",
			 fault_counters(faults->counters[NET_FAULTS_TRANSMIT]));
}

static int net_stats(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	struct vm_net_info info;

	*result = json_array();
	for (unsigned int i = 0; vm_net_info(opaque, i, &info) == 0; i++) {
		json_t *device = json_pack(
			"{s:s,s:s,s:b,s:b,s:o,s:o*}", "id", info.id, "datapath", info.datapath,
			"link-up", info.link_up, "needs-reset", info.needs_reset, "queues",
			queues_array(opaque, info.id), "faults", faults_object(&info));

		if (json_array_append_new(*result, device))
			return error_set(err, -ENOMEM, "out of memory");
	}
	return no_arguments(arguments, err);
}

static int timeline(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	*result = timeline_json(vm_timeline(opaque));
	if (!*result)
		return error_set(err, -ENOMEM, "out of memory");
	return no_arguments(arguments, err);
}

const struct control_command control_commands[] = {
	{"query-status", query_status},
	{"xvmm-query-net", query_net},
	{"query-rx-filter", query_rx_filter},
	{"xvmm-cpu-stats", cpu_stats},
	{"xvmm-net-stats", net_stats},
	{"xvmm-timeline", timeline},
	{"query-cpus-fast", query_cpus_fast},
	{"query-kvm", query_kvm},
	{"query-qmp-schema", query_qmp_schema},
	{"xvmm-net-switch", net_switch},
	{"xvmm-net-announce", net_announce},
	{"set_link", set_link},
	{"stop", stop},
	{"cont", cont},
	{"system_powerdown", system_powerdown},
	{"system_reset", system_reset},
	{"inject-nmi", inject_nmi},
	{"quit", quit},
	{NULL, NULL},
};

/* How QEMU's schema (ShutdownCause) calls it, or comes nearest to it. */
static const struct {
	bool guest; /* it was the guest's doing */
	const char *name;
} causes[] = {
	[XVMM_POWER_OFF] = {true, "guest-shutdown"},  [XVMM_RESET] = {true, "guest-reset"},
	[XVMM_DEBUG_EXIT] = {true, "guest-shutdown"}, [XVMM_PANIC] = {true, "guest-panic"},
	[XVMM_TRIPLE_FAULT] = {true, "guest-panic"},  [XVMM_UNSUPPORTED] = {false, "host-error"},
	[XVMM_TIMEOUT] = {false, "host-signal"},      [XVMM_STOPPED] = {false, "host-signal"},
	[XVMM_FAILED] = {false, "host-error"},
};

void control_commands_ended(void (*event)(void *opaque, const char *name, json_t *data),
			    void *opaque, const struct xvmm_end *end, const char *command)
{
	const bool by_command = command &&
				(end->reason == XVMM_STOPPED || end->reason == XVMM_RESET);

	if (end->reason == XVMM_PANIC)
		event(opaque, "GUEST_PANICKED", json_pack("{s:s}", "action", "poweroff"));
	event(opaque, "SHUTDOWN",
	      json_pack("{s:b,s:s}", "guest", causes[end->reason].guest && !by_command, "reason",
			by_command ? command : causes[end->reason].name));
}
