/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that changes under a running VM: signals at any moment, a tap that is deleted, a disk that
 * is full. XVMM and GUESTS are set as for the system tests.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/lib/frame.h"
#include "tests/system/process.h"
#include "tests/system/qmp.h"
#include "tests/system/tap.h"

enum {
	MOMENTS = 50,
	STEP_US = 2000, /* the last moments are when the guest runs, or has ended */
	PATIENCE_MS = 10000,
	ROUND_MS = 50,
	FRAME = 200,
	IDLE_MS = 300,
};

static struct process process;

static bool executes(const char *name)
{
	char path[64], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)process.pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	if (fgets(comm, sizeof(comm), file))
		comm[strcspn(comm, "\n")] = '\0';
	fclose(file);
	return strcmp(comm, name) == 0;
}

static void start(const char *guest, const char *cmdline)
{
	const char *const argv[] = {need_env("XVMM"), "--kernel", guest_path(guest),
				    "--memory",	      "32M",	  "--cmdline",
				    cmdline,	      NULL};

	process_start(&process, argv, -1);
	/* Until then it is a process of Check's, which has handlers of its own. */
	while (!executes("xvmm"))
		;
}

/* --- signals --- */

static void wait_us(long us)
{
	const struct timespec time = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&time, NULL);
}

static int a_signal(int i)
{
	return i % 2 ? SIGTERM : SIGINT;
}

/* Before it has a handler it dies of it; afterwards it presses the button of a guest that listens.
 */
START_TEST(test_one_signal)
{
	int signal = a_signal(_i), status;

	start("button", "");
	wait_us((long)_i * STEP_US);
	kill(process.pid, signal);
	status = process_wait(&process);
	if (status != 128 + signal) {
		ck_assert_msg(status == 0, "status %d: %s", status, process.text);
		ck_assert_ptr_nonnull(strstr(process.text, "power button was pressed"));
		ck_assert_ptr_nonnull(strstr(process.text, "pressed\n"));
	}
}
END_TEST

/* This guest never listens: of the second one, if not of the first, xvmm dies. */
START_TEST(test_two_signals)
{
	int first = a_signal(_i), second = a_signal(_i + 1), status;

	start("spin", "");
	wait_us((long)_i * STEP_US);
	kill(process.pid, first);
	wait_us(rand() % STEP_US);
	kill(process.pid, second);
	status = process_wait(&process);
	/* Two that come together are handled in the order of their numbers. */
	ck_assert_msg(status == 128 + first || status == 128 + second, "status %d: %s", status,
		      process.text);
}
END_TEST

/* Of a guest that has just ended by itself it doesn't take the status away, or it dies of it. */
START_TEST(test_signal_at_the_end)
{
	int signal = a_signal(_i), status;

	start("hello", "status=7");
	while (!strstr(process.text, "hello"))
		process_read(&process, PATIENCE_MS);
	wait_us(_i * 100);
	kill(process.pid, signal);
	status = process_wait(&process);
	ck_assert_msg(status == 7 || status == 128 + signal, "status %d: %s", status, process.text);
}
END_TEST

/* --- a tap --- */

static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 0x55};

static void send_frame(int tap, uint8_t operation)
{
	static const uint8_t test_mac[6] = TEST_MAC;
	static struct packet packet;
	struct test_frame *frame = (struct test_frame *)packet.frame;

	memcpy(frame->ethernet.to, guest_mac, sizeof(guest_mac));
	memcpy(frame->ethernet.from, test_mac, sizeof(test_mac));
	write_be16(frame->ethernet.type, ETHERTYPE_TEST);
	frame->operation = operation;
	for (size_t i = 0; i < FRAME - sizeof(*frame); i++)
		frame->payload[i] = (uint8_t)i;
	packet.len = FRAME;
	packet_send(tap, &packet);
}

/* A frame comes back; the first ones may be too early. */
static void expect_bounce(int tap)
{
	static struct packet packet;
	const struct test_frame *frame = (const struct test_frame *)packet.frame;

	for (int waited = 0; waited < PATIENCE_MS; waited += ROUND_MS) {
		send_frame(tap, TEST_DATA);
		while (packet_receive(tap, &packet, ROUND_MS)) {
			if (read_be16(frame->ethernet.type) == ETHERTYPE_TEST &&
			    frame->operation == TEST_DATA)
				return;
		}
	}
	ck_abort_msg("nothing comes back; %s", process.text);
}

