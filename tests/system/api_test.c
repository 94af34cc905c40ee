/* SPDX-License-Identifier: Apache-2.0 */
/* libxvmm as an embedding program uses it: over and over, several VMs at once, stopped any time. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/process.h"
#include "virtio/vhost_user_protocol.h"
#include "vmm/core/userfaultfd.h"
#include "vmm/xvmm.h"

static struct xvmm_config config_for(const char *guest, const char *cmdline)
{
	static char paths[4][4096];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s", guest_path(guest));
	return (struct xvmm_config){.kernel = path, .cmdline = cmdline};
}

static struct xvmm *create(const struct xvmm_config *config)
{
	struct xvmm_error error = {0};
	struct xvmm *vm;

	ck_assert_msg(xvmm_create(config, &vm, &error) == 0, "%s", error.text);
	return vm;
}

static struct xvmm_end run(struct xvmm *vm)
{
	struct xvmm_error error = {0};
	struct xvmm_end end = {0};

	ck_assert_msg(xvmm_run(vm, &end, &error) == 0, "%s", error.text);
	return end;
}

/* Of this process, in KiB. */
static long resident(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "VmRSS: %ld kB", &kib);
	if (file)
		fclose(file);
	ck_assert_int_gt(kib, 0);
	return kib;
}

/* How many threads there are. The kernel's own one of a VM takes a moment longer to go than it. */
static int settled_threads(int expected)
{
	int n = count_entries("/proc/self/task");

	for (int tries = 0; tries < 100 && n != expected; tries++) {
		usleep(10000);
		n = count_entries("/proc/self/task");
	}
	return n;
}

/*
 * Two VMs joined by a socket pair: one runs to its end, the other one is destroyed as it is, begun
 * or not, paused or not.
 */
static void round_of_two(int i)
{
	struct xvmm_net nets[] = {{.has_fd = true}, {.has_fd = true}};
	struct xvmm_config first = config_for("spin", NULL),
			   second = config_for("hello", "status=5");
	struct xvmm *left, *ends;
	struct xvmm_error error;
	struct xvmm_end end;
	int ends_of_cable[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends_of_cable), 0);
	nets[0].fd = ends_of_cable[0];
	nets[1].fd = ends_of_cable[1];
	first.nets = &nets[0];
	second.nets = &nets[1];
	first.n_nets = second.n_nets = 1;
	left = create(&first);
	ends = create(&second);
	close(ends_of_cable[0]);
	close(ends_of_cable[1]);
	if (i % 4)
		ck_assert_int_eq(xvmm_start(left, &error), 0);
	end = run(ends);
	ck_assert_int_eq(end.reason, XVMM_DEBUG_EXIT);
	ck_assert_int_eq(end.value, 5);
	if (i % 4 == 1)
		xvmm_pause(left);
	xvmm_destroy(ends);
	xvmm_destroy(left);
}

START_TEST(rounds_leave_nothing)
{
	enum {
#ifdef XVMM_SANITIZED
		ROUNDS = 100, /* which take it longer */
#else
		ROUNDS = 500, /* a thousand VMs */
#endif
		SETTLED = 100,	/* rounds after which the C library has what it keeps */
		SLACK_KIB = 512 /* less than a leak of a page a round */
	};
	int fds = 0, threads = 0;
	long kib = 0;

	for (int i = 0; i < ROUNDS; i++) {
		round_of_two(i);
		/* The first round may open what stays (a sanitizer's own files). */
		if (i == 0) {
			fds = count_entries("/proc/self/fd");
			threads = settled_threads(1);
		}
		if (i == SETTLED)
			kib = resident();
	}
	/* A sanitizer keeps what was freed. */
#ifndef XVMM_SANITIZED
	ck_assert_int_lt(resident() - kib, SLACK_KIB);
#else
	(void)kib;
#endif
	ck_assert_int_eq(count_entries("/proc/self/fd"), fds);
	ck_assert_int_eq(settled_threads(threads), threads);
}
END_TEST

START_TEST(created_but_never_run)
{
	const struct xvmm_config config = config_for("hello", NULL);

	for (int i = 0; i < 10; i++)
		xvmm_destroy(create(&config));
	xvmm_destroy(NULL);
}
END_TEST

