/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LIMIT_MS = 20000,
	TURN_MS = 10,
	STATUS_SKIP = 77,
};

const char *need_env(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL) {
		fprintf(stderr, "%s is not set\n", name);
		exit(EXIT_FAILURE);
	}
	return value;
}

const char *guest_path(const char *name)
{
	static char path[4096];
	struct utsname machine;

	uname(&machine);
	snprintf(path, sizeof(path), "%s/%s.%s", need_env("GUESTS"), name,
		 strcmp(machine.machine, "aarch64") == 0 ? "Image" : "elf");
	return path;
}

bool has_guest(const char *name)
{
	return access(guest_path(name), F_OK) == 0;
}

int stretched(int milliseconds)
{
	const char *factor = getenv("PATIENCE");

	return milliseconds * (factor ? atoi(factor) : 1);
}

int count_entries(const char *directory)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

void require_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "skipped: /dev/kvm: %s\n", strerror(errno));
		exit(STATUS_SKIP);
	}
	close(fd);
}

/* In the child: never returns. */
static void become(const char *const *argv, int input, int output)
{
	setsid();
	/* As a shell has them, but for what it runs in the background. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	/* It shall not go on without the test, whose time may be over. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(input, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execv(argv[0], (char *const *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void process_start(struct process *process, const char *const *argv, int terminal)
{
	int input = terminal;
	int output[2] = {-1, terminal};

	*process = (struct process){.output = -1};
	if (terminal < 0) {
		input = open("/dev/null", O_RDONLY | O_CLOEXEC);
		ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
	}
	process->pid = fork();
	ck_assert_int_ge(process->pid, 0);
	if (process->pid == 0)
		become(argv, input, output[1]);
	if (terminal < 0) {
		close(input);
		close(output[1]);
		process->output = output[0];
	}
}

void process_read(struct process *process, int milliseconds)
{
	struct pollfd poll_output = {.fd = process->output, .events = POLLIN};
	ssize_t n;

	poll(&poll_output, 1, milliseconds);
	if (!(poll_output.revents & POLLIN) || process->len == sizeof(process->text) - 1)
		return;
	n = read(process->output, process->text + process->len,
		 sizeof(process->text) - 1 - process->len);
	if (n > 0)
		process->len += (size_t)n;
}

int process_wait(struct process *process)
{
	time_t end = time(NULL) + stretched(LIMIT_MS) / 1000;
	int status;

	while (waitpid(process->pid, &status, WNOHANG) == 0) {
		if (time(NULL) > end) {
			kill(-process->pid, SIGKILL);
			waitpid(process->pid, &status, 0);
			ck_abort_msg("still running after %d ms: %s", stretched(LIMIT_MS),
				     process->text);
		}
		process_read(process, TURN_MS);
	}
	/* A signal leaves it no time to wait for its own processes: they end when it has. */
	while (WIFSIGNALED(status) && kill(-process->pid, 0) == 0 && time(NULL) <= end)
		process_read(process, TURN_MS);
	process_read(process, TURN_MS);
	if (process->output >= 0)
		close(process->output);
	ck_assert_msg(kill(-process->pid, 0) < 0, "a process is left behind; status %x\n%s",
		      (unsigned int)status, process->text);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
