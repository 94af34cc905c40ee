/* SPDX-License-Identifier: Apache-2.0 */
/* What a capture writes of the packets that pass a backend on a socket; and files that it can't. */
#include "virtio/net_capture.h"

#include <check.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/must.h"
#include "virtio/defs.h"
#include "virtio/fd.h"
#include "virtio/net_backend.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"

enum {
	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME = 100,
	FILE_HEADER = 24,
	RECORD_HEADER = 16,
};

static char directory[] = "/tmp/xvmm-test-capture.XXXXXX";
static char path[64];
static struct net_backend *backend;
static struct net_capture_file *file;
static int peer;
static struct error err;
static unsigned int complaints;
static char complaint[512];

static void hear(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	MUST(level == LOG_LEVEL_WARNING);
	snprintf(complaint, sizeof(complaint), "%s", text);
	complaints++;
}

static const struct logger logger = {hear, NULL};

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/pcap", directory);
}

static void tear_down(void)
{
	unlink(path);
	rmdir(directory);
}

static void begin(const char *name)
{
	struct net_backend *inner;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	ck_assert_int_eq(fd_backend_create(ends[0], &inner, &err), 0);
	close(ends[0]);
	peer = ends[1];
	ck_assert_msg(net_capture_file_create(name, NULL, &logger, &file, &err) == 0, "%s",
		      err.text);
	ck_assert_str_eq(net_capture_file_path(file), name);
	backend = net_capture_create(net_capture_file_share(file), inner);
	ck_assert_ptr_nonnull(backend);
	ck_assert_int_eq(backend->ops->set_features(backend, 0), 0);
}

static void end(void)
{
	net_backend_release(backend);
	net_capture_file_release(file);
	close(peer);
}

/* The guest sends a frame of @len bytes, in pieces that don't end where its header does. */
static ssize_t guest_sends(uint8_t fill, size_t len)
{
	uint8_t packet[HEADER + 2 * FRAME] = {0};
	const struct iovec iov[] = {
		{packet, 5}, {packet + 5, 0}, {packet + 5, 20}, {packet + 25, HEADER + len - 25}};

	memset(packet + HEADER, fill, len);
	return backend->ops->send(backend, 0, iov, 4);
}

static ssize_t guest_receives(uint8_t fill, size_t len, size_t room)
{
	uint8_t packet[HEADER + 2 * FRAME] = {0};
	const struct iovec iov[] = {{packet, 7}, {packet + 7, room - 7}};

	memset(packet + HEADER, fill, len);
	MUST(send(peer, packet, HEADER + len, 0) == (ssize_t)(HEADER + len));
	return backend->ops->receive(backend, 0, iov, 2);
}

/* --- the file read back --- */

static uint8_t bytes[1 << 20];
static size_t n_bytes, at;

static void load(void)
{
	FD_CLEANUP int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, bytes, sizeof(bytes));

	ck_assert_int_ge(n, 0);
	n_bytes = (size_t)n;
	at = 0;
}

static uint32_t next_le32(void)
{
	uint32_t value;

	ck_assert_uint_le(at + sizeof(value), n_bytes);
	memcpy(&value, bytes + at, sizeof(value));
	at += sizeof(value);
	return le32toh(value);
}

static void expect_file_header(void)
{
	ck_assert_uint_eq(next_le32(), 0xa1b23c4d);
	ck_assert_uint_eq(next_le32(), 4 << 16 | 2);
	ck_assert_uint_eq(next_le32(), 0);
	ck_assert_uint_eq(next_le32(), 0);
	ck_assert_uint_ge(next_le32(), 65535 + 14 + 4);
	ck_assert_uint_eq(next_le32(), 1);
}

/* Returns its time, in ns. */
static uint64_t expect_record(uint8_t fill, uint32_t captured, uint32_t len)
{
	uint64_t time = next_le32() * 1000000000ULL;

	time += next_le32();
	ck_assert_uint_eq(next_le32(), captured);
	ck_assert_uint_eq(next_le32(), len);
	ck_assert_uint_le(at + captured, n_bytes);
	for (uint32_t i = 0; i < captured; i++, at++)
		ck_assert_uint_eq(bytes[at], fill);
	return time;
}

