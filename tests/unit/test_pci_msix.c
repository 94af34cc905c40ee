/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: the table as a guest sees it, and messages through a real KVM where there is one. */
#include "devices/pci_msix.h"

#include <check.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/bus.h"
#include "tests/unit/irqchip.h"
#include "vmm/core/error.h"
#include "vmm/core/fd.h"

enum {
	VECTORS = 34,
	EVENTS = 4,
	BAR_SIZE = 0x4000,
	ECAM = 0xe0000000,
	TABLE = 0x1000,
	PBA = 0x2000,
	ON = PCI_MSIX_FLAGS_ENABLE >> 8, /* of the control register's upper byte */
	ALL_MASKED = PCI_MSIX_FLAGS_MASKALL >> 8,
};
#define WINDOW 0xf0000000ULL

static struct irqchip chip;
static bool with_kvm;
static struct pci_host host;
static struct bus mmio, pio;
static struct pci_function function;
static struct pci_msix msix;
static int fds[EVENTS];
static int updated, table_written; /* what the last call returned */

static void read_bar(struct pci_function *f, uint64_t offset, uint8_t *data, unsigned int len)
{
	(void)f;
	if (offset >= PBA)
		pci_msix_read_pba(&msix, offset - PBA, data, len);
	else if (offset >= TABLE)
		pci_msix_read_table(&msix, offset - TABLE, data, len);
}

static void write_bar(struct pci_function *f, uint64_t offset, const uint8_t *data,
		      unsigned int len)
{
	(void)f;
	if (offset >= TABLE && offset < PBA)
		table_written = pci_msix_write_table(&msix, offset - TABLE, data, len);
}

static void before_read(struct pci_function *f, unsigned int offset, unsigned int len)
{
	(void)f;
	(void)offset;
	(void)len;
}

static void written(struct pci_function *f, unsigned int offset, unsigned int len)
{
	before_read(f, offset, len);
	updated = pci_msix_update(&msix, pci_msix_enabled(&msix));
}

static const struct pci_function_ops ops = {.read_bar = read_bar,
					    .write_bar = write_bar,
					    .before_read = before_read,
					    .written = written};

static void create(struct kvm_vm *vm)
{
	static const struct pci_places places = {
		.ecam = {ECAM, PCI_ECAM_SIZE},
		.windows = {{WINDOW, 0x100000}},
	};
	static const struct pci_id id = {.vendor = 1, .device = 2};

	memset(&mmio, 0, sizeof(mmio));
	ck_assert_int_eq(pci_host_init(&host, &places, &mmio, &pio, NULL), 0);
	pci_function_init(&function, &ops, &id, BAR_SIZE);
	ck_assert_int_eq(pci_msix_init(&msix, &function, vm, VECTORS, EVENTS, TABLE, PBA), 0);
	for (unsigned int i = 0; i < EVENTS; i++) {
		fds[i] = fd_eventfd();
		ck_assert_int_ge(fds[i], 0);
		pci_msix_set_fd(&msix, i, fds[i]);
	}
	ck_assert_int_eq(pci_host_add(&host, 1, &function, 10, NULL), 0);
	bus_write(&mmio, ECAM + 0x8000 + PCI_COMMAND,
		  (const uint8_t[]){PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER}, 1);
}

static void setup(void)
{
	create(NULL);
}

static void setup_kvm(void)
{
	with_kvm = irqchip_create(&chip);
	if (with_kvm)
		create(&chip.vm);
}

static void destroy(void)
{
	pci_msix_destroy(&msix);
	for (unsigned int i = 0; i < EVENTS; i++)
		fd_close(&fds[i]);
	pci_host_destroy(&host);
}

static void teardown_kvm(void)
{
	if (!with_kvm)
		return;
	destroy();
	irqchip_destroy(&chip);
}

/* --- the guest --- */

static uint32_t get(uint64_t offset)
{
	uint8_t d[4];

	bus_read(&mmio, WINDOW + offset, d, 4);
	return d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
}

static void set(uint64_t offset, uint32_t value)
{
	const uint8_t d[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			      (uint8_t)(value >> 24)};

	bus_write(&mmio, WINDOW + offset, d, 4);
}

