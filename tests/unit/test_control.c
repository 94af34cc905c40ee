/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket as its clients see it: the loop has a thread, the clients are here. */
#include "vmm/control.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/must.h"
#include "vmm/control_fds.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/loop.h"

enum {
	PATIENCE_S = 20,
};

static char directory[] = "/tmp/test-control.XXXXXX";
static char path[64];
static struct loop *loop;
static struct control *control;
static pthread_t thread;
static sem_t done; /* posted by the command "done" */

/* --- commands --- */

static int command_echo(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	ck_assert_ptr_eq(opaque, &done);
	(void)err;
	*result = json_incref(arguments);
	return 0;
}

static int command_empty(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	(void)arguments;
	(void)result;
	(void)err;
	return 0;
}

/* Fails, though with a result, and with words that are no UTF-8. */
static int command_fail(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	(void)arguments;
	*result = json_object();
	return error_set(err, -EIO, "it \xff failed");
}

static int command_shout(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)opaque;
	(void)result;
	(void)err;
	control_event(control, "SHOUT", json_incref(arguments));
	return 0;
}

static int command_done(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	(void)arguments;
	(void)result;
	(void)err;
	sem_post(opaque);
	return 0;
}

/* More than a socket's buffers take in few replies. */
static int command_large(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	static char text[8192];

	(void)opaque;
	(void)arguments;
	(void)err;
	memset(text, 'x', sizeof(text) - 1);
	*result = json_string(text);
	return 0;
}

/* Takes over the descriptor @name, and tells which file that is. */
static int command_take(void *opaque, json_t *arguments, json_t **result, struct error *err)
{
	const char *name = json_string_value(json_object_get(arguments, "name"));
	int fd = control_take_fd(control, name, err);
	struct stat st;

	(void)opaque;
	if (fd < 0)
		return fd;
	MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	MUST(fstat(fd, &st) == 0);
	*result = json_integer((json_int_t)st.st_ino);
	close(fd);
	return 0;
}

static const struct control_command commands[] = {
	{"echo", command_echo}, {"empty", command_empty},
	{"fail", command_fail}, {"shout", command_shout},
	{"done", command_done}, {"large", command_large},
	{"take", command_take}, {NULL, NULL},
};

/* --- the server --- */

static int create(const char *at, struct control **result, struct error *err)
{
	const struct control_config config = {
		.path = at,
		.loop = loop,
		.commands = commands,
		.opaque = &done,
	};

	return control_create(&config, result, err);
}

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void setup_idle(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	ck_assert_int_eq(sem_init(&done, 0, 0), 0);
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
}

static void setup(void)
{
	struct error err;

	setup_idle();
	ck_assert_msg(create(path, &control, &err) == 0, "%s", err.text);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, loop), 0);
}

static void stop_loop(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
}

