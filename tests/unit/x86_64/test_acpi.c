/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables, found and read the way a guest does it: ACPI 6.4, section 5.2. */
#include "arch/x86_64/acpi.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/layout.h"
#include "devices/acpi_pm.h"
#include "vmm/core/error.h"

static const struct arch_device serial = {
	.kind = ARCH_DEVICE_SERIAL, .pio = true, .base = 0x3f8, .size = 8, .gsi = 4};
static const struct arch_device pm = {
	.kind = ARCH_DEVICE_POWER, .pio = true, .base = 0x620, .size = ACPI_PM_SIZE, .gsi = 9};
static const struct arch_device pvpanic = {
	.kind = ARCH_DEVICE_PVPANIC, .pio = true, .base = 0x505, .size = 1, .gsi = ARCH_NO_GSI};
static const struct arch_device debug_exit = {
	.kind = ARCH_DEVICE_DEBUG_EXIT, .pio = true, .base = 0xf4, .size = 4, .gsi = ARCH_NO_GSI};
static const struct arch_device guest_mark = {
	.kind = ARCH_DEVICE_GUEST_MARK, .pio = true, .base = 0xf8, .size = 4, .gsi = ARCH_NO_GSI};

static struct guest_memory mem;
static struct error err;

static void setup(void)
{
	static const struct memory_config config = {0};
	static const struct memory_range range = {0, 2 << 20};

	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, &err), 0);
}

static void teardown(void)
{
	memory_destroy(&mem);
}

static struct arch_device virtio(unsigned int index)
{
	return (struct arch_device){
		.kind = ARCH_DEVICE_VIRTIO_MMIO,
		.base = LAYOUT_VIRTIO_MMIO + index * LAYOUT_MMIO_STRIDE,
		.size = LAYOUT_MMIO_STRIDE,
		.gsi = LAYOUT_GSI_VIRTIO_MMIO + index,
	};
}

/* One of each kind, and all virtio devices that there can be. */
static size_t all_devices(struct arch_device devices[5 + LAYOUT_MAX_VIRTIO_MMIO])
{
	size_t n = 0;

	devices[n++] = serial;
	devices[n++] = pm;
	devices[n++] = pvpanic;
	devices[n++] = debug_exit;
	devices[n++] = guest_mark;
	for (unsigned int i = 0; i < LAYOUT_MAX_VIRTIO_MMIO; i++)
		devices[n++] = virtio(i);
	return n;
}

static uint8_t sum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *bytes++);
	return total;
}

static const struct acpi_rsdp *rsdp_at(uint64_t addr)
{
	const struct acpi_rsdp *rsdp = memory_translate(&mem, gpa(addr), sizeof(*rsdp));

	ck_assert_ptr_nonnull(rsdp);
	ck_assert_uint_eq(addr % 16, 0);
	ck_assert_mem_eq(rsdp->signature, "RSD PTR ", 8);
	ck_assert_uint_eq(sum(rsdp, 20), 0);
	ck_assert_uint_eq(sum(rsdp, sizeof(*rsdp)), 0);
	ck_assert_uint_eq(rsdp->length, sizeof(*rsdp));
	ck_assert_uint_eq(rsdp->revision, 2);
	ck_assert_uint_eq(rsdp->rsdt_address, 0);
	return rsdp;
}

/* The table at @addr, which must have @signature and be whole. */
static const void *table_at(uint64_t addr, const char *signature)
{
	const struct acpi_header *head = memory_translate(&mem, gpa(addr), sizeof(*head));

	ck_assert_ptr_nonnull(head);
	ck_assert_mem_eq(head->signature, signature, 4);
	ck_assert_uint_ge(head->length, sizeof(*head));
	ck_assert_ptr_nonnull(memory_translate(&mem, gpa(addr), head->length));
	ck_assert_uint_eq(sum(head, head->length), 0);
	ck_assert_uint_eq(addr % 16, 0);
	return head;
}

struct tables {
	const struct acpi_rsdp *rsdp;
	const struct acpi_header *xsdt;
	const struct acpi_fadt *fadt;
	const struct acpi_madt *madt;
	const struct acpi_header *dsdt;
	const struct acpi_mcfg *mcfg; /* or NULL */
};

static struct tables walk(uint64_t rsdp)
{
	struct tables t = {.rsdp = rsdp_at(rsdp)};
	uint64_t entries[3];
	size_t len;