START_TEST(stopped_before_it_runs)
{
	const struct xvmm_config config = config_for("spin", NULL);
	struct xvmm *vm = create(&config);

	xvmm_stop(vm);
	ck_assert_int_eq(run(vm).reason, XVMM_STOPPED);
	xvmm_destroy(vm);
}
END_TEST

/* A guest that would soon end by itself: it is not to begin. */
START_TEST(stopped_before_it_begins)
{
	const struct xvmm_config config = config_for("hello", NULL);

	for (int i = 0; i < 20; i++) {
		struct xvmm *vm = create(&config);

		xvmm_stop(vm);
		ck_assert_int_eq(run(vm).reason, XVMM_STOPPED);
		xvmm_destroy(vm);
	}
}
END_TEST

static void *stop_later(void *vm)
{
	usleep((useconds_t)(rand() % 20000));
	xvmm_stop(vm);
	return NULL;
}

/* From another thread, at any moment: while it starts, runs, prints. */
START_TEST(stopped_at_any_time)
{
	struct xvmm_config config = config_for("spin", NULL);

	config.cpus = 4;
	srand(1);
	for (int i = 0; i < 100; i++) {
		struct xvmm *vm = create(&config);
		struct xvmm_end end;
		pthread_t stopper;

		ck_assert_int_eq(pthread_create(&stopper, NULL, stop_later, vm), 0);
		end = run(vm);
		pthread_join(stopper, NULL);
		ck_assert_int_eq(end.reason, XVMM_STOPPED);
		xvmm_destroy(vm);
	}
}
END_TEST

/* A console whose reader doesn't read holds the guest up, not the stop. */
START_TEST(stopped_while_its_console_is_full)
{
	struct xvmm_config config = config_for("echo", "count=1M");
	int pipe_fds[2], input[2];
	struct xvmm *vm;
	pthread_t stopper;
	char filler[4096];

	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(pipe(input), 0);
	memset(filler, 'x', sizeof(filler));
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(write(pipe_fds[1], filler, sizeof(filler)), sizeof(filler));
	config.console = (struct xvmm_console){true, input[0], pipe_fds[1], false};
	vm = create(&config);
	pthread_create(&stopper, NULL, stop_later, vm);
	ck_assert_int_eq(run(vm).reason, XVMM_STOPPED);
	pthread_join(stopper, NULL);
	xvmm_destroy(vm);
}
END_TEST

/* An initrd of @size bytes of zero, whose path is put into @path: its descriptor. */
static int make_initrd(char path[32], off_t size)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

/* This machine's kernel, and this user, can have what load_on_demand takes. */
static bool can_load_on_demand(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_MOVE};
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd = device < 0 ? -1 : ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	bool can = fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0;

	close(fd);
	close(device);
	return can;
}

/* What a large initrd has when the guest runs counts only if that was asked for, and can be had. */
START_TEST(initrd_cut_before_it_runs)
{
	struct xvmm_config config = config_for("hello", "status=5");
	char initrd[32];
	int fd = make_initrd(initrd, 8 << 20);
	struct xvmm *vm;
	struct xvmm_end end;

	config.initrd = initrd;
	config.load_on_demand = _i;
	vm = create(&config);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	end = run(vm);
	if (_i && can_load_on_demand()) {
		ck_assert_int_eq(end.reason, XVMM_FAILED);
		ck_assert_msg(strstr(end.text, "initrd /proc/self/fd/"), "'%s'", end.text);
		ck_assert_msg(strstr(end.text, "became shorter"), "'%s'", end.text);
	} else {
		ck_assert_int_eq(end.reason, XVMM_DEBUG_EXIT);
		ck_assert_int_eq(end.value, 5);
	}
	xvmm_destroy(vm);
	close(fd);
}
END_TEST

/* With vCPUs that wait for memory, or don't yet, or don't any more. */
START_TEST(stopped_while_it_is_loaded)
{
	struct xvmm_config config = config_for("hello", "status=5");
	char initrd[32];
	int fd = make_initrd(initrd, 100 << 20);

	config.initrd = initrd;
	config.load_on_demand = true;
	srand(1);
	for (int i = 0; i < 40; i++) {
		struct xvmm *vm = create(&config);
		pthread_t stopper;
		struct xvmm_end end;

		ck_assert_int_eq(pthread_create(&stopper, NULL, stop_later, vm), 0);
		if (i % 2) {
			xvmm_pause(vm);
			xvmm_resume(vm);
		}
		end = run(vm);
		pthread_join(stopper, NULL);
		/* Never by what it has found in memory that wasn't loaded. */
		ck_assert_msg(end.reason == XVMM_STOPPED || end.reason == XVMM_DEBUG_EXIT, "'%s'",
			      end.text);
		xvmm_destroy(vm);
	}
	/* Nor is one that never ran loaded. */
	xvmm_destroy(create(&config));
	close(fd);
}
END_TEST