static void teardown_idle(void)
{
	loop_destroy(loop);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void teardown(void)
{
	stop_loop();
	control_destroy(control);
	teardown_idle();
}

/* --- clients --- */

struct client {
	int fd;
	size_t len;
	char data[1 << 18];
};

static int connect_socket(int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static int new_socket(void)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

static void send_bytes(const struct client *client, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = send(client->fd, at, len, MSG_NOSIGNAL);

		MUST(n > 0);
		at += n;
		len -= (size_t)n;
	}
}

static void send_text(const struct client *client, const char *text)
{
	send_bytes(client, text, strlen(text));
}

/* The next line, parsed; NULL at the end. */
static json_t *receive(struct client *client)
{
	json_t *message;
	json_error_t error;
	char *end;

	while (!(end = memchr(client->data, '\n', client->len))) {
		ssize_t n = recv(client->fd, client->data + client->len,
				 sizeof(client->data) - client->len, 0);

		ck_assert_msg(n >= 0 || errno == ECONNRESET, "recv: %s", strerror(errno));
		if (n <= 0)
			return NULL;
		client->len += (size_t)n;
	}
	MUST(end > client->data && end[-1] == '\r');
	message = json_loadb(client->data, (size_t)(end - client->data), 0, &error);
	ck_assert_msg(message != NULL, "%s", error.text);
	client->len -= (size_t)(end + 1 - client->data);
	memmove(client->data, end + 1, client->len);
	return message;
}

/* Whether the next line is this. @expected is JSON with ' for ". */
static void expect(struct client *client, const char *expected)
{
	json_t *message = receive(client), *wanted;
	char text[1024];
	char *got;

	snprintf(text, sizeof(text), "%s", expected);
	for (char *at = text; *at; at++)
		*at = (char)(*at == '\'' ? '"' : *at);
	wanted = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(wanted);
	got = json_dumps(message, 0);
	ck_assert_msg(json_equal(message, wanted), "got %s, not %s", got ? got : "the end", text);
	free(got);
	json_decref(message);
	json_decref(wanted);
}

/* Whether it is an error of this class, with @part in its description, and this id (0: none). */
static void expect_error(struct client *client, const char *class, const char *part, int id)
{
	json_t *message = receive(client);
	const char *got_class, *desc;
	int got_id = 0;

	ck_assert_ptr_nonnull(message);
	ck_assert_int_eq(json_unpack(message, "{s:{s:s,s:s!},s?i!}", "error", "class", &got_class,
				     "desc", &desc, "id", &got_id),
			 0);
	ck_assert_str_eq(got_class, class);
	ck_assert_msg(strstr(desc, part) != NULL, "'%s' is not in: %s", part, desc);
	ck_assert_int_eq(got_id, id);
	json_decref(message);
}

static void expect_end(struct client *client)
{
	json_t *message = receive(client);
	char *text = message ? json_dumps(message, 0) : NULL;

	ck_assert_msg(!message, "not the end: %s", text);
}

static void open_raw(struct client *client)
{
	client->len = 0;
	client->fd = new_socket();
	ck_assert_int_eq(connect_socket(client->fd), 0);
}

static void open_greeted(struct client *client)
{
	json_t *message, *capabilities;
	int micro, minor, major;
	const char *package;

	open_raw(client);
	message = receive(client);
	ck_assert_int_eq(json_unpack(message, "{s:{s:{s:{s:i,s:i,s:i!},s:s!},s:o!}!}", "QMP",
				     "version", "qemu", "micro", &micro, "minor", &minor, "major",
				     &major, "package", &package, "capabilities", &capabilities),
			 0);
	ck_assert(major == 7 && minor == 2);
	ck_assert_str_eq(package, "xvmm " XVMM_VERSION);
	ck_assert(json_array_size(capabilities) == 1);
	ck_assert_str_eq(json_string_value(json_array_get(capabilities, 0)), "oob");
	json_decref(message);
}

static void open_client(struct client *client)
{
	open_greeted(client);
	send_text(client, "{\"execute\":\"qmp_capabilities\"}\n");
	expect(client, "{'return':{}}");
}

static void close_client(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* That it is served. */
static void check_alive(struct client *client)
{
	send_text(client, "{\"execute\":\"empty\",\"id\":\"alive\"}");
	expect(client, "{'return':{},'id':'alive'}");
}

static void wait_done(void)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += PATIENCE_S;
	ck_assert_int_eq(sem_timedwait(&done, &limit), 0);
}

static struct client a, b;

/* --- the protocol --- */

START_TEST(negotiation)
{
	open_greeted(&a);
	send_text(&a, "{\"execute\":\"empty\",\"id\":7}");
	expect_error(&a, "CommandNotFound", "qmp_capabilities", 7);
	send_text(&a, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\",1]}}");
	expect_error(&a, "GenericError", "list of capabilities", 0);
	send_text(&a, "{\"exec-oob\":\"empty\",\"id\":9}");
	expect_error(&a, "GenericError", "execute", 9);
	send_text(&a, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":{}}}");
	expect_error(&a, "GenericError", "list of capabilities", 0);
	send_text(&a, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"disable\":[]}}");
	expect_error(&a, "GenericError", "list of capabilities", 0);
	send_text(&a, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]},\"id\":8}");
	expect(&a, "{'return':{},'id':8}");
	send_text(&a, "{\"execute\":\"qmp_capabilities\"}");
	expect_error(&a, "CommandNotFound", "negotiated already", 0);
	check_alive(&a);
	close_client(&a);
}
END_TEST

START_TEST(commands_and_results)
{
	open_client(&a);
	send_text(&a, "{\"execute\":\"empty\"}");
	expect(&a, "{'return':{}}");
	send_text(&a, "{\"execute\":\"echo\"}");
	expect(&a, "{'return':{}}");
	send_text(&a, "{\"execute\":\"echo\",\"arguments\":{\"x\":[1,\"\\u00e9]}\"]}}");
	expect(&a, "{'return':{'x':[1,'\xc3\xa9]}']}}");
	send_text(&a, "{\"execute\":\"fail\",\"id\":3}");
	expect_error(&a, "GenericError", "it ? failed", 3);
	send_text(&a, "{\"execute\":\"nothing-like-it\",\"id\":4}");
	expect_error(&a, "CommandNotFound", "'nothing-like-it'", 4);
	/* An id is any value, and comes back as it is. */
	send_text(&a, "{\"execute\":\"empty\",\"id\":{\"a\":[null,1.5]}}");
	expect(&a, "{'return':{},'id':{'a':[null,1.5]}}");
	send_text(&a, "{\"execute\":\"empty\",\"id\":null}");
	expect(&a, "{'return':{},'id':null}");
	close_client(&a);
}
END_TEST

