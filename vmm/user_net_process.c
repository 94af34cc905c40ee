/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/user_net_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/thread.h"
#include "vmm/helper.h"
#include "vmm/sandbox.h"

enum {
	NOBODY = 65534,
	FDS_MAX = 1024, /* and so of connections, each with a buffer */
};

/* --- in it --- */

/* Ports below 1024 were taken before. A user namespace may know no such user: then it stays. */
static void be_nobody(void)
{
	if (geteuid() != 0 || setgroups(0, NULL))
		return;
	if (setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY)) {
		/* It has no capabilities all the same. */
	}
}

static void limit_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur <= FDS_MAX)
		return;
	limit = (struct rlimit){FDS_MAX, FDS_MAX};
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int confine(struct error *err)
{
	/* The resolver's configuration may be replaced, and be somewhere else. */
	static const char *const readable[] = {"/etc", "/run", NULL};
	int ret;

	limit_descriptors();
	be_nobody();
	helper_limit_capabilities(NULL, 0);
	if (!sandbox_possible)
		return 0;
	ret = thread_limit_files(readable);
	if (!ret)
		ret = thread_filter(&sandbox_filters, THREAD_USER_NET);
	return ret ? error_code(err, ret, "the sandbox of user-mode networking") : 0;
}

/* @alive tells the parent whether it could begin, and then by its end that it has ended. */
static void run(const struct user_net_config *config, int alive)
{
	struct user_net *net = NULL;
	struct error err = {0};
	int ret;

	helper_begin("xvmm-user-net", (const int[]){config->fd, alive}, 2);
	ret = user_net_create(config, &net, &err);
	if (!ret)
		ret = confine(&err);
	if (fd_write_all(alive, &err, sizeof(err)) == 0 && !ret)
		user_net_run(net);
	user_net_destroy(net);
}

/* --- in its parent --- */

/* 0, or what kept it from beginning. */
static int await(int alive, struct error *err)
{
	struct error result;
	ssize_t n;

	do
		n = read(alive, &result, sizeof(result));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(result))
		return error_set(err, -EPIPE, "the process of user-mode networking ended at once");
	if (err && result.code)
		*err = result;
	return result.code;
}

static int start(struct user_net_process *process, const struct user_net_config *config, int *fd,
		 struct error *err)
{
	int sockets[2] = {-1, -1}, pipes[2] = {-1, -1};
	int ret = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) ||
	    pipe2(pipes, O_CLOEXEC))
		ret = -errno;
	if (!ret) {
		fflush(NULL);
		process->pid = fork();
		ret = process->pid < 0 ? -errno : 0;
	}
	if (!ret && process->pid == 0) {
		struct user_net_config own = *config;

		own.fd = sockets[1];
		fd_close(&sockets[0]);
		fd_close(&pipes[0]);
		run(&own, pipes[1]);
		return 1;
	}
	fd_close(&sockets[1]);
	fd_close(&pipes[1]);
	*fd = sockets[0];
	process->alive = pipes[0];
	if (ret)
		return error_code(err, ret, "starting a process for user-mode networking");
	return await(process->alive, err);
}

int user_net_process_start(struct user_net_process *process, const struct user_net_config *config,
			   int *fd, struct error *err)
{
	int ret;

	*fd = -1;
	*process = (struct user_net_process){.pid = -1, .alive = -1};
	ret = start(process, config, fd, err);
	if (ret < 0) {
		fd_close(fd);
		user_net_process_stop(process);
	}
	return ret;
}

void user_net_process_stop(struct user_net_process *process)
{
	helper_await_end(process->pid, process->alive);
	fd_close(&process->alive);
	process->pid = -1;
}
