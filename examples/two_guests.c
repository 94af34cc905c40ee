/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two guests in one process, joined by a cable: a pair of sockets, on which each message is a
 * packet. Each runs in the background; this thread prints how they end.
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
	pthread_t printer;
	struct xvmm *vm;
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

static int start(struct guest *guest, char **argv, int cable)
{
	struct xvmm_error error;

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
	if (pthread_create(&guest->printer, NULL, print_console, guest))
		return -1;
	if (!xvmm_create(&guest->config, &guest->vm, &error) && !xvmm_start(guest->vm, &error))
		return 0;
	fprintf(stderr, "%u: %s\n", guest->number, error.text);
	return -1;
}

/* Its exit status. */
static int finish(struct guest *guest)
{
	struct xvmm_error error;
	struct xvmm_end end;
	int ret = xvmm_wait(guest->vm, &end, &error);

	fprintf(stderr, "%u: %s\n", guest->number, ret ? error.text : end.text);
	/* With it goes its end of the cable. */
	xvmm_destroy(guest->vm);
	close(guest->console[1]);
	pthread_join(guest->printer, NULL);
	return ret || end.reason != XVMM_POWER_OFF;
}

int main(int argc, char **argv)
{
	struct guest guests[2] = {{.number = 1}, {.number = 2}};
	int cable[2], status;

	if (argc != 5) {
		fprintf(stderr, "usage: two_guests KERNEL INITRD COMMAND-LINE-1 COMMAND-LINE-2\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, cable)) {
		perror("two_guests: a socket pair");
		return EXIT_FAILURE;
	}
	if (start(&guests[0], argv, cable[0]) || start(&guests[1], argv, cable[1]))
		return EXIT_FAILURE;
	/* Each VM has a copy of its own. */
	close(cable[0]);
	close(cable[1]);
	status = finish(&guests[0]);
	return finish(&guests[1]) || status;
}
