/* SPDX-License-Identifier: Apache-2.0 */
/* What every test guest uses. A guest is a main() over this library. */
#ifndef GUEST_LIB_GUEST_H
#define GUEST_LIB_GUEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a guest ends when nothing else is said. The VMM makes it its own exit status. */
enum guest_status {
	STATUS_PASS = 0,
	STATUS_FAIL = 100,	/* a check() failed */
	STATUS_EXCEPTION = 101, /* an exception that nobody expected */
	STATUS_UNUSABLE = 102,	/* fatal(): what the guest needs isn't there */
};

/* The guest. Runs on the first CPU, on x86 in ring 3; what it returns goes to guest_exit(). */
int main(void);

/* Stop this CPU for good, with interrupts off. */
_Noreturn void halt(void);

/* Write @status to the debug-exit device. */
_Noreturn void guest_exit(int status);

/* As printf(3): flags # 0, width, lengths l ll z, conversions d u x c s %. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same into @text, cut off to @size bytes with the final NUL. */
void format_text(char *text, size_t size, const char *format, va_list args);

/* Print, and end the guest with STATUS_UNUSABLE. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* If not NULL, fatal() calls it with its text instead; it doesn't return. */
extern void (*on_fatal)(const char *text);

/*
 * Checks are told as in the Test Anything Protocol, numbered in the order in which they are made.
 * @what says what must be true, and where it is written. Returns @ok.
 */
bool check(bool ok, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* A check that could not be made, and why. */
void check_skipped(const char *why, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* How many there were so far. */
unsigned int check_count(void);

/* The plan, and the status that main() should return. */
int check_done(void);

/* The value of "name=value" on the command line. Numbers may be hexadecimal and end in K, M, G. */
const char *arg_string(const char *name, const char *otherwise); /* ends at the next space */
uint64_t arg_number(const char *name, uint64_t otherwise);
bool arg_switch(const char *name, bool otherwise); /* name=on, name=off */
bool arg_is(const char *name, const char *value);

/* Zeroed pages, at most a few MiB in all. Virtual is physical. */
enum {
	PAGE_SIZE = 4096,
};
void *alloc_pages(size_t size);

/*
 * The same for many of one size: aligned to cache lines, an odd number of them apart, so that they
 * don't all begin in the same set of a cache.
 */
void *alloc_buffer(size_t size);

/* Give back all that was handed out since alloc_mark() returned @mark. */
size_t alloc_mark(void);
void alloc_release(size_t mark);

/* A counter at a constant rate, since some time: the TSC on x86, the virtual counter on aarch64. */
uint64_t clock_ticks(void);

/*
 * Waiting: for (deadline_t d = deadline(ms); !condition;) if (deadline_passed(d)) ...
 * Never too short; a few times too long where the clock's frequency can't be told (x86).
 */
typedef uint64_t deadline_t;
deadline_t deadline(unsigned int milliseconds);

static inline bool deadline_passed(deadline_t d)
{
	return clock_ticks() >= d;
}

#endif
