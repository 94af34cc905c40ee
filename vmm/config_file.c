/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/control_stream.h"
#include "vmm/core/error.h"

static int out_of_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

int config_file_add(json_t *options, const char *name, const char *value, struct error *err)
{
	json_t *list = json_object_get(options, name);
	json_t *string;

	errno = 0;
	string = json_string(value);
	if (!string)
		return errno == ENOMEM ? out_of_memory(err)
				       : error_usage(err, "--%s: '%s' is not UTF-8", name, value);
	if (!list) {
		list = json_array();
		if (json_object_set_new(options, name, list)) {
			json_decref(string);
			return out_of_memory(err);
		}
	}
	return json_array_append_new(list, string) ? out_of_memory(err) : 0;
}

/* One value as the command line would have it. */
static int add_value(json_t *options, const char *name, json_t *value, struct error *err)
{
	char number[32];

	switch (json_typeof(value)) {
	case JSON_STRING:
		/* What has a NUL in it ends there, and isn't what was meant. */
		if (strlen(json_string_value(value)) != json_string_length(value))
			return error_usage(err, "%s: there is a NUL in it", name);
		return config_file_add(options, name, json_string_value(value), err);
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		return config_file_add(options, name, number, err);
	case JSON_REAL:
		snprintf(number, sizeof(number), "%.15g", json_real_value(value));
		return config_file_add(options, name, number, err);
	case JSON_TRUE:
		return config_file_add(options, name, "on", err);
	case JSON_FALSE:
		return config_file_add(options, name, "off", err);
	default:
		return error_usage(err,
				   "%s: a value is a string, a number, true or false, or an "
				   "array of these",
				   name);
	}
}

static int add_member(json_t *options, const char *name, json_t *member, struct error *err)
{
	size_t i;
	json_t *value;
	int ret = 0;

	if (!json_is_array(member))
		return add_value(options, name, member, err);
	json_array_foreach(member, i, value)
	{
		ret = add_value(options, name, value, err);
		if (ret)
			break;
	}
	return ret;
}

static int normalize(json_t *file, json_t *options, struct error *err)
{
	const char *name;
	json_t *member;
	int ret = 0;

	if (!json_is_object(file))
		return error_usage(err, "it is no JSON object: {\"kernel\": \"bzImage\", ...}");
	json_object_foreach(file, name, member)
	{
		ret = add_member(options, name, member, err);
		if (ret)
			break;
	}
	return ret;
}

int config_file_load(const char *path, json_t **options, struct error *err)
{
	json_error_t error;
	json_t *file;
	int ret;

	*options = NULL;
	errno = 0;
	file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!file && (json_error_code(&error) == json_error_cannot_open_file || errno == EISDIR))
		return error_usage(err, "--config %s: %s; --print-config writes such a file", path,
				   strerror(errno));
	if (!file)
		return error_usage(err,
				   "--config %s, line %d: %s; --print-config writes what is right",
				   path, error.line, error.text);
	*options = json_object();
	ret = *options ? normalize(file, *options, err) : out_of_memory(err);
	json_decref(file);
	if (!ret)
		return 0;
	json_decref(*options);
	*options = NULL;
	error_prefix(err, "--config %s: ", path);
	return ret;
}

int config_file_print(json_t *options, struct error *err)
{
	json_t *file = json_object(), *values;
	const char *name;
	char *text;
	int ret = 0;

	json_object_foreach(options, name, values)
	{
		ret |= json_object_set(file, name,
				       json_array_size(values) == 1 ? json_array_get(values, 0)
								    : values);
	}
	text = file && !ret ? control_stream_text(file, JSON_INDENT(2)) : NULL;
	json_decref(file);
	if (!text)
		return out_of_memory(err);
	puts(text);
	free(text);
	return fflush(stdout) ? error_errno(err, "--print-config: standard output") : 0;
}
