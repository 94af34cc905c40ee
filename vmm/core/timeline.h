/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When what happened on a VM's way from its beginning to its end: marks, each made once, in the
 * order of their times. All of it is there for any thread; a mark that was made stays as it is.
 */
#ifndef VMM_CORE_TIMELINE_H
#define VMM_CORE_TIMELINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum timeline_event {
	TIMELINE_EXEC,		    /* the process became this program */
	TIMELINE_CREATE,	    /* without a command line: the VM's creation begins */
	TIMELINE_ARGUMENTS,	    /* the command line is parsed */
	TIMELINE_KVM,		    /* the VM is there */
	TIMELINE_MEMORY,	    /* and has memory */
	TIMELINE_CPUS,		    /* and vCPUs */
	TIMELINE_DEVICES,	    /* and devices, with what they are on */
	TIMELINE_KERNEL,	    /* the kernel is in its memory */
	TIMELINE_SANDBOX,	    /* the main thread is confined */
	TIMELINE_FIRST_INSTRUCTION, /* the first vCPU enters the guest for the first time */
	TIMELINE_CONSOLE,	    /* the guest's first byte */
	TIMELINE_ENDED,
	/* Of each device: */
	TIMELINE_DRIVER,     /* the guest has a driver for it (virtio's status DRIVER) */
	TIMELINE_DRIVER_OK,  /* which is ready (DRIVER_OK) */
	TIMELINE_PACKET_OUT, /* the guest's first packet is about to be sent */
	TIMELINE_PACKET_IN,  /* the first one for the guest is about to be seen by it */
	/* Any number of times: */
	TIMELINE_GUEST, /* the guest wrote to the guest-mark device */
	TIMELINE_EVENTS,
};

enum {
	TIMELINE_GUEST_MAX = 256, /* of the guest's marks; further ones are counted */
	TIMELINE_MAX = 512,	  /* of all */
	TIMELINE_DEVICE_SIZE = 32,
};

struct timeline_mark {
	enum timeline_event event;
	uint32_t value;			   /* TIMELINE_GUEST: what it wrote */
	uint64_t ns;			   /* since the first mark */
	char device[TIMELINE_DEVICE_SIZE]; /* its name; of what is no device's: "" */
};

struct timeline {
	uint64_t zero_ns;	 /* CLOCK_MONOTONIC of the first mark */
	_Atomic uint32_t made;	 /* bits: events that happen once, and have */
	pthread_mutex_t lock;	 /* of all that follows */
	unsigned int n, n_guest; /* of all marks; of the guest's */
	uint64_t lost;
	struct timeline_mark marks[TIMELINE_MAX];
};

/* The first mark is @first, which was @ago_ns ago. */
void timeline_init(struct timeline *timeline, enum timeline_event first, uint64_t ago_ns);
void timeline_destroy(struct timeline *timeline);

/* @event, which is no device's, happens, if it hasn't before. */
void timeline_mark(struct timeline *timeline, enum timeline_event event);

/* The same where it may happen often: cheap, once it has. @timeline may be NULL. */
static inline void timeline_mark_often(struct timeline *timeline, enum timeline_event event)
{
	if (timeline && !(atomic_load_explicit(&timeline->made, memory_order_relaxed) >> event & 1))
		timeline_mark(timeline, event);
}

/*
 * @event of @device, whose name is copied and cut. Looks through all marks: for what a device does
 * seldom. @timeline may be NULL.
 */
void timeline_mark_device(struct timeline *timeline, enum timeline_event event, const char *device);

/* TIMELINE_GUEST, as often as it is called. */
void timeline_mark_guest(struct timeline *timeline, uint32_t value);

/* Mark @index, in the order of time, into *@mark. 0, or -ERANGE: there are not so many yet. */
int timeline_get(struct timeline *timeline, unsigned int index, struct timeline_mark *mark);

/* How many marks of the guest's there was no room for. */
uint64_t timeline_lost(struct timeline *timeline);

/* Its name for users, which doesn't change: "kvm-ready". */
const char *timeline_event_name(enum timeline_event event);

#endif