/* Let @vector send interrupt @data to the vCPU. */
static void set_message(unsigned int vector, uint8_t data)
{
	set(TABLE + vector * 16, irqchip_msi_address);
	set(TABLE + vector * 16 + 4, 0);
	set(TABLE + vector * 16 + 8, data);
}

static void mask(unsigned int vector, bool masked)
{
	set(TABLE + vector * 16 + 12, masked);
}

static void set_control(uint8_t upper)
{
	bus_write(&mmio, ECAM + 0x8000 + msix.capability + PCI_MSIX_FLAGS + 1, &upper, 1);
}

static void set_bus_master(bool on)
{
	const uint8_t command = (uint8_t)(PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));

	bus_write(&mmio, ECAM + 0x8000 + PCI_COMMAND, &command, 1);
}

static bool pending(unsigned int vector)
{
	return get(PBA + vector / 32 * 4) >> vector % 32 & 1;
}

/* --- without KVM --- */

START_TEST(capability)
{
	uint8_t c[12];

	bus_read(&mmio, ECAM + 0x8000 + msix.capability, c, 4);
	bus_read(&mmio, ECAM + 0x8000 + msix.capability + 4, c + 4, 4);
	bus_read(&mmio, ECAM + 0x8000 + msix.capability + 8, c + 8, 4);
	ck_assert_uint_eq(c[0], PCI_CAP_ID_MSIX);
	ck_assert_uint_eq(c[2], VECTORS - 1);
	ck_assert_uint_eq(c[3], 0);
	ck_assert_mem_eq(c + 4, "\x00\x10\x00\x00\x00\x20\x00\x00", 8);
	ck_assert(!pci_msix_enabled(&msix));
	set_control(0xff);
	ck_assert(pci_msix_enabled(&msix));
	bus_read(&mmio, ECAM + 0x8000 + msix.capability, c, 4);
	ck_assert_uint_eq(c[2], VECTORS - 1);
	ck_assert_uint_eq(c[3], ON | ALL_MASKED);
}
END_TEST

START_TEST(table)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		ck_assert_uint_eq(get(TABLE + i * 16), 0);
		ck_assert_uint_eq(get(TABLE + i * 16 + 12), 1); /* masked */
		for (unsigned int k = 0; k < 4; k++)
			set(TABLE + i * 16 + k * 4, 0xdeadbee0 + k + i * 16);
	}
	for (unsigned int i = 0; i < VECTORS; i++) {
		for (unsigned int k = 0; k < 3; k++)
			ck_assert_uint_eq(get(TABLE + i * 16 + k * 4), 0xdeadbee0 + k + i * 16);
		ck_assert_uint_eq(get(TABLE + i * 16 + 12), 1);
	}
	/* A pair of dwords at once; past the end; other widths. */
	bus_write(&mmio, WINDOW + TABLE + 16, (const uint8_t *)"\1\2\3\4\5\6\7\x8", 8);
	ck_assert_uint_eq(get(TABLE + 16), 0x04030201);
	ck_assert_uint_eq(get(TABLE + 20), 0x08070605);
	set(TABLE + VECTORS * 16, 0);
	ck_assert_uint_eq(get(TABLE + VECTORS * 16), 0xffffffff);
	bus_write(&mmio, WINDOW + TABLE + 16, (const uint8_t[2]){0}, 2);
	set(TABLE + 18, 0);
	ck_assert_uint_eq(get(TABLE + 16), 0x04030201);
	ck_assert_uint_eq(get(TABLE + 18), 0xffffffff);
	pci_msix_reset(&msix);
	ck_assert_uint_eq(get(TABLE + 16), 0);
	ck_assert_uint_eq(get(TABLE + 28), 1);
}
END_TEST

