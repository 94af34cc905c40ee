/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/core/error.h"

/*
 * Static, because atexit() and signal handlers have no argument. @before and @raw are constant once
 * a handler is installed.
 */
static struct {
	struct termios before;
	struct termios raw;
	atomic_bool is_raw;
} terminal;

/* Signals that end the process by default, as long as nobody handles them. */
static const int fatal_signals[] = {
	SIGHUP,	   SIGQUIT,   SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,
	SIGUSR1,   SIGSEGV,   SIGUSR2, SIGALRM, SIGXCPU, SIGXFSZ, SIGPOLL,
	SIGVTALRM, SIGSTKFLT, SIGPROF, SIGPWR,	SIGSYS,
};

/* Another process group has the terminal. Not so if it isn't our controlling terminal at all. */
static bool in_background(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);

	return foreground >= 0 && foreground != getpgrp();
}

/* From the background this would stop us by SIGTTOU; blocked, it is let through (POSIX 11.1.4). */
static int set_attributes(const struct termios *attributes)
{
	sigset_t sigttou, before;
	int ret, saved;

	sigemptyset(&sigttou);
	sigaddset(&sigttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &sigttou, &before);
	/* TCSADRAIN would wait for a terminal that C-s has stopped. */
	do {
		ret = tcsetattr(STDIN_FILENO, TCSANOW, attributes);
	} while (ret < 0 && errno == EINTR);
	saved = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return ret;
}

static int make_raw(void)
{
	if (in_background()) {
		/* Whoever has the terminal now has set it as they like. */
		atomic_store(&terminal.is_raw, false);
		return 0;
	}
	/* First, so that whatever comes in between restores. */
	atomic_store(&terminal.is_raw, true);
	return set_attributes(&terminal.raw);
}

void terminal_restore(void)
{
	if (atomic_exchange(&terminal.is_raw, false))
		set_attributes(&terminal.before);
}

static void on_fatal_signal(int signal)
{
	terminal_restore();
	/* SA_RESETHAND has put the default back, and SA_NODEFER lets it act here and now. */
	raise(signal);
}

static void install(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&action.sa_mask);
	/*
	 * Whoever restores is not to find it raw again: on_stop() lets the next stop through
	 * until it is installed anew, and makes it raw itself after that.
	 */
	sigaddset(&action.sa_mask, SIGCONT);
	sigaction(signal, &action, NULL);
}

static void on_stop(int signal)
{
	int saved = errno;
	sigset_t set;

	terminal_restore();
	install(signal, SIG_DFL, 0);
	sigemptyset(&set);
	sigaddset(&set, signal);
	raise(signal);
	/* It stops here, and goes on here; in an orphaned process group, at once. */
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	install(signal, on_stop, SA_RESTART);
	make_raw();
	errno = saved;
}

static void on_continue(int signal)
{
	int saved = errno;

	(void)signal;
	make_raw();
	errno = saved;
}

static void install_unless_changed(int signal, void (*handler)(int), int flags)
{
	struct sigaction action;

	if (sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
		install(signal, handler, flags);
}

bool terminal_present(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int terminal_make_raw(struct error *err)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &terminal.before) < 0)
		return error_errno(err, "terminal");
	raw = terminal.before;
	raw.c_iflag &= (tcflag_t) ~(BRKINT | PARMRK | INPCK | ISTRIP | INLCR | IGNCR | ICRNL |
				    IUCLC | IXON | IXANY | IXOFF);
	raw.c_iflag |= IGNBRK;
	/*
	 * A newline of ours returns the carriage too; so does one of the guest's, which hardly ever
	 * sends it alone. Nothing else is changed on the way out.
	 */
	raw.c_oflag = OPOST | ONLCR;
	raw.c_lflag &= (tcflag_t) ~(ISIG | ICANON | ECHO | ECHONL | IEXTEN);
	raw.c_cflag &= (tcflag_t) ~(CSIZE | PARENB);
	raw.c_cflag |= CS8;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal.raw = raw;

	if (atexit(terminal_restore))
		return error_set(err, -ENOMEM, "terminal: no memory");
	for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++)
		install_unless_changed(fatal_signals[i], on_fatal_signal,
				       (int)SA_RESETHAND | SA_NODEFER | SA_ONSTACK);
	install_unless_changed(SIGTSTP, on_stop, SA_RESTART);
	install_unless_changed(SIGCONT, on_continue, SA_RESTART);
	if (make_raw() < 0) {
		error_errno(err, "terminal");
		terminal_restore();
		return err ? err->code : -EIO;
	}
	return 0;
}
