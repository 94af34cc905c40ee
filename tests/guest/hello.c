/* SPDX-License-Identifier: Apache-2.0 */
/* Says how it was booted and what it was given, and exits with "status" of the command line. */
#include "lib/boot_info.h"
#include "lib/guest.h"
#include "lib/sum.h"

int main(void)
{
	struct sum sum = {0};

	print("hello by %s\n", boot_info.protocol);
	print("command line: %s\n", boot_info.cmdline);
	if (boot_info.initrd_size > 0) {
		sum_add(&sum, boot_info.initrd, boot_info.initrd_size);
		print("initrd: %zu bytes, sum %05u\n", boot_info.initrd_size, sum.value);
	}
	return (int)arg_number("status", STATUS_PASS);
}
