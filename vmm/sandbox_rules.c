/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each kind of thread may ask of the kernel (vmm/sandbox.h); and the program that makes
 * seccomp filters of that, as a C source, when xvmm is built: at each start it would take a
 * millisecond.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/vhost.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/core/thread.h"
#include "vmm/core/userfaultfd.h"

/*
 * Who may make a call. A thread has the filters of those that it comes from as well: the loop's
 * thread starts those of vCPUs, and these, or itself, those of rings; and the one that fills
 * memory. So what one kind of thread may do, those before it may, too.
 */
enum {
	MAIN = 1 << THREAD_MAIN,
	MOST = MAIN | 1 << THREAD_VCPU,
	GUEST = MOST | 1 << THREAD_RING, /* what a guest drives */
	FILL = MAIN | 1 << THREAD_FILL,
	ALL = GUEST | FILL,
	BROKER = 1 << THREAD_BROKER,	 /* nobody's child; see broker_calls */
	USER_NET = 1 << THREAD_USER_NET, /* nor is this; see user_net_calls */
	WAITING = 1 << THREAD_WAITING,	 /* nor this; see waiting_calls */
	HELPERS = BROKER | USER_NET | WAITING,
};

/* A call with all its arguments. */
static const struct rule {
	int call;
	unsigned int kinds; /* who may make it */
} plain_rules[] = {
	/* Packets: a tap, a socket of --net fd=; a vCPU empties a tap when offloads change. */
	{SCMP_SYS(readv), GUEST},
	{SCMP_SYS(writev), ALL},
	{SCMP_SYS(sendmsg), GUEST}, /* by a vCPU also: vhost-user messages */
	{SCMP_SYS(recvmsg), GUEST},
	/* What faults are before has gone (virtio/net_faults.h); a broker can't be heard any more.
	 */
	{SCMP_SYS(shutdown), GUEST},
	{SCMP_SYS(poll), GUEST},  /* a socket or console that is full, a back-end's answer */
	{SCMP_SYS(ppoll), GUEST}, /* poll() where there is no such call (aarch64) */

	/* Eventfds: kicks, interrupts, waking other threads; the console and messages, too. */
	{SCMP_SYS(read), ALL},
	{SCMP_SYS(write), ALL},
	{SCMP_SYS(preadv2), GUEST},
	{SCMP_SYS(epoll_ctl), GUEST}, /* by a ring: what it waits for */
	{SCMP_SYS(epoll_wait), GUEST},
	{SCMP_SYS(epoll_pwait), GUEST},	 /* epoll_wait() of some C libraries */
	{SCMP_SYS(epoll_pwait2), GUEST}, /* interrupts that wait (coalescing) */
	{SCMP_SYS(clock_gettime), ALL},	 /* where the vDSO can't tell */

	/* The console, if it is a socket or a pipe without a reader. */
	{SCMP_SYS(sendto), MOST},
	{SCMP_SYS(rt_sigpending), MOST},
	{SCMP_SYS(rt_sigtimedwait), MOST}, /* and a vCPU that was paused */

	/* Files that are loaded. */
	{SCMP_SYS(pread64), FILL},

	/* A driver starts and stops a device: its rings, their descriptors, and watching those. */
	{SCMP_SYS(eventfd2), MOST},
	{SCMP_SYS(epoll_create1), MOST},
	{SCMP_SYS(timerfd_settime), MOST},
	{SCMP_SYS(close), MOST | FILL},
	{SCMP_SYS(fstat), MOST}, /* how long a back-end's inflight region is */

	/* The loop: --timeout; the end of a guest; a terminal, in the foreground again. */
	{SCMP_SYS(timerfd_create), MAIN},
	{SCMP_SYS(accept4), MAIN},    /* a vhost-user back-end's connection */
	{SCMP_SYS(wait4), MAIN},      /* the end of the broker */
	{SCMP_SYS(socketpair), MAIN}, /* for what a vhost-user back-end asks */
	{SCMP_SYS(getpgrp), MAIN},
	{SCMP_SYS(getpgid), MAIN}, /* getpgrp() of some C libraries */

	/* Memory; not executable, see below. */
	{SCMP_SYS(brk), ALL},
	{SCMP_SYS(munmap), ALL},
	{SCMP_SYS(mremap), ALL},
	{SCMP_SYS(madvise), ALL},

	/* Threads: locks, their beginning and end. */
	{SCMP_SYS(futex), ALL},
	{SCMP_SYS(sched_getaffinity), ALL}, /* how many heaps malloc() makes */
	{SCMP_SYS(set_robust_list), MOST},
	{SCMP_SYS(rseq), MOST},
	{SCMP_SYS(exit), ALL},
	{SCMP_SYS(exit_group), ALL},

	/* Signals: of a thread that is stopped, and of its own faults (a terminal is put back). */
	{SCMP_SYS(rt_sigprocmask), ALL},
	{SCMP_SYS(rt_sigaction), ALL},
	{SCMP_SYS(rt_sigreturn), ALL},
	{SCMP_SYS(restart_syscall), ALL},
	{SCMP_SYS(getpid), ALL},
	{SCMP_SYS(gettid), ALL},
};

