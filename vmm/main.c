/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: a thin program over libxvmm, and the only place that exits. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/broker.h"
#include "vmm/check.h"
#include "vmm/config_file.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/path.h"
#include "vmm/core/timeline.h"
#include "vmm/ctl.h"
#include "vmm/jail.h"
#include "vmm/net_spec.h"
#include "vmm/options.h"
#include "vmm/pid_namespace.h"
#include "vmm/selftest.h"
#include "vmm/terminal.h"
#include "vmm/timeline_file.h"
#include "vmm/user_net_process.h"
#include "vmm/vm.h"
#include "vmm/xvmm.h"

/* Exit statuses, as --help tells them. */
enum {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_GUEST_FAILED = 3,
	STATUS_TIMEOUT = 124,
};

enum {
	NS_PER_S = 1000000000,
};

/* What the signal handler needs. */
static struct {
	struct xvmm *_Atomic vm;
	volatile sig_atomic_t own;   /* those that were sent to this process */
	volatile sig_atomic_t count; /* with those that were passed on to it */
	volatile sig_atomic_t signal;
} signals;

/* SIGTERM, SIGINT: first ask the guest, then end it. */
static void handle_signal(int signal, siginfo_t *info, void *context)
{
	static const char pressed[] =
		"xvmm: the guest's power button was pressed; once more ends it at once\n";
	struct xvmm *vm = atomic_load(&signals.vm);
	int saved = errno, before = signals.count;
	int count = pid_namespace_passed(info);

	(void)context;
	if (!count)
		count = ++signals.own;
	/* Of a signal to both processes this is the second half. */
	if (count <= before)
		return;
	signals.count = count;
	if (before == 0) {
		if (write(STDERR_FILENO, pressed, sizeof(pressed) - 1) < 0) {
			/* Nobody listens: nothing to be done. */
		}
		xvmm_power_button(vm);
	} else {
		signals.signal = signal;
		xvmm_stop(vm);
	}
	errno = saved;
}

static void install_signals(struct xvmm *vm)
{
	struct sigaction action = {
		.sa_sigaction = handle_signal,
		.sa_flags = SA_RESTART | SA_SIGINFO,
	};

	/* One at a time. */
	sigaddset(&action.sa_mask, SIGTERM);
	sigaddset(&action.sa_mask, SIGINT);
	atomic_store(&signals.vm, vm);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

/* Default handling again; a second signal that was caught takes its course. */
static void remove_signals(void)
{
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	atomic_store(&signals.vm, NULL);
}

static void print_log(void *opaque, enum xvmm_log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	fprintf(stderr, "xvmm: %s\n", text);
}

static void print_message(void *opaque, enum log_level level, const char *text)
{
	print_log(opaque, (enum xvmm_log_level)level, text);
}

/* With a standard descriptor closed, the next open() would become the guest's console. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int fail(const char *text, bool usage)
{
	fprintf(stderr, "xvmm: %s\n", text);
	return usage ? STATUS_USAGE : STATUS_FAILED;
}

/* Who reads standard output is to be able to trust the exit status. */
static int flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return STATUS_OK;
	return fail("standard output can't be written", false);
}

static int exit_status(const struct xvmm_end *end)
{
	switch (end->reason) {
	case XVMM_POWER_OFF:
	case XVMM_RESET:
	case XVMM_STOPPED:
		return STATUS_OK;
	case XVMM_DEBUG_EXIT:
		return end->value;
	case XVMM_PANIC:
	case XVMM_TRIPLE_FAULT:
	case XVMM_UNSUPPORTED:
		return STATUS_GUEST_FAILED;
	case XVMM_TIMEOUT:
		return STATUS_TIMEOUT;
	case XVMM_FAILED:
		break;
	}
	return STATUS_FAILED;
}

