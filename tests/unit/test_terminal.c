/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's terminal: a child process has a pseudo-terminal as its standard input and
 * output, ends in all sorts of ways, and the terminal must be as before.
 *
 * The child is never the leader of the terminal's session: when a leader dies the kernel resets
 * the terminal, and every test would pass.
 */
#include "vmm/terminal.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/thread.h"

static int master, slave;
static int ready[2]; /* pipe: the program has got as far as it shall */
static struct termios before;

static void setup(void)
{
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(grantpt(master), 0);
	ck_assert_int_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(slave, 0);
	/* Something that no reset brings about. */
	ck_assert_int_eq(tcgetattr(slave, &before), 0);
	before.c_cc[VERASE] = '#';
	before.c_iflag |= IUTF8;
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &before), 0);
	ck_assert_int_eq(tcgetattr(slave, &before), 0);
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
}

static void teardown(void)
{
	close(master);
	close(slave);
	close(ready[0]);
	close(ready[1]);
}

static void wait_until_ready(void)
{
	struct pollfd pfd = {.fd = ready[0], .events = POLLIN};
	char byte;

	ck_assert_int_eq(poll(&pfd, 1, 10000), 1);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
}

static bool is_raw(void)
{
	struct termios t;

	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	return !(t.c_lflag & (ICANON | ISIG | ECHO));
}

static bool is_as_before(void)
{
	struct termios t;

	ck_assert_int_eq(tcgetattr(slave, &t), 0);
	return t.c_iflag == before.c_iflag && t.c_oflag == before.c_oflag &&
	       t.c_cflag == before.c_cflag && t.c_lflag == before.c_lflag &&
	       memcmp(t.c_cc, before.c_cc, sizeof(t.c_cc)) == 0;
}

static bool comes_true(bool (*condition)(void))
{
	for (int i = 0; i < 500; i++) {
		if (condition())
			return true;
		usleep(10000);
	}
	return false;
}

/* In a child: put the terminal on 0, 1 and 2, and signals as a fresh program has them. */
static void become_program(void)
{
	const struct rlimit no_core = {0, 0};

	dup2(slave, 0);
	dup2(slave, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Check's and the sanitizers' handlers are not part of the story. */
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	setrlimit(RLIMIT_CORE, &no_core);
}

/* What a program does once its terminal is raw. */
enum end {
	END_EXIT,
	END_FROM_THE_LIBRARY, /* restores, as main() does, and leaves by _exit() */
	END_ABORT,
	END_FAULT,
	END_FAULT_IN_THREAD, /* of the library, as vCPUs are */
	END_WAIT,	     /* for a signal */
	END_HUP_IGNORED,
	END_IN_BACKGROUND, /* waits too */
};

static void *fault(void *arg)
{
	(void)arg;
	*(volatile char *)mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
	return NULL;
}

static void program(int end)
{
	struct error err;
	pthread_t thread;

	become_program();
	if (end == END_HUP_IGNORED)
		signal(SIGHUP, SIG_IGN);
	if (!terminal_present() || terminal_make_raw(&err))
		_exit(99);
	if (is_raw() != (end != END_IN_BACKGROUND))
		_exit(98);
	if (write(ready[1], "", 1) != 1)
		_exit(97);
	switch (end) {
	case END_EXIT:
		exit(7);
	case END_FROM_THE_LIBRARY:
		terminal_restore();
		terminal_restore();
		_exit(7);
	case END_ABORT:
		abort();
	case END_FAULT:
		fault(NULL);
		_exit(96);
	case END_FAULT_IN_THREAD:
		thread_create(&thread, &(struct thread_config){.name = "test"}, fault, NULL);
		for (;;)
			pause();
	default:
		for (;;)
			pause();
	}
}

static int wait_for(pid_t pid)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(no_terminal)
{
	struct error err = {0};
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[0], 0);
	ck_assert(!terminal_present());
	ck_assert_int_lt(terminal_make_raw(&err), 0);
	ck_assert_str_ne(err.text, "");
	terminal_restore();
	/* Both must be one. */
	dup2(slave, 0);
	dup2(fds[1], 1);
	ck_assert(!terminal_present());
	dup2(slave, 1);
	ck_assert(terminal_present());
	terminal_restore();
	ck_assert(is_as_before());
}
END_TEST

