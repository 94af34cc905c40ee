/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that lies, by all means it has: each trick is played on the first network device. The
 * device may break, or carry on; but the VM lives, the second network device works, and so does the
 * first one after a reset.
 */
#ifndef GUEST_HOSTILE_HOSTILE_H
#define GUEST_HOSTILE_HOSTILE_H

#include "selftest/selftest.h"

/* What must come of a trick. */
enum outcome {
	ANYTHING,   /* the specification doesn't say */
	BREAKS,	    /* the device sets DEVICE_NEEDS_RESET (2.1.1) and tells so (2.1.2) */
	COMES_BACK, /* what was shown in the transmit queue is used, and the device goes on */
	GOES_ON,    /* a packet passes afterwards, without a reset */
};

/* struct trick.only, with enum case_only. */
enum trick_only {
	BARE = 1 << 8,	      /* played on a device that was only reset, not on a running one */
	NO_BUFFERS = 1 << 9,  /* the receive queue is empty */
	ONCE = 1 << 10,	      /* not once more with a reset right after it */
	TWO_CPUS = 1 << 11,   /* needs a second CPU */
	EACH_PLACE = 1 << 12, /* played once for each enum place, which is added to @arg */
};

struct trick {
	const char *section; /* which the driver violates, or which says what the device does */
	const char *what;
	void (*play)(uint64_t arg); /* what must be true in the middle of it is an expect() */
	uint64_t arg;
	enum outcome outcome;
	unsigned int only; /* enum case_only and trick_only */
	uint64_t features; /* which the running device has; they must be offered */
};

struct trick_group {
	const struct trick *tricks;
	size_t n;
};

#define TRICK_GROUP(tricks)                                   \
	{                                                     \
		tricks, sizeof(tricks) / sizeof((tricks)[0]), \
	}

/* One file each. */
extern const struct trick_group descriptors_tricks, areas_tricks, rings_split_tricks,
	rings_packed_tricks, net_tx_tricks, net_rx_tricks, control_tricks, features_tricks,
	queues_tricks, registers_mmio_tricks, registers_pci_tricks, config_pci_tricks, msix_tricks,
	scribble_tricks, large_tricks;

#define INDIRECT  FEATURE(VIRTIO_F_INDIRECT_DESC)
#define EVENT_IDX FEATURE(VIRTIO_F_EVENT_IDX)

/* The trick fails, unless @ok. */
#define expect(ok, ...) ((ok) ? (void)0 : fatal(__VA_ARGS__))

/* The second network device, which must not notice anything. */
extern struct net witness;

/* --- addresses that are no memory, or the end of it --- */

enum place {
	BEYOND_MEMORY,
	LAST_BYTE,	 /* of memory: what is longer ends behind it */
	BEHIND_MEMORY,	 /* the first byte */
	IN_HOLE,	 /* below 4 GiB */
	OWN_REGISTERS,	 /* of the device under attack */
	OTHER_REGISTERS, /* of the other one */
	IN_IRQ_CONTROLLER,
	IN_CPU_IRQ_CONTROLLER,
	HIGH_HALF, /* only bit 63 is set */
	WRAPS,	   /* what is longer than a byte has its end before its beginning */
	N_PLACES,
};

uint64_t place_address(enum place place);

/* The first byte of memory. */
uint64_t start_of_memory(void);

/* --- rings, by hand --- */

/* A descriptor: @flags is WRITE or INDIRECT; NEXT where another one follows. */
struct piece {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

enum { /* the same in both formats */
	PIECE_NEXT = SPLIT_NEXT,
	PIECE_WRITE = SPLIT_WRITE,
	PIECE_INDIRECT = SPLIT_INDIRECT,
	PIECES_MAX = QUEUE_SIZE / 2,
};

/* Make a chain of @n pieces available, all flags just as they are there, and kick. */
void show_raw(unsigned int queue, const struct piece *pieces, unsigned int n);

/* The same, with NEXT in all pieces but the last. */
void show(unsigned int queue, const struct piece *pieces, unsigned int n);
void show_one(unsigned int queue, uint64_t addr, uint32_t len, uint16_t flags);

/* The device has used all that show() and lib/virtqueue.h have put into the queue. */
bool all_used(unsigned int queue);

/* Write descriptor @index of a table for INDIRECT, in the format of this run. */
void set_table(void *table, unsigned int index, struct piece piece, uint16_t next);

/* Areas of a queue of QUEUE_SIZE descriptors, in new memory. */
void new_areas(struct virtio_queue_areas *areas);

/* Memory of many pages, at a page's start, that no driver has anything in. */
extern uint8_t scratch[128 << 10];

/* --- the rest --- */

/* Kick a queue, whatever state it is in. */
void kick(unsigned int queue);

/* Let the other parties run for a moment. */
void pause_ms(unsigned int milliseconds);

bool is_broken(void);

uint32_t random_number(void);

/* Accesses of any width: 1, 2, 4 or 8 bytes. */
uint64_t peek(uintptr_t address, unsigned int width);
void poke(uintptr_t address, unsigned int width, uint64_t value);

/* The device's registers or BAR, and their size. */
uintptr_t registers(void);
size_t registers_size(void);

/* Read the first @len bytes of them by memcpy(): on x86, a string instruction. */
void copy_registers(uint64_t len);

/* The registers of the queue that is selected; all three areas at one @address. */
void select_queue(unsigned int queue);
void set_queue_size(uint32_t size);
void set_queue_addresses(uint64_t address);
void set_queue_enabled(uint32_t value);
void set_queue_reset(uint32_t value);

/* Undo what was done to the device's PCI function: power, BAR, command, MSI-X. */
void restore_function(void);

/* Have the second CPU call @act over and over, until scribbling_ends(). */
void scribbling_begins(void (*act)(void));
void scribbling_ends(void);

#endif
