/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames the driver wants (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3). */
#include "virtio/net_filter.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum {
	VLAN = 100,
};

/* The filter of a driver that has negotiated all: its own address, one of each, a VLAN. */
static struct net_filter filter;

static const uint8_t own[] = {2, 0, 0, 0, 0, 1}, listed[] = {2, 0, 0, 0, 0, 2},
		     foreign[] = {2, 0, 0, 0, 0, 3}, group[] = {0x33, 0x33, 0, 0, 0, 1},
		     foreign_group[] = {1, 0, 0x5e, 0, 0, 9},
		     broadcast[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void setup(void)
{
	filter = (struct net_filter){
		.active = true,
		.vlan_active = true,
		.unicast.n = 1,
		.multicast.n = 1,
	};
	memcpy(filter.mac, own, 6);
	memcpy(filter.unicast.macs[0], listed, 6);
	memcpy(filter.multicast.macs[0], group, 6);
	filter.vlans[VLAN / 8] = 1 << VLAN % 8;
}

/* A frame to @to; with a tag if @tci is not negative. */
static bool accepts(const uint8_t *to, int tci)
{
	uint8_t frame[NET_FILTER_HEADER] = {0};

	memcpy(frame, to, 6);
	frame[12] = tci < 0 ? 0x08 : 0x81;
	if (tci >= 0) {
		frame[14] = (uint8_t)(tci >> 8);
		frame[15] = (uint8_t)tci;
		frame[16] = 0x08;
	} else {
		/* What would be no VLAN of ours, if it were a tag. */
		memset(frame + 14, 0xff, 4);
	}
	return net_filter_accepts(&filter, frame, sizeof(frame));
}

/* Which of own, listed, foreign, group, foreign group, broadcast pass, from the left. */
static void check_passing(const char *expected)
{
	const uint8_t *const to[] = {own, listed, foreign, group, foreign_group, broadcast};
	char passing[7] = "";

	for (int i = 0; i < 6; i++)
		passing[i] = accepts(to[i], -1) ? 'x' : '.';
	ck_assert_str_eq(passing, expected);
}

START_TEST(addresses)
{
	check_passing("xx.x.x");
}
END_TEST

START_TEST(inactive)
{
	filter.active = false;
	/* The modes don't matter then. */
	filter.nouni = filter.nomulti = filter.nobcast = true;
	check_passing("xxxxxx");
}
END_TEST

static const struct {
	const char *passing;
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
} modes[] = {
	{"xxxxxx", .promisc = true},
	{"xxxxxx", .promisc = true, .nomulti = true, .nouni = true, .nobcast = true},
	{"xx.xxx", .allmulti = true},
	{"xxxx.x", .alluni = true},
	{"xx...x", .nomulti = true},
	{"xx...x", .nomulti = true, .allmulti = true},
	{"...x.x", .nouni = true},
	{"...x.x", .nouni = true, .alluni = true},
	{"xx.x..", .nobcast = true},
	{"xx.xx.", .nobcast = true, .allmulti = true},
	{"......", .nomulti = true, .nouni = true, .nobcast = true},
};

START_TEST(rx_modes)
{
	filter.promisc = modes[_i].promisc;
	filter.allmulti = modes[_i].allmulti;
	filter.alluni = modes[_i].alluni;
	filter.nomulti = modes[_i].nomulti;
	filter.nouni = modes[_i].nouni;
	filter.nobcast = modes[_i].nobcast;
	check_passing(modes[_i].passing);
}
END_TEST

START_TEST(overflow)
{
	filter.unicast.overflow = true;
	check_passing("xxxx.x");
	filter.unicast.overflow = false;
	filter.multicast.overflow = true;
	check_passing("xx.xxx");
	filter.nomulti = true;
	check_passing("xx...x");
}
END_TEST

START_TEST(full_tables)
{
	for (unsigned int i = 0; i < NET_FILTER_MACS; i++)
		memcpy(filter.unicast.macs[i], (uint8_t[]){4, 0, 0, 0, 0, (uint8_t)i}, 6);
	filter.unicast.n = NET_FILTER_MACS;
	for (unsigned int i = 0; i < NET_FILTER_MACS; i++)
		ck_assert(accepts((uint8_t[]){4, 0, 0, 0, 0, (uint8_t)i}, -1));
	ck_assert(!accepts((uint8_t[]){4, 0, 0, 0, 0, NET_FILTER_MACS}, -1));
	filter.unicast.n--;
	ck_assert(!accepts((uint8_t[]){4, 0, 0, 0, 0, NET_FILTER_MACS - 1}, -1));
}
END_TEST

START_TEST(vlans)
{
	ck_assert(accepts(own, VLAN));
	ck_assert(!accepts(own, VLAN + 1));
	/* Priority and drop eligibility are no part of the VLAN's number. */
	ck_assert(accepts(own, 0xf000 | VLAN));
	ck_assert(!accepts(own, 0xf000 | (VLAN + 256)));
	/* Only a priority. */
	ck_assert(accepts(own, 0));
	ck_assert(accepts(own, 0xe000));
	/* The address counts as well. */
	ck_assert(!accepts(foreign, VLAN));
	filter.vlans[4095 / 8] = 1 << 7;
	ck_assert(accepts(own, 4095));
	ck_assert(!accepts(own, 4094));
}
END_TEST

START_TEST(vlans_inactive)
{
	filter.vlan_active = false;
	ck_assert(accepts(own, VLAN + 1));
	ck_assert(!accepts(foreign, VLAN + 1));
	/* CTRL_VLAN without CTRL_RX. */
	filter.vlan_active = true;
	filter.active = false;
	ck_assert(!accepts(foreign, VLAN + 1));
	ck_assert(accepts(foreign, VLAN));
}
END_TEST

START_TEST(promiscuous_vlans)
{
	filter.promisc = true;
	ck_assert(accepts(foreign, VLAN + 1));
	/* What is left from a driver that had CTRL_RX is no promiscuous mode. */
	filter.active = false;
	ck_assert(!accepts(foreign, VLAN + 1));
}
END_TEST

/* What is too short for a tag has none; what is too short for an address is for nobody. */
START_TEST(short_frames)
{
	uint8_t frame[NET_FILTER_HEADER] = {2, 0, 0, 0, 0, 1, [12] = 0x81, [15] = 7};

	ck_assert(!net_filter_accepts(&filter, frame, 18));
	ck_assert(net_filter_accepts(&filter, frame, 17));
	ck_assert(net_filter_accepts(&filter, frame, 14));
	for (size_t len = 0; len < 14; len++) {
		/* Nothing behind the end is looked at: ASan would see it. */
		uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, frame, len);
		ck_assert(!net_filter_accepts(&filter, exact, len));
		free(exact);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net_filter");
	TCase *tc = tcase_create("net filter");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, inactive);
	tcase_add_loop_test(tc, rx_modes, 0, sizeof(modes) / sizeof(modes[0]));
	tcase_add_test(tc, overflow);
	tcase_add_test(tc, full_tables);
	tcase_add_test(tc, vlans);
	tcase_add_test(tc, vlans_inactive);
	tcase_add_test(tc, promiscuous_vlans);
	tcase_add_test(tc, short_frames);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
