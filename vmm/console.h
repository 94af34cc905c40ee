/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console: joins the guest's serial device with descriptors of the host.
 *
 * Output is gathered and written at the end of a line, at 256 bytes, or 10 ms after the first byte
 * that is not written. A slow reader makes the vCPU thread wait that has a line to write (and then
 * the others that send), never the main loop, and never beyond console_stop(). When the reader is
 * gone, output is dropped; when the disk is full, output is lost; either is said once and the VM
 * goes on.
 *
 * Input is read no faster than the guest takes it, so the rest stays in the descriptor. End of
 * input ends the reading and nothing else.
 *
 * Threads: the callbacks in the serial_line are for vCPU threads; console_stop() is for any;
 * everything else is for the main loop's thread.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdbool.h>

#include "devices/serial.h"

struct console;
struct error;
struct logger;
struct loop;
struct timeline;

struct console_config {
	struct loop *loop;	   /* borrowed */
	const struct logger *log;  /* borrowed; may be NULL */
	struct timeline *timeline; /* for the first byte of output; borrowed; or NULL */

	/*
	 * Where input comes from and output goes to: terminals, pipes, sockets, files; blocking or
	 * not (their flags, which other processes may share, stay as they are). -1: no input;
	 * output is discarded. They may be one descriptor. @in_fd is borrowed until
	 * console_destroy(), @out_fd only by console_create(), which makes a copy of its own.
	 */
	int in_fd;
	int out_fd;

	/*
	 * With @escape C-a in the input is a command's first key: x quits, p presses the power
	 * button, b sends a break, C-a sends C-a itself, h tells these. Meant for a terminal: the
	 * input is then read ahead of the guest, so that C-a x works though that reads nothing,
	 * unless 4 KiB wait for it already.
	 */
	bool escape;
	/* What two of the keys do. Main loop; must not destroy the console; only with @escape. */
	void (*quit)(void *opaque);
	void (*power_button)(void *opaque);
	/*
	 * The output has "Kernel panic - not syncing" in it, Linux's last words: or NULL. A vCPU's
	 * thread, once; what follows those words is still to come.
	 */
	void (*panicked)(void *opaque);
	void *opaque;
};

/* 0, or a negative errno and *@console NULL. */
int console_create(struct console **console, const struct console_config *config,
		   struct error *err);

/* Does not write what is left (console_flush() does). No vCPU thread may run. Accepts NULL. */
void console_destroy(struct console *console);

/* For serial_create(). Valid until console_destroy(). */
const struct serial_line *console_line(const struct console *console);

/* Begin to read input for @serial, which must outlive the console. Once. */
int console_attach(struct console *console, struct serial *serial, struct error *err);

/*
 * Release vCPU threads that wait for a slow reader, and let no other wait. Output still comes in,
 * as far as the buffer holds it. For ever: the VM ends. Any thread.
 */
void console_stop(struct console *console);

/*
 * Write all that is left, as long as the reader takes something at least once a second. What was
 * lost until now is logged; true: nothing was. After console_stop(), when the vCPU threads have
 * ended.
 */
bool console_flush(struct console *console);

#endif
