/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console between real descriptors and a real serial device: the main loop runs in a thread of
 * its own, and the test is the guest, which reads and writes the UART's registers.
 */
#include "vmm/console.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"

static struct loop *loop;
static struct console *console;
static struct serial *serial;
static pthread_t loop_thread;
static bool loop_runs;
static atomic_int loop_tid, quits, presses, messages;
static char message[512]; /* the last one */
static pthread_mutex_t message_lock = PTHREAD_MUTEX_INITIALIZER;

static void hear(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	pthread_mutex_lock(&message_lock);
	snprintf(message, sizeof(message), "%s", text);
	pthread_mutex_unlock(&message_lock);
	atomic_fetch_add(&messages, 1);
}

static void quit(void *opaque)
{
	(void)opaque;
	atomic_fetch_add(&quits, 1);
}

static void press(void *opaque)
{
	(void)opaque;
	atomic_fetch_add(&presses, 1);
}

static const struct logger logger = {.write = hear};

static void create(int in_fd, int out_fd, bool escape)
{
	const struct console_config config = {
		.loop = loop,
		.log = &logger,
		.in_fd = in_fd,
		.out_fd = out_fd,
		.escape = escape,
		.quit = quit,
		.power_button = press,
	};

	ck_assert_int_eq(console_create(&console, &config, NULL), 0);
	serial = serial_create(console_line(console), -1);
	ck_assert_ptr_nonnull(serial);
	ck_assert_int_eq(console_attach(console, serial, NULL), 0);
}

static void *run(void *arg)
{
	atomic_store(&loop_tid, gettid());
	loop_run(loop);
	return arg;
}

static void run_loop(void)
{
	atomic_store(&loop_tid, 0);
	ck_assert_int_eq(pthread_create(&loop_thread, NULL, run, NULL), 0);
	loop_runs = true;
	while (!atomic_load(&loop_tid))
		usleep(1000);
}

static void stop_loop(void)
{
	if (!loop_runs)
		return;
	loop_stop(loop);
	pthread_join(loop_thread, NULL);
	loop_runs = false;
}

static void setup(void)
{
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
	console = NULL;
	serial = NULL;
	quits = presses = messages = 0;
}

static void teardown(void)
{
	stop_loop();
	console_destroy(console);
	serial_destroy(serial);
	loop_destroy(loop);
}

/* --- the guest --- */

static uint8_t rd(uint64_t reg)
{
	uint8_t value = 0;

	serial_bus_ops.read(serial, reg, &value, 1);
	return value;
}

static void wr(uint64_t reg, uint8_t value)
{
	serial_bus_ops.write(serial, reg, &value, 1);
}

static void guest_says(const char *text)
{
	for (; *text; text++)
		wr(0, (uint8_t)*text);
}

