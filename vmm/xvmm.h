/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libxvmm: a virtual machine as a library.
 *
 *	struct xvmm_config config = {.kernel = "bzImage"};
 *	struct xvmm_error error;
 *	struct xvmm_end end;
 *	struct xvmm *vm;
 *
 *	if (xvmm_create(&config, &vm, &error) == 0) {
 *		if (xvmm_run(vm, &end, &error) == 0)
 *			printf("%s\n", end.text);
 *		xvmm_destroy(vm);
 *	}
 *
 * Or xvmm_start(), poll() on xvmm_fd() among other things, and xvmm_wait().
 *
 * Link with -lxvmm (pkg-config libxvmm; in CMake find_package(xvmm) and xvmm::xvmm, or
 * xvmm::static). Structs may grow at their end while the version begins with 0: build against the
 * header that you run with.
 *
 * The library never exits, prints nothing, installs no signal handler, and has no global state:
 * several VMs can live in one process. Errors are negative errno values with a text. Strings and
 * arrays that it is given are needed only during the call.
 *
 * Threads: xvmm_create(), xvmm_confine(), xvmm_run(), xvmm_start(), xvmm_wait() and xvmm_destroy()
 * of one VM are for one thread at a time; xvmm_stop() and xvmm_power_button() are for any thread
 * and for signal handlers, until xvmm_destroy(); what says "any thread" is for those.
 *
 * Signals: the library's own threads block all but their faults; xvmm_run() goes on when one has
 * come. The library sends SIGRTMIN to its threads: a program that takes that one, by a handler or
 * sigwait(), may not get what others send it while a VM runs.
 *
 * After fork() the VM is the parent's: the child may neither use nor destroy it. The library's
 * descriptors are closed by exec().
 */
#ifndef XVMM_H
#define XVMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct xvmm;

struct xvmm_error {
	int code;	 /* negative errno */
	bool usage;	 /* the configuration is wrong in itself, on every machine */
	char text[1024]; /* one line: the cause and, where there is one, the cure */
};

enum xvmm_boot {
	XVMM_BOOT_AUTO,	 /* what the kernel file offers; PVH before the 64-bit entry */
	XVMM_BOOT_LINUX, /* Linux's 64-bit boot protocol */
	XVMM_BOOT_PVH,
};

enum xvmm_log_level {
	XVMM_LOG_ERROR,
	XVMM_LOG_WARNING,
	XVMM_LOG_INFO,
};

/* How virtio devices are attached. */
enum xvmm_transport {
	XVMM_TRANSPORT_DEFAULT, /* of a device: as the VM has it; of the VM: PCI */
	XVMM_TRANSPORT_MMIO,	/* virtio-mmio: up to 8 devices */
	XVMM_TRANSPORT_PCI,	/* virtio-pci: up to 31 */
};

/* Whether the kernel (vhost-net) serves the rings of a tap. */
enum xvmm_vhost {
	XVMM_VHOST_OFF,
	XVMM_VHOST_ON,
	XVMM_VHOST_AUTO, /* if it can; the log tells */
};

/* At most so many bits or packets a second. */
struct xvmm_rate {
	uint64_t per_second; /* 0: no limit; bits to 100 Gbit/s, packets to 10^9 */
	/* Bytes, or packets, to 10^9, that may pass at once after a rest; 0: what does in 10 ms. */
	uint64_t burst;
};

/*
 * Faults of the wire that a network device is on, in each direction for itself, as of Linux's netem
 * and tbf. The same seed gives the same faults to the same packets. The guest is offered no
 * offloads (checksums, segmentation).
 */
struct xvmm_net_faults {
	bool enabled; /* else there are none, whatever follows */
	/* Of a million packets so many are lost, come twice, have one bit changed. */
	uint32_t loss, duplicate, corrupt;
	uint64_t delay_us,
		jitter_us; /* so much later, more or less; up to 1000 s; jitter <= delay */
	uint32_t reorder;  /* of a million so many are not delayed */
	struct xvmm_rate bits, packets;
	bool has_seed;
	uint32_t seed; /* with has_seed; else another one each time, which the log tells */
};

