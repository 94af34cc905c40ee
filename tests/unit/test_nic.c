/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device whose tap is deleted and whose back-end comes and goes, in whatever order the
 * loop gets to know of it. The test is the driver, runs the loop, and deletes the taps.
 */
#include "vmm/nic.h"

#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "tests/unit/own_network.h"
#include "tests/unit/vhost_user_peer.h"
#include "virtio/defs.h"
#include "virtio/device.h"
#include "virtio/net.h"
#include "vmm/core/error.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"
#include "vmm/core/memory.h"
#include "vmm/net_spec.h"

#define BIT(name) (1ULL << (name))

enum {
	STATUS_DRIVER = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
	STATUS_RUNNING = STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK,
	RINGS = 2,
	SIZE = 64,
	RING_AT = 0x1000,
	RING_STEP = 0x4000,
	TURN_MS = 10,
	PATIENCE_TURNS = 2000, /* 20 s */
	LATE_MS = 100,	       /* what happens in another thread has happened by then */
};

static struct guest_memory mem;
static struct loop *loop;
static struct loop_watch timer;
static struct peer peer;
static char directory[] = "/tmp/xvmm-nic-XXXXXX", path[64];
static struct nic *nic;
static struct error err;
static char log_text[4096];

/* --- the fixture --- */

static void take_log(void *opaque, enum log_level level, const char *text)
{
	size_t len = strlen(log_text);

	(void)opaque;
	(void)level;
	snprintf(log_text + len, sizeof(log_text) - len, "%s\n", text);
}

static const struct logger logger = {.write = take_log};

static void stop(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	fd_eventfd_drain(watch->fd);
	loop_stop(loop);
}

static void setup(void)
{
	static const struct memory_range range = {0, 0x100000};
	static const struct memory_config memory_config = {.shared = true};

	ck_assert_int_eq(tap_make("tap0", IFF_TAP, -1), 0);
	ck_assert_int_eq(tap_make("tap1", IFF_TAP, -1), 0);
	tap_set_up("tap0", true);
	tap_set_up("tap1", true);
	ck_assert_int_eq(memory_create(&mem, &range, 1, &memory_config, NULL), 0);
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
	timer = (struct loop_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = stop,
	};
	ck_assert_int_eq(loop_watch_set(loop, &timer, EPOLLIN), 0);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	peer_init(&peer, path);
	peer.script = (struct peer_script){
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF),
		.queue_num = 1,
	};
	log_text[0] = '\0';
}

static void teardown(void)
{
	if (nic)
		virtio_device_destroy(nic_device(nic));
	nic_destroy(nic);
	if (peer.stop_fd >= 0)
		peer_stop(&peer);
	fd_close(&timer.fd);
	loop_destroy(loop);
	memory_destroy(&mem);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
	tap_remove("tap0", IFF_TAP);
	tap_remove("tap1", IFF_TAP);
}

/* A specification as --net takes it. */
static void parse(struct net_spec *spec, const char *format)
{
	char text[128];

	snprintf(text, sizeof(text), format, path);
	ck_assert_msg(net_spec_parse(spec, "--net", text, &err) == 0, "%s", err.text);
}

static void create(const char *format)
{
	const struct nic_parts parts = {.mem = &mem, .loop = loop, .log = &logger};
	struct net_spec spec;

	parse(&spec, format);
	if (nic_create(&parts, &spec.net, 0, XVMM_TRANSPORT_PCI, &nic, &err))
		ck_abort_msg("%s", err.text);
	net_spec_free(&spec);
}

static void move(const char *format)
{
	struct net_spec spec;
	unsigned int pause_us;

	parse(&spec, format);
	if (nic_switch(nic, &spec.net, &pause_us, &err))
		ck_abort_msg("%s", err.text);
	net_spec_free(&spec);
}

/* --- the driver --- */

static void begin_driver(void)
{
	virtio_device_set_status(nic_device(nic), STATUS_DRIVER);
}

static void end_driver(void)
{
	const uint64_t features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_STATUS);
	struct virtio_device *dev = nic_device(nic);

	virtio_device_accept_features(dev, 0, (uint32_t)features);
	virtio_device_accept_features(dev, 1, (uint32_t)(features >> 32));
	virtio_device_set_status(dev, STATUS_RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK);
	ck_assert(dev->status & VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned int i = 0; i < RINGS; i++) {
		uint64_t at = RING_AT + (uint64_t)i * RING_STEP;

		dev->queues[i].ring = (struct ring_state){
			SIZE, gpa(at), gpa(at + 0x1000), gpa(at + 0x2000), 0, 0};
		virtio_device_set_queue_ready(dev, i, true);
	}
	virtio_device_set_status(dev, STATUS_RUNNING);
}

static void drive(void)
{
	begin_driver();
	end_driver();
}