/* The driver is up: FIFOs, receive interrupt, DTR and RTS. */
static void guest_listens(void)
{
	wr(2, 0x07);
	wr(1, 0x05);
	wr(4, 0x0b);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The next byte, -1 if none comes within 5 s; a break is 0x100. */
static int guest_hears(void)
{
	double end = now() + 5;

	do {
		uint8_t lsr = rd(5);

		if (lsr & 0x01) {
			uint8_t byte = rd(0);

			return lsr & 0x10 ? 0x100 : byte;
		}
		sched_yield();
	} while (now() < end);
	return -1;
}

static void check_guest_hears(const char *text)
{
	for (; *text; text++)
		ck_assert_int_eq(guest_hears(), *text);
}

/* --- the host --- */

static int readable(int fd, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	return poll(&pfd, 1, ms) > 0;
}

/* What comes out of @fd is @text; with @at_once, it is there already. */
static void check_reads(int fd, const char *text, bool at_once)
{
	size_t len = strlen(text), got = 0;
	char buf[8192];

	while (got < len) {
		ssize_t n;

		ck_assert_msg(readable(fd, at_once ? 0 : 5000), "only %zu of %zu bytes", got, len);
		n = read(fd, buf + got, len - got);
		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_mem_eq(buf, text, len);
}

struct pair {
	int reader, writer;
};

enum kind {
	PIPE,
	SOCKET,
	PTY, /* the console has the slave */
	MASTER,
	FORBIDDEN, /* a pipe that can't be opened anew */
	N_KINDS,
};

static struct pair open_pair(int kind)
{
	struct pair pair;
	int fds[2];

	if (kind == PIPE || kind == FORBIDDEN) {
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
		pair = (struct pair){fds[0], fds[1]};
		if (kind == FORBIDDEN)
			fchmod(pair.writer, 0);
	} else if (kind == SOCKET) {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		pair = (struct pair){fds[0], fds[1]};
	} else {
		struct termios t;
		int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

		ck_assert_int_ge(master, 0);
		grantpt(master);
		unlockpt(master);
		slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
		ck_assert_int_ge(slave, 0);
		tcgetattr(slave, &t);
		cfmakeraw(&t);
		tcsetattr(slave, TCSANOW, &t);
		pair = (struct pair){master, slave};
		if (kind == MASTER)
			pair = (struct pair){slave, master};
	}
	return pair;
}

static void close_pair(struct pair pair)
{
	stop_loop(); /* it may be using them */
	if (pair.reader >= 0)
		close(pair.reader);
	if (pair.writer >= 0)
		close(pair.writer);
}

/* Root may open anything: give that up where a test needs a refusal. */
static void give_up_root(int kind)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (kind != FORBIDDEN)
		return;
	ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
	data[0].effective &= ~(1U << CAP_DAC_OVERRIDE);
	ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

/* --- output --- */

START_TEST(null)
{
	struct console_config config = {.loop = loop, .in_fd = -1, .out_fd = 999};
	struct console *c = (void *)1;

	console_destroy(NULL);
	ck_assert_int_eq(console_create(&c, &config, NULL), -EBADF);
	ck_assert_ptr_null(c);
	config.out_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(console_create(&c, &config, NULL), -EBADF);
	close(config.out_fd);
}
END_TEST

/* A line is written by the guest's own thread, no main loop needed; so are 256 bytes. */
START_TEST(line_at_once)
{
	struct pair pair;
	char many[257];
	int flags;

	give_up_root(_i);
	pair = open_pair(_i);
	flags = fcntl(pair.writer, F_GETFL);
	create(-1, pair.writer, false);
	guest_says("hello");
	ck_assert(!readable(pair.reader, 50));
	guest_says(" world\n");
	check_reads(pair.reader, "hello world\n", true);
	memset(many, 'x', 256);
	many[256] = '\0';
	guest_says(many);
	check_reads(pair.reader, many, true);
	/* Others share the open file: its flags stay. */
	ck_assert_int_eq(fcntl(pair.writer, F_GETFL), flags);
	close_pair(pair);
}
END_TEST

START_TEST(prompt_after_a_moment)
{
	struct pair pair;

	give_up_root(_i);
	pair = open_pair(_i);
	create(-1, pair.writer, false);
	run_loop();
	for (int i = 0; i < 3; i++) {
		guest_says("login: ");
		ck_assert(readable(pair.reader, 5000));
		check_reads(pair.reader, "login: ", true);
	}
	close_pair(pair);
}
END_TEST

static long switches(void)
{
	char path[64], line[128];
	long n = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", atomic_load(&loop_tid));
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "voluntary_ctxt_switches: %ld", &n);
	fclose(file);
	return n;
}

/* The main loop neither wakes up nor spins, once it has done what there was to do. */
static void check_idle(void)
{
	struct timespec cpu_before, cpu_after;
	const double end = now() + 5;
	long switches_before;
	clockid_t clock;

	do {
		switches_before = switches();
		usleep(50000);
	} while (switches() != switches_before && now() < end);
	ck_assert_int_eq(pthread_getcpuclockid(loop_thread, &clock), 0);
	clock_gettime(clock, &cpu_before);
	switches_before = switches();
	ck_assert_int_ge(switches_before, 0);
	usleep(300000);
	ck_assert_int_eq(switches(), switches_before);
	clock_gettime(clock, &cpu_after);
	ck_assert_int_lt((cpu_after.tv_sec - cpu_before.tv_sec) * 1000000000 + cpu_after.tv_nsec -
				 cpu_before.tv_nsec,
			 20000000);
}

START_TEST(idle_means_idle)
{
	struct pair pair = open_pair(PIPE);

	create(-1, pair.writer, false);
	run_loop();
	guest_says("hello\nlogin: ");
	check_reads(pair.reader, "hello\nlogin: ", false);
	check_idle();
	close_pair(pair);
}
END_TEST

static unsigned char pattern(size_t i)
{
	return (unsigned char)(' ' + (i * 7 + (i >> 8)) % 90);
}

enum {
	OUTPUT = 300000,
	INPUT = 1 << 20,
	INPUT_LESS = 1 << 17,
};

static atomic_size_t written;
static size_t input_size;

static void *talk(void *arg)
{
	for (size_t i = 0; i < OUTPUT; i++) {
		wr(0, i % 80 == 79 ? '\n' : pattern(i));
		atomic_store(&written, i + 1);
	}
	return arg;
}

/* Nothing of a lot of output is lost or changed on its way to a reader that takes its time. */
START_TEST(slow_reader_gets_all)
{
	struct pair pair;
	pthread_t guest;
	size_t got = 0;

	give_up_root(_i);
	pair = open_pair(_i);
	create(-1, pair.writer, false);
	run_loop();
	ck_assert_int_eq(pthread_create(&guest, NULL, talk, NULL), 0);
	while (got < OUTPUT) {
		char buf[5000];
		ssize_t n;

		if (got < 150000)
			usleep(1000);
		ck_assert_msg(readable(pair.reader, 5000), "nothing after %zu", got);
		n = read(pair.reader, buf, sizeof(buf));
		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++, got++) {
			/* Each assertion is a message to Check's parent process, in a file. */
			if (buf[i] != (got % 80 == 79 ? '\n' : pattern(got)))
				ck_abort_msg("byte %zu is %d", got, buf[i]);
		}
	}
	pthread_join(guest, NULL);
	ck_assert_int_eq(messages, 0);
	close_pair(pair);
}
END_TEST

