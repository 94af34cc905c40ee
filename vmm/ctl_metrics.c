/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ctl_metrics.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "vmm/core/error.h"
#include "vmm/ctl_sample.h"

/* Of each queue, by the name that xvmm-net-stats has for it. */
static const struct metric {
	const char *key, *name, *type, *help;
	const char *exponent; /* "": there, it is told in the same unit */
} metrics[] = {
	{"packets", "xvmm_net_packets_total", "counter", "Packets that passed.", ""},
	{"bytes", "xvmm_net_bytes_total", "counter", "Bytes of these packets.", ""},
	{"kicks", "xvmm_net_kicks_total", "counter", "Notifications by the guest.", ""},
	{"interrupts", "xvmm_net_interrupts_total", "counter", "Interrupts to the guest.", ""},
	{"interrupts-suppressed", "xvmm_net_interrupts_suppressed_total", "counter",
	 "Batches after which the guest wanted no interrupt.", ""},
	{"stalls", "xvmm_net_stalls_total", "counter",
	 "Waits for buffers (receive) or for room (transmit).", ""},
	{"broken", "xvmm_net_broken_total", "counter",
	 "How often the guest broke the rules of the queue.", ""},
	{"idle-ms", "xvmm_net_idle_seconds", "gauge", "Since a buffer was last used.", "e-3"},
};

static void print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The member @key of @object as a label, with what must be escaped there. */
static void print_label(const char *label, json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	printf("%s=\"", label);
	for (; text && *text; text++) {
		if (*text == '\n')
			fputs("\\n", stdout);
		else if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar(*text);
	}
	putchar('"');
}

/* Of one device: what tells whether its member @key is true. */
static void print_device(const char *name, json_t *device, const char *key)
{
	printf("%s{", name);
	print_label("device", device, "id");
	putchar(',');
	print_label("datapath", device, "datapath");
	printf("} %d\n", json_is_true(json_object_get(device, key)));
}

/*
 * Of one queue; @cause: of lost packets, or NULL; @exponent: as in a metric. What a datapath can't
 * know is not there.
 */
static void print_queue(const char *name, json_t *device, json_t *queue, const char *cause,
			const json_t *value, const char *exponent)
{
	if (!json_is_integer(value))
		return;
	printf("%s{", name);
	print_label("device", device, "id");
	putchar(',');
	print_label("queue", queue, "queue");
	if (cause)
		printf(",cause=\"%s\"", cause);
	printf("} %" JSON_INTEGER_FORMAT "%s\n", json_integer_value(value), exponent);
}

static void print_devices(json_t *devices, const char *key, const char *name, const char *help)
{
	size_t i;
	json_t *device;

	print_head(name, "gauge", help);
	json_array_foreach(devices, i, device)
	{
		print_device(name, device, key);
	}
}

static void print_metric(json_t *devices, const struct metric *metric)
{
	size_t i, k;
	json_t *device, *queue;

	print_head(metric->name, metric->type, metric->help);
	json_array_foreach(devices, i, device)
	{
		json_array_foreach(json_object_get(device, "queues"), k, queue)
		{
			print_queue(metric->name, device, queue, NULL,
				    json_object_get(queue, metric->key), metric->exponent);
		}
	}
}

static void print_drops(json_t *devices)
{
	static const char name[] = "xvmm_net_dropped_packets_total";
	const char *cause;
	size_t i, k;
	json_t *device, *queue, *value;

	print_head(name, "counter", "Packets that were lost, by cause.");
	json_array_foreach(devices, i, device)
	{
		json_array_foreach(json_object_get(device, "queues"), k, queue)
		{
			json_object_foreach(json_object_get(queue, "dropped"), cause, value)
			{
				print_queue(name, device, queue, cause, value, "");
			}
		}
	}
}

static void print_faults(json_t *devices)
{
	static const char name[] = "xvmm_net_faults_total";
	static const char *const directions[] = {"rx", "tx"};
	const char *fault;
	size_t i;
	json_t *device, *value;

	print_head(name, "counter", "Packets that faults of the network befell, by fault.");
	json_array_foreach(devices, i, device)
	{
		json_t *faults = json_object_get(device, "faults");

		for (size_t d = 0; d < sizeof(directions) / sizeof(directions[0]); d++) {
			json_object_foreach(json_object_get(faults, directions[d]), fault, value)
			{
				printf("%s{", name);
				print_label("device", device, "id");
				printf(",direction=\"%s\",fault=\"%s\"} %" JSON_INTEGER_FORMAT "\n",
				       directions[d], fault, json_integer_value(value));
			}
		}
	}
}

static void print_cpus(json_t *cpus)
{
	static const char name[] = "xvmm_vcpu_exits_total";
	size_t i;
	json_t *cpu;

	print_head(name, "counter", "Exits of the guest's that KVM did not handle itself.");
	json_array_foreach(cpus, i, cpu)
	{
		printf("%s{vcpu=\"%zu\"} %" JSON_INTEGER_FORMAT "\n", name, i,
		       json_integer_value(json_object_get(cpu, "exits")));
	}
}

int ctl_print_metrics(const struct ctl_sample *sample, struct error *err)
{
	json_t *devices = sample->devices;

	if (!json_is_array(devices) || !json_is_array(sample->cpus))
		return error_set(err, -EPROTO,
				 "ctl: metrics: the VM returns no list of devices or vCPUs");
	print_cpus(sample->cpus);
	print_devices(devices, "link-up", "xvmm_net_up", "Whether the guest sees a link.");
	print_devices(devices, "needs-reset", "xvmm_net_needs_reset",
		      "Whether the device stands still until the guest resets it.");
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(devices, &metrics[i]);
	print_drops(devices);
	print_faults(devices);
	return 0;
}
