/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the cases. Parameters: those of virtio_find() and virtio_connect(), and
 *	packed=on	packed rings instead of split ones
 *	peer=off	nobody sends frames back
 *	case=N		only this one
 *	list=on		print the cases as rows of a table, run none
 */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/string.h"

static const struct test_group *const groups[] = {
	&basic_group, &split_group, &packed_group,  &pci_group,
	&mmio_group,  &net_group,   &control_group,
};

static unsigned int only_of_run(void)
{
	unsigned int only = arg_switch("packed", false) ? PACKED : SPLIT;

	only |= memcmp(device.transport->name, "pci", 4) == 0 ? PCI : MMIO;
	return only | (arg_switch("peer", true) ? PEER : 0);
}

/* Why the case can't be run, or NULL. */
static const char *missing(const struct test_case *test, unsigned int run)
{
	uint64_t absent = test->needs & ~offered;
	unsigned int bit = 0;

	if (test->only & (MMIO | PCI) & ~run)
		return skip("for the other transport");
	if (test->only & (SPLIT | PACKED) & ~run)
		return skip("for the other ring format");
	if (test->only & PEER & ~run)
		return skip("nobody sends frames back");
	if (absent == 0)
		return NULL;
	while (!(absent >> bit & 1))
		bit++;
	return skip("feature %u is not offered", bit);
}

static const char *run_case(const struct test_case *test)
{
	size_t mark = alloc_mark();
	const char *result;

	if (!virtio_reset(&device))
		return failed("the reset before it doesn't end");
	device.transport->take_causes(&device);
	result = run_caught(test->run);
	if (!virtio_reset(&device) && result == NULL)
		result = failed("the reset after it doesn't end");
	alloc_release(mark);
	return result;
}

static void run_group(const struct test_group *group, unsigned int run)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct test_case *test = &group->cases[i];
		const char *result;

		if (arg_number("case", check_count() + 1) != check_count() + 1) {
			check_skipped("not asked for", "%s %s", test->section, test->statement);
			continue;
		}
		result = missing(test, run);
		if (result == NULL)
			result = run_case(test);
		if (result != NULL && is_skip(result))
			check_skipped(result, "%s %s", test->section, test->statement);
		else if (!check(result == NULL, "%s %s", test->section, test->statement))
			print("# %s\n", result);
	}
}

static void list(void)
{
	unsigned int number = 0;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (size_t k = 0; k < groups[i]->n; k++)
			print("| %u | %s | %s |\n", ++number, groups[i]->cases[k].section,
			      groups[i]->cases[k].statement);
}

int main(void)
{
	unsigned int run;

	if (arg_switch("list", false)) {
		list();
		return STATUS_PASS;
	}
	if (!virtio_find(VIRTIO_ID_NET, 0, &device))
		fatal("no network device");
	if (!virtio_reset(&device))
		fatal("the device's reset does not end");
	offered = device.transport->offered(&device);
	run = only_of_run();
	ring_features = run & PACKED ? FEATURE(VIRTIO_F_RING_PACKED) : 0;
	if (ring_features & ~offered) {
		print("1..0 # SKIP packed rings are not offered\n");
		return STATUS_PASS;
	}
	virtio_connect(&device);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		run_group(groups[i], run);
	return check_done();
}