/* Nobody reads: the guest's thread waits, the main loop doesn't, and console_stop() ends it. */
START_TEST(stop_releases)
{
	size_t before;
	struct pair pair;
	pthread_t guest;
	double begin;

	give_up_root(_i);
	pair = open_pair(_i);
	create(-1, pair.writer, false);
	run_loop();
	ck_assert_int_eq(pthread_create(&guest, NULL, talk, NULL), 0);
	do {
		before = atomic_load(&written);
		usleep(200000);
	} while (atomic_load(&written) != before || before == 0);
	ck_assert_uint_lt(before, OUTPUT);
	/* Neither is stuck. */
	stop_loop();
	console_stop(console);
	pthread_join(guest, NULL);
	ck_assert_uint_eq(atomic_load(&written), OUTPUT);

	/* One second without progress is enough for the rest; then it is told. */
	begin = now();
	console_flush(console);
	/* A terminal has perhaps made room without saying so. */
	ck_assert(_i == PTY || _i == MASTER || now() - begin >= 0.9);
	ck_assert_int_eq(messages, 1);
	ck_assert_ptr_nonnull(strstr(message, "lost"));
	close_pair(pair);
}
END_TEST

/* A prompt that can't be written keeps neither the main loop busy nor the bytes back for ever. */
START_TEST(stuck_prompt)
{
	struct pair pair = open_pair(PIPE);
	char fill[4096] = {0};
	size_t filled = 0;
	ssize_t n;

	fcntl(pair.writer, F_SETFL, O_NONBLOCK);
	while ((n = write(pair.writer, fill, sizeof(fill))) > 0)
		filled += (size_t)n;
	fcntl(pair.writer, F_SETFL, 0);
	create(-1, pair.writer, false);
	run_loop();
	guest_says("login: ");
	check_idle();
	for (; filled > 0; filled -= (size_t)n) {
		n = read(pair.reader, fill, filled < sizeof(fill) ? filled : sizeof(fill));
		ck_assert_int_gt(n, 0);
	}
	check_reads(pair.reader, "login: ", false);
	close_pair(pair);
}
END_TEST

/* The guest's last words before it dies, with the main loop gone already. */
START_TEST(last_words)
{
	struct pair pair;

	give_up_root(_i);
	pair = open_pair(_i);
	create(-1, pair.writer, false);
	guest_says("panic");
	console_stop(console);
	guest_says("!\nno more");
	ck_assert(!readable(pair.reader, 50));
	console_flush(console);
	check_reads(pair.reader, "panic!\nno more", true);
	ck_assert_int_eq(messages, 0);
	close_pair(pair);
}
END_TEST

START_TEST(reader_gone)
{
	struct sigaction action;
	struct pair pair;
	sigset_t set;

	give_up_root(_i);
	pair = open_pair(_i);
	create(-1, pair.writer, false);
	run_loop();
	guest_says("one\n");
	close(pair.reader);
	pair.reader = -1;
	/* SIGPIPE would kill. */
	for (int i = 0; i < 1000; i++)
		guest_says("two\nthree");
	ck_assert_int_eq(messages, 1);
	ck_assert_ptr_nonnull(strstr(message, "no more output"));
	console_flush(console);
	ck_assert_int_eq(messages, 1);
	sigpending(&set);
	ck_assert(!sigismember(&set, SIGPIPE));
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	ck_assert(!sigismember(&set, SIGPIPE));
	sigaction(SIGPIPE, NULL, &action);
	ck_assert(action.sa_handler == SIG_DFL);
	close_pair(pair);
}
END_TEST