static void *pause_now_and_then(void *vm)
{
	for (int i = 0; i < 20; i++) {
		xvmm_pause(vm);
		usleep(100);
		xvmm_resume(vm);
		usleep(1000);
	}
	return NULL;
}

START_TEST(paused_while_it_is_loaded)
{
	struct xvmm_config config = config_for("hello", "status=5");
	char initrd[32];
	int fd = make_initrd(initrd, 30 << 20);
	struct xvmm *vm;
	struct xvmm_end end;
	pthread_t pauser;

	config.initrd = initrd;
	config.load_on_demand = true;
	vm = create(&config);
	ck_assert_int_eq(pthread_create(&pauser, NULL, pause_now_and_then, vm), 0);
	end = run(vm);
	pthread_join(pauser, NULL);
	ck_assert_int_eq(end.reason, XVMM_DEBUG_EXIT);
	ck_assert_int_eq(end.value, 5);
	xvmm_destroy(vm);
	close(fd);
}
END_TEST

static void *run_one(void *opaque)
{
	const struct xvmm_config *config = opaque;
	struct xvmm *vm = create(config);
	struct xvmm_end *end = malloc(sizeof(*end));

	*end = run(vm);
	xvmm_destroy(vm);
	return end;
}

START_TEST(several_at_once)
{
	const bool faults = has_guest("triple-fault");
	struct xvmm_config configs[] = {
		config_for("hello", "status=1"),
		config_for("hello", "status=2"),
		config_for("spin", NULL),
		config_for(faults ? "triple-fault" : "pvpanic", NULL),
	};
	const enum xvmm_reason reasons[] = {XVMM_DEBUG_EXIT, XVMM_DEBUG_EXIT, XVMM_TIMEOUT,
					    faults ? XVMM_TRIPLE_FAULT : XVMM_PANIC};
	pthread_t threads[4];
	struct xvmm_end *end;

	configs[2].timeout_ms = 300;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, run_one, &configs[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], (void **)&end);
		ck_assert_int_eq(end->reason, reasons[i]);
		ck_assert_uint_gt(strlen(end->text), 0);
		if (i < 2)
			ck_assert_int_eq(end->value, i + 1);
		free(end);
	}
}
END_TEST

struct events {
	pthread_mutex_t lock;
	unsigned int n;
	char names[256]; /* each followed by a space */
	char last[256];	 /* its data */
};

static void take_event(void *opaque, const char *name, const char *data)
{
	struct events *events = opaque;
	size_t len;

	pthread_mutex_lock(&events->lock);
	len = strlen(events->names);
	snprintf(events->names + len, sizeof(events->names) - len, "%s ", name);
	snprintf(events->last, sizeof(events->last), "%s", data ? data : "");
	events->n++;
	pthread_mutex_unlock(&events->lock);
}

static void start(struct xvmm *vm)
{
	struct xvmm_error error = {0};

	ck_assert_msg(xvmm_start(vm, &error) == 0, "%s", error.text);
}

static struct xvmm_end wait_for(struct xvmm *vm)
{
	struct xvmm_error error = {0};
	struct xvmm_end end = {0};

	ck_assert_msg(xvmm_wait(vm, &end, &error) == 0, "%s", error.text);
	return end;
}

