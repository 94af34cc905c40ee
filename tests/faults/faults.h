/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests in which one call after the other fails: run once to see which calls there are, then once
 * for each. With FAULTS=all in the environment, each with every error that it has, and with all
 * later calls of its kind failing as well. CALLS in the environment names the only kind that is to
 * fail (its name in faults.c).
 */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include "plan.h"

/* How a program took a fault. */
enum outcome {
	NOT_REACHED, /* this time it took another way */
	TOLERATED,   /* all work was done */
	TOLD,	     /* not all, and it said why */
	N_OUTCOMES,
};

/*
 * The plan, in shared memory, and its descriptor, which programs inherit as PLAN_FD. Turns address
 * space randomisation off for them. Once, first.
 */
struct plan *faults_create(void);

/*
 * Run @test as a loop test: first with a negative _i, where nothing fails, to see the calls of the
 * phase that PHASE names in the environment (start, running or stopping); then with the number of
 * each fault. Returns main()'s status.
 */
int faults_run(const char *name, const TTest *test);

/* In a test: let fault @i come, if that is one. */
void faults_arm(int i);

/* In a test: what came of it. */
void faults_count(enum outcome outcome);

/* The fault that is armed, in words, in static memory; "" if none is. */
const char *faults_text(void);

/* Has it come? Its errno, or 0. */
int faults_code(void);

/* In which process (its id), or 0. */
int faults_process(void);

#endif