	t.xsdt = table_at(t.rsdp->xsdt_address, "XSDT");
	len = t.xsdt->length - sizeof(*t.xsdt);
	ck_assert(len == 2 * sizeof(entries[0]) || len == sizeof(entries));
	memcpy(entries, t.xsdt + 1, len);
	if (len == sizeof(entries))
		t.mcfg = table_at(entries[2], "MCFG");
	t.fadt = table_at(entries[0], "FACP");
	ck_assert_uint_eq(t.fadt->header.length, sizeof(*t.fadt));
	t.madt = table_at(entries[1], "APIC");
	t.dsdt = table_at(t.fadt->x_dsdt, "DSDT");
	return t;
}

/* As arch_write_tables() does; they begin at @at. */
static int write_tables(unsigned int cpus, const struct arch_device *devices, size_t n,
			const struct arch_pci *pci, gpa_t *at)
{
	const struct arch_platform platform = {
		.cpus = cpus, .devices = devices, .n_devices = n, .pci = pci};

	return arch_write_tables(&mem, &platform, &(struct arch_handover){0}, at, &err);
}

static struct tables write_and_walk(unsigned int cpus, const struct arch_device *devices, size_t n)
{
	gpa_t at = gpa(0);

	struct tables t;

	ck_assert_int_eq(write_tables(cpus, devices, n, NULL, &at), 0);
	ck_assert_uint_eq(at.value, LAYOUT_TABLES);
	t = walk(at.value);
	ck_assert_ptr_null(t.mcfg);
	return t;
}

static size_t occurrences(const struct acpi_header *dsdt, const void *what, size_t len)
{
	const uint8_t *from = (const uint8_t *)(dsdt + 1);
	const uint8_t *end = (const uint8_t *)dsdt + dsdt->length;
	size_t n = 0;

	while ((from = memmem(from, (size_t)(end - from), what, len))) {
		n++;
		from++;
	}
	return n;
}

static size_t strings(const struct acpi_header *dsdt, const char *what)
{
	return occurrences(dsdt, what, strlen(what) + 1);
}

static size_t interrupts(const struct acpi_header *dsdt, uint32_t gsi)
{
	uint8_t d[] = {0x89, 6, 0, 3, 1, (uint8_t)gsi, (uint8_t)(gsi >> 8), 0, 0};

	return occurrences(dsdt, d, sizeof(d));
}

static size_t ports(const struct acpi_header *dsdt, uint16_t port, uint8_t len)
{
	uint8_t low = (uint8_t)port, high = (uint8_t)(port >> 8);
	uint8_t d[] = {0x47, 1, low, high, low, high, 1, len};

	return occurrences(dsdt, d, sizeof(d));
}

static size_t windows(const struct acpi_header *dsdt, uint32_t base, uint32_t len)
{
	uint8_t d[12] = {0x86, 9, 0, 1};

	memcpy(d + 4, &base, 4);
	memcpy(d + 8, &len, 4);
	return occurrences(dsdt, d, sizeof(d));
}

/* Device (VM<index>) {Name (_HID, "LNRO0005") Name (_UID, index) */
static size_t virtio_devices(const struct acpi_header *dsdt, unsigned int index)
{
	uint8_t digit = (uint8_t)('0' + index), uid = (uint8_t)index;
	/* UIDs 0 and 1 are opcodes of their own. */
	uint8_t d[] = {'V', 'M', '0', digit, 0x08, '_', 'H',  'I', 'D', 0x0d, 'L', 'N',	 'R',
		       'O', '0', '0', '0',   '5',  0,	0x08, '_', 'U', 'I',  'D', 0x0a, uid};

	if (index > 1)
		return occurrences(dsdt, d, sizeof(d));
	d[sizeof(d) - 2] = uid;
	return occurrences(dsdt, d, sizeof(d) - 1);
}

static const uint8_t serial_id[] = {0x0c, 0x41, 0xd0, 0x05, 0x01};	 /* PNP0501 */
static const uint8_t power_button_id[] = {0x0c, 0x41, 0xd0, 0x0c, 0x0c}; /* PNP0C0C */

