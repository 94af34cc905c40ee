/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets between the guest "net" and a tap: every one arrives, once, in order, unchanged; for each
 * combination of ring features. XVMM and GUESTS are set as for the shell tests, NET_OPTIONS to keys
 * of --net that the guest takes as parameters, too; with QEMU set to tests/guest/run-qemu, that is
 * tested instead, to know that test and guest are right.
 */
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "process.h"
#include "qmp.h"
#include "tap.h"
#include "tests/guest/lib/frame.h"
#include "vmm/sandbox.h"

enum {
	PATIENCE_MS = 5000,
	TRIES = 1000,
	SWITCHES = 250,
	PAUSES = 10,
	WINDOW = 64, /* less than any queue on the way, so that nothing may be dropped */
};

/* Parameters of the guest, lib/virtio_net.h. All of the first four are tested with each other. */
static const char *const switches[] = {"mrg=on", "event_idx=on", "indirect=on", "wait=poll"};

enum {
	N_SWITCHES = sizeof(switches) / sizeof(switches[0]),
	N_COMBINATIONS = 1 << N_SWITCHES,
};

static const uint8_t test_mac[6] = TEST_MAC;
static struct process process;
static int tap_socket;
static char control[64];
static char net[64]; /* what the guest is on */
static uint8_t guest_mac[6];

/* --- the guest --- */

static void start_guest(const char *parameters, int combination)
{
	const char *qemu = getenv("QEMU");
	const char *options = qemu ? "" : need_env("NET_OPTIONS");
	char spec[256];
	const char *const xvmm_argv[] = {need_env("XVMM"), "--kernel",	guest_path("net"),
					 "--net",	   spec,	"--control",
					 control,	   "--cmdline", NULL};
	const char *const qemu_argv[] = {
		qemu,	   guest_path("net"),
		"-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
		"-device", "virtio-net-device,netdev=net",
		"-append", NULL,
		NULL};
	const char *argv[16] = {NULL};
	char cmdline[256];
	int len = snprintf(cmdline, sizeof(cmdline), "%s%s %s", parameters,
			   qemu ? " num_buffers=any" : "", options);
	size_t n = 0;

	for (char *comma = cmdline; (comma = strchr(comma, ',')) != NULL;)
		*comma = ' ';
	snprintf(spec, sizeof(spec), "%s,%s", net, options);

	for (int i = 0; i < N_SWITCHES; i++)
		if (combination >> i & 1)
			len += snprintf(cmdline + len, sizeof(cmdline) - (size_t)len, " %s",
					switches[i]);
	for (const char *const *arg = qemu ? qemu_argv : xvmm_argv; *arg != NULL; arg++)
		argv[n++] = *arg;
	argv[n] = cmdline;
	process_start(&process, argv, -1);
}

/* It ended by itself, and found nothing wrong. */
static void expect_success(void)
{
	int status = process_wait(&process);

	ck_assert_msg(status == 0, "exit status %d:\n%s", status, process.text);
}

static void set_up(void)
{
	snprintf(control, sizeof(control), "/tmp/xvmm-net-test.%d", (int)getpid());
	snprintf(net, sizeof(net), "tap0");
	tap_create("tap0");
	tap_socket = tap_open_socket("tap0");
}

static void receive(struct packet *packet)
{
	if (!packet_receive(tap_socket, packet, stretched(PATIENCE_MS)))
		ck_abort_msg("nothing comes from the guest for %d ms; exit status %d:\n%s",
			     stretched(PATIENCE_MS), process_wait(&process), process.text);
}

/* --- test frames --- */

static struct test_frame *test_frame(struct packet *packet)
{
	return (struct test_frame *)packet->frame;
}

static void make_frame(struct packet *packet, uint8_t operation, uint32_t number, size_t len)
{
	memset(&packet->header, 0, sizeof(packet->header));
	test_frame_fill(test_frame(packet), guest_mac, test_mac, operation, number, len);
	packet->len = len;
}

/* One assertion for all bytes: each is a message to Check's parent process. */
static bool counts_up(const uint8_t *data, size_t len, uint32_t from)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != (uint8_t)(from + i))
			return false;
	return true;
}