START_TEST(built_in)
{
	json_t *message, *list, *item;
	bool found_own = false, found_built_in = false;
	size_t i;

	open_client(&a);
	send_text(&a, "{\"execute\":\"query-version\"}");
	message = receive(&a);
	ck_assert(json_is_integer(json_object_get(
		json_object_get(json_object_get(message, "return"), "qemu"), "major")));
	json_decref(message);
	send_text(&a, "{\"execute\":\"query-commands\"}");
	message = receive(&a);
	list = json_object_get(message, "return");
	ck_assert_uint_gt(json_array_size(list), 0);
	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));

		found_own |= strcmp(name, "shout") == 0;
		found_built_in |= strcmp(name, "query-version") == 0;
	}
	json_decref(message);
	ck_assert(found_own && found_built_in);
	send_text(&a, "{\"execute\":\"query-commands\",\"arguments\":{\"x\":1}}");
	expect_error(&a, "GenericError", "no argument 'x'", 0);
	close_client(&a);
}
END_TEST

static const struct {
	const char *text;
	const char *part; /* of the description */
} garbage[] = {
	{"hello\n", "no JSON object: 'h'"},
	{"GET / HTTP/1.1\r\n", "no JSON object"},
	{"\"execute\" {\"execute\":\"done\"}\n", "no JSON object"},
	{"}}}\n", "'}'"},
	{"\xc3\xa9\n", "'?'"},
	{"42\n", "'4'"},
	{"[]", "a request is a JSON object"},
	{"[{\"execute\":\"done\"}]", "a request is a JSON object"},
	{"{]", "no JSON"},
	{"{}", "\"execute\""},
	{"{\"execute\"}", "no JSON"},
	{"{\"execute\":1}", "\"execute\""},
	{"{\"execute\":\"done\",\"arguments\":[]}", "\"arguments\""},
	{"{\"execute\":\"done\",\"arguments\":null}", "\"arguments\""},
	{"{\"execute\":\"done\",\"exec-oob\":1}", "nothing but"},
	{"{\"exec-oob\":\"done\"}", "\"execute\""},
	{"{\"execute\":\"done\",\"execute\":\"done\"}", "duplicate"},
	{"{\"execute\":\"do\nne\"}", "no JSON"},
	{"{\"execute\":\"done\xc3\"}", "no JSON"},
	{"{\"execute\":\"done\\u0000\"}", "no JSON"},
	{"{\"execute\":\"done\",\"id\":99999999999999999999999}", "no JSON"},
	{"{'execute':'done'}", "no JSON"},
	{"{\"execute\":\"do\xff", "control character"},
	{"{\"execute\":{{{{\x01", "control character"},
	{"\x1b", "control character"},
};

/* Each gets one error, none is carried out, and what follows is understood. */
START_TEST(no_qmp)
{
	open_client(&a);
	send_text(&a, garbage[_i].text);
	expect_error(&a, "GenericError", garbage[_i].part, 0);
	check_alive(&a);
	ck_assert_int_eq(sem_trywait(&done), -1);
	close_client(&a);
}
END_TEST

/* --- the stream --- */

START_TEST(many_in_one_write)
{
	enum {
		N = 1000,
	};
	static char text[N * 64];
	size_t len = 0;

	open_client(&a);
	for (int i = 1; i <= N; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"{\"execute\":\"echo\",\"id\":%d}%s", i,
					i % 3 ? "" : " \r\n\t");
	send_bytes(&a, text, len);
	for (int i = 1; i <= N; i++) {
		json_t *message = receive(&a);
		int id;

		MUST(message && json_unpack(message, "{s:{},s:i!}", "return", "id", &id) == 0);
		MUST(id == i);
		json_decref(message);
	}
	close_client(&a);
}
END_TEST

START_TEST(one_in_many_writes)
{
	static const char text[] =
		" \n{\"execute\" : \"echo\",\n\"arguments\": {\"b\\\\\": \"}\\\"{\"}}";

	open_client(&a);
	for (size_t i = 0; i < strlen(text); i++)
		send_bytes(&a, text + i, 1);
	expect(&a, "{'return':{'b\\\\':'}\\\"{'}}");
	close_client(&a);
}
END_TEST

