/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outb PORT VALUE: writes a byte to an I/O port. The cloud kernel has no
 * /dev/port (CONFIG_DEVPORT).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: outb PORT VALUE\n");
		return 2;
	}

	unsigned short port = (unsigned short)strtoul(argv[1], NULL, 0);
	unsigned char value = (unsigned char)strtoul(argv[2], NULL, 0);

	if (ioperm(port, 1, 1)) {
		perror("ioperm");
		return 1;
	}
	outb(value, port);
	return 0;
}
