/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/user_net.h: a network that ends in sockets of the host; the guest is played here. */
#include "vmm/user_net.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"

enum {
	FRAME_SIZE = 70000,
	PATIENCE_S = 20,
	GUEST_PORT = 7,
};

static const uint8_t guest_mac[] = {2, 0, 0, 0, 0, 1};

struct packet {
	struct virtio_net_hdr_v1 header;
	struct ether_header ether;
	union {
		struct ether_arp arp;
		struct {
			struct iphdr ip;
			union {
				struct {
					struct udphdr udp;
					uint8_t data[FRAME_SIZE];
				};
				struct tcphdr tcp;
			};
		} __attribute__((packed));
	};
} __attribute__((packed));

static struct packet sent, got;
static ssize_t got_len; /* without the header */
static int guest_fd, net_fd;
static struct user_net *net;
static pthread_t thread;
static struct error err;
static uint16_t free_port; /* nobody has it, but a forward */

static unsigned int messages;

static void hear(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	(void)text;
	messages++;
}

static const struct logger logger = {hear, NULL};

static void *run(void *arg)
{
	(void)arg;
	user_net_run(net);
	return NULL;
}

/* A UDP socket of the host at 127.0.0.1; *@port: its port. */
static int host_socket(int type, uint16_t *port)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	*port = ntohs(address.sin_port);
	return fd;
}

static void open_sockets(void)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int fds[2], probe;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	guest_fd = fds[0];
	net_fd = fds[1];
	setsockopt(guest_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	probe = host_socket(SOCK_STREAM, &free_port);
	close(probe);
}

static uint16_t mtu;

static int create(const char *forward_text, bool restricted)
{
	struct user_net_forward forward;
	struct user_net_config config = {
		.fd = net_fd,
		.forwards = &forward,
		.n_forwards = forward_text != NULL,
		.restricted = restricted,
		.mtu = mtu,
		.log = &logger,
	};

	if (forward_text)
		ck_assert_int_eq(user_net_parse_forward("hostfwd", forward_text, &forward, &err),
				 0);
	return user_net_create(&config, &net, &err);
}

static void start(const char *forward_text, bool restricted)
{
	ck_assert_msg(create(forward_text, restricted) == 0, "%s", err.text);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void stop(void)
{
	fd_close(&guest_fd);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	user_net_destroy(net);
	fd_close(&net_fd);
}

/* --- the guest --- */

static void send_frame(size_t len)
{
	ck_assert_int_eq(send(guest_fd, &sent, sizeof(sent.header) + len, 0),
			 (ssize_t)(sizeof(sent.header) + len));
}

static void receive(void)
{
	ssize_t n = recv(guest_fd, &got, sizeof(got), 0);

	ck_assert_int_ge(n, (ssize_t)(sizeof(got.header) + sizeof(got.ether)));
	got_len = n - (ssize_t)sizeof(got.header);
	ck_assert_int_eq(got.header.flags, 0);
	ck_assert_int_eq(got.header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

static void begin(uint16_t type)
{
	memset(&sent, 0, offsetof(struct packet, data));
	memset(sent.ether.ether_dhost, 0xff, ETH_ALEN);
	memcpy(sent.ether.ether_shost, guest_mac, ETH_ALEN);
	sent.ether.ether_type = htons(type);
}

static void send_arp(uint16_t op, const char *from, const char *to)
{
	begin(ETHERTYPE_ARP);
	sent.arp.ea_hdr = (struct arphdr){
		.ar_hrd = htons(ARPHRD_ETHER),
		.ar_pro = htons(ETHERTYPE_IP),
		.ar_hln = ETH_ALEN,
		.ar_pln = 4,
		.ar_op = htons(op),
	};
	memcpy(sent.arp.arp_sha, guest_mac, ETH_ALEN);
	inet_pton(AF_INET, from, sent.arp.arp_spa);
	inet_pton(AF_INET, to, sent.arp.arp_tpa);
	send_frame(sizeof(sent.ether) + sizeof(sent.arp));
}

/* Who asks for the guest's address is answered. */
static bool was_arp_request(void)
{
	if (got.ether.ether_type != htons(ETHERTYPE_ARP) ||
	    got.arp.ea_hdr.ar_op != htons(ARPOP_REQUEST))
		return false;
	send_arp(ARPOP_REPLY, "10.0.2.15", "10.0.2.2");
	return true;
}

/* The next IPv4 packet for the guest of @protocol. */
static void receive_ip(uint8_t protocol)
{
	do
		receive();
	while (was_arp_request() || got.ether.ether_type != htons(ETHERTYPE_IP) ||
	       got.ip.protocol != protocol);
}

/* The gateway is asked for, and answers: the network works. */
static void check_alive(void)
{
	struct in_addr address;

	send_arp(ARPOP_REQUEST, "10.0.2.15", "10.0.2.2");
	do
		receive();
	while (was_arp_request() || got.ether.ether_type != htons(ETHERTYPE_ARP));
	memcpy(&address, got.arp.arp_spa, sizeof(address));
	ck_assert_str_eq(inet_ntoa(address), "10.0.2.2");
}

static uint32_t add_words(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)sum);
}

/* From the guest to @to; its checksum is for the device to complete if @offload. */
static void send_udp(const char *from, const char *to, uint16_t port, size_t len, bool offload)
{
	size_t udp_len = sizeof(sent.udp) + len;
	uint32_t sum;

	begin(ETHERTYPE_IP);
	sent.ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(sent.ip) + udp_len)),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
	};
	inet_pton(AF_INET, from, &sent.ip.saddr);
	inet_pton(AF_INET, to, &sent.ip.daddr);
	sent.ip.check = (uint16_t)~fold(add_words(0, &sent.ip, sizeof(sent.ip)));
	sent.udp.source = htons(GUEST_PORT);
	sent.udp.dest = htons(port);
	sent.udp.len = htons((uint16_t)udp_len);
	/* RFC 768: the pseudo header. */
	sum = add_words((uint32_t)(IPPROTO_UDP + udp_len), &sent.ip.saddr, 8);
	if (offload) {
		sent.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		sent.header.csum_start = sizeof(sent.ether) + sizeof(sent.ip);
		sent.header.csum_offset = offsetof(struct udphdr, check);
		sent.udp.check = fold(sum);
	} else {
		sent.udp.check = (uint16_t)~fold(add_words(sum, &sent.udp, udp_len));
	}
	send_frame(sizeof(sent.ether) + sizeof(sent.ip) + udp_len);
}