/* The reader goes while the guest waits for it. */
START_TEST(reader_goes)
{
	struct pair pair;
	pthread_t guest;

	give_up_root(_i);
	pair = open_pair(_i);
	create(-1, pair.writer, false);
	run_loop();
	ck_assert_int_eq(pthread_create(&guest, NULL, talk, NULL), 0);
	usleep(300000);
	close(pair.reader);
	pair.reader = -1;
	pthread_join(guest, NULL);
	ck_assert_int_eq(messages, 1);
	close_pair(pair);
}
END_TEST

START_TEST(disk_full)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	create(-1, fd, false);
	run_loop();
	for (int i = 0; i < 100; i++)
		guest_says("0123456789\n");
	ck_assert_int_eq(messages, 1);
	ck_assert_ptr_nonnull(strstr(message, "No space left"));
	console_flush(console);
	ck_assert_int_eq(messages, 2);
	ck_assert_ptr_nonnull(strstr(message, "1100 bytes"));
	close(fd);
}
END_TEST

/* SIGXFSZ would kill, too. */
START_TEST(file_at_its_limit)
{
	const struct rlimit limit = {100, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	char path[] = "/tmp/test_console.XXXXXX";
	int fd = mkstemp(path), ret;
	sigset_t set;

	ck_assert_int_ge(fd, 0);
	unlink(path);
	create(-1, fd, false);
	/* No assertions meanwhile: they write to a file. */
	ret = setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 100; i++)
		guest_says("0123456789\n");
	console_flush(console);
	setrlimit(RLIMIT_FSIZE, &none);
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(messages, 2);
	ck_assert_ptr_nonnull(strstr(message, "1000 bytes"));
	sigpending(&set);
	ck_assert(!sigismember(&set, SIGXFSZ));
	close(fd);
}
END_TEST

START_TEST(regular_file_out)
{
	char path[] = "/tmp/test_console.XXXXXX", buf[32] = "";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	create(-1, fd, false);
	guest_says("a line\nand more");
	console_stop(console);
	console_flush(console);
	ck_assert_int_eq(pread(fd, buf, sizeof(buf) - 1, 0), 15);
	ck_assert_str_eq(buf, "a line\nand more");
	close(fd);
}
END_TEST

START_TEST(discarded)
{
	create(-1, -1, false);
	for (int i = 0; i < 1000; i++)
		guest_says("0123456789\n");
	console_flush(console);
	console_stop(console);
	ck_assert_int_eq(messages, 0);
}
END_TEST

static void *talk_some(void *arg)
{
	for (int i = 0; i < 20000; i++)
		wr(0, i % 100 == 99 ? '\n' : *(const uint8_t *)arg);
	return NULL;
}

START_TEST(several_vcpus)
{
	size_t count[256] = {0}, got = 0;
	struct pair pair = open_pair(_i);
	pthread_t guests[4];

	create(-1, pair.writer, false);
	run_loop();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&guests[i], NULL, talk_some, (char *)"abcd" + i),
				 0);
	while (got < 80000) {
		uint8_t buf[4096];
		ssize_t n;

		ck_assert_msg(readable(pair.reader, 5000), "nothing after %zu", got);
		n = read(pair.reader, buf, sizeof(buf));
		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			count[buf[i]]++;
		got += (size_t)n;
	}
	for (int i = 0; i < 4; i++)
		pthread_join(guests[i], NULL);
	ck_assert_uint_eq(count['\n'], 800);
	for (int c = 'a'; c <= 'd'; c++)
		ck_assert_uint_eq(count[c], 19800);
	close_pair(pair);
}
END_TEST

/* --- input --- */

static void *paste(void *arg)
{
	int fd = *(int *)arg;
	size_t at = 0;

	while (at < input_size) {
		char buf[3000];
		size_t n = 0;

		for (; n < sizeof(buf) && at + n < input_size; n++)
			buf[n] = (char)pattern(at + n);
		if (fd_write_all(fd, buf, n))
			return "write";
		at += n;
	}
	return NULL;
}