/* A request with so many bytes. */
static void send_request(const struct client *client, size_t size)
{
	static const char begin[] = "{\"execute\":\"empty\",\"arguments\":{\"x\":\"";
	static const char end[] = "\"}}";
	size_t n = size - strlen(begin) - strlen(end);
	char *text = malloc(n);

	memset(text, 'x', n);
	send_text(client, begin);
	send_bytes(client, text, n);
	send_text(client, end);
	free(text);
}

START_TEST(longest_request)
{
	open_client(&a);
	for (int i = 0; i < 3; i++) {
		send_request(&a, CONTROL_REQUEST_MAX);
		expect(&a, "{'return':{}}");
		check_alive(&a);
	}
	close_client(&a);
}
END_TEST

START_TEST(too_long_request)
{
	open_client(&a);
	open_client(&b);
	send_request(&a, CONTROL_REQUEST_MAX + 1);
	expect_error(&a, "GenericError", "too long", 0);
	expect_end(&a);
	check_alive(&b);
	close_client(&a);
	close_client(&b);
}
END_TEST

/* What is no request at all may have any length. */
START_TEST(endless_line)
{
	static char text[3 * CONTROL_REQUEST_MAX];

	memset(text, ' ', sizeof(text));
	open_client(&a);
	send_bytes(&a, text, sizeof(text));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\n';
	send_bytes(&a, text, sizeof(text));
	expect_error(&a, "GenericError", "no JSON", 0);
	check_alive(&a);
	close_client(&a);
}
END_TEST

/* Nested too deeply for the parser, not for the stack. */
START_TEST(deep)
{
	static char text[60000];

	memset(text, '[', sizeof(text) / 2);
	memset(text + sizeof(text) / 2, ']', sizeof(text) / 2);
	open_client(&a);
	send_bytes(&a, text, sizeof(text));
	expect_error(&a, "GenericError", "no JSON", 0);
	check_alive(&a);
	close_client(&a);
}
END_TEST

/* A client that sends for ever and doesn't read waits, it alone, and gets all in the end. */
START_TEST(sends_without_reading)
{
	static const char request[] = "{\"execute\":\"large\"}";
	size_t n = 0, len = strlen(request);

	open_client(&a);
	open_client(&b);
	for (;;) {
		struct pollfd writable = {.fd = a.fd, .events = POLLOUT};
		ssize_t sent = send(a.fd, request, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0) {
			ck_assert_int_eq(errno, EAGAIN);
			/* Half a second in which nothing is taken: it waits, indeed. */
			if (poll(&writable, 1, 500) == 0)
				break;
			continue;
		}
		MUST((size_t)sent == len);
		n++;
		if (n % 64 == 0)
			check_alive(&b);
	}
	check_alive(&b);
	for (size_t i = 0; i < n; i++) {
		json_t *message = receive(&a);

		MUST(message && json_string_length(json_object_get(message, "return")) == 8191);
		json_decref(message);
	}
	check_alive(&a);
	close_client(&a);
	close_client(&b);
}
END_TEST

/* The end of the requests is not the end of the replies. */
START_TEST(half_closed)
{
	open_client(&a);
	for (int i = 0; i < 200; i++)
		send_text(&a, "{\"execute\":\"large\"}");
	shutdown(a.fd, SHUT_WR);
	for (int i = 0; i < 200; i++) {
		json_t *message = receive(&a);

		MUST(message);
		json_decref(message);
	}
	expect_end(&a);
	close_client(&a);
}
END_TEST

/* Who says what to do and goes is obeyed; nobody else notices. */
START_TEST(closes_without_reading)
{
	open_client(&b);
	open_raw(&a);
	send_text(&a, "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"large\"}"
		      "{\"execute\":\"done\"}{\"execute\":\"empty\"");
	close_client(&a);
	wait_done();
	check_alive(&b);
	close_client(&b);
}
END_TEST

/* --- several clients --- */

START_TEST(two_clients)
{
	open_client(&a);
	open_greeted(&b); /* negotiates for itself */
	send_text(&b, "{\"execute\":\"empty\"}");
	expect_error(&b, "CommandNotFound", "qmp_capabilities", 0);
	send_text(&a, "{\"execute\":\"echo\",\"arg");
	send_text(&b, "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"echo\",\"id\":2}");
	expect(&b, "{'return':{}}");
	expect(&b, "{'return':{},'id':2}");
	send_text(&a, "uments\":{},\"id\":1}");
	expect(&a, "{'return':{},'id':1}");
	close_client(&a);
	close_client(&b);
}
END_TEST

