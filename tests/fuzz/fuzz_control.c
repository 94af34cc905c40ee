/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client of the control socket may send. The first byte says in pieces of which size it
 * arrives: that must not matter. Messages come out as they would if each was parsed alone, and the
 * reader always goes on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/control_stream.h"
#include "vmm/core/error.h"

enum {
	LIMIT = 256,
};

/* What came out of a stream: all messages in an array, and how many errors. */
struct outcome {
	json_t *messages;
	size_t n_errors;
	int too_long;
};

static void drain(struct control_stream *stream, struct outcome *outcome)
{
	struct error err;
	json_t *message;
	int ret;

	while ((ret = control_stream_next(stream, &message, &err))) {
		if (ret > 0) {
			require(json_is_object(message) || json_is_array(message));
			json_array_append_new(outcome->messages, message);
		} else {
			require(!message && *err.text);
			outcome->n_errors++;
		}
	}
}

static struct outcome feed(const uint8_t *data, size_t size, size_t piece)
{
	struct outcome outcome = {.messages = json_array()};
	struct control_stream stream;

	require(control_stream_init(&stream, LIMIT) == 0);
	while (size && !outcome.too_long) {
		size_t room, n = size < piece ? size : piece;
		char *to = control_stream_room(&stream, &room);

		outcome.too_long = room == 0;
		n = n < room ? n : room;
		memcpy(to, data, n);
		control_stream_add(&stream, n);
		data += n;
		size -= n;
		drain(&stream, &outcome);
	}
	control_stream_free(&stream);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome one, other;

	if (size < 1)
		return 0;
	one = feed(data + 1, size - 1, data[0] + 1u);
	other = feed(data + 1, size - 1, LIMIT);
	require(one.too_long == other.too_long && one.n_errors == other.n_errors);
	require(json_equal(one.messages, other.messages));
	json_decref(one.messages);
	json_decref(other.messages);
	return 0;
}
