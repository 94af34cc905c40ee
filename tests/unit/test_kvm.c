/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's coalesced MMIO: the ring by itself. */
#include "vmm/core/kvm.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum {
	RING_SIZE = 4,
};

static union {
	struct kvm_coalesced_mmio_ring ring;
	char room[sizeof(struct kvm_coalesced_mmio_ring) +
		  RING_SIZE * sizeof(struct kvm_coalesced_mmio)];
} fake;
static const struct kvm_coalesced coalesced = {&fake.ring, RING_SIZE};

/* As KVM does it. */
static void keep(uint64_t addr)
{
	fake.ring.coalesced_mmio[fake.ring.last].phys_addr = addr;
	fake.ring.last = (fake.ring.last + 1) % RING_SIZE;
}

START_TEST(no_ring)
{
	ck_assert_ptr_null(kvm_coalesced_first(&(struct kvm_coalesced){NULL, 0}));
}
END_TEST

START_TEST(oldest_first)
{
	memset(&fake, 0, sizeof(fake));
	ck_assert_ptr_null(kvm_coalesced_first(&coalesced));
	for (uint64_t n = 0; n < 10; n++) {
		keep(2 * n);
		keep(2 * n + 1);
		ck_assert_uint_eq(kvm_coalesced_first(&coalesced)->phys_addr, 2 * n);
		ck_assert_uint_eq(kvm_coalesced_first(&coalesced)->phys_addr, 2 * n);
		kvm_coalesced_pop(&coalesced);
		ck_assert_uint_eq(kvm_coalesced_first(&coalesced)->phys_addr, 2 * n + 1);
		kvm_coalesced_pop(&coalesced);
		ck_assert_ptr_null(kvm_coalesced_first(&coalesced));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kvm");
	TCase *tc = tcase_create("ring");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, no_ring);
	tcase_add_test(tc, oldest_first);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
