/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two guests in one process, joined by a cable: a pair of sockets, on which each message is a
 *packet.
 *
 *	./two_guests KERNEL INITRD COMMAND-LINE-1 COMMAND-LINE-2
 *
 * What they print comes out line by line, with their number in front.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xvmm.h>

struct guest {
	unsigned int number;
	struct xvmm_config config;
	struct xvmm_net net;
	int console[2]; /* a pipe */
	int status;
	pthread_t runs, prints;
};

static void *print_console(void *opaque)
{
	struct guest *guest = opaque;
	FILE *console = fdopen(guest->console[0], "r");
	char line[1024];

	while (console && fgets(line, sizeof(line), console))
		printf("%u: %s", guest->number, line);
	if (console)
		fclose(console);
	return NULL;
}

static void *run(void *opaque)
{
	struct guest *guest = opaque;
	struct xvmm_error error;
	struct xvmm_end end;
	struct xvmm *vm;
	int ret = xvmm_create(&guest->config, &vm, &error);

	/* The VM has a copy: when it is gone, the other one's cable is unplugged. */
	close(guest->net.fd);
	if (!ret) {
		ret = xvmm_run(vm, &end, &error);
		xvmm_destroy(vm);
	}
	fprintf(stderr, "%u: %s\n", guest->number, ret ? error.text : end.text);
	guest->status = ret || end.reason != XVMM_POWER_OFF;
	close(guest->console[1]);
	return NULL;
}

static int start(struct guest *guest, char **argv, int cable)
{
	if (pipe(guest->console))
		return -1;
	guest->net = (struct xvmm_net){.has_fd = true, .fd = cable};
	guest->config = (struct xvmm_config){
		.kernel = argv[1],
		.initrd = *argv[2] ? argv[2] : NULL,
		.cmdline = argv[2 + guest->number],
		.nets = &guest->net,
		.n_nets = 1,
		.console = {.enabled = true, .in_fd = -1, .out_fd = guest->console[1]},
		.timeout_ms = 120000,
	};
	if (pthread_create(&guest->prints, NULL, print_console, guest))
		return -1;
	return pthread_create(&guest->runs, NULL, run, guest) ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct guest guests[2] = {{.number = 1}, {.number = 2}};
	int cable[2];

	if (argc != 5) {
		fprintf(stderr, "usage: two_guests KERNEL INITRD COMMAND-LINE-1 COMMAND-LINE-2\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, cable) ||
	    start(&guests[0], argv, cable[0]) || start(&guests[1], argv, cable[1])) {
		perror("two_guests");
		return EXIT_FAILURE;
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(guests[i].runs, NULL);
		pthread_join(guests[i].prints, NULL);
	}
	return guests[0].status || guests[1].status;
}