/* One thread, three guests: a program with a loop of its own. */
START_TEST(in_the_background)
{
	struct events events[3] = {{.n = 0}};
	struct pollfd fds[3];
	struct xvmm *vms[3];

	for (int i = 0; i < 3; i++) {
		struct xvmm_config config = config_for(i == 2 ? "spin" : "hello",
						       i == 0 ? "status=1" : "status=2");

		pthread_mutex_init(&events[i].lock, NULL);
		config.event = take_event;
		config.event_opaque = &events[i];
		vms[i] = create(&config);
		ck_assert_int_eq(xvmm_fd(vms[i]), -1);
		start(vms[i]);
		fds[i] = (struct pollfd){.fd = xvmm_fd(vms[i]), .events = POLLIN};
	}
	for (int left = 2; left > 0;) {
		ck_assert_int_gt(poll(fds, 3, -1), 0);
		ck_assert_int_eq(fds[2].revents, 0);
		for (int i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			for (int again = 0; again < 2; again++)
				ck_assert_int_eq(wait_for(vms[i]).value, i + 1);
			fds[i].fd = -1;
			left--;
		}
	}
	xvmm_pause(vms[2]);
	xvmm_resume(vms[2]);
	xvmm_stop(vms[2]);
	ck_assert_int_eq(poll(&fds[2], 1, -1), 1);
	ck_assert_int_eq(wait_for(vms[2]).reason, XVMM_STOPPED);
	for (int i = 0; i < 3; i++) {
		xvmm_destroy(vms[i]);
		ck_assert_str_eq(events[i].names, i == 2 ? "STOP RESUME SHUTDOWN " : "SHUTDOWN ");
		ck_assert_str_eq(events[i].last,
				 i == 2 ? "{\"guest\":false,\"reason\":\"host-signal\"}"
					: "{\"guest\":true,\"reason\":\"guest-shutdown\"}");
		pthread_mutex_destroy(&events[i].lock);
	}
}
END_TEST

/* A guest runs once, and whoever wants it again is told so. */
START_TEST(runs_once)
{
	const struct xvmm_config config = config_for("spin", NULL);
	struct xvmm *started = create(&config), *ran = create(&config);
	struct xvmm_error error = {0};
	struct xvmm_end end;
	int fds;

	start(started);
	fds = count_entries("/proc/self/fd");
	ck_assert_int_eq(xvmm_start(started, &error), -EALREADY);
	ck_assert_int_eq(error.code, -EALREADY);
	ck_assert_int_eq(xvmm_run(started, &end, &error), -EALREADY);
	ck_assert_int_eq(count_entries("/proc/self/fd"), fds);
	xvmm_stop(started);
	/* Whoever doesn't want to know how, or why not. */
	ck_assert_int_eq(xvmm_wait(started, NULL, NULL), 0);
	ck_assert_int_eq(xvmm_start(started, &error), -EALREADY);
	ck_assert_int_eq(wait_for(started).reason, XVMM_STOPPED);

	xvmm_stop(ran);
	ck_assert_int_eq(xvmm_run(ran, NULL, NULL), 0);
	ck_assert_int_eq(xvmm_run(ran, NULL, NULL), -EALREADY);
	ck_assert_int_eq(xvmm_start(ran, NULL), -EALREADY);
	ck_assert_int_eq(xvmm_wait(ran, NULL, NULL), -EINVAL);
	ck_assert_int_eq(xvmm_fd(ran), -1);
	xvmm_destroy(started);
	xvmm_destroy(ran);
}
END_TEST

/* Switched and destroyed at any moment after xvmm_start(), and never waited for. */
START_TEST(in_the_background_and_left)
{
	struct xvmm_net net = {.has_fd = true};
	struct xvmm_config config = config_for("spin", NULL);
	struct xvmm_error error = {0};
	struct xvmm_end end;
	int sockets[2], fds = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	net.fd = sockets[0];
	config.nets = &net;
	config.n_nets = 1;
	for (int i = 0; i < 20; i++) {
		struct xvmm *vm = create(&config);

		ck_assert_int_eq(xvmm_wait(vm, &end, &error), -EINVAL);
		start(vm);
		ck_assert_msg(xvmm_net_switch(vm, "net0", &net, &error) == 0, "%s", error.text);
		xvmm_destroy(vm);
		if (i == 0)
			fds = count_entries("/proc/self/fd");
	}
	ck_assert_int_eq(count_entries("/proc/self/fd"), fds);
	ck_assert_int_eq(settled_threads(1), 1);
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

static void *pause_and_resume(void *arg)
{
	for (int i = 0; i < 200; i++) {
		xvmm_pause(arg);
		xvmm_resume(arg);
	}
	xvmm_pause(arg);
	xvmm_stop(arg);
	return NULL;
}

/* By two threads, from before it runs until after its end; the last word is pause. */
START_TEST(paused_at_any_time)
{
	struct xvmm_config config = config_for("spin", NULL);
	pthread_t threads[2];
	struct xvmm *vm;

	config.cpus = 3;
	vm = create(&config);
	xvmm_pause(vm);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, pause_and_resume, vm), 0);
	ck_assert_int_eq(run(vm).reason, XVMM_STOPPED);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	xvmm_resume(vm);
	xvmm_destroy(vm);
}
END_TEST