enum {
	IN_PIPE,
	IN_SOCKET,
	IN_PTY,
	IN_ESCAPE,
	IN_FILE,
	N_INPUTS,
};

START_TEST(a_megabyte_pasted)
{
	struct pair pair = {-1, -1};
	void *failure = NULL;
	pthread_t paster;
	int fd;

	input_size = _i == IN_PIPE || _i == IN_PTY ? INPUT : INPUT_LESS;
	if (_i == IN_FILE) {
		char path[] = "/tmp/test_console.XXXXXX";

		fd = pair.reader = mkstemp(path);
		ck_assert_int_ge(fd, 0);
		unlink(path);
		ck_assert_ptr_null(paste(&fd));
		lseek(fd, 0, SEEK_SET);
	} else {
		pair = open_pair(_i == IN_SOCKET ? SOCKET : _i == IN_PTY ? MASTER : PIPE);
		fd = pair.writer;
	}
	create(pair.reader, -1, _i == IN_ESCAPE);
	run_loop();
	if (_i != IN_FILE)
		ck_assert_int_eq(pthread_create(&paster, NULL, paste, &fd), 0);
	usleep(50000);
	guest_listens();
	for (size_t i = 0; i < input_size; i++) {
		int byte = guest_hears();

		if (byte != pattern(i))
			ck_abort_msg("byte %zu is %d", i, byte);
		if (i % 20000 == 0)
			usleep(5000);
	}
	if (_i != IN_FILE)
		pthread_join(paster, &failure);
	ck_assert_ptr_null(failure);
	ck_assert_int_eq(messages, 0);
	close_pair(pair);
}
END_TEST

START_TEST(waits_for_the_driver)
{
	struct pair pair = open_pair(PIPE);
	double end;
	int left = 0;

	ck_assert_int_eq(write(pair.writer, "early", 5), 5);
	create(pair.reader, -1, false);
	run_loop();
	usleep(100000);
	ck_assert_int_eq(ioctl(pair.reader, FIONREAD, &left), 0);
	ck_assert_int_eq(left, 5);
	guest_listens();
	check_guest_hears("early");
	/* And no more than the guest takes is ever read. */
	ck_assert_int_eq(write(pair.writer, "0123456789abcdefghijklmnopq", 27), 27);
	end = now() + 5;
	do {
		usleep(1000);
		ck_assert_int_eq(ioctl(pair.reader, FIONREAD, &left), 0);
	} while (left > 11 && now() < end);
	usleep(100000);
	ck_assert_int_eq(ioctl(pair.reader, FIONREAD, &left), 0);
	ck_assert_int_eq(left, 11);
	close_pair(pair);
}
END_TEST

/* End of input, in all its forms, ends neither the output nor the main loop's sleep. */
START_TEST(end_of_input)
{
	struct pair out = open_pair(PIPE), pair = {-1, -1};
	const char *expect = "";
	int fd;

	if (_i == 0) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} else if (_i == 1) {
		char path[] = "/tmp/test_console.XXXXXX";

		fd = mkstemp(path);
		unlink(path);
		ck_assert_int_eq(write(fd, "bye\n", 4), 4);
		lseek(fd, 0, SEEK_SET);
		expect = "bye\n";
	} else if (_i == 2) {
		fd = open("/", O_RDONLY | O_CLOEXEC);
	} else {
		pair = open_pair(_i - 3);
		ck_assert_int_eq(write(pair.writer, "bye\n", 4), 4);
		fd = dup(pair.reader);
		if (_i - 3 != PTY)
			close(pair.writer);
		expect = "bye\n";
	}
	if (_i - 3 == PTY) {
		/* The terminal hangs up, and with it what it had read. */
		close(fd);
		fd = pair.writer;
		close(pair.reader);
		expect = "";
	}
	create(fd, out.writer, false);
	run_loop();
	guest_listens();
	check_guest_hears(expect);
	check_idle();
	guest_says("still here\n");
	check_reads(out.reader, "still here\n", false);
	ck_assert_int_eq(messages, _i == 2);
	close_pair(out);
	close(fd);
}
END_TEST

START_TEST(one_descriptor_for_both)
{
	struct pair pair = open_pair(_i);

	create(pair.writer, pair.writer, false);
	run_loop();
	guest_listens();
	guest_says("login: ");
	check_reads(pair.reader, "login: ", false);
	ck_assert_int_eq(write(pair.reader, "root\n", 5), 5);
	check_guest_hears("root\n");
	close_pair(pair);
}
END_TEST

/* --- escape key --- */

