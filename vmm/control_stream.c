/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/control_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/core/error.h"

int control_stream_init(struct control_stream *stream, size_t size)
{
	*stream = (struct control_stream){.data = malloc(size), .size = size};
	return stream->data ? 0 : -ENOMEM;
}

void control_stream_free(struct control_stream *stream)
{
	free(stream->data);
	*stream = (struct control_stream){0};
}

char *control_stream_room(struct control_stream *stream, size_t *room)
{
	size_t start = stream->start;

	if (start) {
		memmove(stream->data, stream->data + start, stream->end - start);
		stream->scanned -= start;
		stream->end -= start;
		stream->start = 0;
	}
	*room = stream->size - stream->end;
	return stream->data + stream->end;
}

void control_stream_add(struct control_stream *stream, size_t n)
{
	stream->end += n;
}

/* What was scanned is done with. */
static void consume(struct control_stream *stream)
{
	stream->start = stream->scanned;
	stream->depth = 0;
	stream->in_string = false;
	stream->escaped = false;
	stream->skipping = false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_reset(char c)
{
	return ((unsigned char)c < ' ' && !is_space(c)) || (unsigned char)c == 0xff;
}

/* A character inside brackets; true if it closes the last of them. */
static bool scan_inside(struct control_stream *stream, char c)
{
	if (stream->in_string) {
		if (stream->escaped)
			stream->escaped = false;
		else if (c == '\\')
			stream->escaped = true;
		else if (c == '"')
			stream->in_string = false;
		return false;
	}
	if (c == '"')
		stream->in_string = true;
	else if (c == '{' || c == '[')
		stream->depth++;
	else if (c == '}' || c == ']')
		stream->depth--;
	return stream->depth == 0;
}

/* A character outside; true if with it begins what is no JSON. */
static bool scan_outside(struct control_stream *stream, char c)
{
	bool begins = false;

	if (stream->skipping) {
		stream->skipping = c != '\n';
	} else if (c == '{' || c == '[') {
		stream->depth = 1;
		return false; /* the message starts here, and is kept */
	} else if (!is_space(c)) {
		stream->skipping = begins = true;
	}
	stream->start = stream->scanned;
	return begins;
}

static int parse(struct control_stream *stream, json_t **message, struct error *err)
{
	json_error_t error;

	errno = 0;
	*message = json_loadb(stream->data + stream->start, stream->scanned - stream->start,
			      JSON_REJECT_DUPLICATES, &error);
	consume(stream);
	if (*message)
		return 1;
	/* Jansson takes a token that there is no memory for as one that is wrong. */
	if (errno == ENOMEM)
		return error_set(err, -ENOMEM, "out of memory");
	return error_set(err, -EBADMSG, "this is no JSON: %s", error.text);
}

int control_stream_next(struct control_stream *stream, json_t **message, struct error *err)
{
	*message = NULL;
	while (stream->scanned < stream->end) {
		char c = stream->data[stream->scanned++];

		if (is_reset(c)) {
			consume(stream);
			return error_set(err, -EBADMSG,
					 "this is no JSON: a control character; what was before it "
					 "is forgotten");
		}
		if (!stream->depth) {
			if (scan_outside(stream, c))
				return error_set(err, -EBADMSG,
						 "this is no JSON object: '%c'; the rest of the "
						 "line is ignored",
						 (unsigned char)c < 0x7f ? c : '?');
		} else if (scan_inside(stream, c)) {
			return parse(stream, message, err);
		}
	}
	return 0;
}

char *control_stream_text(const json_t *message, size_t flags)
{
	char *text;

	errno = 0;
	text = json_dumps(message, flags);
	/* Where there is no room for the name of a member, Jansson 2.14 goes on without it. */
	if (!text || errno != ENOMEM)
		return text;
	free(text);
	return NULL;
}

json_t *control_stream_string(const char *text)
{
	char ascii[sizeof(((struct error *)0)->text)];
	json_t *value = json_string(text);
	size_t n = 0;

	if (value)
		return value;
	for (; n < sizeof(ascii) - 1 && text[n]; n++)
		ascii[n] = (char)((unsigned char)text[n] < 0x80 ? text[n] : '?');
	ascii[n] = '\0';
	return json_string(ascii);
}