START_TEST(too_many_clients)
{
	static struct client clients[CONTROL_CLIENTS_MAX];

	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		open_client(&clients[i]);
	for (int i = 0; i < 3; i++) {
		open_raw(&a);
		expect_error(&a, "GenericError", "as many clients", 0);
		expect_end(&a);
		close_client(&a);
	}
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		check_alive(&clients[i]);
	shutdown(clients[3].fd, SHUT_WR);
	expect_end(&clients[3]);
	open_client(&a);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close_client(&clients[i]);
	check_alive(&a);
	close_client(&a);
}
END_TEST

/* No descriptors are left: the connection is refused, not left to wait. */
START_TEST(out_of_descriptors)
{
	const struct rlimit few = {64, 64};
	int fds[64];
	int n = 0;

	open_client(&b);
	a.len = 0;
	a.fd = new_socket();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < 64 && (fds[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	ck_assert_int_lt(n, 64);
	ck_assert_int_eq(connect_socket(a.fd), 0);
	expect_end(&a);
	check_alive(&b);
	while (n > 0)
		close(fds[--n]);
	close_client(&a);
	open_client(&a);
	check_alive(&a);
	close_client(&a);
	close_client(&b);
}
END_TEST

/* --- events --- */

static void expect_event(struct client *client, const char *name, const char *key, int value)
{
	json_int_t seconds, microseconds;
	json_t *message = receive(client), *data = NULL;
	const char *event;

	MUST(message &&
	     json_unpack(message, "{s:{s:I,s:I!},s:s,s?o!}", "timestamp", "seconds", &seconds,
			 "microseconds", &microseconds, "event", &event, "data", &data) == 0);
	MUST(strcmp(event, name) == 0);
	MUST(seconds > 1500000000 && microseconds >= 0 && microseconds < 1000000);
	if (key)
		MUST(json_integer_value(json_object_get(data, key)) == value);
	else
		MUST(!data);
	json_decref(message);
}

START_TEST(events)
{
	open_greeted(&a);
	open_client(&b);
	control_event(control, "ONE", NULL);
	expect_event(&b, "ONE", NULL, 0);
	/* Not for the one that has not negotiated. */
	send_text(&a, "{\"execute\":\"qmp_capabilities\",\"id\":1}");
	expect(&a, "{'return':{},'id':1}");
	for (int i = 0; i < 100; i++)
		control_event(control, "MANY", json_pack("{s:i}", "n", i));
	for (int i = 0; i < 100; i++) {
		expect_event(&a, "MANY", "n", i);
		expect_event(&b, "MANY", "n", i);
	}
	/* From a command. */
	send_text(&a, "{\"execute\":\"shout\",\"arguments\":{\"n\":5}}");
	expect_event(&a, "SHOUT", "n", 5);
	expect(&a, "{'return':{}}");
	expect_event(&b, "SHOUT", "n", 5);
	control_event(NULL, "NOWHERE", json_object());
	close_client(&a);
	close_client(&b);
}
END_TEST

static void *emit(void *arg)
{
	for (int i = 0; i < 50; i++)
		control_event(control, arg, NULL);
	return NULL;
}

START_TEST(events_of_threads)
{
	pthread_t threads[2];

	open_client(&a);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, emit, (void *)"THREAD"), 0);
	for (int i = 0; i < 100; i++)
		expect_event(&a, "THREAD", NULL, 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close_client(&a);
}
END_TEST

/* Who never reads is disconnected, and nobody else misses anything meanwhile. */
START_TEST(never_reads)
{
	enum {
		N = 1000,
		SIZE = 4096,
	};
	static char text[SIZE];
	size_t n = 0;
	json_t *message;

	memset(text, 'x', SIZE - 1);
	open_client(&a);
	open_client(&b);
	for (int i = 0; i < N; i++) {
		control_event(control, "BIG", json_pack("{s:s,s:i}", "x", text, "n", i));
		expect_event(&b, "BIG", "n", i);
	}
	while ((message = receive(&a))) {
		json_decref(message);
		n++;
	}
	ck_assert_uint_lt(n, N);
	check_alive(&b);
	close_client(&a);
	close_client(&b);
}
END_TEST

/* What was said before the end arrives. */
START_TEST(last_words)
{
	open_client(&a);
	stop_loop();
	control_event(control, "LAST", NULL);
	control_destroy(control);
	control = NULL;
	expect_event(&a, "LAST", NULL, 0);
	expect_end(&a);
	ck_assert_int_eq(access(path, F_OK), -1);
	close_client(&a);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, loop), 0);
}
END_TEST

/* --- descriptors --- */

enum {
	FILES = 4,
	PASS_MAX = 253, /* that one message can carry (SCM_MAX_FD) */
};

