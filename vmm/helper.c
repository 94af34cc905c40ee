/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/helper.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STOP_MS = 5000,
};

void helper_keep_descriptors(const int *fds, size_t n)
{
	unsigned int first = (unsigned int)fds[0], last = (unsigned int)fds[n - 1];
	unsigned int low = first < last ? first : last;
	unsigned int high = first < last ? last : first;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (low > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, UINT_MAX, 0);
}

static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
}

void helper_begin(const char *name, const int *fds, size_t n)
{
	prctl(PR_SET_NAME, name);
	ignore_signals();
	helper_keep_descriptors(fds, n);
}

void helper_await_end(pid_t pid, int fd)
{
	struct pollfd ended = {.fd = fd};
	int n;

	if (pid <= 0)
		return;
	do
		n = poll(&ended, 1, STOP_MS);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		waitpid(pid, NULL, 0);
}

void helper_limit_capabilities(const unsigned int *kept, size_t n)
{
	bool has[64];

	for (size_t i = 0; i < n; i++)
		has[i] = capng_have_capability(CAPNG_EFFECTIVE, kept[i]);
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < n; i++) {
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	}
	capng_apply(CAPNG_SELECT_CAPS);
}