static void expect_frame(const struct packet *packet, uint8_t operation, uint32_t number,
			 size_t len)
{
	const struct test_frame *frame = (const struct test_frame *)packet->frame;

	ck_assert_uint_eq(read_be16(frame->ethernet.type), ETHERTYPE_TEST);
	ck_assert_uint_eq(frame->operation, operation);
	ck_assert_uint_eq(read_be32(frame->number), number);
	ck_assert_uint_eq(packet->len, len);
	ck_assert(counts_up(frame->payload, len - sizeof(*frame), number));
}

static void wait_until_ready(void)
{
	static struct packet packet;

	receive(&packet);
	ck_assert_uint_eq(test_frame(&packet)->operation, TEST_READY);
	tap_wait_attached("tap0");
	memcpy(guest_mac, test_frame(&packet)->ethernet.from, sizeof(guest_mac));
}

static void stop_guest(void)
{
	static struct packet packet;

	make_frame(&packet, TEST_STOP, 0, 60);
	packet_send(tap_socket, &packet);
	expect_success();
}

/* --- tests --- */

START_TEST(test_send)
{
	static struct packet packet;

	start_guest("mode=send count=2000 size=1514 batch=32", _i);
	for (uint32_t i = 0; i < 2000; i++) {
		receive(&packet);
		expect_frame(&packet, TEST_DATA, i, 1514);
	}
	expect_success();
	ck_assert_msg(!packet_receive(tap_socket, &packet, 0), "more than was sent");
}
END_TEST

/* Every length between the least and the most of Ethernet. */
static size_t bounce_length(uint32_t number)
{
	return 60 + number % (1514 - 60 + 1);
}

START_TEST(test_bounce)
{
	static struct packet packet;
	const uint32_t count = 2000;

	start_guest("mode=bounce", _i);
	wait_until_ready();
	for (uint32_t sent = 0, received = 0; received < count;) {
		for (; sent < count && sent < received + WINDOW; sent++) {
			make_frame(&packet, TEST_DATA, sent, bounce_length(sent));
			packet_send(tap_socket, &packet);
		}
		receive(&packet);
		expect_frame(&packet, TEST_DATA, received, bounce_length(received));
		received++;
	}
	stop_guest();
}
END_TEST

/* A number of the member @name in what follows @from in @text. */
static unsigned long long number_in(const char *text, const char *from, const char *name)
{
	char quoted[40];
	const char *at = strstr(text, from);

	ck_assert_msg(at != NULL, "no %s: %s", from, text);
	snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
	at = strstr(at, quoted);
	ck_assert_msg(at != NULL, "no %s: %s", name, text);
	return strtoull(at + strlen(quoted), NULL, 10);
}

/* What the VM answers to @command, which it must do. */
static const char *ask(int qmp, const char *command)
{
	static char line[8192];

	qmp_send(qmp, command);
	ck_assert(qmp_receive(qmp, line, sizeof(line), stretched(PATIENCE_MS)));
	ck_assert_msg(strncmp(line, "{\"return\"", 9) == 0, "%s", line);
	return line;
}

static const char net_stats[] = "{\"execute\": \"xvmm-net-stats\"}";
static const char switch_to_tap[] = "{\"execute\": \"xvmm-net-switch\", "
				    "\"arguments\": {\"id\": \"net0\", \"spec\": \"tap0\"}}";

/* What the VM says of its queues is what passed. */
START_TEST(test_counts)
{
	static struct packet packet;
	const unsigned int count = 300, len = 100;
	unsigned long long received, sent = 0;
	const char *line = NULL;
	int qmp;

	start_guest("mode=bounce", 0);
	wait_until_ready();
	for (uint32_t i = 0; i < count; i++) {
		make_frame(&packet, TEST_DATA, i, len);
		packet_send(tap_socket, &packet);
		receive(&packet);
		expect_frame(&packet, TEST_DATA, i, len);
	}
	qmp = qmp_connect(control);
	/* The last one may be here before it is counted. The first said that the guest is ready. */
	for (int i = 0; i < TRIES && sent != count + 1; i++) {
		line = ask(qmp, net_stats);
		sent = number_in(line, "\"queue\": \"tx0\"", "packets");
	}
	close(qmp);
	stop_guest();
	/* The host's own frames, of IPv6 say, come in as well. */
	received = number_in(line, "\"queue\": \"rx0\"", "packets");
	ck_assert_msg(received >= count && received < count + 20, "%s", line);
	ck_assert_msg(sent == count + 1, "%s", line);
	ck_assert_msg(number_in(line, "\"queue\": \"tx0\"", "bytes") >= (count + 1) * 60, "%s",
		      line);
	ck_assert_msg(number_in(line, "\"queue\": \"tx0\"", "kicks") > 0, "%s", line);
	ck_assert_msg(number_in(line, "\"queue\": \"rx0\"", "broken") == 0, "%s", line);
}
END_TEST