static int files[FILES]; /* that can be told apart */

static void open_files(void)
{
	for (int i = 0; i < FILES; i += 2)
		ck_assert_int_eq(pipe2(&files[i], O_CLOEXEC), 0);
}

/* Of this process, which has both ends. */
static unsigned int count_descriptors(void)
{
	DIR *directory_fds = opendir("/proc/self/fd");
	unsigned int n = 0;

	ck_assert_ptr_nonnull(directory_fds);
	while (readdir(directory_fds))
		n++;
	closedir(directory_fds);
	return n;
}

/* @text with @n descriptors: the first one is @first, all others are another file. */
static void pass(const struct client *client, const char *text, int first, unsigned int n)
{
	static union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
	} ancillary;
	struct iovec iov = {(char *)text, strlen(text)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[PASS_MAX];

	for (unsigned int i = 0; i < n; i++)
		fds[i] = i ? STDERR_FILENO : first;
	fd_pass(&message, &ancillary, fds, n);
	MUST(sendmsg(client->fd, &message, MSG_NOSIGNAL) == (ssize_t)iov.iov_len);
}

static void pass_as(const struct client *client, const char *name, int fd)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"%s\"}}",
		 name);
	pass(client, text, fd, 1);
}

/* What is called @name is this file, and is not any more. */
static void expect_taken(struct client *client, const char *name, int fd)
{
	char text[128];
	struct stat st;

	snprintf(text, sizeof(text), "{\"execute\":\"take\",\"arguments\":{\"name\":\"%s\"}}",
		 name);
	send_text(client, text);
	ck_assert_int_eq(fstat(fd, &st), 0);
	snprintf(text, sizeof(text), "{'return':%llu}", (unsigned long long)st.st_ino);
	expect(client, text);
}

static void close_fd(struct client *client, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"execute\":\"closefd\",\"arguments\":{\"fdname\":\"%s\"}}",
		 name);
	send_text(client, text);
}

START_TEST(descriptors_have_names)
{
	unsigned int before;

	open_files();
	open_client(&a);
	open_client(&b);
	before = count_descriptors();
	pass_as(&a, "x", files[0]);
	expect(&a, "{'return':{}}");
	pass_as(&a, "y", files[2]);
	expect(&a, "{'return':{}}");
	/* They are the VM's: any client's. The second one of a name replaces the first. */
	pass_as(&b, "x", files[2]);
	expect(&b, "{'return':{}}");
	ck_assert_uint_eq(count_descriptors(), before + 2);
	expect_taken(&a, "x", files[2]);
	close_client(&a);
	expect_taken(&b, "y", files[2]);
	send_text(&b, "{\"execute\":\"take\",\"arguments\":{\"name\":\"x\"}}");
	expect_error(&b, "GenericError", "'x' not found", 0);
	pass_as(&b, "z", files[0]);
	expect(&b, "{'return':{}}");
	close_fd(&b, "z");
	expect(&b, "{'return':{}}");
	close_fd(&b, "z");
	expect_error(&b, "GenericError", "'z' not found", 0);
	ck_assert_uint_eq(count_descriptors(), before - 2); /* both ends of a's */
	close_client(&b);
}
END_TEST

START_TEST(wrong_names)
{
	static const char long_name[] =
		"x123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const char *const names[] = {"0", "9x", "", "a,b", long_name};
	unsigned int before;

	open_files();
	open_client(&a);
	before = count_descriptors();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pass_as(&a, names[i], files[0]);
		expect_error(&a, "GenericError", "fdname", 0);
	}
	pass(&a, "{\"execute\":\"getfd\"}", files[0], 1);
	expect_error(&a, "GenericError", "it takes fdname", 0);
	pass(&a, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":1}}", files[0], 1);
	expect_error(&a, "GenericError", "it takes fdname", 0);
	send_text(&a, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"}}");
	expect_error(&a, "GenericError", "No file descriptor supplied via SCM_RIGHTS", 0);
	ck_assert_uint_eq(count_descriptors(), before);
	pass_as(&a, "x123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde", files[0]);
	expect(&a, "{'return':{}}");
	close_client(&a);
}
END_TEST

/* As QEMU's own Python client does: with a blank, before the command. */
START_TEST(descriptor_ahead_of_its_command)
{
	open_files();
	open_client(&a);
	check_alive(&a);
	pass(&a, " ", files[0], 1);
	send_text(&a, "{\"execute\":\"getfd\",\"argum");
	send_text(&a, "ents\":{\"fdname\":\"x\"}}");
	expect(&a, "{'return':{}}");
	expect_taken(&a, "x", files[0]);
	close_client(&a);
}
END_TEST