static void expect_end(void)
{
	ck_assert_uint_eq(at, n_bytes);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- */

START_TEST(records)
{
	const uint64_t before = now();
	uint64_t first, second;
	struct stat st;

	begin(path);
	ck_assert_int_eq(guest_sends(0x11, FRAME), HEADER + FRAME);
	ck_assert_int_eq(guest_receives(0x22, 60, HEADER + FRAME), HEADER + 60);
	ck_assert_int_eq(backend->ops->receive(backend, 0, &(struct iovec){bytes, 100}, 1),
			 -EAGAIN);
	/* Taken to be lost only, as long as the link is down. */
	ck_assert_int_eq(guest_receives(0x33, FRAME, 20), 20);
	load();
	expect_file_header();
	first = expect_record(0x11, FRAME, FRAME);
	second = expect_record(0x22, 60, 60);
	expect_end();
	ck_assert(before <= first && first <= second && second <= now());
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	end();
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

/* With hashes the header has 8 bytes more, which are not the frame's. */
START_TEST(larger_header)
{
	begin(path);
	ck_assert_int_eq(backend->ops->set_features(backend, 1ULL << VIRTIO_NET_F_HASH_REPORT), 0);
	ck_assert_int_eq(guest_sends(0x11, FRAME), HEADER + FRAME);
	load();
	expect_file_header();
	expect_record(0x11, FRAME - 8, FRAME - 8);
	expect_end();
	end();
}
END_TEST

/* What is refused wasn't sent, and what has no room yet comes again. */
START_TEST(not_sent)
{
	uint32_t sent = 0;

	begin(path);
	while (guest_sends(0x44, FRAME) > 0)
		sent++;
	ck_assert_int_eq(guest_sends(0x44, FRAME), -EAGAIN);
	close(peer);
	peer = -1;
	ck_assert_int_lt(guest_sends(0x44, FRAME), 0);
	load();
	ck_assert_uint_gt(sent, 0);
	ck_assert_uint_eq(n_bytes, FILE_HEADER + sent * (RECORD_HEADER + FRAME));
	end();
}
END_TEST

/* One record header besides is more than one call takes: then the packet's end is missing. */
START_TEST(many_pieces)
{
	static uint8_t packet[HEADER + IOV_MAX + 5];
	static struct iovec iov[IOV_MAX];

	begin(path);
	iov[0] = (struct iovec){packet, HEADER};
	for (int i = 1; i < IOV_MAX; i++)
		iov[i] = (struct iovec){packet + HEADER + i - 1, i < IOV_MAX - 1 ? 1 : 5};
	ck_assert_int_eq(send(peer, packet, HEADER + IOV_MAX + 3, 0), HEADER + IOV_MAX + 3);
	ck_assert_int_eq(backend->ops->receive(backend, 0, iov, IOV_MAX), HEADER + IOV_MAX + 3);
	ck_assert_int_eq(backend->ops->send(backend, 0, iov, IOV_MAX - 1), HEADER + IOV_MAX - 2);
	load();
	expect_file_header();
	expect_record(0, IOV_MAX + 3, IOV_MAX + 3);
	expect_record(0, IOV_MAX - 2, IOV_MAX - 2);
	expect_end();
	/* So many pieces that each has a byte of the frame. */
	iov[0].iov_len = 1;
	for (int i = 1; i < IOV_MAX; i++)
		iov[i] = (struct iovec){packet + i, i < IOV_MAX - 1 ? 1 : 40};
	ck_assert_int_eq(send(peer, packet, HEADER + IOV_MAX, 0), HEADER + IOV_MAX);
	ck_assert_int_eq(backend->ops->receive(backend, 0, iov, IOV_MAX), HEADER + IOV_MAX);
	load();
	at = FILE_HEADER + 2 * RECORD_HEADER + IOV_MAX + 3 + IOV_MAX - 2;
	expect_record(0, IOV_MAX, IOV_MAX);
	expect_end();
	end();
}
END_TEST

/* There is no space at all; or not for all of a packet. The packets pass, one complaint is made. */
START_TEST(full_disk)
{
	const bool at_once = _i == 0;
	struct net_capture_file *next;
	struct rlimit limit, before;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = FILE_HEADER + 200;
	begin(at_once ? "/dev/full" : path);
	/* The limit is one of Check's messages, too. */
	if (!at_once)
		MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int i = 0; i < 10; i++) {
		MUST(guest_sends(0x11, FRAME) == HEADER + FRAME);
		MUST(guest_receives(0x22, FRAME, HEADER + FRAME) == HEADER + FRAME);
	}
	MUST(setrlimit(RLIMIT_FSIZE, &before) == 0);
	ck_assert_uint_eq(complaints, 1);
	ck_assert_msg(strstr(complaint, "the capture has ended, the network goes on: ") &&
			      strstr(complaint, at_once ? "No space left" : "no space is left"),
		      "%s", complaint);
	if (at_once) {
		end();
		return;
	}
	load();
	expect_file_header();
	expect_record(0x11, FRAME, FRAME);
	ck_assert_uint_eq(n_bytes, limit.rlim_cur);
	/* There is space again: a new one can be begun there, though somebody still has this one.
	 */
	ck_assert(net_capture_file_has_ended(file));
	ck_assert_int_eq(net_capture_file_create(path, NULL, &logger, &next, &err), 0);
	ck_assert(!net_capture_file_has_ended(next));
	MUST(guest_sends(0x11, FRAME) == HEADER + FRAME);
	end();
	net_capture_file_release(next);
	load();
	expect_file_header();
	expect_end();
}
END_TEST

static int open_error(const char *name)
{
	return net_capture_open(name, &err);
}

START_TEST(files)
{
	char link[80];
	int fd, again;

	/* What is there is emptied, but not while somebody writes it. */
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "old", 3), 3);
	close(fd);
	fd = net_capture_open(path, &err);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	ck_assert_int_eq(write(fd, "new", 3), 3);
	ck_assert_int_eq(open_error(path), -EBUSY);
	ck_assert_msg(strstr(err.text, path) && strstr(err.text, "another capture"), "%s",
		      err.text);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 3);
	snprintf(link, sizeof(link), "%s.link", path);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_eq(open_error(link), -ELOOP);
	ck_assert_ptr_nonnull(strstr(err.text, "symbolic link"));
	unlink(link);
	close(fd);
	again = net_capture_open(path, &err);
	ck_assert_int_ge(again, 0);
	close(again);
	ck_assert_int_eq(open_error(directory), -EISDIR);
	ck_assert_int_eq(open_error("/proc/no/such"), -ENOENT);
	ck_assert_int_eq(net_capture_file_create("/proc/no/such", NULL, &logger, &file, &err),
			 -ENOENT);
	ck_assert_ptr_null(file);
	/* Nobody reads it: that isn't waited for. */
	ck_assert_int_eq(mkfifo(link, 0600), 0);
	ck_assert_int_eq(open_error(link), -ENXIO);
	unlink(link);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("net_capture");
	TCase *tests = tcase_create("net_capture");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, records);
	tcase_add_test(tests, larger_header);
	tcase_add_test(tests, not_sent);
	tcase_add_test(tests, many_pieces);
	tcase_add_loop_test(tests, full_disk, 0, 2);
	tcase_add_test(tests, files);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
