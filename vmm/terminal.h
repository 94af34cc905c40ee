/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal that the command line runs on: raw while the guest has it, and as it was on every
 * way out: return from main(), exit(), a fatal signal, a stop.
 *
 * Part of the command line, not of the library: it owns signal handlers and static state, for
 * signals and atexit() know no other. From the main thread, except terminal_restore().
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <stdbool.h>

struct error;

/* Standard input and standard output are terminals: somebody sits there. */
bool terminal_present(void);

/*
 * Make the terminal on standard input raw: every key goes to the guest, C-c too. Output processing
 * stays on. In the background it is left alone until the process is continued in the foreground.
 *
 * Handlers are installed for the signals whose default ends or stops a process and that still have
 * that default, but for SIGINT, SIGTERM and SIGPIPE, which are main()'s. Signals that are ignored
 * or handled already are left alone. Call once, when terminal_present(). 0 or a negative errno.
 */
int terminal_make_raw(struct error *err);

/*
 * Put the terminal back as it was; as often as you like, also where it was never raw. Never blocks
 * and never stops the process. Any thread, and signal handlers.
 */
void terminal_restore(void);

#endif