/* --- tests --- */

START_TEST(forwards)
{
	static const struct {
		const char *text;
		bool udp;
		const char *host;
		unsigned int host_port;
		const char *guest;
		unsigned int guest_port;
	} good[] = {
		{"tcp:127.0.0.1:2222-:22", false, "127.0.0.1", 2222, "10.0.2.15", 22},
		{"tcp::2222-:22", false, "0.0.0.0", 2222, "10.0.2.15", 22},
		{"udp:192.0.2.1:53-10.0.2.9:5353", true, "192.0.2.1", 53, "10.0.2.9", 5353},
	};
	static const char *const bad[] = {
		"",
		"tcp",
		"tcp:",
		"tcp:-:",
		"tcp::2222",
		"tcp::2222-22",
		"tcp:2222-:22",
		"tcp::0-:22",
		"tcp::65536-:22",
		"tcp::2222-:",
		"tcp::2222-:22x",
		"tcp:::2222-:22",
		"tcp:localhost:2222-:22",
		"sctp::2222-:22",
		"tcp::+1-:22",
		"tcp:127.0.0.1:2222-:22-:22",
		"tcp:1000000000000000000000000000000000000000000000000000000000000001:2-:2",
	};
	struct user_net_forward forward;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_int_eq(user_net_parse_forward("x", good[i].text, &forward, &err), 0);
		ck_assert_int_eq(forward.udp, good[i].udp);
		ck_assert_str_eq(inet_ntoa(forward.host), good[i].host);
		ck_assert_uint_eq(forward.host_port, good[i].host_port);
		ck_assert_str_eq(inet_ntoa(forward.guest), good[i].guest);
		ck_assert_uint_eq(forward.guest_port, good[i].guest_port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(user_net_parse_forward("x", bad[i], &forward, &err) == -EINVAL, "%s",
			      bad[i]);
		ck_assert(err.usage);
		ck_assert_ptr_nonnull(strstr(err.text, "tcp:127.0.0.1:2222-:22"));
	}
}
END_TEST

START_TEST(gateway_answers)
{
	static const uint16_t mtus[] = {0, 68, 1500, 65535};

	mtu = mtus[_i];
	start(NULL, false);
	check_alive();
	stop();
}
END_TEST

