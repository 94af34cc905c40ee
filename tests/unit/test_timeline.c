/* SPDX-License-Identifier: Apache-2.0 */
/* The list of marks: each once, in order, bounded, whoever makes them; and what it is as JSON. */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/guest_mark.h"
#include "vmm/core/timeline.h"
#include "vmm/timeline_json.h"

enum {
	NS_PER_S = 1000000000,
};

static struct timeline timeline;

static void setup(void)
{
	timeline_init(&timeline, TIMELINE_EXEC, 0);
}

static void teardown(void)
{
	timeline_destroy(&timeline);
}

static unsigned int count(void)
{
	struct timeline_mark mark;
	unsigned int n = 0;

	while (timeline_get(&timeline, n, &mark) == 0)
		n++;
	return n;
}

static struct timeline_mark get(unsigned int index)
{
	struct timeline_mark mark;

	ck_assert_int_eq(timeline_get(&timeline, index, &mark), 0);
	return mark;
}

START_TEST(the_first_one_is_zero)
{
	struct timeline_mark mark = get(0);

	ck_assert_int_eq(mark.event, TIMELINE_EXEC);
	ck_assert_uint_eq(mark.ns, 0);
	ck_assert_str_eq(mark.device, "");
	ck_assert_int_eq(timeline_get(&timeline, 1, &mark), -ERANGE);
	/* The others come so much later as it was ago. */
	timeline_destroy(&timeline);
	timeline_init(&timeline, TIMELINE_EXEC, NS_PER_S);
	timeline_mark(&timeline, TIMELINE_KVM);
	ck_assert_uint_eq(get(0).ns, 0);
	ck_assert_uint_ge(get(1).ns, NS_PER_S);
}
END_TEST

START_TEST(each_once)
{
	for (int i = 0; i < 3; i++) {
		timeline_mark(&timeline, TIMELINE_EXEC);
		timeline_mark(&timeline, TIMELINE_KVM);
		timeline_mark_often(&timeline, TIMELINE_CONSOLE);
		timeline_mark_device(&timeline, TIMELINE_DRIVER_OK, "net0");
		timeline_mark_device(&timeline, TIMELINE_DRIVER_OK, "net01");
		timeline_mark_device(&timeline, TIMELINE_PACKET_IN, "net0");
	}
	ck_assert_uint_eq(count(), 6);
	ck_assert_int_eq(get(1).event, TIMELINE_KVM);
	ck_assert_int_eq(get(2).event, TIMELINE_CONSOLE);
	ck_assert_str_eq(get(3).device, "net0");
	ck_assert_str_eq(get(4).device, "net01");
	ck_assert_int_eq(get(5).event, TIMELINE_PACKET_IN);
	for (unsigned int i = 1; i < 6; i++)
		ck_assert_uint_ge(get(i).ns, get(i - 1).ns);
	timeline_mark_often(NULL, TIMELINE_CONSOLE);
	timeline_mark_device(NULL, TIMELINE_DRIVER, "net0");
}
END_TEST

START_TEST(long_names_are_cut)
{
	char name[2 * TIMELINE_DEVICE_SIZE] = "";

	memset(name, 'x', sizeof(name) - 1);
	timeline_mark_device(&timeline, TIMELINE_DRIVER, name);
	timeline_mark_device(&timeline, TIMELINE_DRIVER, name);
	ck_assert_uint_eq(count(), 2);
	ck_assert_uint_eq(strlen(get(1).device), TIMELINE_DEVICE_SIZE - 1);
}
END_TEST

START_TEST(a_guest_has_its_share)
{
	for (uint32_t i = 0; i < 2 * TIMELINE_GUEST_MAX; i++)
		timeline_mark_guest(&timeline, i % 10);
	ck_assert_uint_eq(count(), 1 + TIMELINE_GUEST_MAX);
	ck_assert_uint_eq(timeline_lost(&timeline), TIMELINE_GUEST_MAX);
	ck_assert_uint_eq(get(TIMELINE_GUEST_MAX).value, (TIMELINE_GUEST_MAX - 1) % 10);
	/* There is room for what others have to say. */
	timeline_mark(&timeline, TIMELINE_ENDED);
	ck_assert_int_eq(get(1 + TIMELINE_GUEST_MAX).event, TIMELINE_ENDED);
}
END_TEST