START_TEST(every_device_is_described)
{
	struct arch_device devices[5 + LAYOUT_MAX_VIRTIO_MMIO];
	size_t n = all_devices(devices);
	struct tables t = write_and_walk(2, devices, n);

	ck_assert_uint_eq(t.dsdt->revision, 2);
	ck_assert_uint_eq(occurrences(t.dsdt, serial_id, sizeof(serial_id)), 1);
	ck_assert_uint_eq(ports(t.dsdt, 0x3f8, 8), 1);
	ck_assert_uint_eq(interrupts(t.dsdt, 4), 1);
	ck_assert_uint_eq(strings(t.dsdt, "QEMU0001"), 1);
	ck_assert_uint_eq(ports(t.dsdt, 0x505, 1), 1);
	ck_assert_uint_eq(strings(t.dsdt, "LNRO0005"), LAYOUT_MAX_VIRTIO_MMIO);
	for (unsigned int i = 0; i < LAYOUT_MAX_VIRTIO_MMIO; i++) {
		struct arch_device v = virtio(i);

		ck_assert_uint_eq(windows(t.dsdt, (uint32_t)v.base, (uint32_t)v.size), 1);
		ck_assert_uint_eq(interrupts(t.dsdt, v.gsi), 1);
		ck_assert_uint_eq(virtio_devices(t.dsdt, i), 1);
	}
	ck_assert_uint_eq(strings(t.dsdt, "ACPI0013"), 1);
	ck_assert_uint_eq(occurrences(t.dsdt, power_button_id, sizeof(power_button_id)), 1);
	ck_assert_uint_eq(interrupts(t.dsdt, 9), 1);
}
END_TEST

/* QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, ...) */
static size_t bridge_windows(const struct acpi_header *dsdt, struct memory_range window)
{
	uint8_t d[46] = {0x8a, 43, 0, 0, 0x0c, 1};
	uint64_t last = window.base + window.size - 1;

	memcpy(d + 14, &window.base, 8);
	memcpy(d + 22, &last, 8);
	memcpy(d + 38, &window.size, 8);
	return occurrences(dsdt, d, sizeof(d));
}

START_TEST(pci_host_bridge)
{
	static const uint8_t ids[] = {0x0c, 0x41, 0xd0, 0x0a, 0x08, 0x08, '_',	'U',  'I',  'D', 0,
				      0x08, '_',  'C',	'I',  'D',  0x0c, 0x41, 0xd0, 0x0a, 0x03};
	static const uint8_t bus_numbers[] = {0x88, 13, 0, 2, 0x0c, 0, 0, 0,
					      0,    0,	0, 0, 0,    0, 1, 0};
	static const uint8_t reserved_id[] = {0x0c, 0x41, 0xd0, 0x0c, 0x02};
	struct arch_pci pci;
	struct tables t;
	gpa_t at;

	arch_place_pci(0x20000000, &pci);
	ck_assert_int_eq(write_tables(1, &serial, 1, &pci, &at), 0);
	t = walk(at.value);
	ck_assert_ptr_nonnull(t.mcfg);
	ck_assert_uint_eq(t.mcfg->header.length, sizeof(*t.mcfg));
	ck_assert_uint_eq(t.mcfg->base, LAYOUT_PCI_ECAM);
	ck_assert_uint_eq(t.mcfg->segment, 0);
	ck_assert_uint_eq(t.mcfg->first_bus, 0);
	ck_assert_uint_eq(t.mcfg->last_bus, 0);
	ck_assert_uint_eq(occurrences(t.dsdt, ids, sizeof(ids)), 1);
	ck_assert_uint_eq(occurrences(t.dsdt, bus_numbers, sizeof(bus_numbers)), 1);
	ck_assert_uint_eq(ports(t.dsdt, 0xcf8, 8), 1);
	ck_assert_uint_eq(bridge_windows(t.dsdt, pci.places.windows[0]), 1);
	ck_assert_uint_eq(bridge_windows(t.dsdt, pci.places.windows[1]),
			  pci.places.windows[1].size > 0);
	/* Linux uses an ECAM that a motherboard device claims, and no other. */
	ck_assert_uint_eq(occurrences(t.dsdt, reserved_id, sizeof(reserved_id)), 1);
	ck_assert_uint_eq(windows(t.dsdt, LAYOUT_PCI_ECAM, PCI_ECAM_SIZE), 1);
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++) {
		const uint8_t pin[] = {
			0x12,	       11, 4, 0x0c, 0xff, 0xff,
			(uint8_t)slot, 0,  0, 0,    0x0a, (uint8_t)pci.gsi[slot % 4]};

		ck_assert_uint_eq(occurrences(t.dsdt, pin, sizeof(pin)), 1);
	}
}
END_TEST

static const uint64_t memory_ends[] = {32ULL << 20, LAYOUT_HOLE,	  LAYOUT_HOLE_END + 4096,
				       16ULL << 30, (16ULL << 30) + 4096, 1025ULL << 30};