/* Nobody takes them: what isn't getfd, is no command, ends too early. */
START_TEST(descriptors_of_no_use)
{
	unsigned int before;

	open_files();
	open_client(&a);
	before = count_descriptors();
	for (unsigned int n = 1; n <= PASS_MAX; n += 84) {
		pass(&a, "{\"execute\":\"empty\"}", files[0], n);
		expect(&a, "{'return':{}}");
		check_alive(&a);
		ck_assert_uint_eq(count_descriptors(), before);
		pass(&a, "no JSON\n", files[0], n);
		expect_error(&a, "GenericError", "no JSON", 0);
		pass(&a, "{\"execute\":", files[0], n);
		pass(&a, "\"empty\"}", files[0], n);
		expect(&a, "{'return':{}}");
		check_alive(&a);
		ck_assert_uint_eq(count_descriptors(), before);
		/* The first one counts. */
		pass(&a, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"}}", files[2], n);
		expect(&a, "{'return':{}}");
		expect_taken(&a, "x", files[2]);
		ck_assert_uint_eq(count_descriptors(), before);
	}
	open_client(&b);
	pass(&b, "{\"execute\":\"getfd\"", files[0], 3);
	shutdown(b.fd, SHUT_WR);
	expect_end(&b);
	close_client(&b);
	check_alive(&a);
	ck_assert_uint_eq(count_descriptors(), before);
	close_client(&a);
}
END_TEST

/* More commands than are served at a time, each with its own descriptor. */
START_TEST(descriptors_in_order)
{
	enum {
		N = 10,
	};
	char name[] = "a";

	open_files();
	open_client(&a);
	for (int i = 0; i < 100; i++)
		send_text(&a, "{\"execute\":\"empty\"}");
	for (int i = 0; i < N; i++, name[0]++)
		pass_as(&a, name, files[i % 2 * 2]);
	for (int i = 0; i < 100 + N; i++)
		expect(&a, "{'return':{}}");
	name[0] = 'a';
	for (int i = 0; i < N; i++, name[0]++)
		expect_taken(&a, name, files[i % 2 * 2]);
	close_client(&a);
}
END_TEST

START_TEST(as_many_descriptors_as_may_be)
{
	char name[] = "a";
	unsigned int before;

	open_files();
	open_client(&a);
	before = count_descriptors();
	for (int i = 0; i < CONTROL_FDS_MAX; i++, name[0]++) {
		pass_as(&a, name, files[0]);
		expect(&a, "{'return':{}}");
	}
	pass_as(&a, name, files[0]);
	expect_error(&a, "GenericError", "try: closefd", 0);
	pass_as(&a, "a", files[2]);
	expect(&a, "{'return':{}}");
	ck_assert_uint_eq(count_descriptors(), before + CONTROL_FDS_MAX);
	close_fd(&a, "c");
	expect(&a, "{'return':{}}");
	pass_as(&a, name, files[0]);
	expect(&a, "{'return':{}}");
	expect_taken(&a, "a", files[2]);
	stop_loop();
	control_destroy(control);
	ck_assert_int_eq(create(path, &control, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, loop), 0);
	ck_assert_uint_eq(count_descriptors(), before - 1); /* the connection's end */
	close_client(&a);
}
END_TEST

/* One client passes on all that it can, and never listens. */
START_TEST(descriptors_without_end)
{
	enum {
		ROUNDS = 1000,
	};
	static const char *const texts[] = {
		"{\"execute\":\"empty\"}",
		"{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"}}",
		"{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"7\"}}",
		"{\"execute\":\"getfd\"",
		"}",
		" ",
	};
	unsigned int before;

	open_files();
	open_client(&b);
	before = count_descriptors();
	open_client(&a);
	for (int i = 0; i < ROUNDS; i++) {
		pass(&a, texts[i % (int)(sizeof(texts) / sizeof(texts[0]))], files[0], PASS_MAX);
		if (i % 50 == 0)
			check_alive(&b);
	}
	shutdown(a.fd, SHUT_WR);
	for (json_t *message; (message = receive(&a));)
		json_decref(message);
	close_client(&a);
	expect_taken(&b, "x", files[0]);
	ck_assert_uint_eq(count_descriptors(), before);
	close_client(&b);
}
END_TEST

