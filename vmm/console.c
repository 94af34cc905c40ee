/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/core/timeline.h"

enum {
	OUT_SIZE = 4096,	  /* of the buffer */
	OUT_DUE = 256,		  /* so many bytes are written, newline or not */
	OUT_DELAY_MS = 10,	  /* and after so long any */
	OUT_CAREFUL = 512,	  /* what a descriptor that may block is given at a time */
	FLUSH_PATIENCE_MS = 1000, /* without progress */
	IN_SIZE = 4096,
	ESCAPE_KEY = 0x01, /* C-a */
};

static const size_t no_break = SIZE_MAX;
/* Its first letter isn't in it again: who looks for it never has to go back. */
static const char panic_words[] = "Kernel panic - not syncing";

struct console {
	struct console_config config;
	struct serial_line line;
	struct serial *serial; /* borrowed; NULL before console_attach() */

	/* --- input: main loop only --- */
	struct loop_watch in_watch;
	struct loop_watch room_watch;
	int room_fd; /* eventfd, owned: the serial device has room again */
	/* What was read and the serial device has not taken: in[in_head] and in_len - 1 more. */
	uint8_t in[IN_SIZE];
	size_t in_head, in_len;
	size_t break_after; /* so many of them come before a break; or no_break */
	bool in_ended;
	bool escape_begun; /* the last byte was C-a */

	/* --- output: constant --- */
	int out_fd;   /* our own copy; -1: discard */
	int timer_fd; /* timerfd, owned */
	int stop_fd;  /* eventfd, owned; stays readable after console_stop() */
	bool careful; /* a write to out_fd may block */
	bool is_socket;
	bool is_pipe;
	struct loop_watch timer_watch; /* the watches: main loop only */
	struct loop_watch out_watch;

	/* --- output: under the lock --- */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* room in the buffer, or no writer any more */
	/*
	 * A ring. Whoever set @writing, one thread at a time, takes from its head, and reads
	 * out[out_head] and what follows without the lock; others append.
	 */
	uint8_t out[OUT_SIZE];
	size_t out_head, out_len;
	bool writing;
	bool timer_armed;
	bool stopped;
	bool gone;		 /* nobody will ever read the output */
	bool told_full;		 /* that output is being lost */
	size_t panic_len;	 /* so much of the panic's words has come last; all: it was told */
	unsigned long long lost; /* bytes */
};

/* How long a writer waits for a slow reader. */
enum patience {
	PATIENCE_NONE,	/* main loop */
	PATIENCE_STOP,	/* vCPU: until console_stop() */
	PATIENCE_FLUSH, /* FLUSH_PATIENCE_MS */
};

/* --- output: to the descriptor --- */

/*
 * write() without the signal of its failure: SIGPIPE if a pipe's reader is gone, SIGXFSZ if a file
 * is as large as it may become.
 */
