/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <unistd.h>

enum {
	FAULTS_MAX = 32768,
	CODES_MAX = 4,
	TIME_LIMIT_S = 60,
	RECORDINGS = 2, /* threads don't always take the same way */
};

/* The errors that a kernel gives there; the first one is the likeliest. */
static const struct {
	const char *name;
	int codes[CODES_MAX];
	bool for_good; /* what is used up may stay so */
} calls[N_CALLS] = {
	[CALL_ALLOCATE] = {"malloc", {ENOMEM}, true},
	[CALL_MMAP] = {"mmap", {ENOMEM}, true},
	[CALL_MADVISE] = {"madvise", {ENOMEM, EAGAIN}, false},
	[CALL_THREAD] = {"pthread_create", {EAGAIN}, true},
	[CALL_FORK] = {"fork", {EAGAIN, ENOMEM}, false},
	[CALL_DESCRIPTOR] = {"a new descriptor", {EMFILE, ENOMEM}, true},
	[CALL_MEMFD] = {"memfd_create", {EMFILE, ENOMEM}, true},
	[CALL_FTRUNCATE] = {"ftruncate", {ENOSPC, EINTR}, false},
	[CALL_FCNTL] = {"fcntl", {EPERM}, false},
	[CALL_ACCEPT] = {"accept4", {EMFILE, ECONNABORTED, ENOMEM}, false},
	[CALL_CONNECT] = {"connect", {ECONNREFUSED, EAGAIN, EACCES}, false},
	[CALL_BIND] = {"bind", {EADDRINUSE, EACCES, ENOSPC}, false},
	[CALL_LISTEN] = {"listen", {EADDRINUSE}, false},
	[CALL_EPOLL_ADD] = {"epoll_ctl", {ENOSPC, ENOMEM}, false},
	[CALL_WAIT] = {"epoll_wait or poll", {EINTR}, false},
	[CALL_KVM_RUN] = {"KVM_RUN", {EINTR, EFAULT, ENOMEM}, false},
	[CALL_KVM_IOCTL] = {"an ioctl of KVM", {ENOMEM, EINTR, EBUSY}, false},
	[CALL_VHOST_IOCTL] = {"an ioctl of vhost-net", {ENOMEM, EBUSY, EFAULT}, false},
	[CALL_IOCTL] = {"ioctl", {ENOMEM, EBUSY, EPERM}, false},
	[CALL_READ_EVENT] = {"reading an event", {EINTR, EAGAIN}, false},
	[CALL_WRITE_EVENT] = {"writing an event", {EINTR}, false},
	[CALL_READ] = {"read", {EIO, EINTR, EAGAIN}, false},
	[CALL_WRITE] = {"write", {EIO, ENOSPC, EINTR}, false},
	[CALL_RECEIVE] = {"recv", {ENOMEM, ECONNRESET}, false},
	[CALL_SEND] = {"send", {ENOBUFS, ENOMEM}, false},
};

struct fault {
	struct site *site;
	int code;
	bool for_good;
};

static struct plan *plan;
static struct fault faults[FAULTS_MAX];
static int n_faults;
static const struct fault *armed;
static _Atomic unsigned int *outcomes; /* shared with the processes of the tests */

static void *shared_memory(int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(EXIT_FAILURE);
	}
	return memory;
}

struct plan *faults_create(void)
{
	int fd = memfd_create("plan", 0); /* for others, too */
	char text[16];

	if (fd < 0 || ftruncate(fd, sizeof(struct plan)) < 0 ||
	    personality(ADDR_NO_RANDOMIZE) < 0) {
		perror("faults");
		exit(EXIT_FAILURE);
	}
	plan = shared_memory(fd, sizeof(struct plan));
	outcomes = shared_memory(-1, N_OUTCOMES * sizeof(outcomes[0]));
	snprintf(text, sizeof(text), "%d", fd);
	setenv(PLAN_FD, text, 1);
	return plan;
}

static void add_fault(struct site *site, int code, bool for_good)
{
	if (n_faults == FAULTS_MAX) {
		fprintf(stderr, "too many faults\n");
		exit(EXIT_FAILURE);
	}
	faults[n_faults++] = (struct fault){site, code, for_good};
}

static void add_faults(struct site *site, bool all)
{
	add_fault(site, calls[site->call].codes[0], false);
	if (!all)
		return;
	for (int i = 1; i < CODES_MAX && calls[site->call].codes[i]; i++)
		add_fault(site, calls[site->call].codes[i], false);
	if (calls[site->call].for_good)
		add_fault(site, calls[site->call].codes[0], true);
}

static int plan_faults(enum phase phase)
{
	const char *which = getenv("FAULTS"), *only = getenv("CALLS");
	bool all = which && strcmp(which, "all") == 0;
	int n_sites = 0;

	for (int i = 0; i < PLAN_SITES; i++) {
		struct site *site = &plan->sites[i];

		if (site->id && site->phase == phase &&
		    (!only || strcmp(only, calls[site->call].name) == 0)) {
			add_faults(site, all);
			n_sites++;
		}
	}
	return n_sites;
}

void faults_arm(int i)
{
	if (i < 0)
		return;
	armed = &faults[i];
	plan->call = (enum call)armed->site->call;
	plan->code = armed->code;
	plan->for_good = armed->for_good;
	atomic_store(&plan->n_failed, 0);
	plan->id = armed->site->id;
}

void faults_count(enum outcome outcome)
{
	if (!armed)
		return;
	atomic_fetch_add(&outcomes[outcome], 1);
}

int faults_process(void)
{
	return armed && atomic_load(&plan->n_failed) ? atomic_load(&plan->failed_in) : 0;
}

int faults_code(void)
{
	return armed && atomic_load(&plan->n_failed) ? armed->code : 0;
}

const char *faults_text(void)
{
	static char text[512];
	int len;

	if (!armed)
		return "";
	len = snprintf(text, sizeof(text), "%s (%#lx) gives %s%s; addr2line -ifpe PROGRAM",
		       calls[armed->site->call].name, armed->site->request,
		       strerrorname_np(armed->code), armed->for_good ? " from then on" : "");
	for (int i = 0; i < PLAN_DEPTH && armed->site->from[i]; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, " %#lx",
				armed->site->from[i] - 1);
	return text;
}

static bool run_suite(const char *name, const TTest *test, int from, int to)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(test->name);
	SRunner *runner = srunner_create(suite);
	bool passed;

	tcase_set_timeout(tcase, TIME_LIMIT_S);
	tcase_add_loop_test(tcase, test, from, to);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	passed = srunner_ntests_failed(runner) == 0;
	srunner_free(runner);
	return passed;
}

static enum phase wanted_phase(void)
{
	const char *name = getenv("PHASE");

	if (name && strcmp(name, "start") == 0)
		return PHASE_START;
	return name && strcmp(name, "running") == 0 ? PHASE_RUNNING : PHASE_STOPPING;
}

int faults_run(const char *name, const TTest *test)
{
	int n_sites;
	bool passed;

	if (!run_suite(name, test, -RECORDINGS, 0) || atomic_load(&plan->n_lost))
		return EXIT_FAILURE;
	n_sites = plan_faults(wanted_phase());
	passed = run_suite(name, test, 0, n_faults);
	printf("%s: %d call sites, %d faults: %u tolerated, %u told, %u not reached\n", name,
	       n_sites, n_faults, outcomes[TOLERATED], outcomes[TOLD], outcomes[NOT_REACHED]);
	return passed && n_faults ? EXIT_SUCCESS : EXIT_FAILURE;
}
