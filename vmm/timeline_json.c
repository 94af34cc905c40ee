/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/timeline_json.h"

#include "vmm/control_stream.h"
#include "vmm/core/timeline.h"

enum {
	NS_PER_US = 1000,
};

static json_t *mark_object(const struct timeline_mark *mark)
{
	json_t *object = json_pack("{s:s,s:I}", "name", timeline_event_name(mark->event), "us",
				   (json_int_t)(mark->ns / NS_PER_US));
	int ret = object ? 0 : -1;

	if (!ret && mark->device[0])
		ret = json_object_set_new(object, "device", control_stream_string(mark->device));
	if (!ret && mark->event == TIMELINE_GUEST)
		ret = json_object_set_new(object, "value", json_integer(mark->value));
	if (!ret)
		return object;
	json_decref(object);
	return NULL;
}

json_t *timeline_json(struct timeline *timeline)
{
	json_t *marks = json_array();
	struct timeline_mark mark;

	for (unsigned int i = 0; marks && timeline_get(timeline, i, &mark) == 0; i++) {
		if (json_array_append_new(marks, mark_object(&mark))) {
			json_decref(marks);
			return NULL;
		}
	}
	return json_pack("{s:i,s:s,s:o,s:I}", "version", TIMELINE_JSON_VERSION, "unit", "us",
			 "marks", marks, "guest-marks-lost", (json_int_t)timeline_lost(timeline));
}