START_TEST(no_more_than_there_is_room)
{
	char name[16];

	for (unsigned int i = 0; i < TIMELINE_MAX + 10; i++) {
		snprintf(name, sizeof(name), "net%u", i);
		timeline_mark_device(&timeline, TIMELINE_DRIVER, name);
	}
	ck_assert_uint_eq(count(), TIMELINE_MAX);
	ck_assert_uint_eq(timeline_lost(&timeline), 11);
}
END_TEST

static void *mark_all(void *name)
{
	for (uint32_t i = 0; i < TIMELINE_GUEST_MAX; i++) {
		timeline_mark_often(&timeline, TIMELINE_CONSOLE);
		timeline_mark_device(&timeline, TIMELINE_PACKET_OUT, "shared");
		timeline_mark_device(&timeline, TIMELINE_PACKET_OUT, name);
		timeline_mark_guest(&timeline, i);
	}
	return NULL;
}

START_TEST(by_several_threads)
{
	static char names[][4] = {"a", "b", "c", "d"};
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, mark_all, names[i]);
	/* While others look. */
	for (unsigned int n = 0; n < 1 + 1 + 5 + TIMELINE_GUEST_MAX; n = count())
		;
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(count(), 1 + 1 + 5 + TIMELINE_GUEST_MAX);
	ck_assert_uint_eq(timeline_lost(&timeline), 3 * TIMELINE_GUEST_MAX);
	for (unsigned int i = 1; i < count(); i++)
		ck_assert_uint_ge(get(i).ns, get(i - 1).ns);
}
END_TEST

START_TEST(by_the_device)
{
	static const struct {
		uint8_t data[8];
		unsigned int len;
		uint32_t value;
	} cases[] = {
		{{42}, 1, 42},
		{{1, 2}, 2, 0x201},
		{{1, 2, 3, 0x84}, 4, 0x84030201},
	};
	static const uint8_t byte = 1;
	struct guest_mark device;
	struct bus bus = {0};
	const struct bus_range range = {0xf8, GUEST_MARK_SIZE, &guest_mark_bus_ops, &device};
	uint8_t read = 0;

	guest_mark_init(&device, &timeline);
	ck_assert_int_eq(bus_add(&bus, &range, NULL), 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bus_write(&bus, 0xf8, cases[i].data, cases[i].len);
		ck_assert_int_eq(get(i + 1).event, TIMELINE_GUEST);
		ck_assert_uint_eq(get(i + 1).value, cases[i].value);
	}
	bus_write(&bus, 0xf9, &byte, 1);
	bus_read(&bus, 0xf8, &read, 1);
	ck_assert_uint_eq(read, 0xff);
	ck_assert_uint_eq(count(), 4);
}
END_TEST

START_TEST(as_json)
{
	json_t *json, *expected;

	/* Told apart from what the clock says. */
	timeline_mark_device(&timeline, TIMELINE_DRIVER_OK, "net0");
	timeline_mark_device(&timeline, TIMELINE_DRIVER_OK, "\xff");
	timeline_mark_guest(&timeline, 0xffffffff);
	for (unsigned int i = 0; i < 4; i++)
		timeline.marks[i].ns = 1000999UL * i;
	json = timeline_json(&timeline);
	expected = json_pack(
		"{s:i,s:s,s:[{s:s,s:i},{s:s,s:i,s:s},{s:s,s:i,s:s},{s:s,s:i,s:I}],s:i}", "version",
		1, "unit", "us", "marks", "name", "exec", "us", 0, "name", "driver-ok", "us", 1000,
		"device", "net0", "name", "driver-ok", "us", 2001, "device", "?", "name",
		"guest-mark", "us", 3002, "value", (json_int_t)0xffffffff, "guest-marks-lost", 0);
	ck_assert_ptr_nonnull(expected);
	ck_assert(json_equal(json, expected));
	json_decref(json);
	json_decref(expected);
}
END_TEST

START_TEST(names)
{
	for (int i = 0; i < TIMELINE_EVENTS; i++) {
		const char *name = timeline_event_name((enum timeline_event)i);

		ck_assert_ptr_nonnull(name);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(name, timeline_event_name((enum timeline_event)k));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *tc = tcase_create("timeline");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_first_one_is_zero);
	tcase_add_test(tc, each_once);
	tcase_add_test(tc, long_names_are_cut);
	tcase_add_test(tc, a_guest_has_its_share);
	tcase_add_test(tc, no_more_than_there_is_room);
	tcase_add_test(tc, by_several_threads);
	tcase_add_test(tc, by_the_device);
	tcase_add_test(tc, as_json);
	tcase_add_test(tc, names);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