/*
 * While the VM is paused nothing comes into the guest's memory; it isn't lost, and comes then, by
 * whatever datapath has taken over meanwhile.
 */
START_TEST(test_pause)
{
	static struct packet packet;
	uint32_t sent = 0, received = 0;
	int qmp;

	start_guest("mode=bounce", _i);
	wait_until_ready();
	qmp = qmp_connect(control);
	for (int i = 0; i < PAUSES; i++) {
		unsigned long long before;

		ask(qmp, "{\"execute\": \"stop\"}");
		before = number_in(ask(qmp, net_stats), "\"queue\": \"rx0\"", "packets");
		for (; sent < received + WINDOW; sent++) {
			make_frame(&packet, TEST_DATA, sent, bounce_length(sent));
			packet_send(tap_socket, &packet);
		}
		ck_assert(!packet_receive(tap_socket, &packet, 10));
		ck_assert_uint_eq(number_in(ask(qmp, net_stats), "\"queue\": \"rx0\"", "packets"),
				  before);
		if (i % 2)
			ask(qmp, switch_to_tap);
		ask(qmp, "{\"execute\": \"cont\"}");
		for (; received < sent; received++) {
			receive(&packet);
			expect_frame(&packet, TEST_DATA, received, bounce_length(received));
		}
	}
	close(qmp);
	stop_guest();
}
END_TEST

/*
 * Frames come back while the rings move to and fro, from this datapath to another one like it on
 * the same tap, as fast as they can: no frame is lost, or comes twice, or out of order.
 */
START_TEST(test_switch)
{
	static struct packet packet;
	unsigned int done = 0;
	uint32_t sent = 0, received = 0;
	char line[256];
	int qmp;

	start_guest("mode=bounce", _i);
	wait_until_ready();
	qmp = qmp_connect(control);
	qmp_send(qmp, switch_to_tap);
	while (done < SWITCHES || received < sent) {
		for (; done < SWITCHES && sent < received + WINDOW; sent++) {
			make_frame(&packet, TEST_DATA, sent, bounce_length(sent));
			packet_send(tap_socket, &packet);
		}
		receive(&packet);
		expect_frame(&packet, TEST_DATA, received, bounce_length(received));
		received++;
		if (done == SWITCHES || !qmp_receive(qmp, line, sizeof(line), 0))
			continue;
		ck_assert_msg(strncmp(line, "{\"return\"", 9) == 0, "%s", line);
		if (++done < SWITCHES)
			qmp_send(qmp, switch_to_tap);
	}
	ck_assert_uint_gt(received, SWITCHES);
	stop_guest();
	close(qmp);
}
END_TEST

/* --- faults --- */

enum {
	FAULTY = 300, /* frames */
	TURN_MS = 20,
};

/* As packet_receive(), of a socket with a packet a message. */
static bool receive_message(int fd, struct test_frame *frame, int milliseconds)
{
	struct virtio_net_hdr_v1 header;
	struct iovec parts[] = {{&header, sizeof(header)}, {frame, 60}};
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, milliseconds) == 1 &&
	       readv(fd, parts, 2) >= (ssize_t)(sizeof(header) + sizeof(*frame));
}

/* False if nobody is at the other end any more. */
static bool send_message(int fd, uint8_t operation, uint32_t number)
{
	static struct packet packet;
	struct virtio_net_hdr_v1 header = {0};
	struct iovec parts[] = {{&header, sizeof(header)}, {packet.frame, 60}};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n;

	make_frame(&packet, operation, number, 60);
	n = sendmsg(fd, &message, MSG_NOSIGNAL);
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return false;
	ck_assert_int_eq(n, sizeof(header) + 60);
	return true;
}

