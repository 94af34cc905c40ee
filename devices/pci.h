/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI: a host bridge with bus 0 and the functions on it (PCI Local Bus 3.0, PCI Express Base 3.0).
 *
 * The configuration space is reached through memory (ECAM) and, on x86, through the ports 0xcf8 and
 * 0xcfc. Each slot has one function, a root complex integrated endpoint with one 64-bit memory BAR,
 * which the guest may move within the bridge's two windows; it answers while the Memory Space bit
 * is set and the function is in D0. Power states are D0 and D3hot, and a function level reset is
 * there. Numbers are in host byte order, the configuration space is little-endian.
 *
 * Threads: functions are added before the vCPUs run; then any thread. The host has a lock for all
 * configuration spaces. It is never held while an op is called, so an op may ask for the state of
 * its function with locks of its own held.
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/core/memory.h"

struct bus;
struct error;
struct pci_function;

enum {
	PCI_SLOTS = 32,		  /* slot 0 is the bridge itself */
	PCI_CONFIG_SIZE = 256,	  /* what is behind it, up to 4 KiB, reads as zero */
	PCI_ECAM_SIZE = 0x100000, /* of one bus */
	PCI_PORTS = 8,		  /* from 0xcf8 on */
};

#define PCI_NO_BAR UINT64_MAX /* the BAR answers nowhere */

struct pci_function_ops {
	/*
	 * An access to the BAR, of 1 to 4 bytes at any offset, wholly inside. read() fills
	 * @data; what it leaves alone reads as ones.
	 */
	void (*read_bar)(struct pci_function *function, uint64_t offset, uint8_t *data,
			 unsigned int len);
	void (*write_bar)(struct pci_function *function, uint64_t offset, const uint8_t *data,
			  unsigned int len);

	/* The guest is about to read these bytes of the configuration space, or has written them:
	 * the time to look at pci_function_state() again. Never across a dword. */
	void (*before_read)(struct pci_function *function, unsigned int offset, unsigned int len);
	void (*written)(struct pci_function *function, unsigned int offset, unsigned int len);

	/* A function level reset: the configuration space is as after power-on already. */
	void (*reset)(struct pci_function *function);
};

struct pci_function {
	const struct pci_function_ops *ops; /* NULL: nothing but a configuration space */
	struct pci_host *host;
	uint64_t bar_size; /* a power of two, at least 16; 0: no BAR */
	uint8_t slot;
	uint8_t pm; /* where these capabilities are */
	uint8_t express;
	uint8_t last_capability;	   /* the newest one, or 0 */
	uint16_t next_capability;	   /* where another one goes */
	uint8_t writable[PCI_CONFIG_SIZE]; /* the bits that the guest may change */
	uint8_t power_on[PCI_CONFIG_SIZE];

	/* Under the host's lock. */
	uint8_t config[PCI_CONFIG_SIZE];
	uint64_t bar; /* where it answers, or PCI_NO_BAR */
};

struct pci_id {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; /* base class, subclass, programming interface: 0x020000 */
	uint8_t revision;
};

/* Begin a function: identity and BAR (of @bar_size bytes). Then capabilities, then it is added. */
void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
		       const struct pci_id *id, uint64_t bar_size);

/*
 * Room for a capability of @len bytes, of which the first two are filled; returns its offset. All
 * capabilities of a function must fit (an assertion).
 */
uint8_t pci_add_capability(struct pci_function *function, uint8_t id, uint8_t len);

/* Power management, and PCI Express with function level reset. */
void pci_add_standard_capabilities(struct pci_function *function);

/* What a function may do at present. */
struct pci_function_state {
	uint64_t bar;	 /* where the BAR answers, or PCI_NO_BAR */
	bool bus_master; /* it may reach memory and send messages */
	bool intx;	 /* it may assert its interrupt pin */
};
struct pci_function_state pci_function_state(struct pci_function *function);

/* Read or, past the guest's write protection, set @len (1, 2, 4) bytes of configuration space. */
uint32_t pci_config_get(struct pci_function *function, unsigned int offset, unsigned int len);
void pci_config_set(struct pci_function *function, unsigned int offset, unsigned int len,
		    uint32_t value);

/* --- the bridge --- */

/* Where a bridge is reached. */
struct pci_places {
	struct memory_range ecam;
	uint64_t port;			/* of the address register; 0: no ports */
	struct memory_range windows[2]; /* for BARs: below 4 GiB; above (size 0: none) */
};

struct pci_window {
	struct pci_host *host;
	struct memory_range range;
};

struct pci_host {
	pthread_mutex_t lock; /* of all configuration spaces, and of @address */
	uint32_t address;     /* what the guest wrote to port 0xcf8 */
	struct pci_function *functions[PCI_SLOTS]; /* borrowed */
	struct pci_function bridge;		   /* that of slot 0 */
	struct pci_window windows[2];
	uint64_t next_bar; /* where in the first window the next BAR goes */
};

/* A bridge alone, on the two buses (@pio is for the ports). Stays at its address until destroyed.
 */
int pci_host_init(struct pci_host *host, const struct pci_places *places, struct bus *mmio,
		  struct bus *pio, struct error *err);

/* No vCPU runs, and the functions are out of use. */
void pci_host_destroy(struct pci_host *host);

/*
 * Put @function (borrowed) into @slot (from 1 on), its BAR at a free place of the first window,
 * where the guest finds it but need not leave it; it doesn't answer yet. Its pin INTA raises @gsi,
 * which is noted in Interrupt Line for guests that look there. -ENOSPC if the window is full.
 */
int pci_host_add(struct pci_host *host, unsigned int slot, struct pci_function *function,
		 uint32_t gsi, struct error *err);

#endif