/* A network device on an existing tap, on a descriptor, or on a vhost-user back-end. */
struct xvmm_net {
	const char *tap; /* by name; unused with has_fd or socket */
	bool has_fd;
	/*
	 * An attached tap (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR), which becomes non-blocking; or a unix
	 * socket, SOCK_SEQPACKET or SOCK_DGRAM, where each message is one packet with its
	 * virtio-net header of 12 bytes, little-endian. Copied: yours to close after xvmm_create().
	 */
	int fd;
	const char *fd_name;	/* what query-net calls it; NULL: "fd=N" */
	enum xvmm_vhost vhost;	/* of a tap */
	uint32_t vhost_poll_us; /* vhost-net polls so long before it sleeps; 0: not at all */

	/*
	 * vhost-user: the path of a unix socket. The back-end may come later (xvmm_create() waits a
	 * second for it), die, and come back. While it is away @fallback, a tap, serves the guest;
	 * or, if there is none, the guest's link goes down after a grace time.
	 */
	const char *socket;
	bool server; /* listen on it, instead of connecting to it */
	const char *fallback;
	bool has_grace;
	uint64_t grace_ms; /* with has_grace; else 3 s */

	/* Offer only what every kind of datapath can serve: then any xvmm_net_switch() succeeds. */
	bool switchable;

	/* Up to 31 printable ASCII characters, no blanks, no two the same; NULL: net0, net1, ... */
	const char *id;
	uint8_t mac[6]; /* all zero: a random one */
	uint16_t mtu;	/* offered to the guest; 0: not offered */
	enum xvmm_transport transport;
	unsigned int queues;	 /* pairs of them, up to 16, on a multi_queue tap; 0: 1 */
	unsigned int queue_size; /* descriptors of each at most, 32 to 32768; 0: 256 */
	uint32_t speed;		 /* told to the guest, in Mbit/s, up to 0x7fffffff; 0: unknown */
	bool half_duplex;	 /* told to the guest */

	/*
	 * virtio features, bits of xvmm_net_feature(). By default all is offered that the tap can
	 * serve, but not packed rings, nor notification_data on virtio-mmio, where it is slower.
	 */
	uint64_t features_on;  /* offered, or xvmm_create() fails */
	uint64_t features_off; /* not offered, nor what needs them */

	/*
	 * Only where this process moves the packets: not with a socket, nor XVMM_VHOST_ON; with
	 * XVMM_VHOST_AUTO it is this process, then.
	 */
	const char *pcap; /* path of a file for what the guest sends and receives; or NULL */
	struct xvmm_net_faults faults;

	/*
	 * With has_fd: @fd is a unix stream socket instead, connected to a vhost-user back-end,
	 * with @fallback and @grace_ms as above. When that goes it doesn't come back.
	 */
	bool vhost_user;
};

/* The guest's serial console. */
struct xvmm_console {
	bool enabled; /* false: no input, output discarded */
	int in_fd;    /* borrowed while the VM lives; -1: no input */
	int out_fd;   /* borrowed while the VM lives; -1: output discarded */
	bool escape;  /* C-a in the input is a command key: C-a h in the console tells */
};

/* What a VM is made of. Zero is the default everywhere. */
struct xvmm_config {
	const char *kernel;  /* path: bzImage or ELF */
	const char *initrd;  /* path, or NULL */
	const char *cmdline; /* NULL: "console=ttyS0" */
	enum xvmm_boot boot;
	unsigned int cpus;   /* 0: 1 */
	uint64_t memory;     /* bytes; 0: 512 MiB */
	bool memory_shared;  /* other processes can map it; so it is if a device needs that */
	bool memory_private; /* never; and a device that needs it otherwise is an error */
	bool memory_hugepages;
	bool memory_prealloc;
	enum xvmm_transport transport; /* of devices that don't say */
	const struct xvmm_net *nets;
	size_t n_nets;
	struct xvmm_console console;
	/*
	 * Path of a socket on which the VM takes QMP commands while it runs, or NULL. xvmm_create()
	 * makes it, xvmm_destroy() removes it.
	 */
	const char *control;
	uint64_t timeout_ms; /* end the VM when it has run so long; 0: never */
	/*
	 * "Kernel panic - not syncing" on the console is a panic, too: of a guest without pvpanic's
	 * driver, or not yet. It has a second to say why, or until it reboots.
	 */
	bool panic_line;
	/*
	 * Confine the VM's own threads, those of vCPUs and of rings: no capabilities, none to be
	 * gained, and a seccomp filter, which ends the process (SIGSYS) if one of them asks the
	 * kernel for what xvmm has no reason to. @log is called from them, too: it may write to a
	 * descriptor. Not in a build with sanitizers (a usage error).
	 */
	bool sandbox;
	/*
	 * Begin the guest while a large kernel or initrd is still being read: they must stay as
	 * they are until then, or the VM ends (XVMM_FAILED). Takes private memory, not allocated
	 * at once, pages of 4 KiB, and /dev/userfaultfd (Linux 6.8; root's, unless you give it to
	 * others); without one of them, and by default, xvmm_create() reads them whole. A program
	 * that locks all of its memory (mlockall(MCL_CURRENT)) does so before it creates the VM, or
	 * once that runs: in between it would wait for what only a running VM brings.
	 */
	bool load_on_demand;

