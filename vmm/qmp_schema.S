/* SPDX-License-Identifier: Apache-2.0 */
/* What query-qmp-schema returns, a string: docs/qmp-schema.json, whose path SCHEMA is. */
#ifdef __CET__
#include <cet.h> /* else the linker takes the whole program to be without */
#endif

	.section .rodata
	.globl	qmp_schema
	.hidden	qmp_schema
qmp_schema:
	.incbin	SCHEMA
	.byte	0

	.section .note.GNU-stack, "", @progbits