START_TEST(escape_keys)
{
	struct pair in = open_pair(PIPE), out = open_pair(PIPE);
	const char *typed = "a\001xb\001pc\001\001d\001be\001hf";
	const int heard[] = {'a', 'b', 'c', 1, 'd', 0x100, 'e', 'f'};
	char help[1024];
	ssize_t n;

	create(in.reader, out.writer, true);
	run_loop();
	guest_listens();
	if (_i == 0) {
		ck_assert_int_eq(fd_write_all(in.writer, typed, strlen(typed)), 0);
	} else {
		for (const char *p = typed; *p; p++) {
			ck_assert_int_eq(write(in.writer, p, 1), 1);
			usleep(2000);
		}
	}
	for (size_t i = 0; i < sizeof(heard) / sizeof(heard[0]); i++)
		ck_assert_int_eq(guest_hears(), heard[i]);
	ck_assert_int_eq(quits, 1);
	ck_assert_int_eq(presses, 1);
	ck_assert(readable(out.reader, 5000));
	n = read(out.reader, help, sizeof(help) - 1);
	ck_assert_int_gt(n, 0);
	help[n] = '\0';
	ck_assert_ptr_nonnull(strstr(help, "C-a x"));
	close_pair(in);
	close_pair(out);
}
END_TEST

/* The guest reads nothing and the terminal is stuck: C-a x still works. */
START_TEST(quit_always_works)
{
	struct pair in = open_pair(PIPE);
	char text[3000];

	memset(text, 'x', sizeof(text));
	create(in.reader, -1, true);
	run_loop();
	ck_assert_int_eq(write(in.writer, text, sizeof(text)), sizeof(text));
	ck_assert_int_eq(write(in.writer, "\001b\001b\001x", 6), 6);
	for (int i = 0; i < 500 && !quits; i++)
		usleep(10000);
	ck_assert_int_eq(quits, 1);
	/* What was typed before is not lost by it, nor the break's place. */
	guest_listens();
	for (size_t i = 0; i < sizeof(text); i++)
		ck_assert_int_eq(guest_hears(), 'x');
	ck_assert_int_eq(guest_hears(), 0x100);
	ck_assert_int_eq(write(in.writer, "y", 1), 1);
	ck_assert_int_eq(guest_hears(), 'y');
	close_pair(in);
}
END_TEST

START_TEST(no_escape_without_asking)
{
	struct pair in = open_pair(PIPE);

	create(in.reader, -1, false);
	run_loop();
	guest_listens();
	ck_assert_int_eq(write(in.writer, "\001x\001\001", 4), 4);
	check_guest_hears("\001x\001\001");
	ck_assert_int_eq(quits, 0);
	close_pair(in);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("console");
	TCase *out = tcase_create("output");
	TCase *in = tcase_create("input");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(out, setup, teardown);
	tcase_set_timeout(out, 60);
	tcase_add_test(out, null);
	tcase_add_loop_test(out, line_at_once, 0, N_KINDS);
	tcase_add_loop_test(out, prompt_after_a_moment, 0, N_KINDS);
	tcase_add_test(out, idle_means_idle);
	tcase_add_loop_test(out, slow_reader_gets_all, 0, N_KINDS);
	tcase_add_loop_test(out, stop_releases, 0, N_KINDS);
	tcase_add_test(out, stuck_prompt);
	tcase_add_loop_test(out, last_words, 0, N_KINDS);
	tcase_add_loop_test(out, reader_gone, 0, PTY + 1);
	tcase_add_loop_test(out, reader_goes, 0, PTY + 1);
	tcase_add_test(out, disk_full);
	tcase_add_test(out, file_at_its_limit);
	tcase_add_test(out, regular_file_out);
	tcase_add_test(out, discarded);
	tcase_add_loop_test(out, several_vcpus, 0, PTY + 1);
	suite_add_tcase(suite, out);
	tcase_add_checked_fixture(in, setup, teardown);
	tcase_set_timeout(in, 120);
	tcase_add_loop_test(in, a_megabyte_pasted, 0, N_INPUTS);
	tcase_add_test(in, waits_for_the_driver);
	tcase_add_loop_test(in, end_of_input, 0, 3 + PTY + 1);
	tcase_add_loop_test(in, one_descriptor_for_both, SOCKET, PTY + 1);
	tcase_add_loop_test(in, escape_keys, 0, 2);
	tcase_add_test(in, quit_always_works);
	tcase_add_test(in, no_escape_without_asking);
	suite_add_tcase(suite, in);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
