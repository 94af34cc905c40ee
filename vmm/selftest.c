/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/selftest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/xvmm.h"

const char selftest_help[] =
	"xvmm selftest: tests xvmm's virtio devices against the virtio 1.3 specification\n"
	"\n"
	"  xvmm selftest [--transport mmio|pci]... [--packed on|off]...\n"
	"\n"
	"A small guest runs once for each transport and ring format, all of them by default, and\n"
	"tells in TAP what it found. It needs /dev/kvm, but no network and no root.\n"
	"\n"
	"Exit status: 0 all cases passed or were skipped; 1 one failed, or a guest could not run;\n"
	"2 wrong usage.\n";

/* The runs, in this order. */
static const struct run {
	const char *name;
	enum selftest_transport transport;
	enum selftest_ring ring;
	const char *cmdline; /* parameters of the guest */
} runs[] = {
	{"mmio split", SELFTEST_MMIO, SELFTEST_SPLIT, "transport=mmio packed=off"},
	{"mmio packed", SELFTEST_MMIO, SELFTEST_PACKED, "transport=mmio packed=on"},
	{"pci split", SELFTEST_PCI, SELFTEST_SPLIT, "transport=pci packed=off"},
	{"pci packed", SELFTEST_PCI, SELFTEST_PACKED, "transport=pci packed=on"},
};

enum {
	N_RUNS = sizeof(runs) / sizeof(runs[0]),
	MEMORY = 128 << 20,
	TIMEOUT_MS = 120000,
	LINE_MAX_SIZE = 512,   /* the guest's lines are shorter */
	PACKET_SIZE = 1 << 17, /* more than any packet has */
	HEADER_SIZE = 12,      /* virtio 1.3, 5.1.6 */
	ADDRESS_SIZE = 6,
	GUEST_FAILED = 100, /* tests/guest/lib/guest.h: STATUS_FAIL */
};

extern const uint8_t selftest_guest[], selftest_guest_end[];

/* --- options --- */

static int parse_choice(const char *option, const char *value, const char *const names[2],
			unsigned int *choices, struct error *err)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (strcmp(value, names[i]) == 0) {
			*choices |= 1u << i;
			return 0;
		}
	}
	return error_usage(err, "%s: '%s' is neither %s nor %s", option, value, names[0], names[1]);
}

static bool is_chosen(const struct selftest_options *options, const struct run *run)
{
	return (!options->transports || options->transports >> run->transport & 1) &&
	       (!options->rings || options->rings >> run->ring & 1);
}

/* "NAME", or "NAME=...". */
static bool is_option(const char *arg, const char *name)
{
	const size_t len = strlen(name);

	return strncmp(arg, name, len) == 0 && (!arg[len] || arg[len] == '=');
}

int selftest_parse(struct selftest_options *options, int argc, char *const *argv, struct error *err)
{
	static const char *const transports[] = {"mmio", "pci"};
	static const char *const packed[] = {"off", "on"};
	int ret = 0;

	*options = (struct selftest_options){0};
	for (int i = 2; i < argc && !ret; i++) {
		const char *option = argv[i];
		const bool is_transport = is_option(option, "--transport");
		const char *value = strchr(option, '=');

		if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
			options->help = true;
			return 0;
		}
		if (!is_transport && !is_option(option, "--packed"))
			return error_usage(err, "unknown option '%s'; try: xvmm selftest --help",
					   option);
		value = value ? value + 1 : argv[++i];
		if (!value)
			return error_usage(err, "%s needs a value; try: xvmm selftest --help",
					   option);
		if (is_transport)
			ret = parse_choice("--transport", value, transports, &options->transports,
					   err);
		else
			ret = parse_choice("--packed", value, packed, &options->rings, err);
	}
	return ret;
}

/* --- the guest's other end: a thread that sends frames back and reads the console --- */

struct peer {
	pthread_t thread;
	int net_fd;	/* owned: one end of a pair of sockets */
	int console_fd; /* owned: the reading end of a pipe */
	const struct run *run;
	char line[LINE_MAX_SIZE];
	size_t len;

	/* Cases over all runs, and in this one. */
	unsigned int cases, failures, skipped;
	unsigned int run_cases;
	bool planned; /* the guest has told how many there are: it came to its end */
};

/* One line of the guest's TAP, in the numbers of all runs. */
static void take_line(struct peer *peer, const char *line)
{
	bool ok = strncmp(line, "ok ", 3) == 0;
	unsigned int number;
	int at = 0;

	if (strncmp(line, "1..", 3) == 0) {
		peer->planned = true;
		if (strstr(line, "# SKIP")) {
			peer->cases++;
			peer->skipped++;
			printf("ok %u - %s %s\n", peer->cases, peer->run->name,
			       strstr(line, "# SKIP"));
		}
	} else if (sscanf(line, "%*[a-z ]%u - %n", &number, &at) == 1 && at > 0 &&
		   (ok || strncmp(line, "not ok ", 7) == 0)) {
		peer->cases++;
		peer->run_cases++;
		peer->failures += !ok;
		peer->skipped += ok && strstr(line, " # SKIP ");
		printf("%s %u - %s %u: %s\n", ok ? "ok" : "not ok", peer->cases, peer->run->name,
		       number, line + at);
	} else {
		printf("# %s\n", line[0] == '#' && line[1] == ' ' ? line + 2 : line);
	}
	fflush(stdout);
}

/* False at the end of the console. */
static bool read_console(struct peer *peer)
{
	char text[256];
	ssize_t n = read(peer->console_fd, text, sizeof(text));

	if (n < 0 && errno == EINTR)
		return true;
	for (ssize_t i = 0; i < n; i++) {
		if (text[i] != '\n' && peer->len < sizeof(peer->line) - 1) {
			peer->line[peer->len++] = text[i];
		} else {
			peer->line[peer->len] = '\0';
			peer->len = 0;
			take_line(peer, peer->line);
		}
	}
	return n > 0;
}

