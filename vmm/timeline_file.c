/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/timeline_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/control_stream.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/path.h"
#include "vmm/timeline_bars.h"
#include "vmm/timeline_json.h"

int timeline_file_open(const char *path, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0) {
		fd = path_explain(path, PATH_WRITE, err);
		error_prefix(err, "--timeline: %s: ", path);
		return fd;
	}
	/* Jansson looks for it when it makes its first object, where a confined VM can't. */
	json_object_seed(0);
	return fd;
}

int timeline_file_write(int fd, const char *path, struct timeline *timeline, struct error *err)
{
	json_t *object = timeline_json(timeline);
	char *text = object ? control_stream_text(object, JSON_INDENT(2)) : NULL;
	int ret = text ? fd_write_all(fd, text, strlen(text)) : -ENOMEM;

	if (!ret)
		ret = fd_write_all(fd, "\n", 1);
	/* Some file systems say only here that there was no room. */
	if (close(fd) < 0 && !ret)
		ret = -errno;
	free(text);
	json_decref(object);
	return ret ? error_code(err, ret, "--timeline: %s", path) : 0;
}

int timeline_file_show(const char *path, struct error *err)
{
	FILE *file = fopen(path, "re");
	json_error_t why;
	json_t *timeline;
	int ret = 0;

	if (!file)
		return error_errno(err, "timeline: %s", path);
	timeline = json_loadf(file, JSON_REJECT_DUPLICATES, &why);
	if (!timeline)
		ret = ferror(file) ? error_errno(err, "timeline: %s", path)
				   : error_set(err, -EINVAL, "timeline: %s: line %d: %s", path,
					       why.line, why.text);
	fclose(file);
	if (!timeline)
		return ret;
	ret = timeline_bars_print(timeline, err);
	json_decref(timeline);
	if (ret)
		error_prefix(err, "timeline: %s: ", path);
	return ret;
}
