/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conformance suite of the network device against the virtio 1.3 specification: one case for each
 * statement on devices that a guest can test. docs/conformance.md lists them all.
 */
#ifndef GUEST_SELFTEST_SELFTEST_H
#define GUEST_SELFTEST_SELFTEST_H

#include "lib/frame.h"
#include "lib/virtio_net.h"
#include "lib/virtio_net_control.h"

/* What a case is for; of each kind any, if none is said. */
enum case_only {
	MMIO = 1 << 0,
	PCI = 1 << 1,
	SPLIT = 1 << 2,
	PACKED = 1 << 3,
	PEER = 1 << 4, /* somebody has to send frames back: parameter "peer" */
};

struct test_case {
	const char *section;
	const char *statement;
	/* NULL if the device does as the statement says, else what it does: failed() or skip(). */
	const char *(*run)(void);
	unsigned int only; /* enum case_only */
	uint64_t needs;	   /* features that must be offered */
};

struct test_group {
	const struct test_case *cases;
	size_t n;
};

#define TEST_GROUP(cases)                                  \
	{                                                  \
		cases, sizeof(cases) / sizeof((cases)[0]), \
	}

/* One file each. */
extern const struct test_group basic_group, split_group, packed_group, pci_group, mmio_group,
	net_group, control_group;

#define FEATURE(bit) VIRTIO_FEATURE(bit)

const char *failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool is_skip(const char *result);

/* Call @run. If that ends in fatal(), the result is failed() with its text. */
const char *run_caught(const char *(*run)(void));

/* --- the device under test; before a case, it is reset and has an interrupt --- */

extern struct virtio_device device;
extern uint64_t offered;       /* features */
extern uint64_t ring_features; /* what makes the ring format of this run */

bool offers(unsigned int feature_bit);

/* Go through negotiation with these features and no others. Returns the status at its end. */
uint8_t negotiate_exactly(uint64_t features);

/* --- a running device --- */

enum {
	RECEIVE = 0,
	TRANSMIT = 1,
	QUEUE_SIZE = 64,
	PATIENCE_MS = 5000, /* until what must come has come */
	QUIET_MS = 20,	    /* until what must not come would have come */
	FRAME_MIN = 60,
	FRAME_MAX = 1514,
	BUFFER_SIZE = 2048, /* of receive buffers */
};

struct running {
	struct virtqueue queues[2];
	struct virtqueue control; /* with CTRL_VQ */
	uint32_t header_size;
	uint8_t mac[6];
};
extern struct running net;

/*
 * Negotiate @features, those of the ring format and VERSION_1, which all must be accepted; set up
 * the first pair of queues with @size descriptors, the control queue; DRIVER_OK. No buffers, no
 * used buffer notifications.
 */
void start_sized(uint64_t features, uint16_t size);
void start(uint64_t features);

/* Its steps. */
void negotiate(uint64_t features);
void set_up_queue(unsigned int queue, uint16_t size);

/* @n receive buffers of @size bytes. */
void give_buffers(unsigned int n, uint32_t size);

/* A frame that nobody has sent before, and the number in it. @to is from whom the echo will be. */
struct frame {
	struct net_header header;
	uint8_t data[65536];
	uint32_t len; /* without the header */
	uint32_t number;
};
void make_frame(struct frame *frame, uint32_t len);

/* Send @frame in one piece, and wait until it is used. False: it isn't within PATIENCE_MS. */
bool send(struct frame *frame);

/* The same for a buffer of any form that is already in the transmit queue. */
bool transmit_done(void);

/*
 * Wait for the echo of @frame; frames before it are nobody's. *@echo is the packet as it was
 * received, valid until the next one; its buffers are with the device again. False: it doesn't
 * come.
 */
struct echo {
	struct net_header header;
	uint8_t *data; /* the frame, in one piece */
	uint32_t len;
	unsigned int n_buffers;
	uint32_t used_len[NET_PARTS_MAX]; /* as the device says it, by buffer */
};
bool receive_echo(const struct frame *frame, struct echo *echo);

/*
 * Send @frame, and after it one whose echo must come: whether that of @frame came before it. Where
 * it goes is what the frame has as its source.
 */
bool comes_back(struct frame *frame);

/* Send @frame and have it back, with the contents that were sent. NULL, or what went wrong. */
const char *exchange(struct frame *frame, struct echo *echo);
const char *exchange_new(uint32_t len);

/* The device has not come to a used buffer of @queue after QUIET_MS. */
bool stays_unused(struct virtqueue *queue);

/* Interrupts since, within @milliseconds: whether there are any. */
bool interrupted(uint32_t seen, unsigned int milliseconds);

uint32_t read_config32(size_t offset);
uint16_t read_config16(size_t offset);
uint8_t read_config8(size_t offset);

#endif
