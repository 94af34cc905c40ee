/* SPDX-License-Identifier: Apache-2.0 */
/* linux/userfaultfd.h with what came to it in Linux 6.8, which Debian 12's lacks. */
#ifndef VMM_CORE_USERFAULTFD_H
#define VMM_CORE_USERFAULTFD_H

#include <linux/userfaultfd.h>

/* ioctl_userfaultfd(2), UFFDIO_MOVE */
#ifndef UFFDIO_MOVE
#define UFFD_FEATURE_MOVE (1 << 16)

struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move; /* bytes moved, or a negative errno */
};
_Static_assert(sizeof(struct uffdio_move) == 40, "as the kernel has it");

#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

#endif