	/*
	 * Messages about the VM, one line without newline, valid during the call. Called from any
	 * thread, also from those that create and destroy the VM, and from several at once; with
	 * locks held: it must not call the library, but for xvmm_stop() and xvmm_power_button().
	 */
	void (*log)(void *opaque, enum xvmm_log_level level, const char *text);
	void *log_opaque;
	/*
	 * What happens to a running VM: the events of a control socket, whether it has one or not,
	 * by their names there (docs/control.md, xvmm-qmp(7)), and their data, a JSON object as
	 * text; NULL: none (or there was no memory). Of a backend that comes and goes at most 10 a
	 * second are told, and always how it is in the end. SHUTDOWN is the last one, unless
	 * xvmm_run() fails. Called as log() is.
	 */
	void (*event)(void *opaque, const char *name, const char *data);
	void *event_opaque;
};

enum xvmm_reason {
	XVMM_POWER_OFF,	   /* the guest powered off */
	XVMM_RESET,	   /* the guest rebooted */
	XVMM_DEBUG_EXIT,   /* the guest wrote `value` to the debug-exit device */
	XVMM_PANIC,	   /* the guest's kernel panicked: pvpanic, or panic_line */
	XVMM_TRIPLE_FAULT, /* the guest's CPU gave up */
	XVMM_UNSUPPORTED,  /* the guest did what this KVM can't run */
	XVMM_TIMEOUT,	   /* timeout_ms ran out */
	XVMM_STOPPED,	   /* xvmm_stop(), or C-a x */
	XVMM_FAILED,	   /* the host failed */
};

/* How a VM ended. */
struct xvmm_end {
	enum xvmm_reason reason;
	int value;	 /* XVMM_DEBUG_EXIT */
	char text[1024]; /* one line */
};

/*
 * Create a VM, ready to run: files are read, descriptors open. 0, or a negative errno with *@error
 * filled (which may be NULL, here and below) and *@vm NULL.
 */
int xvmm_create(const struct xvmm_config *config, struct xvmm **vm, struct xvmm_error *error);

/*
 * Confine the calling thread in the same way, for good: of a program that has nothing else to do
 * but run this VM, which has the sandbox (else -EINVAL), and end. -EOPNOTSUPP if the VM may have to
 * open something later: it has a control socket, or a network device on vhost-user; then nothing
 * has changed. (The command line has another process for that, which the library doesn't start in
 * your program.) Afterwards xvmm_net_switch() gives -EPERM.
 */
int xvmm_confine(struct xvmm *vm, struct xvmm_error *error);

/*
 * Run the guest until it ends; the calling thread serves the console meanwhile. 0 with *@end filled
 * (which may be NULL), however the guest ended; a negative errno if it could not be started.
 * -EALREADY: a VM is run or started once.
 */
int xvmm_run(struct xvmm *vm, struct xvmm_end *end, struct xvmm_error *error);

/*
 * The same in the background: a thread of the library's runs the guest and serves its console. 0,
 * or a negative errno: then it was not begun.
 */
int xvmm_start(struct xvmm *vm, struct xvmm_error *error);

/*
 * Of a VM that was started, for poll(): it is readable (POLLIN) once xvmm_wait() would not wait.
 * Neither read nor close it: it is the VM's. -1 before xvmm_start(). Any thread, but not while that
 * is called.
 */
int xvmm_fd(const struct xvmm *vm);

/*
 * Wait until the guest that xvmm_start() began has ended: xvmm_run()'s values, each time. -EINVAL
 * if it was not started.
 */
int xvmm_wait(struct xvmm *vm, struct xvmm_end *end, struct xvmm_error *error);

/*
 * End the VM at once: it has ended when xvmm_run() or xvmm_wait() returns. A guest that hasn't
 * begun will not.
 */
void xvmm_stop(struct xvmm *vm);

/* Press the power button: a guest that listens, now or later, shuts down. */
void xvmm_power_button(struct xvmm *vm);

