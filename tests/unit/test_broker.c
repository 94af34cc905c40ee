/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/broker.h: the process that opens things for a confined VM, and has its control socket. */
#include "vmm/broker.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/must.h"
#include "virtio/opener.h"
#include "vmm/broker_channel.h"
#include "vmm/broker_process.h"
#include "vmm/control.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/sandbox.h"

enum {
	TEXT_SIZE = 4096,
	PATIENCE_S = 30,
};

static char directory[] = "/tmp/xvmm-broker.XXXXXX";
static char control_path[64], named_path[64], other_path[64];
static struct xvmm_net net;
static struct xvmm_config config;
static struct broker *broker;
static struct loop *loop;
static struct error err;
static char said[TEXT_SIZE]; /* to the log */

static void hear(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	snprintf(said, sizeof(said), "%s", text);
	/* Nothing is said where all is well; who waits for that has heard it. */
	loop_stop(loop);
}

static const struct logger logger = {hear, NULL};

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(control_path, sizeof(control_path), "%s/control", directory);
	snprintf(named_path, sizeof(named_path), "%s/named", directory);
	snprintf(other_path, sizeof(other_path), "%s/other", directory);
	net = (struct xvmm_net){.socket = named_path};
	config = (struct xvmm_config){.control = control_path, .nets = &net, .n_nets = 1};
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
}

