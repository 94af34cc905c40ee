/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID of a vCPU, from a table as KVM may give it. */
#include <check.h>
#include <stdlib.h>

#include "arch/x86_64/cpuid.h"

static union cpuid_table table;

static struct kvm_cpuid_entry2 *find(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < table.head.nent; i++) {
		struct kvm_cpuid_entry2 *entry = &table.head.entries[i];

		if (entry->function == function && entry->index == index)
			return entry;
	}
	return NULL;
}

static void add(struct kvm_cpuid_entry2 entry)
{
	table.head.entries[table.head.nent++] = entry;
}

/* The host: 0x1f, stale topology, caches of levels 1 and 3, AMD's leaves. */
static void host_table(void)
{
	table.head.nent = 0;
	add((struct kvm_cpuid_entry2){.function = 0, .eax = 0x1f});
	add((struct kvm_cpuid_entry2){.function = 1, .ebx = 0xffff0800, .edx = 1u << 28});
	add((struct kvm_cpuid_entry2){.function = 4, .index = 0, .eax = 0xfc004121});
	add((struct kvm_cpuid_entry2){.function = 4, .index = 3, .eax = 0xfc1fc163});
	add((struct kvm_cpuid_entry2){.function = 4, .index = 4, .eax = 0});
	add((struct kvm_cpuid_entry2){.function = 0xb, .index = 0, .edx = 77});
	add((struct kvm_cpuid_entry2){.function = 0x1f, .index = 0, .edx = 77});
	add((struct kvm_cpuid_entry2){.function = 0x80000001, .ecx = 2});
	add((struct kvm_cpuid_entry2){.function = 0x80000008, .eax = 0x3030, .ecx = 0xf00f});
	add((struct kvm_cpuid_entry2){.function = 0x8000001e, .eax = 9, .ebx = 9, .ecx = 9});
}

START_TEST(one_cpu)
{
	host_table();
	cpuid_set_vcpu(&table, 0, 1, true);
	ck_assert_uint_eq(find(1, 0)->ebx, 0x00010800);
	ck_assert_uint_eq(find(1, 0)->edx & 1u << 28, 0);
	ck_assert_uint_ne(find(1, 0)->ecx & 1u << 31, 0);
	ck_assert_uint_ne(find(1, 0)->ecx & 1u << 24, 0);
	ck_assert_uint_eq(find(0x80000001, 0)->ecx, 0);
	ck_assert_uint_eq(find(0x80000008, 0)->ecx, 0);
	ck_assert_uint_eq(find(0xb, 1)->ebx, 1);
	ck_assert_uint_eq(find(0xb, 1)->eax, 0);
	ck_assert_ptr_null(find(0x1f, 0));
}
END_TEST

START_TEST(no_tsc_deadline)
{
	host_table();
	cpuid_set_vcpu(&table, 0, 1, false);
	ck_assert_uint_eq(find(1, 0)->ecx & 1u << 24, 0);
}
END_TEST

START_TEST(third_of_six)
{
	host_table();
	cpuid_set_vcpu(&table, 2, 6, true);
	/* Three bits of APIC ID, so eight IDs are set aside. */
	ck_assert_uint_eq(find(1, 0)->ebx, 0x02080800);
	ck_assert_uint_ne(find(1, 0)->edx & 1u << 28, 0);
	ck_assert_uint_eq(find(4, 0)->eax >> 14 & 0xfff, 0); /* L1: its own */
	ck_assert_uint_eq(find(4, 3)->eax >> 14 & 0xfff, 7); /* L3: everybody's */
	ck_assert_uint_eq(find(4, 3)->eax >> 26, 7);
	ck_assert_uint_eq(find(4, 4)->eax, 0);
	ck_assert_uint_eq(find(0xb, 0)->eax, 0);
	ck_assert_uint_eq(find(0xb, 0)->ebx, 1);
	ck_assert_uint_eq(find(0xb, 0)->ecx, 0x100);
	ck_assert_uint_eq(find(0xb, 1)->eax, 3);
	ck_assert_uint_eq(find(0xb, 1)->ebx, 6);
	ck_assert_uint_eq(find(0xb, 1)->ecx, 0x201);
	ck_assert_uint_eq(find(0xb, 2)->ebx, 0);
	for (uint32_t level = 0; level < 3; level++)
		ck_assert_uint_eq(find(0xb, level)->edx, 2);
	ck_assert_uint_eq(find(0x80000008, 0)->ecx, 3 << 12 | 5);
	ck_assert_uint_eq(find(0x8000001e, 0)->eax, 2);
	ck_assert_uint_eq(find(0x8000001e, 0)->ebx, 2);
	ck_assert_uint_eq(find(0x8000001e, 0)->ecx, 0);
}
END_TEST

START_TEST(one_table_for_all_cpus)
{
	static union cpuid_table fresh;

	host_table();
	cpuid_set_vcpu(&table, 2, 6, true);
	fresh = table;
	host_table();
	for (unsigned int index = 0; index < 3; index++)
		cpuid_set_vcpu(&table, index, 6, true);
	ck_assert_uint_eq(table.head.nent, fresh.head.nent);
	for (uint32_t i = 0; i < fresh.head.nent; i++)
		ck_assert_mem_eq(&table.head.entries[i], &fresh.head.entries[i],
				 sizeof(fresh.head.entries[i]));
}
END_TEST

START_TEST(fields_of_many_cpus_do_not_spill)
{
	host_table();
	cpuid_set_vcpu(&table, 254, 255, true);
	ck_assert_uint_eq(find(1, 0)->ebx, 0xfeff0800);
	ck_assert_uint_eq(find(4, 3)->eax >> 26, 63);
	ck_assert_uint_eq(find(4, 3)->eax >> 14 & 0xfff, 255);
}
END_TEST

START_TEST(old_cpu_without_topology_leaf)
{
	host_table();
	find(0, 0)->eax = 0xa;
	cpuid_set_vcpu(&table, 1, 2, true);
	ck_assert_ptr_null(find(0xb, 0));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cpuid");
	TCase *tcase = tcase_create("cpuid");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, one_cpu);
	tcase_add_test(tcase, no_tsc_deadline);
	tcase_add_test(tcase, third_of_six);
	tcase_add_test(tcase, one_table_for_all_cpus);
	tcase_add_test(tcase, fields_of_many_cpus_do_not_spill);
	tcase_add_test(tcase, old_cpu_without_topology_leaf);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