START_TEST(mapping)
{
	for (unsigned int i = 0; i < EVENTS; i++)
		ck_assert_uint_eq(pci_msix_mapped(&msix, i), PCI_MSIX_NO_VECTOR);
	pci_msix_map(&msix, 1, VECTORS - 1);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 1), VECTORS - 1);
	pci_msix_map(&msix, 1, VECTORS);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 1), PCI_MSIX_NO_VECTOR);
	pci_msix_map(&msix, 1, 0);
	pci_msix_map(&msix, 1, PCI_MSIX_NO_VECTOR);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 1), PCI_MSIX_NO_VECTOR);
	pci_msix_map(&msix, 1, 3);
	pci_msix_reset(&msix);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 1), PCI_MSIX_NO_VECTOR);
}
END_TEST

START_TEST(pending_bits)
{
	pci_msix_map(&msix, 0, 33);
	pci_msix_map(&msix, 1, 33);
	pci_msix_map(&msix, 2, 0);
	ck_assert(!pending(33) && !pending(0));
	fd_eventfd_signal(fds[1]);
	ck_assert(pending(33) && !pending(0));
	set(PBA + 4, 0); /* read-only */
	ck_assert(pending(33));
	fd_eventfd_signal(fds[3]); /* mapped to none */
	ck_assert_uint_eq(get(PBA), 0);
	ck_assert_uint_eq(get(PBA + 4), 2);
	ck_assert_uint_eq(get(PBA + 8), 0xffffffff);
	fd_eventfd_drain(fds[1]);
	ck_assert(!pending(33));
}
END_TEST

/* --- with KVM --- */

static bool held(int event)
{
	unsigned long long n = fd_eventfd_drain(fds[event]);

	for (unsigned long long i = 0; i < n; i++)
		fd_eventfd_signal(fds[event]);
	return n;
}

#define NEED_KVM()                                            \
	do {                                                  \
		if (!with_kvm) {                              \
			printf("SKIP: no usable /dev/kvm\n"); \
			return;                               \
		}                                             \
	} while (0)

START_TEST(messages)
{
	NEED_KVM();
	for (unsigned int i = 0; i < 3; i++) {
		pci_msix_map(&msix, i, (uint16_t)i);
		set_message(i, (uint8_t)(0x40 + i));
		mask(i, false);
	}
	pci_msix_map(&msix, 3, 2); /* two events, one vector */
	set_control(ON);
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int vector = i < 2 ? i : 2;

		fd_eventfd_signal(fds[i]);
		irqchip_eventually(irqchip_take(&chip, (uint8_t)(0x40 + vector)));
		for (unsigned int k = 0; k < 3; k++)
			ck_assert(!irqchip_take(&chip, (uint8_t)(0x40 + k)));
		ck_assert(!held((int)i));
		ck_assert(!pending(vector));
	}
}
END_TEST

/* All that can keep a vector from sending; none loses an event, or sends one twice. */
static void withhold(int how, bool on)
{
	switch (how) {
	case 0:
		mask(5, on);
		break;
	case 1:
		set_control(on ? ON | ALL_MASKED : ON);
		break;
	case 2:
		set_control(on ? 0 : ON);
		break;
	case 3:
		set_bus_master(!on);
		break;
	default:
		pci_msix_map(&msix, 0, on ? PCI_MSIX_NO_VECTOR : 5);
		break;
	}
}

START_TEST(withheld)
{
	NEED_KVM();
	pci_msix_map(&msix, 0, 5);
	set_message(5, 0x61);
	mask(5, false);
	set_control(ON);
	for (int round = 0; round < 3; round++) {
		fd_eventfd_signal(fds[0]);
		irqchip_eventually(irqchip_take(&chip, 0x61));
		withhold(_i, true);
		ck_assert(!pending(5) && !held(0));
		fd_eventfd_signal(fds[0]);
		fd_eventfd_signal(fds[0]);
		ck_assert(held(0));
		ck_assert(pending(5) == (_i != 4));
		ck_assert(!irqchip_take(&chip, 0x61));
		/* It changes while it is withheld: sent as it is then. */
		set_message(5, (uint8_t)(0x70 + round));
		ck_assert(held(0));
		withhold(_i, false);
		irqchip_eventually(irqchip_take(&chip, (uint8_t)(0x70 + round)));
		ck_assert(!pending(5) && !held(0));
		/* Nothing is left over to be sent again. */
		withhold(_i, true);
		withhold(_i, false);
		ck_assert(!irqchip_take(&chip, (uint8_t)(0x70 + round)));
		set_message(5, 0x61);
	}
}
END_TEST