/* What comes back of FAULTY frames, in its order, by their numbers. */
static unsigned int bounce_with(const char *faults, uint32_t numbers[4 * FAULTY])
{
	uint8_t frame[60];
	struct test_frame *test = (struct test_frame *)frame;
	unsigned int n = 0;
	bool behind = false;
	int ends[2];

	/* The guest's one is inherited; it is told by the end of it. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETFD, FD_CLOEXEC), 0);
	snprintf(net, sizeof(net), "fd=%d,%s", ends[0], faults);
	start_guest("mode=bounce lossy=on", 0);
	close(ends[0]);
	ck_assert_msg(receive_message(ends[1], test, stretched(PATIENCE_MS)),
		      "the guest is not ready");
	memcpy(guest_mac, test->ethernet.from, sizeof(guest_mac));
	/* Until one comes back that is behind them all. */
	for (uint32_t i = 0; !behind; i++) {
		ck_assert_uint_lt(i, TRIES);
		ck_assert(send_message(ends[1], TEST_DATA, i));
		while (!behind && receive_message(ends[1], test, i < FAULTY ? 0 : TURN_MS)) {
			ck_assert_uint_lt(n, 4 * FAULTY);
			behind = read_be32(test->number) >= FAULTY;
			numbers[n] = read_be32(test->number);
			n += !behind;
		}
	}
	/* One of these arrives; those after it may meet nobody. */
	for (int i = 0; i < 20 && send_message(ends[1], TEST_STOP, 0); i++)
		;
	expect_success();
	close(ends[1]);
	return n;
}

/* The same seed, the same frames; another one, others. */
START_TEST(test_faults)
{
	static uint32_t one[4 * FAULTY], two[4 * FAULTY];
	const unsigned int n = bounce_with("loss=10%,duplicate=10%,seed=1", one);

	ck_assert_uint_gt(n, FAULTY / 2);
	ck_assert_uint_eq(bounce_with("loss=10%,duplicate=10%,seed=1", two), n);
	ck_assert_mem_eq(one, two, n * sizeof(one[0]));
	memset(two, 0, sizeof(two));
	bounce_with("loss=10%,duplicate=10%,seed=2", two);
	ck_assert_mem_ne(one, two, n * sizeof(one[0]));
}
END_TEST

/* The least that a receive buffer may have, so that every packet takes many of them. */
START_TEST(test_merge)
{
	static struct packet packet;

	start_guest("mode=bounce mrg=on rxbuf=128", 0);
	wait_until_ready();
	for (uint32_t i = 0; i < 200; i++) {
		make_frame(&packet, TEST_DATA, i, bounce_length(7 * i));
		packet_send(tap_socket, &packet);
		receive(&packet);
		expect_frame(&packet, TEST_DATA, i, bounce_length(7 * i));
	}
	stop_guest();
}
END_TEST

enum {
	TCP_HEADER = 20,
	TCP_HEADERS = sizeof(struct ethernet_header) + sizeof(struct ipv4_header) + TCP_HEADER,
	LARGE = 64000,
	MSS = 1448,
};