/* A frame for the peer goes back to where it came from, its virtio-net header as it was. */
static void send_back(int fd)
{
	/* TEST_MAC of tests/guest/lib/frame.h. */
	static const uint8_t own[ADDRESS_SIZE] = {0x02, 't', 'e', 's', 't', 0};
	static uint8_t packet[PACKET_SIZE];
	uint8_t *to = packet + HEADER_SIZE;
	uint8_t *from = to + ADDRESS_SIZE;
	ssize_t len = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

	if (len < HEADER_SIZE + 2 * ADDRESS_SIZE || memcmp(to, own, sizeof(own)) != 0)
		return;
	memcpy(to, from, sizeof(own));
	memcpy(from, own, sizeof(own));
	/* No room: it is lost, as on a wire. */
	if (send(fd, packet, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static void *serve(void *opaque)
{
	struct peer *peer = opaque;
	struct pollfd fds[] = {
		{.fd = peer->console_fd, .events = POLLIN},
		{.fd = peer->net_fd, .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents & POLLIN)
			send_back(peer->net_fd);
		else if (fds[1].revents)
			fds[1].fd = -1; /* the VM is gone */
		if (fds[0].revents && !read_console(peer))
			return NULL;
	}
}

/* --- a run --- */

/* The guest as a file, which KVM's users must have: a descriptor, or a negative errno. */
static int open_guest(void)
{
	size_t size = (uintptr_t)selftest_guest_end - (uintptr_t)selftest_guest;
	FD_CLEANUP int fd = memfd_create("xvmm-selftest", MFD_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = fd_write_all(fd, selftest_guest, size);
	return ret ? ret : fd_take(&fd);
}

static void print_log(void *opaque, enum xvmm_log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	/* Broken rings are part of the test, and what is said of them is a comment on it. */
	printf("# xvmm: %s\n", text);
}

/* Run the VM; NULL if the guest came to its end, or what happened, in @error or @end. */
static const char *run_vm(const struct xvmm_config *config, struct xvmm_error *error,
			  struct xvmm_end *end)
{
	struct xvmm *vm;
	int ret = xvmm_create(config, &vm, error);

	if (ret)
		return error->text;
	ret = xvmm_run(vm, end, error);
	xvmm_destroy(vm);
	if (ret)
		return error->text;
	if (end->reason == XVMM_DEBUG_EXIT && (end->value == 0 || end->value == GUEST_FAILED))
		return NULL;
	return end->text;
}

/* With the peer's thread around it. */
static const char *run_with_peer(struct peer *peer, int net_fd, int *console_fd, const char *kernel,
				 struct xvmm_error *error, struct xvmm_end *end)
{
	const struct run *run = peer->run;
	const struct xvmm_net net = {
		.has_fd = true,
		.fd = net_fd,
		.transport = run->transport == SELFTEST_PCI ? XVMM_TRANSPORT_PCI
							    : XVMM_TRANSPORT_MMIO,
		.features_on = run->ring == SELFTEST_PACKED ? xvmm_net_feature("packed") : 0,
	};
	const struct xvmm_config config = {
		.kernel = kernel,
		.cmdline = run->cmdline,
		.memory = MEMORY,
		.nets = &net,
		.n_nets = 1,
		.console = {.enabled = true, .in_fd = -1, .out_fd = *console_fd},
		.timeout_ms = TIMEOUT_MS,
		.log = print_log,
	};
	const char *failure;

	if (pthread_create(&peer->thread, NULL, serve, peer))
		return "no thread can be created";
	failure = run_vm(&config, error, end);
	/* The VM's copy is closed already: now the thread comes to the end of the pipe. */
	fd_close(console_fd);
	pthread_join(peer->thread, NULL);
	return failure;
}

static void run_one(struct peer *peer, const struct run *run, const char *kernel)
{
	struct xvmm_error error;
	struct xvmm_end end;
	const char *failure = NULL;
	int net[2] = {-1, -1}, console[2] = {-1, -1};

	peer->run = run;
	peer->len = 0;
	peer->run_cases = 0;
	peer->planned = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, net) < 0 ||
	    pipe2(console, O_CLOEXEC) < 0) {
		failure = strerror(errno);
	} else {
		peer->net_fd = net[1];
		peer->console_fd = console[0];
		failure = run_with_peer(peer, net[0], &console[1], kernel, &error, &end);
	}
	if (!failure && !peer->planned)
		failure = "the guest ended early";
	if (failure) {
		peer->cases++;
		peer->failures++;
		printf("not ok %u - %s: %s\n", peer->cases, run->name, failure);
	}
	for (int i = 0; i < 2; i++) {
		fd_close(&net[i]);
		fd_close(&console[i]);
	}
}

bool selftest_run(const struct selftest_options *options)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	FD_CLEANUP int guest = open_guest();
	char kernel[32];
	bool ok;

	if (!peer || guest < 0) {
		printf("Bail out! %s\n", strerror(peer ? -guest : ENOMEM));
		free(peer);
		return false;
	}
	snprintf(kernel, sizeof(kernel), "/proc/self/fd/%d", guest);
	for (size_t i = 0; i < N_RUNS; i++) {
		if (is_chosen(options, &runs[i]))
			run_one(peer, &runs[i], kernel);
	}
	printf("1..%u\n", peer->cases);
	printf("# %u passed, %u skipped, %u failed\n", peer->cases - peer->failures - peer->skipped,
	       peer->skipped, peer->failures);
	ok = !peer->failures;
	free(peer);
	return ok;
}