static ssize_t write_unsignalled(int fd, const uint8_t *data, size_t len)
{
	const struct timespec at_once = {0};
	sigset_t own, before, pending;
	ssize_t n;
	int saved, sent;

	sigemptyset(&own);
	sigaddset(&own, SIGPIPE);
	sigaddset(&own, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &own, &before);
	sigpending(&pending);
	n = write(fd, data, len);
	saved = errno;
	sent = n >= 0 ? 0 : saved == EPIPE ? SIGPIPE : saved == EFBIG ? SIGXFSZ : 0;
	/* The signal is this thread's own. One that was pending before is somebody else's. */
	if (sent && !sigismember(&pending, sent)) {
		sigemptyset(&own);
		sigaddset(&own, sent);
		while (sigtimedwait(&own, NULL, &at_once) < 0 && errno == EINTR)
			;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return n;
}

/* Write what can be written now: the number of bytes, or a negative errno; -EAGAIN: none. */
static ssize_t put(const struct console *console, const uint8_t *data, size_t len)
{
	ssize_t n;

	if (console->careful) {
		struct pollfd pfd = {.fd = console->out_fd, .events = POLLOUT};

		if (poll(&pfd, 1, 0) <= 0)
			return -EAGAIN;
		if (len > OUT_CAREFUL)
			len = OUT_CAREFUL;
	}
	if (console->is_socket)
		n = send(console->out_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write_unsignalled(console->out_fd, data, len);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n == 0 ? -EIO : n;
}

/* Returns true if it is worth trying again. */
static bool wait_writable(const struct console *console, enum patience patience)
{
	struct pollfd pfds[] = {
		{.fd = console->out_fd, .events = POLLOUT},
		{.fd = patience == PATIENCE_STOP ? console->stop_fd : -1, .events = POLLIN},
	};
	int n;

	if (patience == PATIENCE_NONE)
		return false;
	n = poll(pfds, 2, patience == PATIENCE_FLUSH ? FLUSH_PATIENCE_MS : -1);
	return n != 0;
}

/* --- output: the buffer; the lock is held --- */

/* The first @len bytes of the buffer could not be written: @code says why. */
static void write_failed(struct console *console, size_t len, int code)
{
	bool full = code == -ENOSPC || code == -EDQUOT || code == -EFBIG;
	bool tell = full ? !console->told_full : true;

	if (full)
		console->told_full = true;
	else
		console->gone = true;
	console->lost += len;
	pthread_mutex_unlock(&console->lock);
	if (tell)
		log_warning(console->config.log, "console: %s: %s",
			    full ? "output is being lost" : "no more output is written",
			    strerror(-code));
	pthread_mutex_lock(&console->lock);
}

/* Write until the buffer is empty or patience ends. Nobody else may be writing. */
static void write_out(struct console *console, enum patience patience)
{
	console->writing = true;
	while (console->out_len > 0 && !console->gone &&
	       !(patience == PATIENCE_STOP && console->stopped)) {
		const uint8_t *data = &console->out[console->out_head];
		size_t len = OUT_SIZE - console->out_head;
		bool again = true;
		ssize_t n;

		if (len > console->out_len)
			len = console->out_len;
		pthread_mutex_unlock(&console->lock);
		n = put(console, data, len);
		if (n == -EAGAIN)
			again = wait_writable(console, patience);
		pthread_mutex_lock(&console->lock);
		if (n == -EAGAIN) {
			if (!again)
				break;
			continue;
		}
		if (n < 0)
			write_failed(console, len, (int)n);
		else
			len = (size_t)n;
		console->out_head = (console->out_head + len) % OUT_SIZE;
		console->out_len -= len;
		pthread_cond_broadcast(&console->changed);
	}
	console->writing = false;
	pthread_cond_broadcast(&console->changed);
}

static void arm_timer(struct console *console)
{
	const struct itimerspec when = {.it_value.tv_nsec = OUT_DELAY_MS * 1000000L};

	/* If it is armed since an earlier line, that is soon enough. */
	if (!console->timer_armed)
		timerfd_settime(console->timer_fd, 0, &when, NULL);
	console->timer_armed = true;
}

static void append(struct console *console, uint8_t byte)
{
	console->out[(console->out_head + console->out_len++) % OUT_SIZE] = byte;
}

/* --- output: vCPU threads --- */

static void look_for_panic(struct console *console, uint8_t byte)
{
	const size_t all = sizeof(panic_words) - 1;
	bool told;

	pthread_mutex_lock(&console->lock);
	told = console->panic_len == all;
	if (!told)
		console->panic_len = byte == (uint8_t)panic_words[console->panic_len]
					     ? console->panic_len + 1
					     : byte == (uint8_t)panic_words[0];
	told = told || console->panic_len < all;
	pthread_mutex_unlock(&console->lock);
	if (!told)
		console->config.panicked(console->config.opaque);
}

static void console_output(void *opaque, uint8_t byte)
{
	struct console *console = opaque;

	timeline_mark_often(console->config.timeline, TIMELINE_CONSOLE);
	if (console->config.panicked)
		look_for_panic(console, byte);
	if (console->out_fd < 0)
		return;
	pthread_mutex_lock(&console->lock);
	while (console->out_len == OUT_SIZE && !console->stopped && !console->gone) {
		if (console->writing)
			pthread_cond_wait(&console->changed, &console->lock);
		else
			write_out(console, PATIENCE_STOP);
	}
	if (console->gone || console->out_len == OUT_SIZE) {
		console->lost++;
	} else {
		append(console, byte);
		/* A writer that is busy takes this byte with the others. */
		if (!console->writing && !console->stopped) {
			if (byte == '\n' || console->out_len >= OUT_DUE)
				write_out(console, PATIENCE_STOP);
			else
				arm_timer(console);
		}
	}
	pthread_mutex_unlock(&console->lock);
}

static void console_input_room(void *opaque)
{
	struct console *console = opaque;

	fd_eventfd_signal(console->room_fd);
}

/* --- output: main loop --- */

/* Write what waits, as far as that goes at once; the rest when the descriptor says so. */
static void write_soon(struct console *console)
{
	bool more;

	pthread_mutex_lock(&console->lock);
	if (!console->writing)
		write_out(console, PATIENCE_NONE);
	/* Leave it to a vCPU thread that is writing: that one waits by itself. */
	more = console->out_len > 0 && !console->writing && !console->gone;
	pthread_mutex_unlock(&console->lock);
	loop_watch_set(console->config.loop, &console->out_watch, more ? EPOLLOUT : 0);
}

static void timer_ready(struct loop_watch *watch, uint32_t events)
{
	struct console *console = watch->opaque;

	(void)events;
	fd_eventfd_drain(console->timer_fd);
	pthread_mutex_lock(&console->lock);
	console->timer_armed = false;
	pthread_mutex_unlock(&console->lock);
	write_soon(console);
}

static void out_ready(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	write_soon(watch->opaque);
}

/* A text for whoever sits at the terminal. */
static void say(struct console *console, const char *text)
{
	size_t len = strlen(text);

	if (console->out_fd < 0)
		return;
	pthread_mutex_lock(&console->lock);
	/* No room: the terminal is stuck, and the main loop doesn't wait. */
	for (size_t i = 0; len <= OUT_SIZE - console->out_len && i < len; i++)
		append(console, (uint8_t)text[i]);
	pthread_mutex_unlock(&console->lock);
	write_soon(console);
}

void console_stop(struct console *console)
{
	pthread_mutex_lock(&console->lock);
	console->stopped = true;
	pthread_cond_broadcast(&console->changed);
	pthread_mutex_unlock(&console->lock);
	fd_eventfd_signal(console->stop_fd);
}

bool console_flush(struct console *console)
{
	unsigned long long lost;
	bool complete;

	pthread_mutex_lock(&console->lock);
	while (console->writing)
		pthread_cond_wait(&console->changed, &console->lock);
	write_out(console, PATIENCE_FLUSH);
	console->lost += console->out_len;
	console->out_len = 0;
	complete = console->lost == 0;
	/* That nobody reads was said when it was found, and is enough. */
	lost = console->gone ? 0 : console->lost;
	console->lost = 0;
	pthread_mutex_unlock(&console->lock);
	if (lost > 0)
		log_warning(console->config.log, "console: %llu bytes of output were lost", lost);
	return complete;
}

/* --- input: main loop --- */

/* Give the serial device what it takes, and read on only if there is room for more. */
static void input_pump(struct console *console)
{
	bool more;

	for (;;) {
		size_t len = console->in_len, taken;

		if (console->break_after == 0) {
			console->break_after = no_break;
			serial_break(console->serial);
		}
		if (len > console->break_after)
			len = console->break_after;
		if (len == 0)
			break;
		taken = serial_input(console->serial, &console->in[console->in_head], len);
		console->in_head += taken;
		console->in_len -= taken;
		if (console->break_after != no_break)
			console->break_after -= taken;
		if (taken == 0)
			break;
	}
	if (console->in_len == 0)
		console->in_head = 0;
	if (console->in_ended)
		return;
	if (console->config.escape)
		more = console->in_len < IN_SIZE;
	else
		more = console->in_len == 0 && serial_input_space(console->serial) > 0;
	loop_watch_set(console->config.loop, &console->in_watch, more ? EPOLLIN : 0);
}

static void room_ready(struct loop_watch *watch, uint32_t events)
{
	struct console *console = watch->opaque;

	(void)events;
	fd_eventfd_drain(console->room_fd);
	input_pump(console);
}

static void escape_command(struct console *console, uint8_t key)
{
	switch (key) {
	case ESCAPE_KEY:
		console->in[console->in_head + console->in_len++] = key;
		break;
	case 'x':
		console->config.quit(console->config.opaque);
		break;
	case 'p':
		console->config.power_button(console->config.opaque);
		break;
	case 'b':
		/* One that waits already stands for both. */
		if (console->break_after == no_break)
			console->break_after = console->in_len;
		break;
	default:
		say(console, "\n"
			     "C-a h    this help\n"
			     "C-a x    quit: end the virtual machine at once\n"
			     "C-a p    press the power button\n"
			     "C-a b    send a break (magic SysRq)\n"
			     "C-a C-a  send C-a\n");
		break;
	}
}

/* Take out of the @len new bytes at the end of the buffer what isn't for the guest. */
static void escape_filter(struct console *console, size_t len)
{
	const uint8_t *data = &console->in[console->in_head + console->in_len];

	/* What is kept is written at or before the place that it is read from. */
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = data[i];

		if (console->escape_begun) {
			console->escape_begun = false;
			escape_command(console, byte);
		} else if (byte == ESCAPE_KEY) {
			console->escape_begun = true;
		} else {
			console->in[console->in_head + console->in_len++] = byte;
		}
	}
}

static void input_end(struct console *console)
{
	console->in_ended = true;
	loop_watch_remove(console->config.loop, &console->in_watch);
}

static void in_ready(struct loop_watch *watch, uint32_t events)
{
	struct console *console = watch->opaque;
	size_t space;
	ssize_t n;

	(void)events;
	if (console->in_head > 0) {
		memmove(console->in, &console->in[console->in_head], console->in_len);
		console->in_head = 0;
	}
	space = IN_SIZE - console->in_len;
	if (!console->config.escape) {
		size_t room = serial_input_space(console->serial);

		if (room < space)
			space = room;
	}
	if (space > 0) {
		n = read(console->config.in_fd, &console->in[console->in_len], space);
		if (n > 0 && console->config.escape)
			escape_filter(console, (size_t)n);
		else if (n > 0)
			console->in_len += (size_t)n;
		else if (n == 0)
			input_end(console);
		else if (errno != EAGAIN && errno != EINTR) {
			log_warning(console->config.log, "console: no more input: %s",
				    strerror(errno));
			input_end(console);
		}
	}
	input_pump(console);
}

/* --- creation --- */

/*
 * A copy of the output descriptor. A write to a terminal or a pipe must not block, but O_NONBLOCK
 * belongs to the open file, which others share: so we open it anew. Where that can't be (no /proc,
 * another user's terminal), polling before every small write comes close.
 */
static int copy_output(struct console *console, int fd, struct error *err)
{
	bool terminal = isatty(fd);
	unsigned int number;
	struct stat st;
	char path[32];
	int flags;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return error_errno(err, "console: output descriptor %d", fd);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return error_set(err, -EBADF, "console: output descriptor %d is for reading only",
				 fd);
	console->is_socket = S_ISSOCK(st.st_mode);
	console->is_pipe = S_ISFIFO(st.st_mode);
	/* Opening the master side of a pseudo-terminal would make a new one. */
	if (console->is_pipe || (terminal && ioctl(fd, TIOCGPTN, &number) < 0)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		console->out_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (console->out_fd >= 0)
			return 0;
	}
	console->careful = (console->is_pipe || terminal) && !(flags & O_NONBLOCK);
	console->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (console->out_fd < 0)
		return error_errno(err, "console: output descriptor %d", fd);
	return 0;
}

int console_create(struct console **result, const struct console_config *config, struct error *err)
{
	struct console *console;
	int ret = 0;

	*result = NULL;
	console = calloc(1, sizeof(*console));
	if (!console)
		return error_set(err, -ENOMEM, "console: no memory");
	console->config = *config;
	console->line = (struct serial_line){console_output, console_input_room, console};
	console->break_after = no_break;
	console->out_fd = -1;
	console->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	console->room_fd = fd_eventfd();
	console->stop_fd = fd_eventfd();
	pthread_mutex_init(&console->lock, NULL);
	pthread_cond_init(&console->changed, NULL);

	if (console->timer_fd < 0 || console->room_fd < 0 || console->stop_fd < 0)
		ret = error_errno(err, "console: timerfd or eventfd");
	else if (config->out_fd >= 0)
		ret = copy_output(console, config->out_fd, err);
	console->room_watch =
		(struct loop_watch){.fd = console->room_fd, .ready = room_ready, .opaque = console};
	console->in_watch =
		(struct loop_watch){.fd = config->in_fd, .ready = in_ready, .opaque = console};
	console->timer_watch = (struct loop_watch){
		.fd = console->timer_fd, .ready = timer_ready, .opaque = console};
	console->out_watch =
		(struct loop_watch){.fd = console->out_fd, .ready = out_ready, .opaque = console};
	if (!ret) {
		ret = loop_watch_set(config->loop, &console->timer_watch, EPOLLIN);
		if (ret < 0)
			error_code(err, ret, "console: event loop");
	}
	if (ret < 0)
		console_destroy(console);
	else
		*result = console;
	return ret;
}

void console_destroy(struct console *console)
{
	if (!console)
		return;
	loop_watch_remove(console->config.loop, &console->in_watch);
	loop_watch_remove(console->config.loop, &console->room_watch);
	loop_watch_remove(console->config.loop, &console->timer_watch);
	loop_watch_remove(console->config.loop, &console->out_watch);
	fd_close(&console->out_fd);
	fd_close(&console->timer_fd);
	fd_close(&console->room_fd);
	fd_close(&console->stop_fd);
	pthread_cond_destroy(&console->changed);
	pthread_mutex_destroy(&console->lock);
	free(console);
}

const struct serial_line *console_line(const struct console *console)
{
	return &console->line;
}

int console_attach(struct console *console, struct serial *serial, struct error *err)
{
	struct loop *loop = console->config.loop;
	int ret;

	console->serial = serial;
	if (console->config.in_fd < 0)
		return 0;
	/* Tried here, where an error can be told; input_pump() decides what is waited for. */
	ret = loop_watch_set(loop, &console->in_watch, EPOLLIN);
	if (ret < 0)
		return error_code(err, ret, "console: input descriptor %d", console->config.in_fd);
	ret = loop_watch_set(loop, &console->room_watch, EPOLLIN);
	if (ret < 0)
		return error_code(err, ret, "console: event loop");
	input_pump(console);
	return 0;
}