static void expect_large(const struct packet *packet)
{
	ck_assert_uint_eq(packet->len, TCP_HEADERS + LARGE);
	ck_assert_uint_eq(packet->header.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	ck_assert_uint_eq(packet->header.gso_size, MSS);
	ck_assert(packet->header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert(counts_up(packet->frame + TCP_HEADERS, LARGE, 0));
}

/* The guest makes a large segment; then that is given back to a guest, which bounces it. */
START_TEST(test_segmentation)
{
	static struct packet packet;
	struct test_frame *frame = test_frame(&packet);

	start_guest("mode=tso csum=on tso=on size=64000 mss=1448", _i);
	receive(&packet);
	expect_large(&packet);
	expect_success();

	start_guest("mode=bounce csum=on tso=on", _i);
	static struct packet ready;
	receive(&ready);
	tap_wait_attached("tap0");
	memcpy(frame->ethernet.to, test_frame(&ready)->ethernet.from, 6);
	memcpy(frame->ethernet.from, test_mac, 6);
	for (int i = 0; i < 10; i++) {
		static struct packet back;

		packet_send(tap_socket, &packet);
		receive(&back);
		expect_large(&back);
	}
	stop_guest();
}
END_TEST

static uint16_t internet_checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += read_be16(bytes + i);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Through the host's IP: ARP finds the guest, and each echo request has its reply. */
START_TEST(test_ping)
{
	struct sockaddr_in guest = {.sin_family = AF_INET};
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct pollfd readable = {.fd = raw, .events = POLLIN};

	ck_assert_int_ge(raw, 0);
	inet_pton(AF_INET, "10.0.0.2", &guest.sin_addr);
	start_guest("mode=reply ip=10.0.0.2", _i);
	wait_until_ready();
	for (uint16_t i = 0; i < 100; i++) {
		struct {
			struct icmphdr header;
			uint8_t data[1000];
		} echo = {.header = {.type = ICMP_ECHO, .un.echo.sequence = htons(i)}};
		uint8_t reply[2048];
		ssize_t n;

		memset(echo.data, i, sizeof(echo.data));
		echo.header.checksum = htons(internet_checksum(&echo, sizeof(echo)));
		ck_assert_int_eq(sendto(raw, &echo, sizeof(echo), 0, (struct sockaddr *)&guest,
					sizeof(guest)),
				 sizeof(echo));
		ck_assert_int_eq(poll(&readable, 1, stretched(PATIENCE_MS)), 1);
		n = recv(raw, reply, sizeof(reply), 0);
		ck_assert_int_eq(n, sizeof(struct ipv4_header) + sizeof(echo));
		ck_assert_uint_eq(reply[sizeof(struct ipv4_header)], ICMP_ECHOREPLY);
		ck_assert_uint_eq(
			internet_checksum(reply + sizeof(struct ipv4_header), sizeof(echo)), 0);
		ck_assert_mem_eq(reply + n - sizeof(echo.data), echo.data, sizeof(echo.data));
	}
	stop_guest();
}
END_TEST

/*
 * The datapath is left while a packet waits in it that needs more buffers than there are: no more
 * than this one is lost.
 */
START_TEST(test_switch_full)
{
	enum {
		SENT = 20,     /* more than the ring's buffers hold */
		REST_MS = 300, /* the guest makes no buffer available again */
	};
	static struct packet packet, back, rest;
	struct test_frame *frame = test_frame(&packet);
	unsigned int received = 0;
	int qmp;

	start_guest("mode=tso csum=on tso=on size=64000 mss=1448", 0);
	receive(&packet);
	expect_success();

	start_guest("mode=bounce csum=on tso=on mrg=on", 0);
	receive(&back);
	tap_wait_attached("tap0");
	memcpy(guest_mac, test_frame(&back)->ethernet.from, sizeof(guest_mac));
	memcpy(frame->ethernet.to, guest_mac, sizeof(guest_mac));
	memcpy(frame->ethernet.from, test_mac, sizeof(test_mac));
	qmp = qmp_connect(control);
	make_frame(&rest, TEST_REST, REST_MS, 60);
	packet_send(tap_socket, &rest);
	for (int i = 0; i < SENT; i++)
		packet_send(tap_socket, &packet);
	ask(qmp, switch_to_tap);
	while (packet_receive(tap_socket, &back,
			      received < SENT - 1 ? stretched(PATIENCE_MS) : 100)) {
		expect_large(&back);
		received++;
	}
	ck_assert_int_ge(received, SENT - 1);
	stop_guest();
	close(qmp);
}
END_TEST

/* --- the sandbox --- */

/* The file @name of the thread @thread, in static memory; "" if that has gone. */
static const char *thread_file(const char *thread, const char *name)
{
	static char text[4096];
	char path[128];
	FILE *file;
	size_t len = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)process.pid, thread, name);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL || errno == ENOENT || errno == ESRCH, "%s: %s", path,
		      strerror(errno));
	if (file) {
		len = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	text[len] = '\0';
	return text;
}