/* Until it is told to look again, MSI-X is as on as it was: the pin may have the eventfds. */
START_TEST(enabled_by_another_vcpu)
{
	struct kvm_vm *vm = &chip.vm;

	NEED_KVM();
	set_message(0, 0x50);
	mask(0, false);
	ck_assert_int_eq(kvm_vm_add_level_irqfd(vm, 11, fds[0], fds[1]), 0);
	pci_config_set(&function, msix.capability + PCI_MSIX_FLAGS + 1, 1, ON);
	pci_msix_map(&msix, 0, 0);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 0), 0);
	set_message(0, 0x51);
	ck_assert_int_eq(table_written, 0);
	kvm_vm_remove_irqfd(vm, 11, fds[0]);
	ck_assert_int_eq(pci_msix_update(&msix, true), 0);
	fd_eventfd_signal(fds[0]);
	irqchip_eventually(irqchip_take(&chip, 0x51));
}
END_TEST

/* KVM refuses an eventfd: whoever can say so is told. */
START_TEST(refused)
{
	int good = fds[0];

	NEED_KVM();
	set_message(0, 0x50);
	set_message(1, 0x51);
	mask(0, false);
	mask(1, false);
	pci_msix_set_fd(&msix, 0, -1);
	pci_msix_map(&msix, 0, 0);
	pci_msix_map(&msix, 1, 1);
	set_control(ON);
	ck_assert_int_lt(updated, 0);
	/* The others don't suffer. */
	fd_eventfd_signal(fds[1]);
	irqchip_eventually(irqchip_take(&chip, 0x51));
	mask(0, true);
	ck_assert_int_eq(table_written, 0);
	mask(0, false);
	ck_assert_int_lt(table_written, 0);
	/* virtio 4.1.5.1.2.1: what can't be mapped reads as mapped to none. */
	pci_msix_map(&msix, 0, 1);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 0), PCI_MSIX_NO_VECTOR);
	pci_msix_set_fd(&msix, 0, good);
	pci_msix_map(&msix, 0, 0);
	ck_assert_uint_eq(pci_msix_mapped(&msix, 0), 0);
	fd_eventfd_signal(good);
	irqchip_eventually(irqchip_take(&chip, 0x50));
}
END_TEST

/* A message that changes while the vector may send; nobody should, but so it is. */
START_TEST(rerouted)
{
	NEED_KVM();
	pci_msix_map(&msix, 0, 1);
	set_message(1, 0x50);
	mask(1, false);
	set_control(ON);
	for (int i = 0x51; i < 0x58; i++) {
		set_message(1, (uint8_t)i);
		fd_eventfd_signal(fds[0]);
		irqchip_eventually(irqchip_take(&chip, (uint8_t)i));
	}
	/* To another vector. */
	set_message(2, 0x59);
	mask(2, false);
	pci_msix_map(&msix, 0, 2);
	fd_eventfd_signal(fds[0]);
	irqchip_eventually(irqchip_take(&chip, 0x59));
	ck_assert(!irqchip_take(&chip, 0x57));
}
END_TEST

static void *signaller(void *opaque)
{
	_Atomic bool *stop = opaque;

	while (!atomic_load(stop))
		fd_eventfd_signal(fds[0]);
	return NULL;
}

/* Masked and unmasked under fire: the last event always arrives. */
START_TEST(nothing_is_lost)
{
	_Atomic bool stop;
	pthread_t thread;

	NEED_KVM();
	pci_msix_map(&msix, 0, 1);
	set_message(1, 0x50);
	set_control(ON);
	for (int i = 0; i < 20; i++) {
		atomic_store(&stop, false);
		ck_assert_int_eq(pthread_create(&thread, NULL, signaller, &stop), 0);
		for (int k = 0; k < 20; k++)
			mask(1, k % 2);
		irqchip_take(&chip, 0x50);
		fd_eventfd_signal(fds[0]); /* while it is masked */
		atomic_store(&stop, true);
		pthread_join(thread, NULL);
		mask(1, false);
		irqchip_eventually(irqchip_take(&chip, 0x50));
	}
}
END_TEST