START_TEST(raw_mode)
{
	static const char keys[] = "\003\032\034\021\023\004\026\r\n\177";
	char got[sizeof(keys)] = "", out[64];
	struct pollfd pfd = {.fd = slave, .events = POLLIN};
	size_t len = 0;
	ssize_t n;

	dup2(slave, 0);
	dup2(slave, 1);
	ck_assert_int_eq(terminal_make_raw(NULL), 0);
	ck_assert(is_raw());
	/* Every key comes through at once and as it is, and no echo comes back. */
	for (size_t i = 0; i < sizeof(keys) - 1; i++) {
		ck_assert_int_eq(write(master, &keys[i], 1), 1);
		ck_assert_int_eq(poll(&pfd, 1, 1000), 1);
		ck_assert_int_eq(read(slave, &got[i], 1), 1);
		ck_assert_int_eq(got[i], keys[i]);
	}
	/* Our messages, the guest's lines and its tabs look right. */
	ck_assert_int_eq(write(slave, "a\nb\r\nc\td\0337", 10), 10);
	/* The kernel may pass them on in pieces. */
	for (; len < 12; len += (size_t)n) {
		n = read(master, out + len, sizeof(out) - len);
		ck_assert_int_gt(n, 0);
	}
	ck_assert_uint_eq(len, 12);
	ck_assert_mem_eq(out, "a\r\nb\r\r\nc\td\0337", 12);
	terminal_restore();
	ck_assert(is_as_before());
}
END_TEST

START_TEST(ends)
{
	static const struct {
		enum end end;
		int status, signal;
	} cases[] = {
		{END_EXIT, 7, 0},	 {END_FROM_THE_LIBRARY, 7, 0},	    {END_ABORT, 0, SIGABRT},
		{END_FAULT, 0, SIGSEGV}, {END_FAULT_IN_THREAD, 0, SIGSEGV},
	};
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		program((int)cases[_i].end);
	status = wait_for(pid);
	if (cases[_i].signal)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == cases[_i].signal,
			      "status %#x", (unsigned int)status);
	else
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == cases[_i].status,
			      "status %#x", (unsigned int)status);
	ck_assert(is_as_before());
}
END_TEST

static const int deadly[] = {
	SIGHUP,	   SIGQUIT,   SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,
	SIGUSR1,   SIGSEGV,   SIGUSR2, SIGALRM, SIGXCPU, SIGXFSZ, SIGPOLL,
	SIGVTALRM, SIGSTKFLT, SIGPROF, SIGPWR,	SIGSYS,
};

START_TEST(signals)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		program(END_WAIT);
	wait_until_ready();
	ck_assert(is_raw());
	ck_assert_int_eq(kill(pid, deadly[_i]), 0);
	status = wait_for(pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == deadly[_i], "status %#x",
		      (unsigned int)status);
	ck_assert(is_as_before());
}
END_TEST

START_TEST(ignored_stays_ignored)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		program(END_HUP_IGNORED);
	wait_until_ready();
	ck_assert_int_eq(kill(pid, SIGHUP), 0);
	usleep(50000);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	ck_assert(is_raw());
	kill(pid, SIGQUIT);
	ck_assert_int_eq(WTERMSIG(wait_for(pid)), SIGQUIT);
	ck_assert(is_as_before());
}
END_TEST

/* --- job control: a small shell --- */

static int commands[2], replies[2];

/* The shell's process: leader of the session. A command is one byte, its answer an int. */
static void shell(bool in_foreground)
{
	int status;
	pid_t pid;

	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		if (in_foreground)
			tcsetpgrp(slave, getpid());
		program(in_foreground ? END_WAIT : END_IN_BACKGROUND);
	}
	setpgid(pid, pid);
	for (;;) {
		char command;

		if (read(commands[0], &command, 1) != 1)
			_exit(0);
		status = pid;
		switch (command) {
		case 'w': /* wait until it stops or ends, and take the terminal */
			waitpid(pid, &status, WUNTRACED);
			tcsetpgrp(slave, getpgrp());
			break;
		case 'f': /* fg */
			tcsetpgrp(slave, pid);
			kill(pid, SIGCONT);
			break;
		case 'b': /* bg */
			kill(pid, SIGCONT);
			break;
		case 't': /* take the terminal */
			tcsetpgrp(slave, getpgrp());
			break;
		case 's': /* has anything happened? */
			status = 0;
			waitpid(pid, &status, WNOHANG | WUNTRACED);
			break;
		default:
			break;
		}
		if (write(replies[1], &status, sizeof(status)) != sizeof(status))
			_exit(1);
	}
}