/*
 * Have the guest stand still, and go on. When xvmm_pause() returns none of its CPUs runs guest code
 * and no device uses its memory: packets for it wait in the network, as many as have room there.
 * Before xvmm_run(), the guest begins with the first xvmm_resume(). Time goes on, for the guest's
 * clocks and for timeout_ms. Any thread.
 */
void xvmm_pause(struct xvmm *vm);
void xvmm_resume(struct xvmm *vm);

/*
 * Plug or unplug the cable of the network device @id; the guest sees its link go up or down.
 * -ENODEV if there is no such device. Any thread.
 */
int xvmm_net_set_link(struct xvmm *vm, const char *id, bool up);

/*
 * Move the network device @id, while the guest runs, to what @net says: another tap, the kernel, a
 * vhost-user back-end. The guest notices nothing but, where that is another network, that it is
 * asked to announce itself. What the guest knows of the device (mac, mtu, features, ...) must be as
 * it is, or not be said. On failure nothing has changed. -ENODEV; -EOPNOTSUPP if the guest uses a
 * feature that the new place can't serve; -EAGAIN if the VM doesn't run (yet, any more). Any
 * thread; waits for it to be done, two seconds for a vhost-user back-end.
 */
int xvmm_net_switch(struct xvmm *vm, const char *id, const struct xvmm_net *net,
		    struct xvmm_error *error);

/*
 * Have the guest announce the network device @id to its network (gratuitous ARP), as after a move.
 * -ENODEV; -EOPNOTSUPP if its driver doesn't run or can't. Any thread.
 */
int xvmm_net_announce(struct xvmm *vm, const char *id);

/*
 * What passed through a queue of a network device, or didn't, since the device is where it is: it
 * begins with 0 after xvmm_net_switch().
 */
struct xvmm_queue_stats {
	uint64_t packets;
	uint64_t bytes; /* of these packets, without virtio-net headers */

	/* Packets that were lost, by cause. */
	uint64_t dropped_link_down;
	uint64_t dropped_filtered;   /* receive: not for an address or VLAN of the guest's */
	uint64_t dropped_mtu;	     /* receive: larger than the guest agreed to */
	uint64_t dropped_no_buffers; /* receive: the guest had given too few, or too small ones */
	uint64_t dropped_malformed;  /* no packet is so short or long */
	uint64_t dropped_refused;    /* transmit: by the tap or socket, but for lack of room */

	uint64_t kicks;			/* the guest's, of which several may have come as one */
	uint64_t interrupts;		/* to the guest */
	uint64_t interrupts_suppressed; /* batches after which the guest wanted none */
	uint64_t stalls; /* receive: there were no buffers; transmit: the host had no room */
	uint64_t broken; /* the guest broke the queue's rules: it stood still until a reset */
	int64_t idle_ms; /* since a buffer was last used; -1: none was */
};

/*
 * The counters of queue @queue of the network device @id: 2n is its nth receive queue, 2n + 1 the
 * nth transmit queue. -ENODEV; -ERANGE if it has no such queue; -EOPNOTSUPP while another process
 * or the kernel serves its queues (vhost-user, vhost-net): nobody here can count. Any thread.
 */
int xvmm_net_stats(struct xvmm *vm, const char *id, unsigned int queue,
		   struct xvmm_queue_stats *stats);

/* What happened to a VM, and when: the first time each, but for marks that the guest makes. */
struct xvmm_mark {
	const char *name; /* "kvm-ready": as in xvmm(1), TIMELINE; static */
	char device[32];  /* the network device's id, of what happened to one; else "" */
	uint64_t ns;	  /* since xvmm_create() was called */
	uint32_t value;	  /* of a "guest-mark": what the guest wrote */
};

/*
 * Mark @index, from 0, in the order of their times; it stays as it is. -ERANGE: there are not so
 * many yet. At most 256 are made by the guest, further ones are lost. Any thread.
 */
int xvmm_timeline(const struct xvmm *vm, unsigned int index, struct xvmm_mark *mark);

/*
 * When no other call is under way, xvmm_run() included; what xvmm_start() began is stopped first.
 * Accepts NULL.
 */
void xvmm_destroy(struct xvmm *vm);

/*
 * The bit of a network device's feature, by its name in the virtio specification, in lower case and
 * without the prefix: "mrg_rxbuf". 0: there is none of that name.
 */
uint64_t xvmm_net_feature(const char *name);

/* "0.1.0" */
const char *xvmm_version(void);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
