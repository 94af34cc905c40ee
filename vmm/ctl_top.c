/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ctl_top.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/ctl_sample.h"

enum {
	BITS = 8, /* in a byte */
	MEGA = 1000000,
};

static const char *string_of(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* How much more of @key there is in @now, in a second; 0 if it began anew. */
static double rate(json_t *before, json_t *now, const char *key, double seconds)
{
	json_int_t more = json_integer_value(json_object_get(now, key)) -
			  json_integer_value(json_object_get(before, key));

	return more > 0 && seconds > 0 ? (double)more / seconds : 0;
}

static json_int_t dropped(json_t *queue)
{
	const char *cause;
	json_t *value;
	json_int_t n = 0;

	json_object_foreach(json_object_get(queue, "dropped"), cause, value)
	{
		n += json_integer_value(value);
	}
	return n;
}

static void print_cpus(json_t *before, json_t *now, double seconds)
{
	size_t i;
	json_t *cpu;

	json_array_foreach(now, i, cpu)
	{
		printf("vcpu%-2zu %10.0f exits/s\n", i,
		       rate(json_array_get(before, i), cpu, "exits", seconds));
	}
}

static void print_queue(json_t *before, json_t *now, double seconds)
{
	static const char *const keys[] = {"packets", "kicks", "interrupts", "stalls"};
	json_t *idle = json_object_get(now, "idle-ms");

	printf("  %-5s %9.2f", string_of(now, "queue"),
	       rate(before, now, "bytes", seconds) * BITS / MEGA);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		printf(" %10.0f", rate(before, now, keys[i], seconds));
	printf(" %10" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT, dropped(now),
	       json_integer_value(json_object_get(now, "broken")));
	if (idle)
		printf(" %8.1f\n", (double)json_integer_value(idle) / 1000);
	else
		printf(" %8s\n", "-");
}

static void print_device(json_t *before, json_t *now, double seconds)
{
	const bool same = strcmp(string_of(before, "datapath"), string_of(now, "datapath")) == 0;
	json_t *queues = json_object_get(now, "queues"), *queue;
	size_t i;

	printf("\n%s: %s, link %s%s\n", string_of(now, "id"), string_of(now, "datapath"),
	       json_is_true(json_object_get(now, "link-up")) ? "up" : "down",
	       json_is_true(json_object_get(now, "needs-reset")) ? ", waits for a reset" : "");
	if (json_array_size(queues) == 0) {
		puts("  others move its packets: they are not counted here");
		return;
	}
	printf("  %-5s %9s %10s %10s %10s %10s %10s %7s %8s\n", "queue", "Mbit/s", "packets/s",
	       "kicks/s", "irqs/s", "stalls/s", "dropped", "broken", "idle s");
	json_array_foreach(queues, i, queue)
	{
		json_t *old = json_array_get(json_object_get(before, "queues"), i);

		print_queue(same ? old : queue, queue, seconds);
	}
}

void ctl_top_print(const struct ctl_sample *before, const struct ctl_sample *now)
{
	const double seconds = now->seconds - before->seconds;
	size_t i;
	json_t *device;

	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	print_cpus(before->cpus, now->cpus, seconds);
	json_array_foreach(now->devices, i, device)
	{
		print_device(json_array_get(before->devices, i), device, seconds);
	}
	putchar('\n');
}