#define ALL_BITS UINT64_MAX
#define INT_BITS UINT32_MAX /* of an int or unsigned int, whose upper half the kernel ignores */

/* pthread_create()'s, of one C library or another. */
#define CLONE_HARMLESS                                                                      \
	((uint64_t)(CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_SYSVSEM | CLONE_SETTLS | \
		    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED))

/* A call with the argument @index, as far as @mask goes, @value. */
static const struct argument_rule {
	int call;
	unsigned int kinds;
	unsigned int index;
	uint64_t mask;
	uint64_t value;
} argument_rules[] = {
	{SCMP_SYS(mmap), ALL | HELPERS, 2, PROT_EXEC, 0},
	{SCMP_SYS(mprotect), ALL | HELPERS, 2, PROT_EXEC, 0},
	{SCMP_SYS(newfstatat), MOST, 3, INT_BITS,
	 AT_EMPTY_PATH}, /* fstat() of glibc 2.33 to 2.38 */

	/* A ring's thread, and how it confines itself. */
	{SCMP_SYS(clone), MOST, 0, ALL_BITS & ~CLONE_HARMLESS, CLONE_VM | CLONE_THREAD},
	{SCMP_SYS(seccomp), MOST, 0, INT_BITS, SECCOMP_SET_MODE_FILTER},
	{SCMP_SYS(prctl), MOST, 0, INT_BITS, PR_SET_NAME},
	{SCMP_SYS(prctl), ALL, 0, INT_BITS, PR_SET_VMA}, /* malloc() names its memory */

	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_RUN},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_SET_SIGNAL_MASK}, /* before its first run */
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_KVMCLOCK_CTRL},   /* it was paused */
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_GET_REGS},	   /* of a guest that can't go on */
	/* Doorbells and interrupts of a device that starts, whose BARs move, whose vectors change.
	 */
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_IOEVENTFD},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_IRQFD},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_SET_GSI_ROUTING},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_CHECK_EXTENSION},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_REGISTER_COALESCED_MMIO},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, KVM_UNREGISTER_COALESCED_MMIO},
	/* A tap, as the driver's features and queue pairs want it. */
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, TUNGETIFF},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, TUNSETOFFLOAD},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, TUNSETVNETHDRSZ},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, TUNSETQUEUE},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, SIOCGIFHWADDR},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, SIOCGIFTXQLEN},
	/* vhost-net's rings. */
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_FEATURES},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_VRING_NUM},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_VRING_BASE},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_VRING_ADDR},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_VRING_KICK},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_VRING_CALL},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_SET_VRING_ERR},
	{SCMP_SYS(ioctl), MOST, 1, INT_BITS, VHOST_NET_SET_BACKEND},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, KVM_SIGNAL_MSI}, /* inject-nmi */
	/* Pages of what is loaded. */
	{SCMP_SYS(ioctl), FILL, 1, INT_BITS, UFFDIO_MOVE},
	{SCMP_SYS(ioctl), FILL, 1, INT_BITS, UFFDIO_COPY},
	{SCMP_SYS(ioctl), FILL, 1, INT_BITS, UFFDIO_UNREGISTER},
	/* A switch to other taps or to vhost-net, which the broker has opened. */
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, TUNSETSNDBUF},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, VHOST_SET_OWNER},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, VHOST_GET_FEATURES},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, VHOST_GET_BACKEND_FEATURES},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, VHOST_SET_BACKEND_FEATURES},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, VHOST_SET_MEM_TABLE},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, VHOST_SET_VRING_BUSYLOOP_TIMEOUT},
	{SCMP_SYS(getsockopt), MAIN, 2, INT_BITS, SO_TYPE},
	{SCMP_SYS(fcntl), MAIN, 1, INT_BITS, F_DUPFD_CLOEXEC},
	{SCMP_SYS(fcntl), MAIN, 1, INT_BITS, F_SETFL},
	{SCMP_SYS(fcntl), MAIN, 1, INT_BITS, F_GETFD},
	/* A thread that faults puts the terminal back (vmm/terminal.h). */
	{SCMP_SYS(ioctl), ALL, 1, INT_BITS, TCGETS},
	{SCMP_SYS(ioctl), ALL, 1, INT_BITS, TCSETS},
	{SCMP_SYS(ioctl), MAIN, 1, INT_BITS, TIOCGPGRP},
	/* A tap is opened. */
	{SCMP_SYS(ioctl), BROKER, 1, INT_BITS, TUNSETIFF},
	{SCMP_SYS(ioctl), BROKER, 1, INT_BITS, SIOCGIFINDEX},

	/* Connections of a user-mode network; its name servers. */
	{SCMP_SYS(socket), USER_NET, 0, INT_BITS, AF_INET},
	{SCMP_SYS(socket), USER_NET, 0, INT_BITS, AF_INET6},
	{SCMP_SYS(ioctl), USER_NET, 1, INT_BITS, FIONREAD},
	{SCMP_SYS(fcntl), USER_NET, 1, INT_BITS, F_GETFL}, /* not F_SETOWN: that signals others */
	{SCMP_SYS(fcntl), USER_NET, 1, INT_BITS, F_SETFL},
	{SCMP_SYS(fcntl), USER_NET, 1, INT_BITS, F_GETFD},
	{SCMP_SYS(fcntl), USER_NET, 1, INT_BITS, F_SETFD},
	{SCMP_SYS(open), USER_NET, 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
	{SCMP_SYS(openat), USER_NET, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
};

/* What C libraries try, and do without: an error, not the end. */
static const struct refusal {
	int call;
	unsigned int kinds;
	uint16_t error; /* errno */
} refusals[] = {
	/* Its arguments are in memory, where a filter can't look; clone() is taken instead. */
	{SCMP_SYS(clone3), MOST, ENOSYS},
	/* How the system is set up, in /proc: glibc's free() looks there when a heap shrinks. */
	{SCMP_SYS(openat), ALL | WAITING, EACCES},
	{SCMP_SYS(open), ALL | WAITING, EACCES},
};

/* Of all the following: the C library, for memory, locks, what the time is, seeds. */
static const int helper_calls[] = {
	SCMP_SYS(brk),		 SCMP_SYS(munmap),	 SCMP_SYS(mremap),
	SCMP_SYS(madvise),	 SCMP_SYS(futex),	 SCMP_SYS(sched_getaffinity),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
	SCMP_SYS(getpid),	 SCMP_SYS(gettid),	 SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),	 SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),		 SCMP_SYS(exit_group),
};