static void expect_return(int qmp, const char *command)
{
	char line[4096];

	qmp_send(qmp, command);
	ck_assert(qmp_receive(qmp, line, sizeof(line), PATIENCE_MS));
	ck_assert_msg(strncmp(line, "{\"return\"", 9) == 0, "%s", line);
}

/* The processor time of a thread, in ms; 0 for that of a vCPU, which is the guest's. */
static long thread_ms(const char *thread)
{
	unsigned long user, system;
	char path[300], text[1024];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)process.pid, thread);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	if (strstr(text, "(vcpu"))
		return 0;
	/* Its name, in brackets, is the second of the fields. */
	ck_assert_int_eq(sscanf(strrchr(text, ')'),
				") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
				&system),
			 2);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static long used_ms(void)
{
	const struct dirent *entry;
	char path[64];
	long ms = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process.pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		ms += entry->d_name[0] == '.' ? 0 : thread_ms(entry->d_name);
	closedir(dir);
	return ms;
}

/* Its threads don't spin on what is gone; a switch brings the guest to another tap. */
START_TEST(test_tap_deleted)
{
	const char *transport = _i ? "pci" : "mmio";
	char net[128], cmdline[128], control[64];
	const char *const argv[] = {need_env("XVMM"), "--kernel", guest_path("net"), "--net", net,
				    "--control",      control,	  "--cmdline",	     cmdline, NULL};
	int tap, qmp;
	long used;

	snprintf(net, sizeof(net), "tap0,mac=02:00:00:00:00:55,transport=%s", transport);
	snprintf(cmdline, sizeof(cmdline), "mode=bounce lossy=on transport=%s", transport);
	snprintf(control, sizeof(control), "/tmp/xvmm-host-test.%d", (int)getpid());
	enter_network_namespace();
	tap_create("tap0");
	tap = tap_open_socket("tap0");
	process_start(&process, argv, -1);
	qmp = qmp_connect(control);
	expect_bounce(tap);
	close(tap);
	ck_assert_int_eq(system("ip link del tap0"), 0);
	expect_return(qmp, "{\"execute\": \"xvmm-query-net\"}");
	used = used_ms();
	wait_us(IDLE_MS * 1000);
	ck_assert_int_lt(used_ms() - used, IDLE_MS / 4);
	tap_create("tap1");
	tap = tap_open_socket("tap1");
	expect_return(qmp, "{\"execute\": \"xvmm-net-switch\", "
			   "\"arguments\": {\"id\": \"net0\", \"spec\": \"tap1\"}}");
	expect_bounce(tap);
	send_frame(tap, TEST_STOP);
	ck_assert_int_eq(process_wait(&process), 0);
	close(qmp);
	close(tap);
}
END_TEST

/* --- a disk --- */

START_TEST(test_console_on_a_full_disk)
{
	const char *const argv[] = {need_env("XVMM"), "--kernel",  guest_path("hello"), "--console",
				    "file:/dev/full", "--cmdline", "status=42",		NULL};

	process_start(&process, argv, -1);
	ck_assert_int_eq(process_wait(&process), 42);
	ck_assert_msg(strstr(process.text, "output is being lost: No space left on device"), "%s",
		      process.text);
}
END_TEST

/* Messages can't be written: one of each kind, at the start, and while it runs. */
START_TEST(test_log_on_a_full_disk)
{
	static const char *const options[] = {
		"--net vhost-user,socket=/nonexistent/vhost-user",
		"--console file:/dev/full",
	};
	char script[256];
	const char *const argv[] = {"/bin/sh",		 "-c", script, need_env("XVMM"),
				    guest_path("hello"), NULL};

	snprintf(script, sizeof(script),
		 "exec \"$0\" --kernel \"$1\" --cmdline status=42 %s 2>/dev/full", options[_i]);
	process_start(&process, argv, -1);
	ck_assert_int_eq(process_wait(&process), 42);
}
END_TEST

static void add_test(Suite *suite, const TTest *test, int loops)
{
	TCase *tests = tcase_create(test->name);

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, test, 0, loops);
	suite_add_tcase(suite, tests);
}

int main(void)
{
	Suite *suite = suite_create("host");
	SRunner *runner = srunner_create(suite);
	int failed;

	require_kvm();
	add_test(suite, test_one_signal, MOMENTS);
	add_test(suite, test_two_signals, MOMENTS);
	add_test(suite, test_signal_at_the_end, MOMENTS);
	add_test(suite, test_tap_deleted, 2);
	add_test(suite, test_console_on_a_full_disk, 1);
	add_test(suite, test_log_on_a_full_disk, 2);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