static void tear_down(void)
{
	broker_stop(broker);
	loop_destroy(loop);
	unlink(named_path);
	unlink(other_path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void start(void)
{
	int ret = broker_start(&config, &broker, &err);

	if (ret > 0)
		_exit(EXIT_SUCCESS);
	ck_assert_msg(ret == 0, "%s", err.text);
}

static int open_one(enum opening_kind kind, const char *name, int *fd)
{
	const struct opening opening = {.kind = kind, .name = name, .n_queues = 1};
	const struct opener *opener = broker_opener(broker);

	err = (struct error){0};
	return opener->open(opener->opaque, &opening, fd, &err);
}

/* --- what is opened --- */

START_TEST(only_what_was_named)
{
	FD_CLEANUP int fd = -1;

	start();
	ck_assert_int_eq(open_one(OPENING_CONNECTION, other_path, &fd), -EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, other_path));
	ck_assert_int_eq(open_one(OPENING_CONNECTION, control_path, &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_LISTENER, named_path, &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_REMOVAL, control_path, &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_TAP, "tap0", &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_VHOST_NET, NULL, &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_KINDS, named_path, &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_RECEIVED, "wire", &fd), -EPERM);
	ck_assert_int_eq(open_one(OPENING_CONNECTION, named_path, &fd), -ENOENT);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(open_one(OPENING_NAMES, NULL, &fd), 0);
	ck_assert_int_ge(fd, 0);
}
END_TEST

START_TEST(a_capture)
{
	int fd = -1;

	net.socket = NULL;
	net.tap = "tap0";
	net.pcap = other_path;
	start();
	ck_assert_int_eq(open_one(OPENING_CAPTURE, named_path, &fd), -EPERM);
	ck_assert_msg(open_one(OPENING_CAPTURE, other_path, &fd) == 0, "%s", err.text);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	/* The lock came with it, and the other process has none. */
	ck_assert_int_eq(open_one(OPENING_CAPTURE, other_path, NULL), -EBUSY);
	fd_close(&fd);
	ck_assert_int_eq(open_one(OPENING_CAPTURE, other_path, &fd), 0);
	fd_close(&fd);
}
END_TEST

START_TEST(names_that_are_too_long)
{
	char name[2 * OPENING_NAME_SIZE];
	int fd = -1;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	start();
	ck_assert_int_eq(open_one(OPENING_CONNECTION, name, &fd), -EINVAL);
	ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(a_listener_and_its_removal)
{
	struct stat st;
	int fd = -1;

	net.server = true;
	start();
	ck_assert_msg(open_one(OPENING_LISTENER, named_path, &fd) == 0, "%s", err.text);
	ck_assert_int_eq(stat(named_path, &st), 0);
	fd_close(&fd);
	ck_assert_int_eq(open_one(OPENING_REMOVAL, named_path, NULL), 0);
	ck_assert_int_lt(stat(named_path, &st), 0);
}
END_TEST

/* Its messages carry descriptors until the VM's process may have no more. */
START_TEST(too_many_descriptors)
{
	const struct rlimit limit = {64, 64};
	int fds[64], n = 0, last;

	start();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (open_one(OPENING_NAMES, NULL, &fds[n]) == 0)
		n++;
	ck_assert_int_eq(err.code, -EMFILE);
	close(fds[--n]);
	ck_assert_int_eq(open_one(OPENING_NAMES, NULL, &last), 0);
	close(last);
	while (n--)
		close(fds[n]);
}
END_TEST

/* --- commands --- */

static int echo(void *opaque, json_t *arguments, json_t **result, struct error *error)
{
	(void)opaque;
	(void)error;
	*result = json_incref(arguments);
	return 0;
}

static int refuse(void *opaque, json_t *arguments, json_t **result, struct error *error)
{
	(void)opaque;
	(void)arguments;
	(void)result;
	return error_set(error, -ENODEV, "no \xff such device");
}

/* Opens what it was named, as the VM's does. */
static int switch_net(void *opaque, json_t *arguments, json_t **result, struct error *error)
{
	FD_CLEANUP int fd = -1;

	(void)opaque;
	(void)result;
	(void)arguments;
	ck_assert_int_eq(open_one(OPENING_CONNECTION, other_path, &fd), -ENOENT);
	return error_set(error, err.code, "%s", err.text);
}

/* The same of a descriptor: it comes once. */
static int take_fd(void *opaque, json_t *arguments, json_t **result, struct error *error)
{
	FD_CLEANUP int fd = -1;
	struct stat passed, was;

	(void)opaque;
	(void)result;
	(void)arguments;
	ck_assert_int_eq(open_one(OPENING_RECEIVED, "other", &fd), -EPERM);
	ck_assert_msg(open_one(OPENING_RECEIVED, "wire", &fd) == 0, "%s", err.text);
	ck_assert_int_eq(fstat(fd, &passed), 0);
	ck_assert_int_eq(fstat(STDERR_FILENO, &was), 0);
	ck_assert_uint_eq(passed.st_ino, was.st_ino);
	fd_close(&fd);
	ck_assert_int_eq(open_one(OPENING_RECEIVED, "wire", &fd), -ENOENT);
	return error_set(error, err.code, "%s", err.text);
}

static int quit(void *opaque, json_t *arguments, json_t **result, struct error *error)
{
	(void)arguments;
	(void)result;
	(void)error;
	loop_stop(opaque);
	return 0;
}

static const struct control_command commands[] = {
	{"query-status", echo}, {"set_link", refuse}, {"xvmm-net-switch", switch_net},
	{"quit", quit},		{NULL, NULL},
};

static void serve(void)
{
	const struct broker_service service = {loop, &logger, commands, loop};

	start();
	ck_assert_int_eq(broker_serve(broker, &service, &err), 0);
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, control_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* What a client that says this hears, until the VM's end. */
struct client {
	pthread_t thread;
	int fd;
	const char *says;
	char hears[TEXT_SIZE];
};

static void *converse(void *opaque)
{
	struct client *client = opaque;
	size_t len = 0;
	ssize_t n;

	ck_assert_int_eq(fd_write_all(client->fd, client->says, strlen(client->says)), 0);
	while ((n = read(client->fd, client->hears + len, sizeof(client->hears) - 1 - len)) > 0)
		len += (size_t)n;
	return NULL;
}

static void start_client(struct client *client, const char *says)
{
	*client = (struct client){.fd = connect_client(), .says = says};
	ck_assert_int_eq(pthread_create(&client->thread, NULL, converse, client), 0);
}

static void join_client(struct client *client)
{
	ck_assert_int_eq(pthread_join(client->thread, NULL), 0);
	close(client->fd);
}

#define BEGIN "{'execute':'qmp_capabilities'}"

static const char *json(const char *text)
{
	static char quoted[TEXT_SIZE];

	snprintf(quoted, sizeof(quoted), "%s", text);
	for (char *at = quoted; *at; at++)
		*at = (char)(*at == '\'' ? '"' : *at);
	return quoted;
}

static void assert_hears(const struct client *client, const char *part)
{
	ck_assert_msg(strstr(client->hears, part), "no %s in: %s", part, client->hears);
}

START_TEST(commands_are_carried_out)
{
	struct client client;

	serve();
	start_client(&client, json(BEGIN "{'execute':'query-status','arguments':{'x':'y'},'id':1}"
					 "{'execute':'set_link','id':2}{'execute':'quit','id':3}"));
	loop_run(loop);
	broker_event(broker, "SHUTDOWN", json_pack("{s:i}", "n", 7));
	broker_stop(broker);
	broker = NULL;
	join_client(&client);
	assert_hears(&client, "{\"return\": {\"x\": \"y\"}, \"id\": 1}");
	assert_hears(&client, "{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"no ? such "
			      "device\"}, \"id\": 2}");
	assert_hears(&client, "{\"return\": {}, \"id\": 3}");
	assert_hears(&client, "\"event\": \"SHUTDOWN\", \"data\": {\"n\": 7}");
}
END_TEST

/* Then, and only then, the VM may have it opened. */
START_TEST(a_switch_names_something)
{
	struct client client;
	int fd = -1;

	serve();
	ck_assert_int_eq(open_one(OPENING_CONNECTION, other_path, &fd), -EPERM);
	{
		char says[512];

		snprintf(says, sizeof(says),
			 BEGIN "{'execute':'xvmm-net-switch','arguments':{'id':'net0',"
			       "'spec':'vhost-user,socket=%s'}}{'execute':'quit'}",
			 other_path);
		start_client(&client, json(says));
	}
	loop_run(loop);
	broker_stop(broker);
	broker = NULL;
	join_client(&client);
	assert_hears(&client, "other: No such file or directory");
}
END_TEST

/* From a client, to the VM that was told its name. */
START_TEST(a_descriptor_is_passed_on)
{
	struct control_command taking[] = {
		{"xvmm-net-switch", take_fd}, {"quit", quit}, {NULL, NULL}};
	const struct broker_service service = {loop, &logger, taking, loop};
	static const char begin[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"getfd\","
				    "\"arguments\":{\"fdname\":\"wire\"}}";
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ancillary = {0};
	struct iovec iov = {(void *)begin, strlen(begin)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct client client = {
		.says = "{\"execute\":\"xvmm-net-switch\",\"arguments\":{\"id\":\"net0\","
			"\"spec\":\"fd=wire\"}}{\"execute\":\"quit\"}",
	};

	start();
	ck_assert_int_eq(broker_serve(broker, &service, &err), 0);
	client.fd = connect_client();
	fd_pass(&message, &ancillary, &(int){STDERR_FILENO}, 1);
	ck_assert_int_eq(sendmsg(client.fd, &message, 0), (ssize_t)iov.iov_len);
	ck_assert_int_eq(pthread_create(&client.thread, NULL, converse, &client), 0);
	loop_run(loop);
	broker_stop(broker);
	broker = NULL;
	join_client(&client);
	assert_hears(&client, "{\"return\": {}}\r\n{\"return\": {}}\r\n{\"error\": ");
	assert_hears(&client, "'wire' not found");
}
END_TEST

/* --- a VM that was taken over --- */

static int raw[2]; /* its ends: of the openings, of the commands */
static pid_t raw_broker;

static void start_raw(void)
{
	int openings[2], vm_commands[2];

	ck_assert_int_eq(broker_channel_create(openings), 0);
	ck_assert_int_eq(broker_channel_create(vm_commands), 0);
	raw_broker = fork();
	if (raw_broker == 0) {
		close(openings[0]);
		close(vm_commands[0]);
		broker_process(&config, openings[1], vm_commands[1]);
		_exit(EXIT_SUCCESS);
	}
	close(openings[1]);
	close(vm_commands[1]);
	raw[0] = openings[0];
	raw[1] = vm_commands[0];
	ck_assert_msg(broker_channel_await(raw[0], 0, NULL, 0, &err) == 0, "%s", err.text);
}

static void end_raw(void)
{
	close(raw[1]);
	close(raw[0]);
	ck_assert_int_gt(wait(NULL), 0);
}

static int raw_answer(void)
{
	int fd = -1;
	int ret = broker_channel_await(raw[0], 0, &fd, 1, &err);

	fd_close(&fd);
	return ret;
}

static int raw_ask(enum opening_kind kind, const char *name, unsigned int n_queues)
{
	const struct opening opening = {.kind = kind, .name = name, .n_queues = n_queues};
	int fds[OPENING_FDS_MAX];

	return broker_channel_ask(raw[0], 1, &opening, fds, &err);
}

START_TEST(openings_that_lie)
{
	char message[4096];

	net = (struct xvmm_net){.tap = "xvmm-none"};
	start_raw();
	for (size_t len = 1; len < sizeof(message); len += len / 2 + 1) {
		memset(message, 0xff, sizeof(message));
		ck_assert_int_eq(send(raw[0], message, len, 0), (ssize_t)len);
		ck_assert_int_lt(raw_answer(), 0);
	}
	ck_assert_int_eq(raw_ask(OPENING_TAP, "xvmm-none", UINT_MAX), -EINVAL);
	ck_assert_int_eq(raw_ask(OPENING_TAP, "xvmm-none", OPENING_FDS_MAX), -ENODEV);
	ck_assert_int_eq(raw_ask(OPENING_TAP, "xvmm-other", 1), -EPERM);
	ck_assert_int_eq(raw_ask(OPENING_NAMES, NULL, 1), 0);
	end_raw();
}
END_TEST

/* The kernel limits how many descriptors are on their way: then an error comes, not nothing. */
START_TEST(openings_without_end)
{
	/* As vmm/broker_channel.c has it: a serial, the kind, the number of queues, a name. */
	static const uint32_t request[3 + OPENING_NAME_SIZE / 4] = {2, OPENING_NAMES};
	const struct rlimit limit = {32, 32};
	int passed = 0, fd;

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	start_raw();
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq(send(raw[0], request, sizeof(request), 0), sizeof(request));
	/* It has answered them all, and then this. */
	sleep(1);
	for (int i = 0; i < 64; i++) {
		if (broker_channel_await(raw[0], 2, &fd, 1, &err) == 0) {
			close(fd);
			passed++;
		} else {
			ck_assert_int_eq(err.code, -ETOOMANYREFS);
		}
	}
	ck_assert_int_gt(passed, 0);
	ck_assert_int_lt(passed, 64);
	ck_assert_int_eq(raw_ask(OPENING_NAMES, NULL, 1), 0);
	end_raw();
}
END_TEST

/* Clients hear what it says; that is all. */
START_TEST(words_that_lie)
{
	static const char *const words[] = {
		"x",
		"[1]",
		"{}",
		"{'event':5}",
		"{'event':'X','data':[]}",
		"{'return':1}",
		"{'error':'x','text':5}",
		"{'error':-1}",
		"{'execute':'quit'}",
		"\"",
	};
	static const char greeting[] = "{\"QMP\"";
	char first[sizeof(greeting)] = "";
	int client;

	start_raw();
	for (size_t i = 0; i < 1000; i++) {
		const char *text = json(words[i % (sizeof(words) / sizeof(words[0]))]);

		ck_assert_int_eq(broker_channel_send_text(
					 raw[1], i % 2 ? BROKER_EVENT : BROKER_RESULT, text, true),
				 0);
	}
	client = connect_client();
	ck_assert_int_eq(recv(client, first, sizeof(first) - 1, MSG_WAITALL), sizeof(first) - 1);
	ck_assert_str_eq(first, greeting);
	ck_assert_int_eq(raw_ask(OPENING_NAMES, NULL, 1), 0);
	close(client);
	end_raw();
}
END_TEST

static void say(int client, const char *text)
{
	ck_assert_int_eq(fd_write_all(client, text, strlen(text)), 0);
}

/* Lines of what it says, up to one with @part. */
static void await_line(int client, const char *part)
{
	char line[TEXT_SIZE];
	size_t len = 0;

	do {
		ck_assert_msg(read(client, line + len, 1) == 1, "%s does not come", part);
		line[++len] = '\0';
		if (line[len - 1] == '\n' && !strstr(line, part))
			len = 0;
	} while (!len || line[len - 1] != '\n');
}

/* The command's result has to wait for the answer, which the loop doesn't know of yet. */
START_TEST(question_and_command_at_once)
{
	static const uint32_t question[3 + OPENING_NAME_SIZE / 4] = {1, OPENING_NAMES};
	enum broker_message kind;
	json_t *command;
	int client, fd = -1, status;

	start_raw();
	client = connect_client();
	say(client, json(BEGIN));
	await_line(client, "\"return\"");
	ck_assert_int_eq(kill(raw_broker, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(raw_broker, &status, WUNTRACED), raw_broker);
	say(client, json("{'execute':'query-status'}"));
	ck_assert_int_eq(send(raw[0], question, sizeof(question), 0), sizeof(question));
	ck_assert_int_eq(kill(raw_broker, SIGCONT), 0);
	ck_assert_int_eq(broker_channel_await(raw[0], 1, &fd, 1, &err), 0);
	fd_close(&fd);
	while (broker_channel_receive(raw[1], &kind, &command) == -EAGAIN)
		usleep(1000);
	ck_assert_int_eq(kind, BROKER_COMMAND);
	json_decref(command);
	ck_assert_int_eq(broker_channel_send_text(raw[1], BROKER_RESULT,
						  json("{'return':{'answer':1}}"), true),
			 0);
	await_line(client, "\"answer\"");
	say(client, json("{'execute':'query-version'}"));
	await_line(client, "\"qemu\"");
	close(client);
	end_raw();
}
END_TEST

/* The VM has answered, and ended by the time that the broker looks. */
START_TEST(result_and_end_at_once)
{
	enum broker_message kind;
	json_t *command;
	int client, status;

	start_raw();
	client = connect_client();
	say(client, json(BEGIN "{'execute':'query-status'}"));
	while (broker_channel_receive(raw[1], &kind, &command) == -EAGAIN)
		usleep(1000);
	json_decref(command);
	ck_assert_int_eq(kill(raw_broker, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(raw_broker, &status, WUNTRACED), raw_broker);
	ck_assert_int_eq(
		broker_channel_send_text(raw[1], BROKER_EVENT, json("{'event':'SHUTDOWN'}"), true),
		0);
	ck_assert_int_eq(broker_channel_send_text(raw[1], BROKER_RESULT,
						  json("{'return':{'answer':1}}"), true),
			 0);
	close(raw[1]);
	close(raw[0]);
	ck_assert_int_eq(kill(raw_broker, SIGCONT), 0);
	await_line(client, "\"answer\"");
	close(client);
	ck_assert_int_eq(waitpid(raw_broker, &status, 0), raw_broker);
}
END_TEST

/* --- what it may --- */

/* The only child that there is. */
static pid_t broker_pid(void)
{
	char path[64];
	pid_t pid = 0;
	FILE *children;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	children = fopen(path, "re");
	ck_assert_ptr_nonnull(children);
	ck_assert_int_eq(fscanf(children, "%d", &pid), 1);
	fclose(children);
	return pid;
}

/* A VM that ends while a command is on its way to it: its last words count. */
START_TEST(last_words)
{
	enum broker_message kind;
	json_t *message = NULL;
	int fds[2];

	ck_assert_int_eq(broker_channel_create(fds), 0);
	ck_assert_int_eq(broker_channel_send_text(fds[0], BROKER_COMMAND, "{}", true), 0);
	ck_assert_int_eq(
		broker_channel_send_text(fds[1], BROKER_EVENT, "{\"event\": \"SHUTDOWN\"}", true),
		0);
	close(fds[1]);
	ck_assert_int_eq(broker_channel_receive(fds[0], &kind, &message), 0);
	ck_assert_int_eq(kind, BROKER_EVENT);
	ck_assert_str_eq(json_string_value(json_object_get(message, "event")), "SHUTDOWN");
	json_decref(message);
	ck_assert_int_eq(broker_channel_receive(fds[0], &kind, &message), -EPIPE);
	close(fds[0]);
}
END_TEST

static size_t long_text(char *text, size_t len)
{
	static const char end[] = "\"}";

	memcpy(text, "{\"x\":\"", 6);
	memset(text + 6, 'a', len - 6);
	memcpy(text + len - strlen(end), end, sizeof(end));
	return len - 6 - strlen(end);
}

static void *send_long_ones(void *arg)
{
	static char text[(16 << 20) + 2];
	const int *fd = arg;

	long_text(text, sizeof(text) - 1);
	MUST(broker_channel_send_text(*fd, BROKER_RESULT, text, true) == 0);
	long_text(text, sizeof(text) - 2);
	MUST(broker_channel_send_text(*fd, BROKER_RESULT, text, true) == 0);
	long_text(text, 64 << 10);
	MUST(broker_channel_send_text(*fd, BROKER_RESULT, text, true) == 0);
	return NULL;
}

/* More than a socket's buffer takes; up to a limit, and then it is lost whole. */
START_TEST(long_texts)
{
	static const size_t len[] = {16 << 20, 64 << 10};
	static char text[(16 << 20) + 1];
	enum broker_message kind;
	json_t *message;
	pthread_t thread;
	int fds[2];

	ck_assert_int_eq(broker_channel_create(fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_long_ones, &fds[1]), 0);
	for (int i = 0; i < 3; i++) {
		struct pollfd readable = {.fd = fds[0], .events = POLLIN};

		ck_assert_int_eq(poll(&readable, 1, -1), 1);
		ck_assert_int_eq(broker_channel_receive(fds[0], &kind, &message), i ? 0 : -ENOMEM);
		ck_assert_int_eq(kind, BROKER_RESULT);
		if (i)
			ck_assert_uint_eq(json_string_length(json_object_get(message, "x")),
					  long_text(text, len[i - 1]));
		json_decref(message);
	}
	pthread_join(thread, NULL);
	/* What isn't waited for comes whole or not at all. */
	long_text(text, 16 << 20);
	ck_assert_int_eq(broker_channel_send_text(fds[1], BROKER_EVENT, text, false), -EMSGSIZE);
	ck_assert_int_eq(broker_channel_receive(fds[0], &kind, &message), -EAGAIN);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(privileges)
{
	const unsigned long long kept = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_DAC_OVERRIDE |
					1ULL << CAP_FOWNER;
	char path[64], status[TEXT_SIZE] = "";
	unsigned long long capabilities;
	FD_CLEANUP int fd = -1;

	start();
	snprintf(path, sizeof(path), "/proc/%d/status", broker_pid());
	fd = open(path, O_RDONLY);
	ck_assert_int_gt(read(fd, status, sizeof(status) - 1), 0);
	ck_assert_int_eq(sscanf(strstr(status, "CapEff:"), "CapEff: %llx", &capabilities), 1);
	ck_assert_uint_eq(capabilities & ~kept, 0);
	if (sandbox_possible) {
		ck_assert_ptr_nonnull(strstr(status, "\nSeccomp:\t2\n"));
		ck_assert_ptr_nonnull(strstr(status, "\nNoNewPrivs:\t1\n"));
	}
}
END_TEST

/* --- ends --- */

static int start_wrongly(void)
{
	int ret = broker_start(&config, &broker, &err);

	if (ret > 0)
		_exit(EXIT_SUCCESS);
	ck_assert_ptr_null(broker);
	return ret;
}

START_TEST(cant_begin)
{
	int status;

	config.control = "";
	ck_assert_int_eq(start_wrongly(), -EINVAL);
	ck_assert(err.usage);
	config.control = "/nowhere/at/all";
	ck_assert_int_eq(start_wrongly(), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/at/all"));
	ck_assert_int_eq(waitpid(-1, &status, 0), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(is_killed)
{
	int fd = -1;

	serve();
	kill(broker_pid(), SIGKILL);
	loop_run(loop);
	ck_assert_ptr_nonnull(strstr(said, "broker process is gone"));
	ck_assert_int_eq(open_one(OPENING_CONNECTION, named_path, &fd), -EPIPE);
	ck_assert_ptr_nonnull(strstr(err.text, "broker"));
	broker_event(broker, "SHUTDOWN", NULL);
	unlink(control_path);
}
END_TEST

/* It goes when the VM's process is gone, however that went, and takes the control socket along. */
START_TEST(vm_is_killed)
{
	struct stat st;
	int ended[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ended), 0);
	pid = fork();
	if (pid == 0) {
		start();
		ck_assert_int_eq(stat(control_path, &st), 0);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < PATIENCE_S * 100 && stat(control_path, &st) == 0; i++)
		usleep(10000);
	ck_assert_int_lt(stat(control_path, &st), 0);
	/* Nor has it kept what was not its own. */
	close(ended[1]);
	ck_assert_int_eq(read(ended[0], &byte, 1), 0);
	close(ended[0]);
}
END_TEST

START_TEST(is_needed)
{
	ck_assert(broker_is_needed(&config));
	config.control = NULL;
	ck_assert(broker_is_needed(&config));
	net = (struct xvmm_net){.tap = "tap0", .vhost = XVMM_VHOST_ON};
	ck_assert(!broker_is_needed(&config));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker");
	TCase *tcase = tcase_create("broker");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 2 * PATIENCE_S);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, only_what_was_named);
	tcase_add_test(tcase, a_capture);
	tcase_add_test(tcase, names_that_are_too_long);
	tcase_add_test(tcase, a_listener_and_its_removal);
	tcase_add_test(tcase, too_many_descriptors);
	tcase_add_test(tcase, commands_are_carried_out);
	tcase_add_test(tcase, a_switch_names_something);
	tcase_add_test(tcase, a_descriptor_is_passed_on);
	tcase_add_test(tcase, openings_that_lie);
	tcase_add_test(tcase, openings_without_end);
	tcase_add_test(tcase, words_that_lie);
	tcase_add_test(tcase, question_and_command_at_once);
	tcase_add_test(tcase, result_and_end_at_once);
	tcase_add_test(tcase, last_words);
	tcase_add_test(tcase, long_texts);
	tcase_add_test(tcase, privileges);
	tcase_add_test(tcase, cant_begin);
	tcase_add_test(tcase, is_killed);
	tcase_add_test(tcase, vm_is_killed);
	tcase_add_test(tcase, is_needed);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