START_TEST(power_button_ends_a_guest_that_listens)
{
	const struct xvmm_config config = config_for("button", NULL);
	struct xvmm *vm = create(&config);

	/* It stays pressed until the guest looks. */
	xvmm_power_button(vm);
	ck_assert_int_eq(run(vm).reason, XVMM_POWER_OFF);
	xvmm_destroy(vm);
}
END_TEST

static void *run_to_end(void *opaque)
{
	struct xvmm_end *end = malloc(sizeof(*end));

	*end = run(opaque);
	return end;
}

/* Read the guest's console until it has said that. */
static void wait_for_line(FILE *console, const char *text)
{
	char line[256];

	do
		ck_assert_msg(fgets(line, sizeof(line), console) != NULL,
			      "the guest never said: %s", text);
	while (!strstr(line, text));
}

START_TEST(link_and_announcement)
{
	struct xvmm_net net = {.has_fd = true, .id = "wan", .transport = (enum xvmm_transport)_i};
	struct xvmm_config config = config_for("link", NULL);
	int sockets[2], console[2];
	struct xvmm_end *end;
	struct xvmm *vm;
	pthread_t thread;
	FILE *in;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	ck_assert_int_eq(pipe(console), 0);
	net.fd = sockets[0];
	config.nets = &net;
	config.n_nets = 1;
	config.console = (struct xvmm_console){true, -1, console[1], false};
	vm = create(&config);
	ck_assert_int_eq(xvmm_net_set_link(vm, "lan", false), -ENODEV);
	ck_assert_int_eq(xvmm_net_announce(vm, "lan"), -ENODEV);
	ck_assert_int_eq(xvmm_net_announce(vm, "wan"), -EOPNOTSUPP);
	pthread_create(&thread, NULL, run_to_end, vm);
	in = fdopen(console[0], "r");
	wait_for_line(in, "ready");
	ck_assert_int_eq(xvmm_net_set_link(vm, "wan", false), 0);
	wait_for_line(in, "down");
	ck_assert_int_eq(xvmm_net_set_link(vm, "wan", true), 0);
	wait_for_line(in, "up");
	ck_assert_int_eq(xvmm_net_announce(vm, "wan"), 0);
	pthread_join(thread, (void **)&end);
	ck_assert_int_eq(end->reason, XVMM_DEBUG_EXIT);
	ck_assert_int_eq(end->value, 0);
	free(end);
	xvmm_destroy(vm);
	fclose(in);
	close(console[1]);
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

/* To another descriptor, by another thread than the one that runs the VM. */
START_TEST(switched)
{
	struct xvmm_net net = {.has_fd = true}, other = {.has_fd = true}, wrong = {.has_fd = true};
	struct xvmm_config config = config_for("link", NULL);
	struct xvmm_error error = {0};
	int sockets[4], console[2];
	struct xvmm_end *end;
	struct xvmm *vm;
	pthread_t thread;
	FILE *in;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets + 2), 0);
	ck_assert_int_eq(pipe(console), 0);
	net.fd = sockets[0];
	other.fd = wrong.fd = sockets[2];
	wrong.mtu = 1400;
	config.nets = &net;
	config.n_nets = 1;
	config.console = (struct xvmm_console){true, -1, console[1], false};
	vm = create(&config);
	ck_assert_int_eq(xvmm_net_switch(vm, "net0", &other, &error), -EAGAIN);
	pthread_create(&thread, NULL, run_to_end, vm);
	in = fdopen(console[0], "r");
	wait_for_line(in, "ready");
	ck_assert_int_eq(xvmm_net_switch(vm, "net1", &other, &error), -ENODEV);
	ck_assert_int_lt(xvmm_net_switch(vm, "net0", &wrong, &error), 0);
	ck_assert(error.usage);
	ck_assert_ptr_nonnull(strstr(error.text, "mtu"));
	for (int i = 0; i < 30; i++) {
		ck_assert_msg(xvmm_net_switch(vm, "net0", i % 2 ? &net : &other, &error) == 0, "%s",
			      error.text);
	}
	ck_assert_int_eq(xvmm_net_set_link(vm, "net0", false), 0);
	wait_for_line(in, "down");
	ck_assert_int_eq(xvmm_net_set_link(vm, "net0", true), 0);
	/* The guest waits to be asked to announce itself, as the switches did. */
	pthread_join(thread, (void **)&end);
	ck_assert_int_eq(end->reason, XVMM_DEBUG_EXIT);
	ck_assert_int_eq(end->value, 0);
	ck_assert_int_eq(xvmm_net_switch(vm, "net0", &other, &error), -EAGAIN);
	free(end);
	xvmm_destroy(vm);
	fclose(in);
	close(console[1]);
	for (int i = 0; i < 4; i++)
		close(sockets[i]);
}
END_TEST

