/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two guests in one process, joined by a cable: a pair of sockets, on which each message is a
 * packet. Each runs in the background; this thread prints how they end.
 *
 *	cc two_guests.c $(pkg-config --cflags --libs libxvmm) -pthread -o two_guests
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
	struct xvmm *vm;
	FILE *console;	 /* what it prints, */
	int console_end; /* when that is closed, and the VM destroyed, it ends */
	pthread_t printer;
};

static void *print_console(void *opaque)
{
	struct guest *guest = opaque;
	char line[1024];

	while (fgets(line, sizeof(line), guest->console))
		printf("%u: %s", guest->number, line);
	return NULL;
}

static int open_console(struct guest *guest)
{
	int ends[2];

	if (pipe(ends))
		return -1;
	guest->console = fdopen(ends[0], "r");
	guest->console_end = ends[1];
	return guest->console && !pthread_create(&guest->printer, NULL, print_console, guest) ? 0
											      : -1;
}

/* Its VM goes, and with it its end of the cable; then the rest of what it has printed comes. */
static void destroy(struct guest *guest)
{
	xvmm_destroy(guest->vm);
	close(guest->console_end);
	pthread_join(guest->printer, NULL);
	fclose(guest->console);
}

static int start(struct guest *guest, char **argv, int cable)
{
	const struct xvmm_net net = {.has_fd = true, .fd = cable};
	struct xvmm_config config = {
		.kernel = argv[1],
		.initrd = *argv[2] ? argv[2] : NULL,
		.cmdline = argv[2 + guest->number],
		.nets = &net,
		.n_nets = 1,
		.timeout_ms = 120000,
	};
	struct xvmm_error error;

	if (open_console(guest)) {
		perror("two_guests: a console");
		return -1;
	}
	config.console =
		(struct xvmm_console){.enabled = true, .in_fd = -1, .out_fd = guest->console_end};
	if (!xvmm_create(&config, &guest->vm, &error) && !xvmm_start(guest->vm, &error))
		return 0;
	fprintf(stderr, "%u: %s\n", guest->number, error.text);
	destroy(guest);
	return -1;
}

/* Its exit status. */
static int finish(struct guest *guest)
{
	struct xvmm_error error;
	struct xvmm_end end;
	int ret = xvmm_wait(guest->vm, &end, &error);

	fprintf(stderr, "%u: %s\n", guest->number, ret ? error.text : end.text);
	destroy(guest);
	return ret || end.reason != XVMM_POWER_OFF;
}

int main(int argc, char **argv)
{
	struct guest one = {.number = 1}, two = {.number = 2};
	int cable[2], status;

	if (argc != 5) {
		fprintf(stderr, "usage: two_guests KERNEL INITRD COMMAND-LINE-1 COMMAND-LINE-2\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, cable)) {
		perror("two_guests: a socket pair");
		return EXIT_FAILURE;
	}
	if (start(&one, argv, cable[0]))
		return EXIT_FAILURE;
	if (start(&two, argv, cable[1])) {
		destroy(&one);
		return EXIT_FAILURE;
	}
	/* Each VM has a copy of its own. */
	close(cable[0]);
	close(cable[1]);
	status = finish(&one);
	return finish(&two) || status;
}
