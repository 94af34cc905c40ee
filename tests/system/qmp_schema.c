/* SPDX-License-Identifier: Apache-2.0 */
/* Whether values fit what QEMU's introspection says of them (docs/devel/qapi-code-gen.rst there).
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "qmp_client.h"

static const char *member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

json_t *qmp_schema_make(json_t *returned)
{
	json_t *schema = json_object(), *entity;
	size_t i;

	ck_assert(json_is_array(returned));
	json_array_foreach(returned, i, entity)
		json_object_set(schema, member(entity, "name"), entity);
	ck_assert_uint_eq(json_object_size(schema), json_array_size(returned));
	json_decref(returned);
	return schema;
}

json_t *qmp_schema_find(const json_t *schema, const char *kind, const char *name)
{
	json_t *entity = json_object_get(schema, name);

	return entity && (!kind || strcmp(member(entity, "meta-type"), kind) == 0) ? entity : NULL;
}

static bool wrong(const json_t *value, const char *what, char *why, size_t size)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	snprintf(why, size, "%s: %.200s", what, text);
	free(text);
	return false;
}

static bool fits_builtin(const char *type, const json_t *value)
{
	if (strcmp(type, "value") == 0)
		return true;
	if (strcmp(type, "string") == 0)
		return json_is_string(value);
	if (strcmp(type, "int") == 0)
		return json_is_integer(value);
	if (strcmp(type, "number") == 0)
		return json_is_number(value);
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(value);
	return strcmp(type, "null") == 0 && json_is_null(value);
}

static bool fits_enum(const json_t *type, const json_t *value)
{
	json_t *known;
	size_t i;

	json_array_foreach(json_object_get(type, "values"), i, known)
	{
		if (json_equal(known, value))
			return true;
	}
	return false;
}

static bool fits_array(const json_t *schema, const json_t *type, const json_t *value, char *why,
		       size_t size)
{
	json_t *element;
	size_t i;

	json_array_foreach(value, i, element)
	{
		if (!qmp_schema_fits(schema, member(type, "element-type"), element, why, size))
			return false;
	}
	return json_is_array(value) || wrong(value, "no array", why, size);
}

/* The members of @type that @value has: *@n of them, all as they should be, or false. */
static bool fits_members(const json_t *schema, const json_t *type, const json_t *value, size_t *n,
			 char *why, size_t size)
{
	json_t *info;
	size_t i;

	json_array_foreach(json_object_get(type, "members"), i, info)
	{
		const char *name = member(info, "name");
		const json_t *is = json_object_get(value, name);

		if (!is && !json_object_get(info, "default"))
			return wrong(value, name, why, size);
		if (is && !qmp_schema_fits(schema, member(info, "type"), is, why, size))
			return false;
		*n += is != NULL;
	}
	return true;
}

/* What an object has besides, for its tag is @tag. */
static const json_t *variant(const json_t *schema, const json_t *type, const char *tag)
{
	json_t *info;
	size_t i;

	json_array_foreach(json_object_get(type, "variants"), i, info)
	{
		if (tag && strcmp(member(info, "case"), tag) == 0)
			return qmp_schema_find(schema, "object", member(info, "type"));
	}
	return NULL;
}

static bool fits_object(const json_t *schema, const json_t *type, const json_t *value, char *why,
			size_t size)
{
	const char *tag = member(type, "tag");
	const json_t *more = tag ? variant(schema, type, member(value, tag)) : NULL;
	size_t n = 0;

	if (!json_is_object(value))
		return wrong(value, "no object", why, size);
	if (!fits_members(schema, type, value, &n, why, size) ||
	    (more && !fits_members(schema, more, value, &n, why, size)))
		return false;
	return n == json_object_size(value) || wrong(value, "an unknown member", why, size);
}

static bool fits_alternate(const json_t *schema, const json_t *type, const json_t *value, char *why,
			   size_t size)
{
	json_t *info;
	size_t i;

	json_array_foreach(json_object_get(type, "members"), i, info)
	{
		if (qmp_schema_fits(schema, member(info, "type"), value, why, size))
			return true;
	}
	return false;
}

bool qmp_schema_fits(const json_t *schema, const char *name, const json_t *value, char *why,
		     size_t size)
{
	const json_t *type = qmp_schema_find(schema, NULL, name);
	const char *kind = member(type, "meta-type");

	ck_assert_msg(kind != NULL, "the schema has no type %s", name);
	if (strcmp(kind, "object") == 0)
		return fits_object(schema, type, value, why, size);
	if (strcmp(kind, "array") == 0)
		return fits_array(schema, type, value, why, size);
	if (strcmp(kind, "alternate") == 0)
		return fits_alternate(schema, type, value, why, size);
	if (strcmp(kind, "enum") == 0)
		return fits_enum(type, value) || wrong(value, name, why, size);
	ck_assert_str_eq(kind, "builtin");
	return fits_builtin(member(type, "json-type"), value) || wrong(value, name, why, size);
}
