/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pid_namespace.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"
#include "vmm/helper.h"
#include "vmm/jail.h"
#include "vmm/sandbox.h"

enum {
	STOP_S = 5, /* as of each helper */
};

/* This is the VM's process, and another one waits for it. */
static bool is_waited_for;

/* --- the namespace --- */

static int write_file(const char *path, const char *text)
{
	FD_CLEANUP int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

/* Be in a new user namespace who one was before (user_namespaces(7)), with no more privileges. */
static int keep_ids(uid_t uid, gid_t gid, struct error *err)
{
	char uids[32], gids[32];
	int ret;

	snprintf(uids, sizeof(uids), "%u %u 1", uid, uid);
	snprintf(gids, sizeof(gids), "%u %u 1", gid, gid);
	ret = write_file("/proc/self/uid_map", uids);
	/* A group may be there to keep its members out: who could leave it gets no map. */
	if (!ret)
		ret = write_file("/proc/self/setgroups", "deny");
	if (!ret)
		ret = write_file("/proc/self/gid_map", gids);
	helper_limit_capabilities(NULL, 0);
	return ret ? error_code(err, ret, "--sandbox: the IDs of a user namespace") : 0;
}

/* The caller's children will be in it. */
static int make_namespace(struct error *err)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int ret;

	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN))
		return jail_unshare(CLONE_NEWPID, err);
	if (capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE)
		return error_set(err, -EPERM,
				 "--sandbox: namespaces: xvmm has capabilities, which a user "
				 "namespace would take from it, and lacks CAP_SYS_ADMIN, without "
				 "which it needs one; try: a tap of the user's, and no "
				 "capabilities");
	ret = jail_unshare(CLONE_NEWUSER | CLONE_NEWPID, err);
	return ret ? ret : keep_ids(uid, gid, err);
}

/* --- in those that wait --- */

static void follow_user(const struct jail *jail)
{
	if (!jail->has_user || setgroups(0, NULL) || setresgid(jail->gid, jail->gid, jail->gid))
		return;
	if (setresuid((uid_t)-1, jail->uid, jail->uid)) {
		/* The VM's process will say so of itself. */
	}
}

static int confine(struct error *err)
{
	int ret = sandbox_check(err);

	if (ret)
		return ret;
	ret = thread_confine(&sandbox_filters, THREAD_WAITING);
	return ret ? error_code(err, ret, "--sandbox: waiting for the VM's process") : 0;
}

/*
 * PID 1. @outside is a pipe of the first process, which it writes to when the VM's process has
 * ended, and that one's children have become ours.
 */
static void be_init(const struct jail *jail, int outside)
{
	struct error err;
	char byte;

	helper_begin("xvmm-init", &outside, 1);
	follow_user(jail);
	/* It may have ended before: then there is nothing to read. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || confine(&err) || read(outside, &byte, 1) != 1)
		return;
	while (wait(NULL) > 0 || errno == EINTR)
		;
}

/* The first process. */
struct waiting {
	sigset_t signals; /* blocked, and waited for */
	pid_t init;
	int init_pipe; /* owned */
	pid_t vm;
	int vm_fd; /* owned */
};

/* All but those of its own faults, and those that stop a group which hasn't got the terminal. */
static void choose_signals(sigset_t *signals)
{
	static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
				   SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

	sigfillset(signals);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		sigdelset(signals, kept[i]);
}

static void pass_on(const struct waiting *waiting, int signal, int presses)
{
	siginfo_t info = {0};

	info.si_signo = signal;
	info.si_code = SI_QUEUE;
	info.si_value.sival_int = presses;
	syscall(SYS_pidfd_send_signal, waiting->vm_fd, signal, &info, 0);
}

/* Whether the VM's process has ended, with its wait status in *@status. */
static bool has_ended(const struct waiting *waiting, int *status)
{
	if (waitpid(waiting->vm, status, WNOHANG | WUNTRACED) != waiting->vm)
		return false;
	if (!WIFSTOPPED(*status))
		return true;
	/* For the shell to see. SIGSTOP it has, too, or is none of its business. */
	if (WSTOPSIG(*status) != SIGSTOP)
		raise(SIGSTOP);
	return false;
}

static int await_end(const struct waiting *waiting)
{
	int presses = 0, status = 0;

	for (;;) {
		int signal = sigwaitinfo(&waiting->signals, NULL);

		if (signal == SIGTERM || signal == SIGINT)
			presses++;
		if (signal > 0 && signal != SIGCHLD)
			pass_on(waiting, signal, presses);
		else if (has_ended(waiting, &status))
			return status;
	}
}

static void end_namespace(const struct waiting *waiting)
{
	const struct timespec limit = {.tv_sec = STOP_S};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (fd_write_all(waiting->init_pipe, "", 1))
		return;
	while (waitpid(waiting->init, NULL, WNOHANG) == 0 && sigtimedwait(&child, NULL, &limit) > 0)
		;
}

static void die(int signal)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, signal);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(signal);
}