/* Nothing is in the way of anything else; interrupts are nobody else's. */
START_TEST(pci_places)
{
	struct arch_pci pci;
	const struct memory_range *low = &pci.places.windows[0], *high = &pci.places.windows[1];

	arch_place_pci(memory_ends[_i], &pci);
	ck_assert_uint_ge(pci.places.ecam.base,
			  LAYOUT_VIRTIO_MMIO + LAYOUT_MAX_VIRTIO_MMIO * LAYOUT_MMIO_STRIDE);
	ck_assert_uint_ge(low->base, pci.places.ecam.base + pci.places.ecam.size);
	ck_assert_uint_le(low->base + low->size, LAYOUT_IOAPIC);
	if (high->size) {
		ck_assert_uint_ge(high->base, LAYOUT_HOLE_END);
		ck_assert_uint_ge(high->base, memory_ends[_i]);
		ck_assert_uint_eq(high->base % high->size, 0);
	}
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_gt(pci.gsi[i], LAYOUT_GSI_ACPI_PM);
		ck_assert_uint_lt(pci.gsi[i], LAYOUT_GSI_VIRTIO_MMIO);
		for (int k = 0; k < i; k++)
			ck_assert_uint_ne(pci.gsi[i], pci.gsi[k]);
	}
}
END_TEST

START_TEST(power_management_registers)
{
	static const uint8_t s5[] = {'_', 'S', '5', '_', 0x12, 7, 4, 0x0a, ACPI_PM_S5_TYPE, 0};
	/* OperationRegion (EVRG, SystemIO, 0x623, 1) */
	static const uint8_t region[] = {0x5b, 0x80, 'E', 'V', 'R', 'G', 1, 0x0b, 0x23, 6, 1};
	/* If (Local0 & 1) { Notify (PWRB, 0x80) } */
	static const uint8_t notify[] = {0xa0, 0x0c, 0x7b, 0x60, 1,    0,   0x86,
					 'P',  'W',  'R',  'B',	 0x0a, 0x80};
	static const struct acpi_address control = {1, 8, 0, 1, 0x620 + ACPI_PM_SLEEP_CONTROL};
	static const struct acpi_address status = {1, 8, 0, 1, 0x620 + ACPI_PM_SLEEP_STATUS};
	static const struct acpi_address reset = {1, 8, 0, 1, 0x620 + ACPI_PM_RESET};
	struct tables t = write_and_walk(1, &pm, 1);

	ck_assert_uint_eq(occurrences(t.dsdt, s5, sizeof(s5)), 1);
	ck_assert_uint_eq(occurrences(t.dsdt, region, sizeof(region)), 1);
	ck_assert_uint_eq(occurrences(t.dsdt, notify, sizeof(notify)), 1);
	ck_assert_mem_eq(&t.fadt->sleep_control_reg, &control, sizeof(control));
	ck_assert_mem_eq(&t.fadt->sleep_status_reg, &status, sizeof(status));
	ck_assert_mem_eq(&t.fadt->reset_reg, &reset, sizeof(reset));
	ck_assert_uint_eq(t.fadt->reset_value, ACPI_PM_RESET_VALUE);
	ck_assert(t.fadt->flags & ACPI_FADT_RESET_REG_SUP);
}
END_TEST

START_TEST(fadt_is_hardware_reduced)
{
	static const uint8_t zeroes[96] = {0};
	struct tables t = write_and_walk(1, &serial, 1);

	ck_assert_uint_eq(t.fadt->header.revision, 6);
	ck_assert_uint_eq(t.fadt->boot_arch, ACPI_BOOT_NO_VGA | ACPI_BOOT_NO_CMOS_RTC);
	ck_assert(t.fadt->flags & ACPI_FADT_HW_REDUCED_ACPI);
	ck_assert(t.fadt->flags & ACPI_FADT_PWR_BUTTON);
	ck_assert_mem_eq(t.fadt->fixed_hardware, zeroes, sizeof(t.fadt->fixed_hardware));
	ck_assert_mem_eq(t.fadt->x_fixed_hardware, zeroes, sizeof(t.fadt->x_fixed_hardware));
}
END_TEST

