/* SPDX-License-Identifier: Apache-2.0 */
/* A timeline as text: a line for each mark, with a bar from the mark before to where it is. */
#ifndef VMM_TIMELINE_BARS_H
#define VMM_TIMELINE_BARS_H

#include <jansson.h>
#include <stdio.h>

struct error;

/*
 * Check @timeline (borrowed), which should be what timeline_json() makes, and draw it on @out in
 * lines of @width columns, if that is enough for bars. 0, or -EINVAL with *@err saying what is
 * wrong with it; then nothing is written.
 */
int timeline_bars_draw(json_t *timeline, FILE *out, unsigned int width, struct error *err);

/* The same on standard output, as wide as the terminal is; 80 columns if it is none. */
int timeline_bars_print(json_t *timeline, struct error *err);

#endif
