/* SPDX-License-Identifier: Apache-2.0 */
/* The AML encoder: encodings against ACPI 6.4, chapter 20 and section 6.4, byte by byte. */
#include "arch/x86_64/aml.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint8_t buffer[1 << 21];
static struct aml aml;

static void setup(void)
{
	memset(buffer, 0xcc, sizeof(buffer));
	aml_init(&aml, buffer, sizeof(buffer));
}

#define ck_encoded(...)                                               \
	do {                                                          \
		static const uint8_t expected[] = {__VA_ARGS__};      \
		ck_assert(!aml.overflow);                             \
		ck_assert_uint_eq(aml.used, sizeof(expected));        \
		ck_assert_mem_eq(buffer, expected, sizeof(expected)); \
		ck_assert_uint_eq(buffer[sizeof(expected)], 0xcc);    \
	} while (0)

START_TEST(integers_take_the_shortest_form)
{
	aml_integer(&aml, 0);
	aml_integer(&aml, 1);
	aml_integer(&aml, 2);
	aml_integer(&aml, 0xff);
	aml_integer(&aml, 0x100);
	aml_integer(&aml, 0xffff);
	aml_integer(&aml, 0x10000);
	aml_integer(&aml, 0xffffffff);
	aml_integer(&aml, 0x100000000);
	ck_encoded(0x00, 0x01, 0x0a, 2, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0b, 0xff, 0xff, 0x0c, 0, 0,
		   1, 0, 0x0c, 0xff, 0xff, 0xff, 0xff, 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
}
END_TEST

START_TEST(paths)
{
	aml_path(&aml, "A");
	aml_path(&aml, "\\_SB");
	aml_path(&aml, "_SB.PWRB");
	aml_path(&aml, "\\_SB.PCI0.S1");
	ck_encoded('A', '_', '_', '_', '\\', '_', 'S', 'B', '_', 0x2e, '_', 'S', 'B', '_', 'P', 'W',
		   'R', 'B', '\\', 0x2f, 3, '_', 'S', 'B', '_', 'P', 'C', 'I', '0', 'S', '1', '_',
		   '_');
}
END_TEST

START_TEST(hardware_ids)
{
	aml_hardware_id(&aml, "PNP0501"); /* EISAID ("PNP0501") is 0x0105D041 */
	aml_hardware_id(&aml, "PNP0C0C");
	aml_hardware_id(&aml, "LNRO0005");
	ck_encoded(0x0c, 0x41, 0xd0, 0x05, 0x01, 0x0c, 0x41, 0xd0, 0x0c, 0x0c, 0x0d, 'L', 'N', 'R',
		   'O', '0', '0', '0', '5', 0);
}
END_TEST

START_TEST(nested_constructs)
{
	aml_mark scope = aml_scope(&aml, "_SB");
	aml_mark device = aml_device(&aml, "DEV");
	aml_mark method = aml_method(&aml, "_STA", 0, false);

	aml_op(&aml, AML_RETURN);
	aml_integer(&aml, 0xf);
	aml_close(&aml, method);
	aml_close(&aml, device);
	aml_close(&aml, scope);
	ck_encoded(0x10, 0x16, '_', 'S', 'B', '_', 0x5b, 0x82, 0x0f, 'D', 'E', 'V', '_', 0x14, 0x09,
		   '_', 'S', 'T', 'A', 0x00, 0xa4, 0x0a, 0x0f);
}
END_TEST

START_TEST(methods_regions_fields)
{
	aml_mark mark;

	aml_region(&aml, "REG", AML_SYSTEM_IO, 0x603, 1);
	mark = aml_field(&aml, "REG");
	aml_field_unit(&aml, "EVNT", 8);
	aml_close(&aml, mark);
	mark = aml_method(&aml, "_EVT", 1, true);
	aml_close(&aml, mark);
	mark = aml_if(&aml);
	aml_op(&aml, AML_ARG0);
	aml_close(&aml, mark);
	mark = aml_package(&aml, 2);
	aml_integer(&aml, 5);
	aml_integer(&aml, 0);
	aml_close(&aml, mark);
	ck_encoded(0x5b, 0x80, 'R', 'E', 'G', '_', 1, 0x0b, 0x03, 0x06, 0x01,	      /* region */
		   0x5b, 0x81, 0x0b, 'R', 'E', 'G', '_', 0x41, 'E', 'V', 'N', 'T', 8, /* field */
		   0x14, 0x06, '_', 'E', 'V', 'T', 0x09,			      /* method */
		   0xa0, 0x02, 0x68,						      /* if */
		   0x12, 0x05, 2, 0x0a, 5, 0);
}
END_TEST

START_TEST(resources)
{
	aml_mark mark = aml_resources(&aml);

	aml_io(&aml, 0x3f8, 8);
	aml_memory32_fixed(&aml, 0xd0001000, 0x1000);
	aml_interrupt(&aml, 17, false);
	aml_interrupt(&aml, 9, true);
	aml_close_resources(&aml, mark);
	ck_encoded(0x11, 0x2b, 0x0a, 0x28,			      /* buffer of 40 bytes */
		   0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08,    /* IO */
		   0x86, 9, 0, 1, 0x00, 0x10, 0, 0xd0, 0, 0x10, 0, 0, /* Memory32Fixed */
		   0x89, 6, 0, 0x03, 1, 17, 0, 0, 0,		      /* Interrupt: edge */
		   0x89, 6, 0, 0x01, 1, 9, 0, 0, 0,		      /* level */
		   0x79, 0x00);
}
END_TEST

START_TEST(bridge_resources)
{
	aml_bus_numbers(&aml, 1, 3);
	aml_memory_window(&aml, 0x1234000000, 0x400000000);
	ck_encoded(0x88, 13, 0, 2, 0x0c, 0,		  /* WordBusNumber */
		   0, 0, 1, 0, 3, 0, 0, 0, 3, 0,	  /* granularity to length */
		   0x8a, 43, 0, 0, 0x0c, 1,		  /* QWordMemory */
		   0, 0, 0, 0, 0, 0, 0, 0,		  /* granularity */
		   0, 0, 0, 0x34, 0x12, 0, 0, 0,	  /* minimum */
		   0xff, 0xff, 0xff, 0x33, 0x16, 0, 0, 0, /* maximum */
		   0, 0, 0, 0, 0, 0, 0, 0,		  /* translation */
		   0, 0, 0, 0, 4, 0, 0, 0);		  /* length */
}
END_TEST

/* Section 20.2.4: the lead byte tells how many follow and has the low bits of the length. */
static size_t package_length(const uint8_t *at, size_t *own)
{
	size_t follow = at[0] >> 6;
	size_t length = follow ? at[0] & 0xf : at[0] & 0x3f;

	ck_assert(!follow || !(at[0] & 0x30));
	for (size_t i = 0; i < follow; i++)
		length |= (size_t)at[1 + i] << (4 + 8 * i);
	*own = 1 + follow;
	return length;
}

/* Body sizes on both sides of every change of the encoding's size. */
static const struct {
	size_t body, own;
} lengths[] = {
	{0, 1},	   {62, 1},	 {63, 2},      {64, 2},	     {4093, 2},
	{4094, 3}, {1048572, 3}, {1048573, 4}, {1500000, 4},
};

START_TEST(package_lengths)
{
	size_t body = lengths[_i].body;
	size_t own;
	uint8_t *content = malloc(body + 1);
	aml_mark mark;

	for (size_t i = 0; i < body; i++)
		content[i] = (uint8_t)(i * 7);
	mark = aml_if(&aml);
	aml_bytes(&aml, content, body);
	aml_close(&aml, mark);
	ck_assert(!aml.overflow);
	ck_assert_uint_eq(package_length(buffer + 1, &own), body + lengths[_i].own);
	ck_assert_uint_eq(own, lengths[_i].own);
	ck_assert_uint_eq(aml.used, 1 + own + body);
	ck_assert(!memcmp(buffer + 1 + own, content, body));
	free(content);
}
END_TEST

/* Whatever the room, nothing is written behind it, and the loss is told. */
START_TEST(overflow_is_told)
{
	static const size_t whole = 40;
	size_t room = (size_t)_i;
	aml_mark device, crs;

	aml_init(&aml, buffer, room);
	device = aml_device(&aml, "DEV");
	aml_name(&aml, "_UID");
	aml_integer(&aml, 300);
	aml_name(&aml, "_CRS");
	crs = aml_resources(&aml);
	aml_memory32_fixed(&aml, 0xd0000000, 0x1000);
	aml_close_resources(&aml, crs);
	aml_close(&aml, device);
	aml_string(&aml, "");
	ck_assert_int_eq(aml.overflow, room < whole);
	ck_assert_uint_le(aml.used, room);
	ck_assert_uint_eq(buffer[room], 0xcc);
	ck_assert(room < whole || aml.used == whole);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aml");
	TCase *tc = tcase_create("encodings");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, integers_take_the_shortest_form);
	tcase_add_test(tc, paths);
	tcase_add_test(tc, hardware_ids);
	tcase_add_test(tc, nested_constructs);
	tcase_add_test(tc, methods_regions_fields);
	tcase_add_test(tc, resources);
	tcase_add_test(tc, bridge_resources);
	tcase_add_loop_test(tc, package_lengths, 0, sizeof(lengths) / sizeof(lengths[0]));
	tcase_add_loop_test(tc, overflow_is_told, 0, 60);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