/*
 * The broker runs nothing that isn't trusted, but has privileges. It starts no program and no
 * thread, maps nothing executable, and touches no other process. What isn't here it is refused
 * (EPERM): that ends one request, not all control over a guest.
 */
static const int broker_calls[] = {
	/* Requests, of the VM and of clients; the loop; messages. */
	SCMP_SYS(read),
	SCMP_SYS(preadv2),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(accept4),
	SCMP_SYS(close),

	/* Taps, vhost-net, the sockets of back-ends, the control socket; captures. */
	SCMP_SYS(flock),
	SCMP_SYS(ftruncate),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(shutdown),
	SCMP_SYS(fchmod),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),

	/* Jansson: its seed. */
	SCMP_SYS(lseek),
};

/*
 * The process of a user-mode network runs a library that parses what a guest sends. What it is
 * refused (EPERM) ends one connection.
 */
static const int user_net_calls[] = {
	/* Packets of the guest; messages. */
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(dup), /* whether there are descriptors left */

	/* Connections, of the guest's and to it. */
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(shutdown),
	SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),

	/* Its name servers. */
	SCMP_SYS(stat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
};

/*
 * The process that was started, and PID 1, where there is a PID namespace: signals, and the end of
 * other processes. They can open nothing, and signal nobody but themselves and the VM's process, of
 * which the first one has a descriptor.
 */
