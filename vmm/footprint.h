/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_FOOTPRINT_H
#define VMM_FOOTPRINT_H

/*
 * Give back to the system what only setting up took: free heap, and code and constants of shared
 * libraries, which come back from the page cache where they are needed again. The program's own
 * stay: a debugger's breakpoints are in them.
 */
void footprint_reduce(void);

#endif
