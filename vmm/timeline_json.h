/* SPDX-License-Identifier: Apache-2.0 */
/* A timeline for others: what xvmm-timeline returns and --timeline writes; docs/timeline.md. */
#ifndef VMM_TIMELINE_JSON_H
#define VMM_TIMELINE_JSON_H

#include <jansson.h>

struct timeline;

enum {
	TIMELINE_JSON_VERSION = 1, /* of the format */
};

/* All marks up to now, as an object, the caller's; NULL: out of memory. Any thread. */
json_t *timeline_json(struct timeline *timeline);

#endif
