/* SPDX-License-Identifier: Apache-2.0 */
/* What KVM_RUN of aarch64 returns with: PSCI's calls, MMIO, what KVM can't do. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "devices/bus.h"
#include "vmm/core/error.h"

static uint64_t last_offset;
static uint8_t last_data[8];
static unsigned int last_len;

static void read_device(void *device, uint64_t offset, uint8_t *data, unsigned int len)
{
	(void)device;
	last_offset = offset;
	memset(data, 0x5a, len);
}

static void write_device(void *device, uint64_t offset, const uint8_t *data, unsigned int len)
{
	(void)device;
	last_offset = offset;
	last_len = len;
	memcpy(last_data, data, len);
}

static const struct bus_ops ops = {.read = read_device, .write = write_device};
static struct bus mmio;
static struct kvm_run run;
static const struct kvm_vcpu vcpu = {.fd = -1, .index = 3, .run = &run};
static struct error err;

static void setup(void)
{
	const struct bus_range range = {0x10000000, 0x1000, &ops, NULL};

	mmio = (struct bus){0};
	ck_assert_int_eq(bus_add(&mmio, &range, &err), 0);
}

static enum arch_exit handle(uint32_t reason)
{
	run.exit_reason = reason;
	return arch_vcpu_handle_exit(&vcpu, &mmio, &mmio, &err);
}

static enum arch_exit system_event(uint32_t type)
{
	run.system_event.type = type;
	return handle(KVM_EXIT_SYSTEM_EVENT);
}

START_TEST(psci)
{
	ck_assert_int_eq(system_event(KVM_SYSTEM_EVENT_SHUTDOWN), ARCH_EXIT_POWER_OFF);
	ck_assert_int_eq(system_event(KVM_SYSTEM_EVENT_RESET), ARCH_EXIT_RESET);
	ck_assert_int_eq(system_event(KVM_SYSTEM_EVENT_CRASH), ARCH_EXIT_UNSUPPORTED);
	ck_assert_int_eq(err.code, -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "system event 3 on vCPU 3"));
}
END_TEST

START_TEST(mmio_reaches_the_device)
{
	run.mmio.phys_addr = 0x10000010;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	memcpy(run.mmio.data, "abcd", 4);
	ck_assert_int_eq(handle(KVM_EXIT_MMIO), ARCH_EXIT_CONTINUE);
	ck_assert_uint_eq(last_offset, 0x10);
	ck_assert_uint_eq(last_len, 4);
	ck_assert_mem_eq(last_data, "abcd", 4);

	run.mmio.phys_addr = 0x10000020;
	run.mmio.len = 8;
	run.mmio.is_write = 0;
	ck_assert_int_eq(handle(KVM_EXIT_MMIO), ARCH_EXIT_CONTINUE);
	ck_assert_uint_eq(last_offset, 0x20);
	ck_assert_mem_eq(run.mmio.data, "\x5a\x5a\x5a\x5a\x5a\x5a\x5a\x5a", 8);
}
END_TEST

START_TEST(what_kvm_cannot_run)
{
	ck_assert_int_eq(handle(KVM_EXIT_INTR), ARCH_EXIT_CONTINUE);
	run.arm_nisv.fault_ipa = 0x12345000;
	ck_assert_int_eq(handle(KVM_EXIT_ARM_NISV), ARCH_EXIT_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.text, "accessed 0x12345000"));
	run.internal.suberror = 7;
	ck_assert_int_eq(handle(KVM_EXIT_INTERNAL_ERROR), ARCH_EXIT_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.text, "internal error 7 on vCPU 3"));
	run.fail_entry.hardware_entry_failure_reason = 0xbad;
	ck_assert_int_eq(handle(KVM_EXIT_FAIL_ENTRY), ARCH_EXIT_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.text, "hardware reason 0xbad"));
	ck_assert_int_eq(handle(KVM_EXIT_HLT), ARCH_EXIT_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(err.text, "exit reason 5 on vCPU 3"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aarch64/exit");
	TCase *tc = tcase_create("exit");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, psci);
	tcase_add_test(tc, mmio_reaches_the_device);
	tcase_add_test(tc, what_kvm_cannot_run);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