static int tell_shell(char command)
{
	struct pollfd pfd = {.fd = replies[0], .events = POLLIN};
	int reply = -1;

	ck_assert_int_eq(write(commands[1], &command, 1), 1);
	ck_assert_msg(poll(&pfd, 1, 5000) == 1, "no answer to '%c'", command);
	ck_assert_int_eq(read(replies[0], &reply, sizeof(reply)), sizeof(reply));
	return reply;
}

static pid_t start_shell(bool in_foreground)
{
	pid_t pid;

	ck_assert_int_eq(pipe(commands), 0);
	ck_assert_int_eq(pipe(replies), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(commands[1]);
		shell(in_foreground);
	}
	close(commands[0]);
	return pid;
}

static void end_shell(pid_t leader)
{
	close(commands[1]);
	wait_for(leader);
}

START_TEST(stop_and_continue)
{
	pid_t leader = start_shell(true), pid = tell_shell('p');
	int status;

	wait_until_ready();
	ck_assert(is_raw());
	for (int i = 0; i < 3; i++) {
		kill(pid, SIGTSTP);
		status = tell_shell('w');
		ck_assert_msg(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP, "status %#x",
			      (unsigned int)status);
		ck_assert(is_as_before());
		tell_shell('f');
		ck_assert(comes_true(is_raw));
	}
	kill(pid, SIGQUIT);
	status = tell_shell('w');
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	ck_assert(is_as_before());
	end_shell(leader);
}
END_TEST

/* SIGSTOP tells nobody: the shell puts the terminal right; continued, we want it raw again. */
START_TEST(stopped_hard)
{
	pid_t leader = start_shell(true), pid = tell_shell('p');
	int status;

	wait_until_ready();
	ck_assert(is_raw());
	kill(pid, SIGSTOP);
	ck_assert(WIFSTOPPED(tell_shell('w')));
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &before), 0);
	/* In the background it must neither touch the terminal nor be stopped by it... */
	tell_shell('b');
	usleep(50000);
	ck_assert(is_as_before());
	/* ...not at its end, either: the terminal is the shell's. */
	before.c_cc[VKILL] = '!';
	ck_assert_int_eq(tcsetattr(slave, TCSANOW, &before), 0);
	kill(pid, SIGQUIT);
	status = tell_shell('w');
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT, "status %#x",
		      (unsigned int)status);
	ck_assert(is_as_before());
	end_shell(leader);
}
END_TEST

START_TEST(started_in_background)
{
	pid_t leader = start_shell(false), pid = tell_shell('p');
	int status;

	wait_until_ready();
	ck_assert_int_eq(tell_shell('s'), 0); /* it runs */
	ck_assert(is_as_before());
	tell_shell('f');
	ck_assert(comes_true(is_raw));
	kill(pid, SIGQUIT);
	status = tell_shell('w');
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	ck_assert(is_as_before());
	end_shell(leader);
}
END_TEST

/* Somebody else takes the terminal while it is raw: restoring works and stops nobody. */
START_TEST(foreground_lost)
{
	pid_t leader = start_shell(true), pid = tell_shell('p');
	int status;

	wait_until_ready();
	tell_shell('t');
	kill(pid, SIGQUIT);
	status = tell_shell('w');
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT, "status %#x",
		      (unsigned int)status);
	ck_assert(is_as_before());
	end_shell(leader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("terminal");
	TCase *tc = tcase_create("terminal");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, no_terminal);
	tcase_add_test(tc, raw_mode);
	tcase_add_loop_test(tc, ends, 0, 5);
	tcase_add_loop_test(tc, signals, 0, sizeof(deadly) / sizeof(deadly[0]));
	tcase_add_test(tc, ignored_stays_ignored);
	tcase_add_test(tc, stop_and_continue);
	tcase_add_test(tc, stopped_hard);
	tcase_add_test(tc, started_in_background);
	tcase_add_test(tc, foreground_lost);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
