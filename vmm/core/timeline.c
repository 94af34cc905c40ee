/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/core/timeline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	NS_PER_S = 1000000000,
};

static const char *const names[TIMELINE_EVENTS] = {
	[TIMELINE_EXEC] = "exec",
	[TIMELINE_CREATE] = "create",
	[TIMELINE_ARGUMENTS] = "arguments-parsed",
	[TIMELINE_KVM] = "kvm-ready",
	[TIMELINE_MEMORY] = "memory-ready",
	[TIMELINE_CPUS] = "cpus-ready",
	[TIMELINE_DEVICES] = "devices-ready",
	[TIMELINE_KERNEL] = "kernel-loaded",
	[TIMELINE_SANDBOX] = "sandbox",
	[TIMELINE_FIRST_INSTRUCTION] = "first-guest-instruction",
	[TIMELINE_CONSOLE] = "first-console-byte",
	[TIMELINE_ENDED] = "guest-ended",
	[TIMELINE_DRIVER] = "driver",
	[TIMELINE_DRIVER_OK] = "driver-ok",
	[TIMELINE_PACKET_OUT] = "first-packet-out",
	[TIMELINE_PACKET_IN] = "first-packet-in",
	[TIMELINE_GUEST] = "guest-mark",
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Under the lock, under which time is told, too: so marks are in its order. */
static void append(struct timeline *timeline, enum timeline_event event, const char *device,
		   uint32_t value)
{
	struct timeline_mark *mark;

	if (timeline->n == TIMELINE_MAX ||
	    (event == TIMELINE_GUEST && timeline->n_guest == TIMELINE_GUEST_MAX)) {
		timeline->lost++;
		return;
	}
	mark = &timeline->marks[timeline->n++];
	mark->event = event;
	mark->value = value;
	mark->ns = now_ns() - timeline->zero_ns;
	snprintf(mark->device, sizeof(mark->device), "%s", device);
	timeline->n_guest += event == TIMELINE_GUEST;
}

void timeline_init(struct timeline *timeline, enum timeline_event first, uint64_t ago_ns)
{
	/* Not the marks: their memory is used as far as they are. */
	timeline->zero_ns = now_ns() - ago_ns;
	atomic_init(&timeline->made, 1u << first);
	pthread_mutex_init(&timeline->lock, NULL);
	timeline->n = 1;
	timeline->n_guest = 0;
	timeline->lost = 0;
	timeline->marks[0] = (struct timeline_mark){.event = first};
}

void timeline_destroy(struct timeline *timeline)
{
	pthread_mutex_destroy(&timeline->lock);
}

void timeline_mark(struct timeline *timeline, enum timeline_event event)
{
	const uint32_t bit = 1u << event;

	pthread_mutex_lock(&timeline->lock);
	if (!(atomic_fetch_or(&timeline->made, bit) & bit))
		append(timeline, event, "", 0);
	pthread_mutex_unlock(&timeline->lock);
}

/* Under the lock. */
static bool was_marked(const struct timeline *timeline, enum timeline_event event,
		       const char *device)
{
	for (unsigned int i = 0; i < timeline->n; i++) {
		const struct timeline_mark *mark = &timeline->marks[i];

		if (mark->event == event &&
		    strncmp(mark->device, device, sizeof(mark->device) - 1) == 0)
			return true;
	}
	return false;
}

void timeline_mark_device(struct timeline *timeline, enum timeline_event event, const char *device)
{
	if (!timeline)
		return;
	pthread_mutex_lock(&timeline->lock);
	if (!was_marked(timeline, event, device))
		append(timeline, event, device, 0);
	pthread_mutex_unlock(&timeline->lock);
}

void timeline_mark_guest(struct timeline *timeline, uint32_t value)
{
	pthread_mutex_lock(&timeline->lock);
	append(timeline, TIMELINE_GUEST, "", value);
	pthread_mutex_unlock(&timeline->lock);
}

int timeline_get(struct timeline *timeline, unsigned int index, struct timeline_mark *mark)
{
	int ret = 0;

	pthread_mutex_lock(&timeline->lock);
	if (index < timeline->n)
		*mark = timeline->marks[index];
	else
		ret = -ERANGE;
	pthread_mutex_unlock(&timeline->lock);
	return ret;
}

uint64_t timeline_lost(struct timeline *timeline)
{
	uint64_t lost;

	pthread_mutex_lock(&timeline->lock);
	lost = timeline->lost;
	pthread_mutex_unlock(&timeline->lock);
	return lost;
}

const char *timeline_event_name(enum timeline_event event)
{
	return names[event];
}