static const int waiting_calls[] = {
	SCMP_SYS(rt_sigtimedwait), SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(wait4),	   SCMP_SYS(read), /* that the VM's process has ended */
	SCMP_SYS(write),
};

static int add_calls(scmp_filter_ctx filter, const int *calls, size_t n)
{
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return ret;
}

static int add_rules(scmp_filter_ctx filter, unsigned int kind)
{
	int ret = 0;

	if (kind & HELPERS)
		ret = add_calls(filter, helper_calls, sizeof(helper_calls) / sizeof(int));
	if (!ret && kind == BROKER)
		ret = add_calls(filter, broker_calls, sizeof(broker_calls) / sizeof(int));
	if (!ret && kind == USER_NET)
		ret = add_calls(filter, user_net_calls, sizeof(user_net_calls) / sizeof(int));
	if (!ret && kind == WAITING)
		ret = add_calls(filter, waiting_calls, sizeof(waiting_calls) / sizeof(int));
	for (size_t i = 0; i < sizeof(plain_rules) / sizeof(plain_rules[0]) && !ret; i++) {
		/* It stands in for a call that this architecture has. */
		if (plain_rules[i].call == SCMP_SYS(ppoll) && SCMP_SYS(poll) >= 0)
			continue;
		if (plain_rules[i].kinds & kind)
			ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain_rules[i].call, 0);
	}
	for (size_t i = 0; i < sizeof(argument_rules) / sizeof(argument_rules[0]) && !ret; i++) {
		const struct argument_rule *rule = &argument_rules[i];

		if (rule->kinds & kind)
			ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rule->call, 1,
					       SCMP_CMP64(rule->index, SCMP_CMP_MASKED_EQ,
							  rule->mask, rule->value));
	}
	/* raise(), in this process. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0_64(SCMP_CMP_EQ, THREAD_FILTER_PID, 0));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]) && !ret; i++) {
		if (refusals[i].kinds & kind)
			ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(refusals[i].error),
					       refusals[i].call, 0);
	}
	return ret;
}

/* libseccomp writes it to a descriptor. */
static int export(scmp_filter_ctx filter, FILE *file)
{
	int ret = seccomp_export_bpf(filter, fileno(file));

	rewind(file);
	return ret;
}

static int create_filter(unsigned int kind, FILE *file)
{
	scmp_filter_ctx filter = seccomp_init(kind & HELPERS ? SCMP_ACT_ERRNO(EPERM)
							     : SCMP_ACT_KILL_PROCESS);
	int ret;

	if (!filter)
		return -ENOMEM;
	ret = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary tree over the calls. (The requests of ioctl() are a list all the same.) */
	if (!ret)
		ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = add_rules(filter, kind);
	if (!ret)
		ret = export(filter, file);
	seccomp_release(filter);
	return ret;
}

static int print_filter(unsigned int kind)
{
	FILE *file = tmpfile();
	struct sock_filter step;
	int ret = file ? create_filter(1u << kind, file) : -errno;

	printf("static const struct sock_filter filter_%u[] = {\n", kind);
	while (!ret && fread(&step, sizeof(step), 1, file) == 1)
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", step.code, step.jt, step.jf, step.k);
	printf("};\n");
	if (file)
		fclose(file);
	return ret;
}

int main(void)
{
	/* Of libseccomp: what filters may do, whatever the kernel that builds them can. */
	int ret = seccomp_api_set(3);

	printf("/* Made by vmm/sandbox_rules.c: the filter of each kind of thread. */\n");
	for (unsigned int kind = 0; kind < THREAD_KINDS && !ret; kind++)
		ret = print_filter(kind);
	if (ret)
		fprintf(stderr, "sandbox_rules: %s\n", strerror(-ret));
	return ret || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