static bool is_confined(const char *status)
{
	return strstr(status, "\nCapEff:\t0000000000000000\n") &&
	       strstr(status, "\nCapPrm:\t0000000000000000\n") &&
	       strstr(status, "\nNoNewPrivs:\t1\n") && strstr(status, "\nSeccomp:\t2\n");
}

/* How many threads run the guest, and how many move its packets. All of them are confined. */
static void count_confined(unsigned int *vcpus, unsigned int *movers)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	*vcpus = *movers = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)process.pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)) != NULL) {
		unsigned int *count;
		const char *text;

		if (entry->d_name[0] == '.')
			continue;
		text = thread_file(entry->d_name, "comm");
		if (strncmp(text, "vcpu", 4) == 0)
			count = vcpus;
		else if (strncmp(text, "net0-", 5) == 0)
			count = movers;
		else
			continue;
		text = thread_file(entry->d_name, "status");
		ck_assert_msg(!*text || is_confined(text), "%s", text);
		*count += *text != '\0';
	}
	closedir(dir);
}

/* Of those that move packets there are @expected. One that was joined takes a moment to go. */
static void expect_confined(unsigned int expected)
{
	unsigned int vcpus, movers;

	for (int waited = 0; waited < stretched(PATIENCE_MS); waited += TURN_MS) {
		count_confined(&vcpus, &movers);
		if (vcpus == 1 && movers == expected)
			return;
		usleep(TURN_MS * 1000);
	}
	ck_assert_uint_eq(vcpus, 1);
	ck_assert_uint_eq(movers, expected);
}

static void switch_confined(int qmp, const char *spec, unsigned int expected)
{
	char command[160], line[256];

	snprintf(command, sizeof(command),
		 "{\"execute\": \"xvmm-net-switch\", \"arguments\": {\"id\": \"net0\", \"spec\": "
		 "\"%s\"}}",
		 spec);
	qmp_send(qmp, command);
	ck_assert(qmp_receive(qmp, line, sizeof(line), stretched(PATIENCE_MS)));
	ck_assert_msg(strncmp(line, "{\"return\"", 9) == 0, "%s", line);
	expect_confined(expected);
}

START_TEST(test_confined)
{
	int qmp;

	start_guest("mode=bounce", 0);
	wait_until_ready();
	expect_confined(1);
	/* From now on the rings' threads are the main loop's children, not the vCPU's. */
	qmp = qmp_connect(control);
	switch_confined(qmp, "tap0", 1);
	/* Faults have a thread, too. */
	switch_confined(qmp, "tap0,loss=0%", 2);
	close(qmp);
	stop_guest();
	/* Which a vCPU starts to begin with. */
	snprintf(net, sizeof(net), "tap0,delay=1us");
	start_guest("mode=bounce", 0);
	wait_until_ready();
	expect_confined(2);
	stop_guest();
}
END_TEST

/* --- */

static Suite *make_suite(void)
{
	/* All combinations, unless COMBINATION is one; on a machine that is slow. */
	const char *one = getenv("COMBINATION");
	const int first = one ? atoi(one) : 0, end = one ? first + 1 : N_COMBINATIONS;
	Suite *suite = suite_create("net");
	TCase *tests = tcase_create("net"), *faults = tcase_create("faults");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, test_send, first, end);
	tcase_add_loop_test(tests, test_bounce, first, end);
	if (!getenv("QEMU")) {
		tcase_add_test(tests, test_counts);
		tcase_add_loop_test(tests, test_pause, first, end);
		tcase_add_loop_test(tests, test_switch, first, end);
		tcase_add_test(tests, test_switch_full);
	}
	tcase_add_test(tests, test_merge);
	tcase_add_loop_test(tests, test_segmentation, first, end);
	tcase_add_loop_test(tests, test_ping, first, end);
	if (!getenv("QEMU") && sandbox_possible)
		tcase_add_test(tests, test_confined);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(faults, set_up, NULL);
	tcase_set_timeout(faults, 60);
	if (!getenv("QEMU"))
		tcase_add_test(faults, test_faults);
	suite_add_tcase(suite, faults);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	if (getenv("QEMU") == NULL)
		require_kvm();
	enter_network_namespace();
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