/* Nothing is described that isn't there. */
START_TEST(no_devices)
{
	static const uint8_t empty_scope[] = {0x10, 5, '_', 'S', 'B', '_'};
	static const struct acpi_address none = {0};
	struct tables t = write_and_walk(1, NULL, 0);

	ck_assert_uint_eq(t.dsdt->length, sizeof(*t.dsdt) + sizeof(empty_scope));
	ck_assert_mem_eq(t.dsdt + 1, empty_scope, sizeof(empty_scope));
	ck_assert(!(t.fadt->flags & ACPI_FADT_RESET_REG_SUP));
	ck_assert_mem_eq(&t.fadt->reset_reg, &none, sizeof(none));
	ck_assert_mem_eq(&t.fadt->sleep_control_reg, &none, sizeof(none));
}
END_TEST

static const unsigned int cpu_counts[] = {1, 2, 4, 255, 256, 300};

START_TEST(madt_lists_every_cpu)
{
	unsigned int cpus = cpu_counts[_i], seen = 0, ioapics = 0;
	struct tables t = write_and_walk(cpus, NULL, 0);
	const uint8_t *at = (const uint8_t *)(t.madt + 1);
	const uint8_t *end = (const uint8_t *)t.madt + t.madt->header.length;

	ck_assert_uint_eq(t.madt->local_apic_address, LAYOUT_LOCAL_APIC);
	ck_assert_uint_eq(t.madt->header.revision, 5);
	ck_assert_uint_eq(t.madt->flags, 0);
	while (at < end) {
		struct acpi_madt_local_apic apic;
		struct acpi_madt_local_x2apic x2apic;
		struct acpi_madt_ioapic ioapic;

		ck_assert_int_ge(end - at, 2);
		ck_assert_int_ge(end - at, at[1]);
		switch (at[0]) {
		case ACPI_MADT_LOCAL_APIC:
			ck_assert_uint_eq(at[1], sizeof(apic));
			memcpy(&apic, at, sizeof(apic));
			ck_assert_uint_lt(seen, 255);
			ck_assert_uint_eq(apic.apic_id, seen);
			ck_assert_uint_eq(apic.processor_uid, seen);
			ck_assert_uint_eq(apic.flags, ACPI_MADT_ENABLED);
			seen++;
			break;
		case ACPI_MADT_LOCAL_X2APIC:
			ck_assert_uint_eq(at[1], sizeof(x2apic));
			memcpy(&x2apic, at, sizeof(x2apic));
			ck_assert_uint_ge(seen, 255);
			ck_assert_uint_eq(x2apic.x2apic_id, seen);
			ck_assert_uint_eq(x2apic.processor_uid, seen);
			ck_assert_uint_eq(x2apic.flags, ACPI_MADT_ENABLED);
			seen++;
			break;
		case ACPI_MADT_IOAPIC:
			ck_assert_uint_eq(at[1], sizeof(ioapic));
			memcpy(&ioapic, at, sizeof(ioapic));
			ck_assert_uint_eq(ioapic.address, LAYOUT_IOAPIC);
			ck_assert_uint_eq(ioapic.gsi_base, 0);
			ioapics++;
			break;
		default:
			ck_abort_msg("MADT structure of type %u", at[0]);
		}
		at += at[1];
	}
	ck_assert_uint_eq(seen, cpus);
	ck_assert_uint_eq(ioapics, 1);
}
END_TEST

/* No two tables overlap, and all are inside the area that the memory map keeps for them. */
START_TEST(tables_stay_in_their_area)
{
	struct arch_device devices[5 + LAYOUT_MAX_VIRTIO_MMIO];
	size_t n = all_devices(devices);
	struct tables t = write_and_walk(arch_max_cpus(), devices, n);
	const uint8_t *area = memory_translate(&mem, gpa(LAYOUT_TABLES),
					       LAYOUT_TABLES_END - LAYOUT_TABLES);
	const struct acpi_header *order[] = {t.dsdt, &t.fadt->header, &t.madt->header, t.xsdt};
	const uint8_t *end = area + sizeof(struct acpi_rsdp);

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const uint8_t *at = (const uint8_t *)order[i];

		ck_assert(at >= end);
		end = at + order[i]->length;
	}
	ck_assert(end <= area + (LAYOUT_TABLES_END - LAYOUT_TABLES));
	while (end < area + (LAYOUT_TABLES_END - LAYOUT_TABLES) && !*end)
		end++;
	ck_assert(end == area + (LAYOUT_TABLES_END - LAYOUT_TABLES));
}
END_TEST

