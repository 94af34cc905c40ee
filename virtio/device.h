/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio device, as every transport and every kind of device share it: status, features,
 * queues, configuration (virtio 1.3, chapter 2).
 *
 * Three layers meet here: a transport (virtio-mmio, virtio-pci) turns register accesses into the
 * calls below; a device (virtio-net) gives the ops; its datapath serves the rings. A device neither
 * knows its transport nor moves a packet.
 *
 * Threads: whoever calls anything here holds dev->lock, but for what says "any thread". So does the
 * device itself where something else than a transport wakes it (its control queue, the control
 * socket). The ops are called with the lock held.
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "virtio/datapath.h"
#include "virtio/ring.h"
#include "vmm/core/log.h"

struct error;
struct timeline;
struct virtio_device;

struct virtio_queue {
	uint16_t size_max;	/* what the device offers; 0: there is no such queue */
	struct ring_state ring; /* as the driver set it up; where it stands once it was stopped */
	bool ready;		/* the driver has enabled it */
	bool running;		/* the device serves it */
	bool served;		/* since it was enabled: if it starts, it goes on; the device's */
	int kick_fd;		/* eventfd, owned: the driver notifies; the transport binds it */
	/* eventfd, owned: interrupts the driver; the transport binds it, or has it joined. */
	int call_fd;
};

struct virtio_device_ops {
	/*
	 * May the driver have these features (a subset of what is offered)? False if one needs
	 * another that is missing.
	 */
	bool (*validate_features)(const struct virtio_device *dev, uint64_t features);

	/*
	 * dev->accepted is settled (FEATURES_OK), or is 0 again, with all queues stopped (reset):
	 * what a driver has set is forgotten. Which queues there are may depend on it: those that
	 * are not have the size_max 0. NULL: nothing depends on it.
	 */
	void (*negotiated)(struct virtio_device *dev);

	/*
	 * The driver is ready (DRIVER_OK): dev->accepted is final. Once until the next reset,
	 * before any queue starts. 0 or a negative errno.
	 */
	int (*start)(struct virtio_device *dev);

	/*
	 * Serve a queue from @queue->ring on; stop serving it, and leave there where it stands.
	 * Also around a suspension, of which neither the driver nor its settings know anything.
	 */
	int (*start_queue)(struct virtio_device *dev, unsigned int index);
	void (*stop_queue)(struct virtio_device *dev, unsigned int index);

	/* The device's part of the configuration space, little-endian. The range is inside it. */
	void (*read_config)(struct virtio_device *dev, size_t offset, void *data, size_t len);
	size_t config_size;

	/* All queues are stopped. Frees the device. */
	void (*destroy)(struct virtio_device *dev);
};

struct virtio_device {
	const struct virtio_device_ops *ops;
	uint32_t id;	  /* VIRTIO_ID_* */
	const char *name; /* for messages; borrowed */
	const struct logger *log;
	struct timeline *timeline; /* for what its driver does first; borrowed; or NULL */
	pthread_mutex_t lock;	   /* see above */
	uint64_t offered;
	uint64_t accepted;
	struct virtio_queue *queues; /* owned */
	unsigned int n_queues;
	bool started; /* ops->start was called */
	/* VIRTIO_SUSPEND_*; if any, no queue runs, whatever the status is. */
	unsigned int suspended;
	/* The transport's: interrupts are messages, so that no driver looks for a queue's in
	   interrupt_status. Changed while the device is suspended. */
	bool messages;

	/* Also written by datapaths' threads, without the lock. */
	_Atomic uint8_t status;		   /* VIRTIO_CONFIG_S_* */
	_Atomic uint32_t interrupt_status; /* VIRTIO_MMIO_INT_* */
	_Atomic uint32_t config_generation;
	_Atomic bool broken_told; /* the log has it */
	/* eventfd, owned: the configuration changed; the transport binds it. */
	int config_call_fd;
};

/*
 * Fill the common part of @dev, whose ops, id, name, log, timeline and offered are set. The queues
 * have @size_max descriptors at most. 0 or a negative errno.
 */
int virtio_device_init(struct virtio_device *dev, unsigned int n_queues, uint16_t size_max);

/*
 * The transport has one interrupt for everything: each queue's call_fd becomes another descriptor
 * of config_call_fd's eventfd. Before a queue runs. 0 or a negative errno.
 */
int virtio_device_join_interrupts(struct virtio_device *dev);

/* Reset and free. Accepts NULL. */
void virtio_device_destroy(struct virtio_device *dev);

/*
 * The driver writes the device status (2.1): negotiation ends, queues start, and 0 resets. Bits
 * that the device does not agree to stay unset.
 */
void virtio_device_set_status(struct virtio_device *dev, uint8_t status);

/* 32 feature bits from 32 * @word on. What the driver writes after FEATURES_OK is lost. */
uint32_t virtio_device_features(const struct virtio_device *dev, uint32_t word);
void virtio_device_accept_features(struct virtio_device *dev, uint32_t word, uint32_t bits);

/*
 * The driver enables a queue or, where the transport allows it, disables it. What was set up of it
 * stays; its positions begin anew.
 */
void virtio_device_set_queue_ready(struct virtio_device *dev, unsigned int index, bool ready);

/* The driver resets a queue (2.6.1): it stops, and is as after a reset of the device. */
void virtio_device_reset_queue(struct virtio_device *dev, unsigned int index);

/* Why a device is suspended: reasons of their own. */
enum {
	VIRTIO_SUSPEND_MEMORY = 1, /* the transport's: it has none (bus mastering off, D3hot) */
	VIRTIO_SUSPEND_PAUSE = 2,  /* the VM's: it is paused */
};

/*
 * For the reason @why, and as long as there is one, queues stop where they are, and then go on from
 * there. Between the two, all but that is as ever: the status, what can be set up, notifications of
 * configuration changes; what is to run runs afterwards. A reset does not end a suspension. Nothing
 * if it is so already.
 */
void virtio_device_suspend(struct virtio_device *dev, unsigned int why);
void virtio_device_resume(struct virtio_device *dev, unsigned int why);

/* Read the configuration space; what is past its end reads as zero. */
void virtio_device_read_config(struct virtio_device *dev, uint64_t offset, void *data, size_t len);

/*
 * The configuration space has changed (2.5): a new generation, and the driver is told. Any thread;
 * but who did change it has held the lock since before that, so that a driver which saw a part of
 * the change reads no generation before the new one.
 */
void virtio_device_config_changed(struct virtio_device *dev);

/* The device can't go on without a reset (DEVICE_NEEDS_RESET). @why is logged once. Any thread. */
void virtio_device_break(struct virtio_device *dev, const char *why);

#endif