/* As pid_namespace_enter(). */
static int wait_for_vm(struct waiting *waiting, const struct jail *jail, int *status,
		       struct error *err)
{
	int ret, ended;

	waiting->vm_fd = (int)syscall(SYS_pidfd_open, waiting->vm, 0);
	if (waiting->vm_fd < 0)
		return error_errno(err, "--sandbox: waiting for the VM's process");
	helper_keep_descriptors((const int[]){waiting->init_pipe, waiting->vm_fd}, 2);
	follow_user(jail);
	/* No core file over that of the VM's process. */
	prctl(PR_SET_DUMPABLE, 0);
	ret = confine(err);
	if (ret)
		return ret;
	ended = await_end(waiting);
	end_namespace(waiting);
	if (WIFSIGNALED(ended))
		die(WTERMSIG(ended));
	*status = WEXITSTATUS(ended);
	return 1;
}

/* --- all of them --- */

/* As pid_namespace_enter(). */
static int fork_both(struct waiting *waiting, const struct jail *jail, int *status,
		     struct error *err)
{
	int pipes[2];
	int ret;

	if (pipe2(pipes, O_CLOEXEC))
		return error_errno(err, "--sandbox: a pipe");
	waiting->init_pipe = pipes[1];
	waiting->init = fork();
	if (waiting->init == 0) {
		fd_close(&waiting->init_pipe);
		be_init(jail, pipes[0]);
		return 1;
	}
	if (waiting->init > 0)
		waiting->vm = fork();
	ret = waiting->init < 0 || waiting->vm < 0 ? -errno : 0;
	fd_close(&pipes[0]);
	if (!ret && waiting->vm == 0) {
		fd_close(&waiting->init_pipe);
		is_waited_for = true;
		return 0;
	}
	ret = ret ? error_code(err, ret, "--sandbox: processes for a PID namespace")
		  : wait_for_vm(waiting, jail, status, err);
	fd_close(&waiting->vm_fd);
	/* It ends the others, should they still be there. */
	fd_close(&waiting->init_pipe);
	return ret;
}

int pid_namespace_enter(const struct jail *jail, int *status, struct error *err)
{
	struct waiting waiting = {.init = -1, .init_pipe = -1, .vm = -1, .vm_fd = -1};
	sigset_t before;
	int ret;

	*status = 0;
	if (!sandbox_possible)
		return 0;
	ret = make_namespace(err);
	if (ret)
		return ret;
	/* Ignored, children would leave no status. */
	signal(SIGCHLD, SIG_DFL);
	choose_signals(&waiting.signals);
	sigprocmask(SIG_BLOCK, &waiting.signals, &before);
	fflush(NULL);
	ret = fork_both(&waiting, jail, status, err);
	if (ret <= 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int pid_namespace_passed(const siginfo_t *info)
{
	return is_waited_for && info->si_code == SI_QUEUE ? info->si_value.sival_int : 0;
}