/*
 * Connect @fd to @address as a vhost-user back-end that knows nothing special. False: it is turned
 * away, as the last one is there yet.
 */
static bool try_backend(const struct sockaddr_un *address, int fd)
{
	struct vhost_user_message message = {0};

	ck_assert_int_eq(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	while (recv(fd, &message, VHOST_USER_HEADER_SIZE, MSG_WAITALL) == VHOST_USER_HEADER_SIZE) {
		ck_assert_uint_eq(message.size, 0);
		/* Without a driver there is no more. */
		if (message.request == VHOST_USER_SET_OWNER)
			return true;
		message.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
		message.size = sizeof(message.payload.u64);
		message.payload.u64 = 1ULL << VIRTIO_F_VERSION_1;
		send(fd, &message, VHOST_USER_HEADER_SIZE + message.size, MSG_NOSIGNAL);
	}
	return false;
}

/* Owned. */
static int connect_backend(const struct sockaddr_un *address)
{
	int fd;

	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ck_assert_int_ge(fd, 0);
		if (try_backend(address, fd))
			return fd;
		close(fd);
	}
}

/* Until the last event is that it is connected, or isn't. */
static void await_backend(struct events *events, bool connected)
{
	const char *part = connected ? "\"connected\":true" : "\"connected\":false";
	bool found = false;

	for (int tries = 0; tries < 2000 && !found; tries++) {
		usleep(10000);
		pthread_mutex_lock(&events->lock);
		found = strstr(events->last, part);
		pthread_mutex_unlock(&events->lock);
	}
	ck_assert_msg(found, "the last one: %s", events->last);
}

