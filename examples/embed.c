/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boots a guest, its console on standard output:
 *
 *	cc embed.c $(pkg-config --cflags --libs libxvmm) -o embed
 *	./embed KERNEL [INITRD]
 */
#include <stdio.h>
#include <xvmm.h>

int main(int argc, char **argv)
{
	struct xvmm_config config = {
		.kernel = argc > 1 ? argv[1] : NULL,
		.initrd = argc > 2 ? argv[2] : NULL,
		.console = {.enabled = true, .in_fd = -1, .out_fd = 1},
		.timeout_ms = 60000,
	};
	struct xvmm_error error;
	struct xvmm_end end;
	struct xvmm *vm;
	int ret = xvmm_create(&config, &vm, &error);

	if (!ret) {
		ret = xvmm_run(vm, &end, &error);
		xvmm_destroy(vm);
	}
	if (ret)
		fprintf(stderr, "embed: %s\n", error.text);
	else
		fprintf(stderr, "embed: %s\n", end.text);
	return ret || end.reason != XVMM_POWER_OFF;
}
