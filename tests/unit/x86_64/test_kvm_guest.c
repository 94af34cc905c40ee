/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's coalesced MMIO with a guest of two instructions. */
#include "vmm/core/kvm.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/core/memory.h"

enum {
	MEMORY = 0x4000,
	CODE_AT = 0x1000,
	REGISTER = 0x8000, /* no memory there */
};

static struct kvm_vm vm;
static struct kvm_vcpu vcpu;
static struct guest_memory mem;

static void setup(void)
{
	/* mov [0x8000], ax; hlt; and so on */
	static const uint8_t code[] = {0xa3, 0x00, 0x80, 0xf4};
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config config;
	struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2, .rax = 0xbeef};
	struct kvm_sregs sregs;

	ck_assert_int_eq(kvm_vm_open(&vm, NULL), 0);
	ck_assert_int_eq(kvm_vm_create(&vm, NULL), 0);
	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
	for (unsigned int i = 0; i < 512; i++)
		memory_write(&mem, gpa(CODE_AT + i * sizeof(code)), code, sizeof(code));
	ck_assert_int_eq(kvm_vm_set_memory(&vm, &mem, NULL), 0);
	ck_assert_int_eq(kvm_vcpu_create(&vm, 0, &vcpu, NULL), 0);
	ck_assert_int_eq(kvm_ioctl(vcpu.fd, KVM_GET_SREGS, (uintptr_t)&sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	ck_assert_int_eq(kvm_ioctl(vcpu.fd, KVM_SET_SREGS, (uintptr_t)&sregs), 0);
	ck_assert_int_eq(kvm_ioctl(vcpu.fd, KVM_SET_REGS, (uintptr_t)&regs), 0);
}

static void teardown(void)
{
	kvm_vcpu_destroy(&vcpu);
	kvm_vm_destroy(&vm);
	memory_destroy(&mem);
}

static uint32_t run(void)
{
	ck_assert_int_eq(kvm_vcpu_run(&vcpu), 0);
	return vcpu.run->exit_reason;
}

START_TEST(write_is_kept)
{
	struct kvm_coalesced ring = kvm_vcpu_coalesced(&vm, &vcpu);
	const struct kvm_coalesced_mmio *write;
	uint32_t kept;

	ck_assert_ptr_nonnull(ring.ring);
	/* Without it: an exit. */
	ck_assert_uint_eq(run(), KVM_EXIT_MMIO);
	ck_assert_uint_eq(vcpu.run->mmio.phys_addr, REGISTER);
	ck_assert_uint_eq(run(), KVM_EXIT_HLT);
	ck_assert_ptr_null(kvm_coalesced_first(&ring));

	ck_assert_int_eq(kvm_vm_add_coalesced_mmio(&vm, REGISTER, 2), 0);
	ck_assert_uint_eq(run(), KVM_EXIT_HLT);
	write = kvm_coalesced_first(&ring);
	ck_assert_ptr_nonnull(write);
	ck_assert_uint_eq(write->phys_addr, REGISTER);
	ck_assert_uint_eq(write->len, 2);
	ck_assert_mem_eq(write->data, "\xef\xbe", 2);
	kvm_coalesced_pop(&ring);
	ck_assert_ptr_null(kvm_coalesced_first(&ring));

	/* A full ring, as which Linux 6.1 takes half a one: the rest comes as an exit. */
	for (kept = 0; run() == KVM_EXIT_HLT; kept++)
		ck_assert_uint_lt(kept, ring.size);
	ck_assert_uint_eq(vcpu.run->exit_reason, KVM_EXIT_MMIO);
	ck_assert(kept == ring.size - 1 || kept == ring.size / 2);
	ck_assert_uint_eq(run(), KVM_EXIT_HLT);
	for (uint32_t n = 0; n < kept; n++) {
		ck_assert_ptr_nonnull(kvm_coalesced_first(&ring));
		kvm_coalesced_pop(&ring);
	}
	ck_assert_ptr_null(kvm_coalesced_first(&ring));
	ck_assert_uint_eq(run(), KVM_EXIT_HLT);
	ck_assert_ptr_nonnull(kvm_coalesced_first(&ring));

	ck_assert_int_eq(kvm_vm_remove_coalesced_mmio(&vm, REGISTER, 2), 0);
	ck_assert_uint_eq(run(), KVM_EXIT_MMIO);
}
END_TEST

int main(void)
{
	SRunner *runner;
	Suite *suite;
	TCase *tc;
	int failed;

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		puts("SKIP: no access to /dev/kvm");
		return 77;
	}
	suite = suite_create("kvm");
	tc = tcase_create("guest");
	runner = srunner_create(suite);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, write_is_kept);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