/* The program's descriptor is one end of a connection: nobody can connect to that. */
START_TEST(connection_that_listens)
{
	struct xvmm_net net = {.has_fd = true, .vhost_user = true, .server = true};
	struct xvmm_config config = config_for("spin", NULL);
	struct xvmm_error error;
	struct xvmm *vm;
	int sockets[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	net.fd = sockets[0];
	config.nets = &net;
	config.n_nets = 1;
	ck_assert_int_eq(xvmm_create(&config, &vm, &error), -EINVAL);
	ck_assert(error.usage);
	ck_assert_ptr_nonnull(strstr(error.text, "a connection already"));
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

/* It comes and goes as fast as it can: not all is told, but always how it is in the end. */
START_TEST(backend_flaps)
{
	enum {
		FLAPS = 500,
		A_SECOND = 10, /* as docs/control.md has it */
	};
	char path[] = "/tmp/api_test.XXXXXX";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct xvmm_net net = {.socket = path, .server = true}, other = {.has_fd = true};
	struct xvmm_config config = config_for("spin", NULL);
	struct events events = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct timespec begin, end;
	struct xvmm_error error;
	struct xvmm *vm;
	unsigned int n;
	int fd, sockets[2];

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(rmdir(path), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	other.fd = sockets[0];
	config.nets = &net;
	config.n_nets = 1;
	config.event = take_event;
	config.event_opaque = &events;
	vm = create(&config);
	start(vm);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < FLAPS; i++)
		close(connect_backend(&address));
	fd = connect_backend(&address);
	await_backend(&events, true);
	for (int i = 0; i < FLAPS; i++) {
		close(fd);
		fd = connect_backend(&address);
	}
	close(fd);
	await_backend(&events, false);
	/* What is asked for is told at once, however much there was. */
	for (int i = 0; i < A_SECOND; i++)
		close(connect_backend(&address));
	pthread_mutex_lock(&events.lock);
	events.last[0] = '\0';
	pthread_mutex_unlock(&events.lock);
	ck_assert_msg(xvmm_net_switch(vm, "net0", &other, &error) == 0, "%s", error.text);
	pthread_mutex_lock(&events.lock);
	ck_assert_ptr_nonnull(strstr(events.last, "in-process"));
	n = events.n;
	pthread_mutex_unlock(&events.lock);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_uint_gt(n, A_SECOND);
	ck_assert_uint_le(n, (unsigned int)(end.tv_sec - begin.tv_sec + 2) * A_SECOND + 1);
	xvmm_destroy(vm);
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

START_TEST(timelines)
{
	static const char *const names[] = {"create",	  "kvm-ready",	   "memory-ready",
					    "cpus-ready", "devices-ready", "kernel-loaded",
					    "driver",	  "guest-ended"};
	struct xvmm_net net = {.has_fd = true, .id = "lan"};
	struct xvmm_config config = config_for("timeline", "nets=1");
	struct xvmm_mark mark;
	struct xvmm *vm, *other;
	size_t found = 0;
	uint64_t before = 0;
	int sockets[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	net.fd = sockets[0];
	config.nets = &net;
	config.n_nets = 1;
	vm = create(&config);
	config.n_nets = 0;
	other = create(&config);
	run(vm);
	for (unsigned int i = 0; xvmm_timeline(vm, i, &mark) == 0; i++) {
		ck_assert(i > 0 ? mark.ns >= before : mark.ns == 0);
		before = mark.ns;
		if (found < 8 && strcmp(mark.name, names[found]) == 0)
			found++;
		if (strcmp(mark.name, "driver") == 0)
			ck_assert_str_eq(mark.device, "lan");
		else if (strcmp(mark.name, "guest-mark") == 0)
			ck_assert_uint_eq(mark.value, 7);
		else if (strcmp(mark.name, "kvm-ready") == 0)
			ck_assert_str_eq(mark.device, "");
	}
	ck_assert_msg(found == 8, "there is no %s", names[found]);
	/* Each VM has its own. */
	ck_assert_int_eq(xvmm_timeline(other, 6, &mark), -ERANGE);
	ck_assert_int_eq(xvmm_timeline(other, 5, &mark), 0);
	ck_assert_str_eq(mark.name, "kernel-loaded");
	xvmm_destroy(vm);
	xvmm_destroy(other);
	close(sockets[0]);
	close(sockets[1]);
}
END_TEST

/* As a user who has no processes, with that kernel; false if it can't be. */
static bool become_nobody(char path[32])
{
	const int kernel = open(guest_path("poweroff"), O_RDONLY | O_CLOEXEC);
	const uid_t uid = 54321;
	struct stat kvm;

	ck_assert_int_ge(kernel, 0);
	snprintf(path, 32, "/proc/self/fd/%d", kernel);
	if (getuid() != 0 || stat("/dev/kvm", &kvm))
		return false;
	/* With the last one /proc/self becomes root's. */
	return !setgroups(0, NULL) && !setresgid(kvm.st_gid, kvm.st_gid, kvm.st_gid) &&
	       !setresuid(uid, uid, uid) && !prctl(PR_SET_DUMPABLE, 1);
}

/*
 * However few threads there may be, KVM's own of a VM among them: it runs, or says why not. As
 * root: others have an unknown number already.
 */
START_TEST(too_few_threads)
{
	char path[32];
	struct xvmm_config config = {.kernel = path, .cmdline = ""};

	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NPROC, &limit), 0);
	if (!become_nobody(path))
		return;
	for (limit.rlim_cur = 1; limit.rlim_cur < 8; limit.rlim_cur++) {
		struct xvmm *vm = create(&config);
		struct xvmm_error error;
		struct xvmm_end end;
		int ret;

		ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &limit), 0);
		ret = xvmm_run(vm, &end, &error);
		if (ret)
			ck_assert_ptr_nonnull(strstr(error.text, "thread"));
		else if (end.reason != XVMM_POWER_OFF)
			ck_assert_int_eq(end.reason, XVMM_FAILED);
		xvmm_destroy(vm);
		ck_assert_int_eq(settled_threads(1), 1);
	}
}
END_TEST