/* RFC 2131: what udhcpc and the like begin with. */
START_TEST(dhcp)
{
	static const uint8_t options[] = {99, 130, 83, 99, 53, 1, 1, 255};
	struct in_addr address;

	start(NULL, false);
	memset(sent.data, 0, 300);
	sent.data[0] = 1; /* a request, over Ethernet */
	sent.data[1] = 1;
	sent.data[2] = ETH_ALEN;
	memcpy(sent.data + 28, guest_mac, ETH_ALEN);
	memcpy(sent.data + 236, options, sizeof(options));
	send_udp("0.0.0.0", "255.255.255.255", 67, 300, true);
	receive_ip(IPPROTO_UDP);
	ck_assert_int_eq(got.udp.source, htons(67));
	memcpy(&address, got.data + 16, sizeof(address));
	ck_assert_str_eq(inet_ntoa(address), "10.0.2.15");
	stop();
}
END_TEST

/* To a service of the host and back; with the checksum complete, or left to the device. */
START_TEST(udp_to_host)
{
	static const char question[] = "odd, is it"; /* eleven bytes */
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char text[32];
	uint16_t port;
	int host = host_socket(SOCK_DGRAM, &port);

	start(NULL, false);
	check_alive();
	memcpy(sent.data, question, sizeof(question));
	send_udp("10.0.2.15", "10.0.2.2", port, sizeof(question), _i);
	ck_assert_int_eq(recvfrom(host, text, sizeof(text), 0, (struct sockaddr *)&from, &len),
			 sizeof(question));
	ck_assert_str_eq(text, question);
	ck_assert_int_eq(sendto(host, "yes", 4, 0, (struct sockaddr *)&from, len), 4);
	receive_ip(IPPROTO_UDP);
	ck_assert_int_eq(got.udp.dest, htons(GUEST_PORT));
	ck_assert_mem_eq(got.data, "yes", 4);
	close(host);
	stop();
}
END_TEST

/* A host whose name server is itself; false if we may not make one. */
static bool make_host(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	char path[] = "/tmp/xvmm-resolv.XXXXXX";
	FD_CLEANUP int fd = -1;

	if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	fd = mkstemp(path);
	ck_assert_int_eq(fd_write_all(fd, "nameserver 127.0.0.1\n", 21), 0);
	ck_assert_int_eq(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	unlink(path);
	fd_close(&fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
}

/* What is asked at 10.0.2.3 is the host's name server asked. */
START_TEST(name_server)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(53),
	};
	socklen_t len = sizeof(address);
	char text[16];
	int host;

	if (!make_host()) {
		fprintf(stderr, "user_net: SKIP name_server: no namespaces can be made here\n");
		return;
	}
	host = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(host, (struct sockaddr *)&address, sizeof(address)), 0);
	start(NULL, false);
	check_alive();
	memcpy(sent.data, "who", 4);
	send_udp("10.0.2.15", "10.0.2.3", 53, 4, true);
	ck_assert_int_eq(recvfrom(host, text, sizeof(text), 0, (struct sockaddr *)&address, &len),
			 4);
	ck_assert_str_eq(text, "who");
	ck_assert_int_eq(sendto(host, "you", 4, 0, (struct sockaddr *)&address, len), 4);
	receive_ip(IPPROTO_UDP);
	ck_assert_int_eq(got.udp.source, htons(53));
	ck_assert_mem_eq(got.data, "you", 4);
	close(host);
	stop();
}
END_TEST

START_TEST(restricted_network)
{
	char text[4];
	uint16_t port;
	int host = host_socket(SOCK_DGRAM, &port);

	start(NULL, true);
	check_alive();
	send_udp("10.0.2.15", "10.0.2.2", port, 4, true);
	/* What was sent before is done with. */
	check_alive();
	ck_assert_int_eq(recv(host, text, sizeof(text), MSG_DONTWAIT), -1);
	close(host);
	stop();
}
END_TEST

static struct sockaddr_in forward_address(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(free_port),
	};
}

START_TEST(forwarded_connection)
{
	struct sockaddr_in address = forward_address();
	char text[64];
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "tcp:127.0.0.1:%u-:22", free_port);
	start(text, _i);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	receive_ip(IPPROTO_TCP);
	ck_assert_int_eq(got.tcp.dest, htons(22));
	ck_assert(got.tcp.syn);
	close(client);
	stop();
}
END_TEST

static int64_t cpu_ms(void)
{
	struct timespec spent;
	clockid_t clock;

	ck_assert_int_eq(pthread_getcpuclockid(thread, &clock), 0);
	clock_gettime(clock, &spent);
	return spent.tv_sec * 1000 + spent.tv_nsec / 1000000;
}