/* --- the routes themselves --- */

START_TEST(routes)
{
	struct kvm_msi_message message = {.address = irqchip_msi_address, .data = 0x40};
	int gsi[100];

	NEED_KVM();
	for (unsigned int i = 0; i < 100; i++) {
		message.data = 0x40 + i;
		gsi[i] = kvm_vm_set_msi(&chip.vm, 0, &message);
		ck_assert_int_ge(gsi[i], (int)chip.vm.first_msi_gsi);
		for (unsigned int k = 0; k < i; k++)
			ck_assert_int_ne(gsi[i], gsi[k]);
	}
	/* A number that was given back is given out again, and the others still work. */
	kvm_vm_free_msi(&chip.vm, (uint32_t)gsi[10]);
	kvm_vm_free_msi(&chip.vm, (uint32_t)gsi[11]);
	message.data = 0xd0;
	ck_assert_int_eq(kvm_vm_set_msi(&chip.vm, 0, &message), gsi[10]);
	ck_assert_int_eq(kvm_vm_set_msi(&chip.vm, (uint32_t)gsi[10], &message), gsi[10]);
	message.data = 0x40 + 11; /* KVM has forgotten it by now, what it was before */
	ck_assert_int_eq(kvm_vm_set_msi(&chip.vm, 0, &message), gsi[11]);
	ck_assert_int_eq(kvm_vm_add_irqfd(&chip.vm, (uint32_t)gsi[11], fds[0]), 0);
	fd_eventfd_signal(fds[0]);
	irqchip_eventually(irqchip_take(&chip, 0x40 + 11));
	kvm_vm_remove_irqfd(&chip.vm, (uint32_t)gsi[11], fds[0]);
	ck_assert_int_eq(kvm_vm_add_irqfd(&chip.vm, (uint32_t)gsi[10], fds[0]), 0);
	ck_assert_int_eq(kvm_vm_add_irqfd(&chip.vm, (uint32_t)gsi[99], fds[1]), 0);
	fd_eventfd_signal(fds[0]);
	irqchip_eventually(irqchip_take(&chip, 0xd0));
	fd_eventfd_signal(fds[1]);
	irqchip_eventually(irqchip_take(&chip, 0x40 + 99));
	/* As do pins. */
	ck_assert_int_eq(kvm_vm_add_level_irqfd(&chip.vm, 11, fds[2], fds[3]), 0);
	fd_eventfd_signal(fds[2]);
	irqchip_eventually(irqchip_pin(&chip, 11));
	for (unsigned int i = 0; i < 3; i++)
		kvm_vm_remove_irqfd(&chip.vm,
				    i == 0   ? (uint32_t)gsi[10]
				    : i == 1 ? (uint32_t)gsi[99]
					     : 11,
				    fds[i]);
	ck_assert(!irqchip_pin(&chip, 11));
}
END_TEST

START_TEST(no_routes)
{
	struct kvm_vm vm = {.kvm_fd = -1, .vm_fd = -1};
	const struct kvm_msi_message message = {.address = irqchip_msi_address};

	ck_assert_int_eq(kvm_vm_set_msi(&vm, 0, &message), -ENOTSUP);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci_msix");
	TCase *plain = tcase_create("table"), *kvm = tcase_create("KVM");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(plain, setup, destroy);
	tcase_add_test(plain, capability);
	tcase_add_test(plain, table);
	tcase_add_test(plain, mapping);
	tcase_add_test(plain, pending_bits);
	tcase_add_test(plain, no_routes);
	suite_add_tcase(suite, plain);
	tcase_add_checked_fixture(kvm, setup_kvm, teardown_kvm);
	tcase_set_timeout(kvm, 60);
	tcase_add_test(kvm, messages);
	tcase_add_loop_test(kvm, withheld, 0, 5);
	tcase_add_test(kvm, enabled_by_another_vcpu);
	tcase_add_test(kvm, refused);
	tcase_add_test(kvm, rerouted);
	tcase_add_test(kvm, nothing_is_lost);
	tcase_add_test(kvm, routes);
	suite_add_tcase(suite, kvm);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