static int run(struct xvmm *vm, const struct options *options)
{
	const struct xvmm_config *config = &options->config;
	struct xvmm_error error;
	struct xvmm_end end;
	struct error err;
	int ret, status;

	if (jail_enter(&options->jail, &err))
		return fail(err.text, false);
	if (config->console.escape && terminal_make_raw(&err))
		return fail(err.text, false);
	install_signals(vm);
	ret = config->sandbox ? xvmm_confine(vm, &error) : 0;
	if (!ret)
		ret = xvmm_run(vm, &end, &error);
	terminal_restore();
	remove_signals();
	if (ret)
		return fail(error.text, error.usage);
	status = exit_status(&end);
	/* A byte of the guest's may be one of xvmm's own statuses. */
	if (status != STATUS_OK && end.reason == XVMM_DEBUG_EXIT)
		fprintf(stderr, "xvmm: the guest ended itself with status %d\n", status);
	else if (status != STATUS_OK)
		fprintf(stderr, "xvmm: %s\n", end.text);
	/* Whoever reads that file later doesn't know that there was more. */
	if (status == STATUS_OK && options->console_file && !vm_console_complete(vm))
		return fail("--console: the file has not all that the guest wrote", false);
	return status;
}

/* Where the console goes: 0, or an exit status. *@file is the descriptor to close, or -1. */
static int open_console(const struct options *options, struct xvmm_console *console, int *file)
{
	struct error err;

	*file = -1;
	*console = (struct xvmm_console){.in_fd = -1, .out_fd = -1};
	if (options->console_stdio) {
		*console = (struct xvmm_console){
			.enabled = true,
			.in_fd = STDIN_FILENO,
			.out_fd = STDOUT_FILENO,
			.escape = terminal_present(),
		};
	} else if (options->console_file) {
		*file = open(options->console_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (*file < 0) {
			path_explain(options->console_file, PATH_WRITE, &err);
			error_prefix(&err, "--console: %s: ", options->console_file);
			return fail(err.text, err.usage);
		}
		console->enabled = true;
		console->out_fd = *file;
	}
	return 0;
}

/* The VM has copies. A network whose last descriptor is closed ends. */
static void close_user_nets(struct options *options)
{
	for (size_t i = 0; i < options->n_nets; i++) {
		if (options->net_specs[i]->is_user)
			fd_close(&options->nets[i].fd);
	}
}

static int create_and_run(struct options *options, struct timeline *timeline, struct broker *broker)
{
	struct xvmm_error error;
	struct xvmm *vm;
	int status = vm_create(&options->config, broker, timeline, &vm, &error);

	close_user_nets(options);
	if (status)
		return fail(error.text, error.usage);
	status = run(vm, options);
	xvmm_destroy(vm);
	return status;
}

/* 0, an exit status, or -1: this is not the VM's process any more, and has nothing left to do. */
static int with_broker(struct options *options, struct timeline *timeline)
{
	const struct xvmm_config *config = &options->config;
	struct broker *broker = NULL;
	struct error err;
	int status, ret = 0;

	if (config->sandbox && broker_is_needed(config))
		ret = broker_start(config, &broker, &err);
	if (ret > 0)
		return -1;
	status = ret ? fail(err.text, err.usage) : create_and_run(options, timeline, broker);
	broker_stop(broker);
	return status;
}

/* As user_net_process_start(), for the network device @i. */
static int start_user_net(struct options *options, size_t i, struct user_net_process *process,
			  struct error *err)
{
	static const struct logger log = {print_message, NULL};
	struct user_net_config config = net_spec_user_net(options->net_specs[i]);

	config.log = &log;
	return user_net_process_start(process, &config, &options->nets[i].fd, err);
}

/* The same, with the user-mode networks. */
static int with_user_nets(struct options *options, struct timeline *timeline)
{
	struct user_net_process *processes = calloc(options->n_nets + 1, sizeof(*processes));
	struct error err;
	size_t n = 0;
	int status, ret = 0;

	if (!processes)
		return fail("out of memory", false);
	for (size_t i = 0; i < options->n_nets && !ret; i++) {
		if (options->net_specs[i]->is_user)
			ret = start_user_net(options, i, &processes[n++], &err);
	}
	if (ret > 0)
		status = -1;
	else
		status = ret ? fail(err.text, err.usage) : with_broker(options, timeline);
	/* Of a process that isn't the VM's the descriptors are closed, and the numbers others'. */
	if (status >= 0)
		close_user_nets(options);
	while (status >= 0 && n--)
		user_net_process_stop(&processes[n]);
	free(processes);
	return status;
}

/* As open_console(). */
static int open_timeline(const struct options *options, int *file)
{
	struct error err;

	*file = -1;
	if (!options->timeline_file)
		return STATUS_OK;
	*file = timeline_file_open(options->timeline_file, &err);
	return *file < 0 ? fail(err.text, err.usage) : STATUS_OK;
}

/* However the VM has ended. What has become of the guest counts more than this. */
static int write_timeline(const struct options *options, struct timeline *timeline, int file,
			  int status)
{
	struct error err;

	if (file < 0 || timeline_file_write(file, options->timeline_file, timeline, &err) == 0)
		return status;
	fail(err.text, err.usage);
	return status == STATUS_OK ? STATUS_FAILED : status;
}

/* Before there are descriptors of our own, which the number of one that isn't open could be. */
static int check_fds(const struct options *options, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < options->n_nets && !ret; i++) {
		if (!options->net_specs[i]->is_user)
			ret = nic_check_fd(&options->nets[i], err);
	}
	return ret;
}

