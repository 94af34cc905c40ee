/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON objects that come one after another on a stream, in pieces of any size, as both ends of QMP
 * read them. What is not JSON is passed over: outside of brackets to the end of the line, and a
 * control character (or 0xff, which is not UTF-8) ends whatever was begun, so that a client can set
 * the reader right (qmp-spec, "Forcing the JSON parser into known-good state").
 *
 * A stream is for one thread at a time.
 */
#ifndef VMM_CONTROL_STREAM_H
#define VMM_CONTROL_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

struct control_stream {
	char *data;   /* owned */
	size_t size;  /* of it, and of a message at most */
	size_t start; /* of what was not given out yet */
	size_t scanned;
	size_t end;
	unsigned int depth; /* of brackets, where it was scanned to */
	bool in_string;
	bool escaped;
	bool skipping; /* to the end of a line that is no JSON */
};

/* For messages of at most @size bytes. 0 or -ENOMEM. */
int control_stream_init(struct control_stream *stream, size_t size);

/* Accepts one that was zeroed, or freed already. */
void control_stream_free(struct control_stream *stream);

/*
 * Where to put what was read next, *@room bytes at most. There is some after control_stream_next()
 * has returned 0, unless a message is longer than the limit.
 */
char *control_stream_room(struct control_stream *stream, size_t *room);

/* @n bytes were put there. */
void control_stream_add(struct control_stream *stream, size_t n);

/*
 * The next message: 1 with *@message, an object or array, the caller's; 0 if none is complete yet;
 * -EBADMSG with *@err filled for something that is no JSON, or -ENOMEM; it is gone then.
 */
int control_stream_next(struct control_stream *stream, json_t **message, struct error *err);

/*
 * @text, up to so much as an error has, as a value, the caller's; NULL: out of memory. Messages
 * quote paths, and are cut where they are too long: what is not UTF-8 becomes ASCII.
 */
json_t *control_stream_string(const char *text);

/* @message as text, the caller's to free(); NULL: out of memory. @flags: of json_dumps(). */
char *control_stream_text(const json_t *message, size_t flags);

#endif