/* Where this process can have no more, none comes. */
START_TEST(descriptors_that_dont_fit)
{
	const struct rlimit few = {64, 64};
	int fds[64];
	int n = 0;

	open_files();
	open_client(&a);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < 64 && (fds[n] = dup(STDERR_FILENO)) >= 0)
		n++;
	ck_assert_int_lt(n, 64);
	pass_as(&a, "x", files[0]);
	expect_error(&a, "GenericError", "No file descriptor supplied", 0);
	check_alive(&a);
	while (n > 0)
		close(fds[--n]);
	pass_as(&a, "x", files[0]);
	expect(&a, "{'return':{}}");
	expect_taken(&a, "x", files[0]);
	close_client(&a);
}
END_TEST

/* --- the socket --- */

START_TEST(mode_whatever_the_umask)
{
	mode_t before = umask(0);
	struct stat stat;

	ck_assert_int_eq(create(path, &control, NULL), 0);
	umask(before);
	ck_assert_int_eq(lstat(path, &stat), 0);
	ck_assert(S_ISSOCK(stat.st_mode));
	ck_assert_int_eq(stat.st_mode & 07777, 0600);
	control_destroy(control);
	ck_assert_int_eq(lstat(path, &stat), -1);
}
END_TEST

/* Left by a process that is gone. */
START_TEST(stale_socket)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = new_socket();
	struct error err;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(create(path, &control, &err), -EADDRINUSE);
	ck_assert_msg(strstr(err.text, path) && strstr(err.text, "another process listens"), "%s",
		      err.text);
	ck_assert_int_eq(access(path, F_OK), 0);
	close(fd);
	ck_assert_msg(create(path, &control, &err) == 0, "%s", err.text);
	control_destroy(control);
}
END_TEST

START_TEST(file_in_the_way)
{
	struct error err;
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(create(path, &control, &err), -EEXIST);
	ck_assert_msg(strstr(err.text, "is no socket") != NULL, "%s", err.text);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_ptr_null(control);
}
END_TEST

START_TEST(impossible_paths)
{
	char text[200];
	struct error err;

	snprintf(text, sizeof(text), "%s/missing/socket", directory);
	ck_assert_int_eq(create(text, &control, &err), -ENOENT);
	ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
	ck_assert_int_eq(create("", &control, &err), -EINVAL);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(create(text, &control, &err), -EINVAL);
	ck_assert(err.usage);
	ck_assert_msg(strstr(err.text, "107") != NULL, "%s", err.text);
}
END_TEST

/* Another's socket at the path stays. */
START_TEST(replaced_socket)
{
	struct control *other;

	ck_assert_int_eq(create(path, &control, NULL), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(create(path, &other, NULL), 0);
	control_destroy(control);
	ck_assert_int_eq(access(path, F_OK), 0);
	control_destroy(other);
	ck_assert_int_eq(access(path, F_OK), -1);
	control_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tcase = tcase_create("protocol");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 3 * PATIENCE_S);
	tcase_add_test(tcase, negotiation);
	tcase_add_test(tcase, commands_and_results);
	tcase_add_test(tcase, built_in);
	tcase_add_loop_test(tcase, no_qmp, 0, sizeof(garbage) / sizeof(garbage[0]));
	tcase_add_test(tcase, many_in_one_write);
	tcase_add_test(tcase, one_in_many_writes);
	tcase_add_test(tcase, longest_request);
	tcase_add_test(tcase, too_long_request);
	tcase_add_test(tcase, endless_line);
	tcase_add_test(tcase, deep);
	tcase_add_test(tcase, sends_without_reading);
	tcase_add_test(tcase, half_closed);
	tcase_add_test(tcase, closes_without_reading);
	tcase_add_test(tcase, two_clients);
	tcase_add_test(tcase, too_many_clients);
	tcase_add_test(tcase, out_of_descriptors);
	tcase_add_test(tcase, events);
	tcase_add_test(tcase, events_of_threads);
	tcase_add_test(tcase, never_reads);
	tcase_add_test(tcase, last_words);
	tcase_add_test(tcase, descriptors_have_names);
	tcase_add_test(tcase, wrong_names);
	tcase_add_test(tcase, descriptor_ahead_of_its_command);
	tcase_add_test(tcase, descriptors_of_no_use);
	tcase_add_test(tcase, descriptors_in_order);
	tcase_add_test(tcase, as_many_descriptors_as_may_be);
	tcase_add_test(tcase, descriptors_without_end);
	tcase_add_test(tcase, descriptors_that_dont_fit);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("socket");
	tcase_add_checked_fixture(tcase, setup_idle, teardown_idle);
	tcase_add_test(tcase, mode_whatever_the_umask);
	tcase_add_test(tcase, stale_socket);
	tcase_add_test(tcase, file_in_the_way);
	tcase_add_test(tcase, impossible_paths);
	tcase_add_test(tcase, replaced_socket);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