/* Every size below the one that is needed fails, says so, and leaves alone what is behind it. */
START_TEST(area_too_small)
{
	struct arch_device devices[5 + LAYOUT_MAX_VIRTIO_MMIO];
	size_t n = all_devices(devices);
	struct memory_range area = {0x10000, 0};
	int ret;

	for (area.size = 1; area.size < 0x10000; area.size++) {
		ret = acpi_write_tables(&mem, area, 3, devices, n, NULL, &err);
		if (!ret)
			break;
		ck_assert_int_eq(ret, -ENOSPC);
		ck_assert_ptr_nonnull(strstr(err.text, "3 CPUs and 13 devices"));
		ck_assert_uint_eq(*(uint8_t *)memory_translate(&mem, gpa(area.base + area.size), 1),
				  0);
	}
	ck_assert_uint_gt(area.size, 1000);
	ck_assert_uint_lt(area.size, 3000);
	walk(area.base);
}
END_TEST

START_TEST(area_is_no_memory)
{
	static const struct memory_range area = {0xe0000000, 0x10000};

	ck_assert_int_eq(acpi_write_tables(&mem, area, 1, NULL, 0, NULL, &err), -EFAULT);
	ck_assert_ptr_nonnull(strstr(err.text, "0xe0000000"));
}
END_TEST

static const struct {
	struct arch_device device;
	int expected;
} odd_devices[] = {
	/* beyond 4 GiB, across its end, up to its end */
	{{ARCH_DEVICE_VIRTIO_MMIO, false, 0x100000000, 0x1000, 16, false}, -EINVAL},
	{{ARCH_DEVICE_VIRTIO_MMIO, false, 0xfffff001, 0x1000, 16, false}, -EINVAL},
	{{ARCH_DEVICE_VIRTIO_MMIO, false, 0xfffff000, 0x1000, 16, false}, 0},
	/* of no size, or of one that wraps */
	{{ARCH_DEVICE_VIRTIO_MMIO, false, 0xd0000000, 0, 16, false}, -EINVAL},
	{{ARCH_DEVICE_VIRTIO_MMIO, false, 0xd0000000, UINT64_MAX, 16, false}, -EINVAL},
	/* ports */
	{{ARCH_DEVICE_SERIAL, true, 0xfff9, 8, 4, false}, -EINVAL},
	{{ARCH_DEVICE_SERIAL, true, 0xfff8, 8, 4, false}, 0},
	{{ARCH_DEVICE_SERIAL, true, 0x1000, 256, 4, false}, -EINVAL},
	/* interrupts */
	{{ARCH_DEVICE_SERIAL, true, 0x3f8, 8, LAYOUT_IOAPIC_PINS, false}, -EINVAL},
	{{ARCH_DEVICE_SERIAL, true, 0x3f8, 8, LAYOUT_IOAPIC_PINS - 1, false}, 0},
	{{ARCH_DEVICE_SERIAL, true, 0x3f8, 8, ARCH_NO_GSI, false}, 0},
};

START_TEST(odd_device)
{
	gpa_t at;

	ck_assert_int_eq(write_tables(1, &odd_devices[_i].device, 1, NULL, &at),
			 odd_devices[_i].expected);
	if (odd_devices[_i].expected)
		ck_assert_uint_gt(strlen(err.text), 20);
}
END_TEST

START_TEST(too_many_devices)
{
	static struct arch_device devices[257];
	gpa_t at;

	for (size_t i = 0; i < 257; i++)
		devices[i] = pvpanic;
	ck_assert_int_eq(write_tables(1, devices, 256, NULL, &at), 0);
	ck_assert_int_eq(write_tables(1, devices, 257, NULL, &at), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("acpi");
	TCase *tc = tcase_create("tables");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_device_is_described);
	tcase_add_test(tc, pci_host_bridge);
	tcase_add_loop_test(tc, pci_places, 0, sizeof(memory_ends) / sizeof(memory_ends[0]));
	tcase_add_test(tc, power_management_registers);
	tcase_add_test(tc, fadt_is_hardware_reduced);
	tcase_add_test(tc, no_devices);
	tcase_add_loop_test(tc, madt_lists_every_cpu, 0,
			    sizeof(cpu_counts) / sizeof(cpu_counts[0]));
	tcase_add_test(tc, tables_stay_in_their_area);
	tcase_add_test(tc, area_too_small);
	tcase_add_test(tc, area_is_no_memory);
	tcase_add_loop_test(tc, odd_device, 0, sizeof(odd_devices) / sizeof(odd_devices[0]));
	tcase_add_test(tc, too_many_devices);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
