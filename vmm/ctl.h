/* SPDX-License-Identifier: Apache-2.0 */
/* `xvmm ctl`: one command to the control socket of a running VM. */
#ifndef VMM_CTL_H
#define VMM_CTL_H

/*
 * @argv is all of the program's. Prints the result on standard output, or what went wrong on
 * standard error; waits for as long as the command takes. An exit status: 0; 1, the command failed
 * or never got there; 2, wrong usage.
 */
int ctl_run(int argc, char *const *argv);

#endif
