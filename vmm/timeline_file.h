/* SPDX-License-Identifier: Apache-2.0 */
/* --timeline FILE, which the command line writes when the VM has ended; and `xvmm timeline FILE`.
 */
#ifndef VMM_TIMELINE_FILE_H
#define VMM_TIMELINE_FILE_H

struct error;
struct timeline;

/* Open it, for later, when that can't be done any more. A descriptor, or a negative errno. */
int timeline_file_open(const char *path, struct error *err);

/* Write @timeline to @fd, which is closed, of the file @path. 0 or a negative errno. */
int timeline_file_write(int fd, const char *path, struct timeline *timeline, struct error *err);

/* Draw the timeline in the file @path on standard output. 0 or a negative errno. */
int timeline_file_show(const char *path, struct error *err);

#endif