static int run_options(struct options *options, struct timeline *timeline)
{
	struct xvmm_config *config = &options->config;
	int console_file, timeline_file, status = STATUS_OK;
	struct error err;
	int ret = check_fds(options, &err);

	if (!ret && options->jail.namespaces)
		ret = pid_namespace_enter(&options->jail, &status, &err);
	if (ret)
		return ret < 0 ? fail(err.text, err.usage) : status;
	status = open_console(options, &config->console, &console_file);
	if (!status)
		status = open_timeline(options, &timeline_file);
	if (status)
		return status;
	config->log = print_log;
	status = with_user_nets(options, timeline);
	if (status < 0)
		return STATUS_OK;
	if (console_file >= 0)
		close(console_file);
	return write_timeline(options, timeline, timeline_file, status);
}

static int show_timeline(int argc, char **argv)
{
	struct error err;

	static const char usage[] = "xvmm timeline FILE  draws what --timeline FILE has written";

	if (argc == 3 && strcmp(argv[2], "--help") == 0) {
		puts(usage);
		return flush_output();
	}
	if (argc != 3 || argv[2][0] == '-')
		return fail("timeline: it takes one FILE, which --timeline FILE has written", true);
	if (timeline_file_show(argv[2], &err))
		return fail(err.text, err.usage);
	return flush_output();
}

static int run_selftest(int argc, char **argv)
{
	struct selftest_options options;
	struct error err;
	bool ran;

	if (selftest_parse(&options, argc, argv, &err))
		return fail(err.text, err.usage);
	if (options.help) {
		fputs(selftest_help, stdout);
		return flush_output();
	}
	ran = selftest_run(&options);
	return flush_output() || !ran ? STATUS_FAILED : STATUS_OK;
}

/*
 * The time since this process became this program, in ns, as near as it can be told: what it has
 * computed. It doesn't count what it waited for, and counts what it computed before its exec().
 */
static uint64_t since_exec(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

/*
 * No thread takes memory often enough to want a heap of its own, which takes a twentieth of a
 * millisecond to make, before the guest runs.
 */
static void share_heap(void)
{
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
#endif
}

int main(int argc, char **argv)
{
	static struct timeline timeline; /* large, and mostly never touched */
	struct options options;
	struct error err;
	int status;

	timeline_init(&timeline, TIMELINE_EXEC, since_exec());
	share_heap();
	open_standard_fds();
	/* A reader of the console or of messages that goes away is no reason to die. */
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "selftest") == 0)
		exit(run_selftest(argc, argv));
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		exit(ctl_run(argc, argv));
	if (argc > 1 && strcmp(argv[1], "timeline") == 0)
		exit(show_timeline(argc, argv));
	if (options_parse(&options, argc, argv, &err))
		return fail(err.text, err.usage);
	timeline_mark(&timeline, TIMELINE_ARGUMENTS);
	switch (options.action) {
	case OPTIONS_HELP:
		fputs(options_help, stdout);
		status = flush_output();
		break;
	case OPTIONS_VERSION:
		printf("xvmm %s\n", xvmm_version());
		status = flush_output();
		break;
	case OPTIONS_PRINT:
		status = config_file_print(options.given, &err) ? fail(err.text, err.usage)
								: STATUS_OK;
		break;
	case OPTIONS_CHECK:
		status = check_run(&options) ? STATUS_OK : STATUS_FAILED;
		if (flush_output())
			status = STATUS_FAILED;
		break;
	default:
		status = run_options(&options, &timeline);
		break;
	}
	options_free(&options);
	if (signals.signal)
		raise(signals.signal);
	exit(status);
}