/* Nor is what the library opens first, by the same number, taken for them. */
START_TEST(descriptors_that_are_not_open)
{
	const struct xvmm_net net = {.has_fd = true, .fd = STDIN_FILENO};
	struct xvmm_config config = config_for("hello", NULL);
	struct xvmm_error error;
	struct xvmm *vm;

	close(STDIN_FILENO);
	config.console = (struct xvmm_console){true, STDIN_FILENO, -1, false};
	ck_assert_int_eq(xvmm_create(&config, &vm, &error), -EBADF);
	ck_assert_ptr_nonnull(strstr(error.text, "input descriptor 0"));
	config.console = (struct xvmm_console){true, -1, STDIN_FILENO, false};
	ck_assert_int_eq(xvmm_create(&config, &vm, &error), -EBADF);
	ck_assert_ptr_nonnull(strstr(error.text, "output descriptor 0"));
	config.console.enabled = false;
	config.nets = &net;
	config.n_nets = 1;
	ck_assert_int_eq(xvmm_create(&config, &vm, &error), -EBADF);
	ck_assert_ptr_nonnull(strstr(error.text, "descriptor 0"));
}
END_TEST

/* The control socket goes with the VM, wherever the program is by then. */
START_TEST(directory_changed)
{
	struct xvmm_config config = config_for("hello", NULL);
	char directory[] = "/tmp/api_test.XXXXXX", path[64];
	struct xvmm *vm;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/control", directory);
	ck_assert_int_eq(chdir(directory), 0);
	config.control = "control";
	vm = create(&config);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(chdir("/"), 0);
	xvmm_destroy(vm);
	ck_assert_int_lt(access(path, F_OK), 0);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(wrong_configurations)
{
	static const char *const ids[] = {"", "a b", "\xff", "line\n"};
	const struct xvmm_net net = {.tap = "no-such-tap"};
	struct xvmm_net wrong = net;
	struct xvmm_config config = {0};
	struct xvmm_error error;
	struct xvmm *vm;
	int fds = count_entries("/proc/self/fd");

	ck_assert_int_lt(xvmm_create(&config, &vm, &error), 0);
	ck_assert(error.usage);
	ck_assert_ptr_null(vm);

	config = config_for("hello", NULL);
	config.memory = 1;
	ck_assert_int_lt(xvmm_create(&config, &vm, &error), 0);
	ck_assert_ptr_nonnull(strstr(error.text, "32M"));
	config.memory = 0;
	config.cpus = 100000;
	ck_assert_int_lt(xvmm_create(&config, &vm, &error), 0);
	ck_assert_ptr_nonnull(strstr(error.text, "at most"));
	config.cpus = 0;
	config.nets = &net;
	config.n_nets = 1;
	ck_assert_int_lt(xvmm_create(&config, &vm, NULL), 0);
	config.nets = &wrong;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		wrong.id = ids[i];
		ck_assert_int_eq(xvmm_create(&config, &vm, &error), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error.text, "printable"));
	}
	wrong.id = NULL;
	wrong.mac[0] = 1;
	ck_assert_int_eq(xvmm_create(&config, &vm, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "multicast"));
	ck_assert_int_eq(count_entries("/proc/self/fd"), fds);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("api");
	TCase *tcase = tcase_create("api");
	SRunner *runner = srunner_create(suite);
	int failed;

	require_kvm();
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, rounds_leave_nothing);
	tcase_add_test(tcase, created_but_never_run);
	tcase_add_test(tcase, stopped_before_it_runs);
	tcase_add_test(tcase, stopped_before_it_begins);
	tcase_add_test(tcase, stopped_at_any_time);
	tcase_add_test(tcase, stopped_while_its_console_is_full);
	tcase_add_loop_test(tcase, initrd_cut_before_it_runs, 0, 2);
	tcase_add_test(tcase, stopped_while_it_is_loaded);
	tcase_add_test(tcase, paused_while_it_is_loaded);
	tcase_add_test(tcase, several_at_once);
	tcase_add_test(tcase, in_the_background);
	tcase_add_test(tcase, runs_once);
	tcase_add_test(tcase, in_the_background_and_left);
	tcase_add_test(tcase, paused_at_any_time);
	tcase_add_test(tcase, power_button_ends_a_guest_that_listens);
	tcase_add_loop_test(tcase, link_and_announcement, XVMM_TRANSPORT_MMIO,
			    XVMM_TRANSPORT_PCI + 1);
	tcase_add_test(tcase, switched);
	tcase_add_test(tcase, connection_that_listens);
	tcase_add_test(tcase, backend_flaps);
	tcase_add_test(tcase, timelines);
	tcase_add_test(tcase, too_few_threads);
	tcase_add_test(tcase, descriptors_that_are_not_open);
	tcase_add_test(tcase, directory_changed);
	tcase_add_test(tcase, wrong_configurations);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
