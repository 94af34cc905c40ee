/* SPDX-License-Identifier: Apache-2.0 */
/* Filters are made before there is a process: where they say this, its PID is put. */
#ifndef VMM_SANDBOX_PID_H
#define VMM_SANDBOX_PID_H

enum {
	SANDBOX_PID = 0x50494421, /* larger than any PID (2^22) */
};

#endif