static bool link_is_up(void)
{
	uint16_t status;

	ck_assert_uint_eq(nic_device(nic)->status & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	virtio_device_read_config(nic_device(nic), offsetof(struct virtio_net_config, status),
				  &status, sizeof(status));
	return status & VIRTIO_NET_S_LINK_UP;
}

/* --- the loop --- */

static void turn(int ms)
{
	const struct itimerspec when = {.it_value.tv_nsec = ms * 1000000L};

	timerfd_settime(timer.fd, 0, &when, NULL);
	loop_run(loop);
}

static void await_link(bool up)
{
	for (int i = 0; link_is_up() != up; i++) {
		ck_assert_msg(i < PATIENCE_TURNS, "the link is not %s:\n%s", up ? "up" : "down",
			      log_text);
		turn(TURN_MS);
	}
}

static void await_log(const char *text)
{
	for (int i = 0; !strstr(log_text, text); i++) {
		ck_assert_msg(i < PATIENCE_TURNS, "not said: %s; but:\n%s", text, log_text);
		turn(TURN_MS);
	}
}

/* --- taps that are deleted --- */

START_TEST(tap_of_the_same_name)
{
	create("tap0");
	drive();
	tap_delete("tap0");
	await_link(false);
	ck_assert(!nic_connected(nic));
	ck_assert_int_eq(tap_make("tap0", IFF_TAP, -1), 0);
	tap_set_up("tap0", true);
	move("tap0");
	ck_assert(link_is_up() && nic_connected(nic));
	/* It is that one: it can be deleted, too. */
	tap_delete("tap0");
	await_link(false);
}
END_TEST

/* The loop hears of the switch first. */
static void move_to_tap1(struct loop_watch *watch, uint32_t events)
{
	(void)events;
	loop_watch_remove(loop, watch);
	move("tap1");
}

/* Two things have happened, and the loop gets to know of both at once: of the switch first. */
static void switch_and(void (*other)(void))
{
	struct loop_watch command = {.fd = fd_eventfd(), .ready = move_to_tap1};

	ck_assert_int_eq(loop_watch_set(loop, &command, EPOLLIN), 0);
	fd_eventfd_signal(command.fd);
	other();
	poll(NULL, 0, LATE_MS);
	turn(LATE_MS);
	ck_assert_ptr_null(strstr(log_text, "is down"));
	ck_assert(link_is_up() && nic_connected(nic));
	close(command.fd);
}

static void delete_tap0(void)
{
	tap_delete("tap0");
}

START_TEST(gone_before_a_switch)
{
	create("tap0");
	drive();
	switch_and(delete_tap0);
	tap_delete("tap1");
	await_link(false);
}
END_TEST

/* --- back-ends that come and go --- */

static void nothing(void)
{
}

START_TEST(grace_over_before_a_switch)
{
	peer_start(&peer);
	create("vhost-user,socket=%s,grace=0.05");
	drive();
	peer_stop(&peer);
	await_log("has closed the connection");
	ck_assert(link_is_up());
	switch_and(nothing);
}
END_TEST

START_TEST(fallback_of_a_link_that_was_down)
{
	create("tap0,csum=off,guest_csum=off");
	drive();
	tap_delete("tap0");
	await_link(false);
	move("vhost-user,socket=%s,fallback=tap1");
	ck_assert(link_is_up());
	ck_assert(!nic_connected(nic));
	peer_start(&peer);
	await_log("serves it again");
	ck_assert(link_is_up());
}
END_TEST

START_TEST(fallback_has_gone)
{
	create("vhost-user,socket=%s,fallback=tap0");
	drive();
	ck_assert(link_is_up());
	tap_delete("tap0");
	await_link(false);
	ck_assert_ptr_nonnull(strstr(log_text, "its fallback has gone"));
	/* That doesn't matter to the back-end. */
	peer_start(&peer);
	await_link(true);
	ck_assert(nic_connected(nic));
	/* Now there is neither. */
	peer_stop(&peer);
	await_link(false);
	peer_start(&peer);
	await_link(true);
}
END_TEST

/* What can't be while the driver is starting is done when it has. */
START_TEST(turn_is_tried_again)
{
	peer_start(&peer);
	create("vhost-user,socket=%s,fallback=tap0");
	begin_driver();
	peer_stop(&peer);
	await_log("try again");
	await_link(false);
	end_driver();
	await_log("the fallback serves it");
	ck_assert(link_is_up());
	/* It was said once. */
	ck_assert_ptr_null(strstr(strstr(log_text, "try again") + 1, "try again"));
}
END_TEST

int main(void)
{
	SRunner *runner;
	Suite *suite;
	TCase *tc;
	int failed;

	if (!enter_network_with_taps())
		return SKIP;
	suite = suite_create("nic");
	tc = tcase_create("nic");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, tap_of_the_same_name);
	tcase_add_test(tc, gone_before_a_switch);
	tcase_add_test(tc, grace_over_before_a_switch);
	tcase_add_test(tc, fallback_of_a_link_that_was_down);
	tcase_add_test(tc, fallback_has_gone);
	tcase_add_test(tc, turn_is_tried_again);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