/* A connection that no descriptor is left for waits until there is one, and costs no CPU. */
START_TEST(no_descriptors)
{
	enum {
		WATCHED_MS = 500,
	};
	struct sockaddr_in address = forward_address();
	struct rlimit limit, none;
	int64_t before;
	char text[64];
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "tcp:127.0.0.1:%u-:22", free_port);
	start(text, false);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3; /* which are open */
	setrlimit(RLIMIT_NOFILE, &none);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	before = cpu_ms();
	usleep(WATCHED_MS * 1000);
	/* What turns on the spot takes all of it; a look now and then is slow under a sanitizer. */
	ck_assert_int_lt(cpu_ms() - before, WATCHED_MS / 2);
	setrlimit(RLIMIT_NOFILE, &limit);
	receive_ip(IPPROTO_TCP);
	ck_assert(got.tcp.syn);
	close(client);
	stop();
}
END_TEST

/* Far more packets for it than the socket holds wait for a guest that takes none; and then it does.
 */
START_TEST(guest_takes_nothing)
{
	struct sockaddr_in address = forward_address();
	char text[64];
	uint8_t data[1400] = {0};
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof(text), "udp:127.0.0.1:%u-:%u", free_port, GUEST_PORT);
	start(text, false);
	check_alive();
	for (unsigned int i = 0; i < 2000; i++)
		sendto(client, data, sizeof(data), 0, (struct sockaddr *)&address, sizeof(address));
	receive_ip(IPPROTO_UDP);
	ck_assert_int_eq(got_len, sizeof(got.ether) + sizeof(got.ip) + sizeof(got.udp) + 1400);
	check_alive();
	close(client);
	stop();
}
END_TEST

/* What no driver sends does no harm. */
START_TEST(hostile_packets)
{
	static const size_t lengths[] = {0, 1, 13, 14, 15, 33, 34, 41, 42, 60, 1514, 65549};
	static const uint16_t places[] = {0, 1, 14, 34, 41, 42, 1513, 1514, 65534, 65535};
	const size_t n = sizeof(lengths) / sizeof(lengths[0]);
	const size_t n_places = sizeof(places) / sizeof(places[0]);

	start(NULL, false);
	for (size_t i = 0; i < n * n_places * n_places; i++) {
		begin(i & 1 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
		memset(&sent.ip, (int)i, 64);
		sent.ip.version = 4;
		sent.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		sent.header.gso_type = (uint8_t)i;
		sent.header.csum_start = places[i / n % n_places];
		sent.header.csum_offset = places[i / n / n_places];
		send_frame(lengths[i % n]);
	}
	/* Not even a header; and more than a frame can be. */
	ck_assert_int_eq(send(guest_fd, &sent, 1, 0), 1);
	ck_assert_int_gt(send(guest_fd, &sent, sizeof(sent.header) + 66000, 0), 0);
	check_alive();
	stop();
	/* Nor does it fill anybody's logs. */
	ck_assert_uint_le(messages, 11);
}
END_TEST

START_TEST(port_is_taken)
{
	char text[64];
	uint16_t port;
	int other = host_socket(SOCK_STREAM, &port);

	ck_assert_int_eq(listen(other, 1), 0);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%u-:22", port);
	ck_assert_int_eq(create(text, false), -EADDRINUSE);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%u: Address already in use", port);
	ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
	ck_assert_ptr_null(net);
	close(other);
	close(guest_fd);
	close(net_fd);
}
END_TEST

/* It may be built without, or not be there. */
static bool has_library(void)
{
	const struct user_net_config config = {.fd = -1};
	struct user_net *some;
	int ret = user_net_create(&config, &some, &err);

	user_net_destroy(some);
	return ret != -EOPNOTSUPP;
}

int main(void)
{
	SRunner *runner;
	Suite *suite;
	TCase *parsing, *networks;
	int failed;

	if (!has_library()) {
		fprintf(stderr, "user_net: SKIP: %s\n", err.text);
		return 77;
	}
	suite = suite_create("user_net");
	parsing = tcase_create("forwards");
	networks = tcase_create("networks");
	tcase_add_test(parsing, forwards);
	suite_add_tcase(suite, parsing);
	tcase_add_checked_fixture(networks, open_sockets, NULL);
	tcase_set_timeout(networks, 60);
	tcase_add_loop_test(networks, gateway_answers, 0, 4);
	tcase_add_test(networks, dhcp);
	tcase_add_loop_test(networks, udp_to_host, 0, 2);
	tcase_add_test(networks, name_server);
	tcase_add_test(networks, restricted_network);
	tcase_add_loop_test(networks, forwarded_connection, 0, 2);
	tcase_add_test(networks, no_descriptors);
	tcase_add_test(networks, guest_takes_nothing);
	tcase_add_test(networks, hostile_packets);
	tcase_add_test(networks, port_is_taken);
	suite_add_tcase(suite, networks);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
