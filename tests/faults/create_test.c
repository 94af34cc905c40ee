/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM is created, run and destroyed in this process, and one call fails: there is an error with
 * its cause, or the guest does its work; and nothing is left, neither memory nor a descriptor, a
 * thread or a file. With a sanitizer, it looks for memory that was lost, when the process ends.
 *
 * PHASE is start for xvmm_create(), running for xvmm_start() and xvmm_wait(), stopping for
 * xvmm_destroy(). ON_DEMAND, if it is set: a large initrd is loaded while the guest runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "tests/system/process.h"
#include "vmm/core/thread.h"
#include "vmm/xvmm.h"

enum {
	STATUS = 5, /* of the guest */
	CPUS = 2,
	THREADS = CPUS + 3, /* who runs the VM, who loads it, and who looks on */
	LARGE = 5 << 20,    /* bytes, of an initrd */
};

struct left {
	int descriptors, threads;
	size_t memory; /* bytes */
};

static struct plan *plan;
static char directory[32], control[64], initrd[64];
static int sockets[2], null;
static char log_text[4096]; /* what the VM said */

/* --- what is left --- */

static struct left look(void)
{
	return (struct left){
		.descriptors = count_entries("/proc/self/fd"),
		.threads = count_entries("/proc/self/task"),
		.memory = mallinfo2().uordblks,
	};
}

/* The kernel's own thread of a VM may take a moment longer to go than the VM. */
static int threads_left(const struct left *before)
{
	int more = 1;

	for (int tries = 0; tries < 1000 && more; tries++) {
		more = count_entries("/proc/self/task") - before->threads;
		if (more)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return more;
}

static void expect_same(const struct left *before, const struct left *after)
{
	int more = threads_left(before);

	ck_assert_msg(before->descriptors == after->descriptors, "%d descriptors are left (%s)",
		      after->descriptors - before->descriptors, faults_text());
	ck_assert_msg(more == 0, "%d threads are left (%s)", more, faults_text());
	ck_assert_msg(before->memory == after->memory, "%zd bytes are left (%s)",
		      (ssize_t)(after->memory - before->memory), faults_text());
	ck_assert_msg(access(control, F_OK) < 0, "the control socket is left (%s)", faults_text());
}

/* --- a VM --- */

static void note_log(void *opaque, enum xvmm_log_level level, const char *text)
{
	size_t len = strlen(log_text);

	(void)opaque;
	(void)level;
	snprintf(log_text + len, sizeof(log_text) - len, "%s\n", text);
}

static void set_up(void)
{
	strcpy(directory, "/tmp/xvmm-faults.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(control, sizeof(control), "%s/control", directory);
	snprintf(initrd, sizeof(initrd), "%s/initrd", directory);
	ck_assert_int_eq(close(open(initrd, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
	ck_assert_int_eq(truncate(initrd, LARGE), 0);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(null, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
}

static int create(struct xvmm **vm, struct xvmm_error *error)
{
	/* Nobody listens at the socket: then nobody is waited for. */
	const struct xvmm_net nets[] = {
		{.has_fd = true, .fd = sockets[0]},
		{.has_fd = true,
		 .fd = sockets[0],
		 .transport = XVMM_TRANSPORT_MMIO,
		 .pcap = "/dev/null",
		 .faults = {.enabled = true, .delay_us = 1}},
		{.socket = "/nonexistent/vhost-user", .queues = 2},
	};
	const bool on_demand = getenv("ON_DEMAND");
	const struct xvmm_config config = {
		.kernel = guest_path("hello"),
		.initrd = on_demand ? initrd : guest_path("hello"),
		.cmdline = "status=5",
		.memory = 32 << 20,
		.memory_prealloc = !on_demand,
		.load_on_demand = on_demand,
		.cpus = CPUS,
		.nets = nets,
		.n_nets = sizeof(nets) / sizeof(nets[0]),
		.console = {.enabled = true, .in_fd = STDIN_FILENO, .out_fd = null},
		.control = control,
		.timeout_ms = 60000,
		.log = note_log,
	};

	return xvmm_create(&config, vm, error);
}

static void expect_cause(const struct xvmm_error *error)
{
	ck_assert_int_lt(error->code, 0);
	ck_assert_msg(strstr(error->text, strerror(-error->code)) ||
			      (error->code == -ENOMEM && strstr(error->text, "memory")),
		      "'%s' is not for %s (%s)", error->text, strerrorname_np(-error->code),
		      faults_text());
}

/* True if the guest did its work. */
static bool run(struct xvmm *vm)
{
	struct xvmm_error error = {0};
	struct xvmm_end end = {0};

	int ret = xvmm_start(vm, &error);

	if (!ret)
		ret = xvmm_wait(vm, &end, &error);
	if (ret) {
		atomic_store(&plan->phase, PHASE_OFF);
		expect_cause(&error);
		return false;
	}
	if (end.reason == XVMM_DEBUG_EXIT && end.value == STATUS)
		return true;
	ck_assert_msg(end.reason == XVMM_FAILED && *end.text, "reason %d: '%s' (%s)",
		      (int)end.reason, end.text, faults_text());
	return false;
}

static void begin(enum phase phase, bool observed)
{
	atomic_store(&plan->phase, observed ? phase : PHASE_OFF);
}

/* True if all worked. Calls are noted down, and fail, if it is @observed. */
static bool one_vm(bool observed)
{
	struct xvmm_error error = {0};
	struct xvmm *vm;
	bool worked;
	int ret;

	begin(PHASE_START, observed);
	ret = create(&vm, &error);
	begin(PHASE_OFF, observed);
	if (ret) {
		ck_assert_ptr_null(vm);
		expect_cause(&error);
		return false;
	}
	begin(PHASE_RUNNING, observed);
	worked = run(vm);
	begin(PHASE_STOPPING, observed);
	xvmm_destroy(vm);
	begin(PHASE_OFF, observed);
	return worked;
}

static void *observe(void *worked)
{
	*(bool *)worked = one_vm(true);
	return NULL;
}

/* In a thread, where no callers of ours make one call look like another. */
static bool observed_vm(void)
{
	const struct thread_config config = {.name = "vm"};
	pthread_t thread;
	bool worked;
	int ret = thread_create(&thread, &config, observe, &worked);

	/* Check's own calls are not to be among those observed. */
	if (!ret)
		pthread_join(thread, NULL);
	ck_assert_int_eq(ret, 0);
	return worked;
}

static void *meet(void *barrier)
{
	pthread_barrier_wait(barrier);
	return NULL;
}

/* The C library keeps the stacks of threads; how many there are at a time is chance. */
static void fill_stack_cache(void)
{
	const struct thread_config config = {.name = "warm"};
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(thread_create(&threads[i], &config, meet, &barrier), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
}

static void first_vm(void)
{
	shim_attach(plan);
	set_up();
	fill_stack_cache();
	/* The first one opens and allocates what stays. */
	ck_assert(one_vm(false));
	log_text[0] = '\0';
}

static void second_vm(void)
{
	struct left before = look(), after;
	bool worked = observed_vm();

	after = look();
	expect_same(&before, &after);
	unlink(initrd);
	rmdir(directory);
	if (!faults_code())
		faults_count(NOT_REACHED);
	else
		faults_count(worked ? TOLERATED : TOLD);
}

START_TEST(test_fault)
{
	first_vm();
	faults_arm(_i);
	second_vm();
}
END_TEST

int main(void)
{
	char name[64];

	require_kvm();
	plan = faults_create();
	snprintf(name, sizeof(name), "faults in a process, %s", need_env("PHASE"));
	return faults_run(name, test_fault);
}
