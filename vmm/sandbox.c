/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/error.h"
#include "vmm/sandbox_filters.h"
#include "vmm/sandbox_pid.h"

static const struct {
	const struct sock_filter *steps;
	size_t n;
} made[THREAD_KINDS] = {
	{filter_0, sizeof(filter_0) / sizeof(filter_0[0])},
	{filter_1, sizeof(filter_1) / sizeof(filter_1[0])},
	{filter_2, sizeof(filter_2) / sizeof(filter_2[0])},
	{filter_3, sizeof(filter_3) / sizeof(filter_3[0])},
	{filter_4, sizeof(filter_4) / sizeof(filter_4[0])},
	{filter_5, sizeof(filter_5) / sizeof(filter_5[0])},
};
_Static_assert(THREAD_KINDS == 6, "one for each");

static void set_pid(struct sock_filter *steps, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (steps[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && steps[i].k == SANDBOX_PID)
			steps[i].k = (uint32_t)getpid();
	}
}

int sandbox_filters_create(struct thread_filters *filters, struct error *err)
{
	*filters = (struct thread_filters){0};
	if (!sandbox_possible)
		return error_usage(err, "a build with sanitizers can't have a sandbox");
	for (unsigned int kind = 0; kind < THREAD_KINDS; kind++) {
		const size_t size = made[kind].n * sizeof(made[kind].steps[0]);
		struct sock_filter *steps = malloc(size);

		if (!steps) {
			sandbox_filters_destroy(filters);
			return error_set(err, -ENOMEM, "the sandbox: out of memory");
		}
		memcpy(steps, made[kind].steps, size);
		set_pid(steps, made[kind].n);
		filters->programs[kind] = (struct sock_fprog){(unsigned short)made[kind].n, steps};
	}
	return 0;
}

void sandbox_filters_destroy(struct thread_filters *filters)
{
	for (unsigned int kind = 0; kind < THREAD_KINDS; kind++)
		free(filters->programs[kind].filter);
	*filters = (struct thread_filters){0};
}
