/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/x86_64/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/x86_64/aml.h"
#include "arch/x86_64/layout.h"
#include "devices/acpi_pm.h"
#include "vmm/core/error.h"

#define OEM_ID	     "XVMM  "
#define OEM_TABLE_ID "XVMM    "
#define CREATOR_ID   "XVMM"

enum {
	TABLE_ALIGN = 16,  /* the RSDP needs it (section 5.2.5.1), the others like it */
	XSDT_ENTRIES = 3,  /* FADT, MADT, MCFG */
	MAX_DEVICES = 256, /* their names end in two hexadecimal digits */

	/* From this APIC ID on it takes a local x2APIC structure (section 5.2.12.12). */
	FIRST_WIDE_ID = 255,
};

/* The tables while they are made: staged here, then copied to the guest in one piece. */
struct acpi_builder {
	struct aml out;
	uint64_t base; /* guest-physical address of out.data[0] */
	uint64_t entries[XSDT_ENTRIES];
	size_t n_entries;
	unsigned int cpus;
	const struct arch_device *devices;
	size_t n_devices;
	const struct arch_pci *pci; /* or NULL */
};

static void align(struct acpi_builder *b)
{
	static const uint8_t zeroes[TABLE_ALIGN];

	aml_bytes(&b->out, zeroes, -b->out.used % TABLE_ALIGN);
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return (uint8_t)-sum;
}

static struct acpi_header header(const char *signature, uint8_t revision)
{
	struct acpi_header h = {.revision = revision, .oem_revision = 1, .creator_revision = 1};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, OEM_TABLE_ID, sizeof(h.oem_table_id));
	memcpy(h.creator_id, CREATOR_ID, sizeof(h.creator_id));
	return h;
}

/* Begin a table with its fixed part, which starts with a header; returns where it is. */
static size_t begin_table(struct acpi_builder *b, const void *fixed, size_t len)
{
	size_t at;

	align(b);
	at = b->out.used;
	aml_bytes(&b->out, fixed, len);
	return at;
}

/* All of the table is there: fill in length and checksum. Returns its guest-physical address. */
static uint64_t end_table(struct acpi_builder *b, size_t at)
{
	struct acpi_header *h = (struct acpi_header *)(b->out.data + at);

	if (b->out.overflow)
		return 0;
	h->length = (uint32_t)(b->out.used - at);
	h->checksum = 0;
	h->checksum = checksum(h, h->length);
	return b->base + at;
}

static const struct arch_device *find_device(const struct acpi_builder *b,
					     enum arch_device_kind kind)
{
	for (size_t i = 0; i < b->n_devices; i++) {
		if (b->devices[i].kind == kind)
			return &b->devices[i];
	}
	return NULL;
}

/* --- DSDT --- */

/* How a kind of device is found in the namespace. */
struct description {
	const char *id;	    /* _HID; NULL: not by a device object of its own */
	const char *prefix; /* of its name, before two hexadecimal digits */
};

static struct description describe(enum arch_device_kind kind)
{
	switch (kind) {
	case ARCH_DEVICE_SERIAL:
		return (struct description){"PNP0501", "CM"};
	case ARCH_DEVICE_PVPANIC:
		return (struct description){"QEMU0001", "PV"};
	case ARCH_DEVICE_VIRTIO_MMIO:
		return (struct description){"LNRO0005", "VM"};
	case ARCH_DEVICE_POWER:	     /* FADT and add_events() */
	case ARCH_DEVICE_DEBUG_EXIT: /* no driver looks for it; who writes to it knows the port */
	case ARCH_DEVICE_GUEST_MARK: /* nor for this */
		break;
	}
	return (struct description){NULL, NULL};
}

/* Memory32Fixed, 16-bit ports and the one IOAPIC are what the tables can speak of. */
static int check_device(const struct arch_device *device, struct error *err)
{
	uint64_t last = device->base + device->size - 1;

	if (!device->size || last < device->base ||
	    last > (device->pio ? UINT16_MAX : UINT32_MAX) ||
	    (device->pio && device->size > UINT8_MAX))
		return error_set(
			err, -EINVAL, "ACPI: no way to describe a device of %llu %s at %#llx",
			(unsigned long long)device->size, device->pio ? "ports" : "bytes of memory",
			(unsigned long long)device->base);
	if (device->gsi != ARCH_NO_GSI && device->gsi >= LAYOUT_IOAPIC_PINS)
		return error_set(
			err, -EINVAL,
			"ACPI: interrupt %u of the device at %#llx: the IOAPIC has %u pins",
			device->gsi, (unsigned long long)device->base, LAYOUT_IOAPIC_PINS);
	return 0;
}

/* Name (_HID, id) Name (_UID, uid): sections 6.1.5 and 6.1.12. */
static void add_identity(struct aml *aml, const char *id, unsigned int uid)
{
	aml_name(aml, "_HID");
	aml_hardware_id(aml, id);
	aml_name(aml, "_UID");
	aml_integer(aml, uid);
}

/* Name (_CRS, ResourceTemplate () {...}), section 6.2.2. */
static void add_resources(struct aml *aml, const struct arch_device *device)
{
	aml_mark crs;

	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	if (device->pio)
		aml_io(aml, (uint16_t)device->base, (uint8_t)device->size);
	else
		aml_memory32_fixed(aml, (uint32_t)device->base, (uint32_t)device->size);
	if (device->gsi != ARCH_NO_GSI)
		aml_interrupt(aml, device->gsi, device->level);
	aml_close_resources(aml, crs);
}

static void add_device(struct acpi_builder *b, const struct arch_device *device)
{
	const struct description description = describe(device->kind);
	struct aml *aml = &b->out;
	unsigned int uid = 0;
	char name[8];
	aml_mark mark;

	if (!description.id)
		return;
	for (const struct arch_device *before = b->devices; before < device; before++)
		uid += before->kind == device->kind;
	snprintf(name, sizeof(name), "%s%02X", description.prefix, uid & 0xff);
	mark = aml_device(aml, name);
	add_identity(aml, description.id, uid);
	add_resources(aml, device);
	aml_close(aml, mark);
}

/*
 * Name (_S5, Package () {type, 0, 0, 0}), section 7.4.2: of a hardware-reduced platform only the
 * first element counts.
 */
static void add_power_off(struct aml *aml)
{
	aml_mark package;

	aml_name(aml, "_S5");
	package = aml_package(aml, 4);
	aml_integer(aml, ACPI_PM_S5_TYPE);
	for (int i = 0; i < 3; i++)
		aml_integer(aml, 0);
	aml_close(aml, package);
}

/*
 * The power button as a control method device (section 4.8.2.2.1) and the Generic Event Device that
 * tells of it (section 5.6.9). Reading the register takes the events, so one read it is:
 *
 *   Method (_EVT, 1, Serialized) { Local0 = EVNT  If (Local0 & 1) { Notify (PWRB, 0x80) } }
 */
static void add_events(struct aml *aml, const struct arch_device *pm)
{
	aml_mark device, crs, field, method, condition;

	device = aml_device(aml, "PWRB");
	add_identity(aml, "PNP0C0C", 0);
	aml_close(aml, device);

	device = aml_device(aml, "GED");
	add_identity(aml, "ACPI0013", 0);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_interrupt(aml, pm->gsi, pm->level);
	aml_close_resources(aml, crs);

	aml_region(aml, "EVRG", AML_SYSTEM_IO, pm->base + ACPI_PM_EVENTS, 1);
	field = aml_field(aml, "EVRG");
	aml_field_unit(aml, "EVNT", 8);
	aml_close(aml, field);

	method = aml_method(aml, "_EVT", 1, true);
	aml_op(aml, AML_STORE);
	aml_path(aml, "EVNT");
	aml_op(aml, AML_LOCAL0);
	condition = aml_if(aml);
	aml_op(aml, AML_AND);
	aml_op(aml, AML_LOCAL0);
	aml_integer(aml, ACPI_PM_EVENT_POWER_BUTTON);
	aml_op(aml, AML_NO_TARGET);
	aml_op(aml, AML_NOTIFY);
	aml_path(aml, "PWRB");
	aml_integer(aml, 0x80); /* pressed: section 5.6.6 */
	aml_close(aml, condition);
	aml_close(aml, method);
	aml_close(aml, device);
}

/*
 * Name (_PRT, Package () {Package () {slot << 16 | 0xffff, 0, 0, gsi}...}), section 6.2.13: pin
 * INTA, the only one in use, of every slot but the bridge's.
 */
static void add_interrupt_pins(struct aml *aml, const struct arch_pci *pci)
{
	aml_mark table, entry;

	aml_name(aml, "_PRT");
	table = aml_package(aml, PCI_SLOTS - 1);
	for (uint32_t slot = 1; slot < PCI_SLOTS; slot++) {
		entry = aml_package(aml, 4);
		aml_integer(aml, slot << 16 | 0xffff);
		aml_integer(aml, 0);
		aml_integer(aml, 0);
		aml_integer(aml, pci->gsi[slot % 4]);
		aml_close(aml, entry);
	}
	aml_close(aml, table);
}

/* The host bridge, and a device that keeps others off its configuration space in memory. */
static void add_pci(struct aml *aml, const struct arch_pci *pci)
{
	const struct pci_places *places = &pci->places;
	aml_mark device, crs;

	device = aml_device(aml, "PCI0");
	add_identity(aml, "PNP0A08", 0); /* PCI Express; for who knows PCI only: */
	aml_name(aml, "_CID");
	aml_hardware_id(aml, "PNP0A03");
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_bus_numbers(aml, 0, 0);
	aml_io(aml, (uint16_t)places->port, PCI_PORTS);
	for (int i = 0; i < 2; i++) {
		if (places->windows[i].size)
			aml_memory_window(aml, places->windows[i].base, places->windows[i].size);
	}
	aml_close_resources(aml, crs);
	add_interrupt_pins(aml, pci);
	aml_close(aml, device);

	device = aml_device(aml, "ECAM");
	add_identity(aml, "PNP0C02", 0);
	aml_name(aml, "_CRS");
	crs = aml_resources(aml);
	aml_memory32_fixed(aml, (uint32_t)places->ecam.base, (uint32_t)places->ecam.size);
	aml_close_resources(aml, crs);
	aml_close(aml, device);
}

static uint64_t add_dsdt(struct acpi_builder *b)
{
	/* Revision 2: integers have 64 bits (section 5.2.11.1). */
	const struct acpi_header head = header("DSDT", 2);
	const struct arch_device *pm = find_device(b, ARCH_DEVICE_POWER);
	size_t at = begin_table(b, &head, sizeof(head));
	aml_mark scope;

	if (pm)
		add_power_off(&b->out);
	scope = aml_scope(&b->out, "_SB");
	for (size_t i = 0; i < b->n_devices; i++)
		add_device(b, &b->devices[i]);
	if (pm && pm->gsi != ARCH_NO_GSI)
		add_events(&b->out, pm);
	if (b->pci)
		add_pci(&b->out, b->pci);
	aml_close(&b->out, scope);
	return end_table(b, at);
}

/* --- tables of fixed layout --- */

static struct acpi_address byte_port(uint64_t port)
{
	return (struct acpi_address){
		.space = AML_SYSTEM_IO, .bit_width = 8, .access_size = 1, .address = port};
}

static uint64_t add_fadt(struct acpi_builder *b, uint64_t dsdt)
{
	const struct arch_device *pm = find_device(b, ARCH_DEVICE_POWER);
	struct acpi_fadt fadt = {
		.header = header("FACP", 6),
		.minor_version = 4,
		/*
		 * Every bit that isn't set saves Linux a probe: LEGACY_DEVICES (PNP BIOS), 8042 (a
		 * second of time-outs). HW_REDUCED_ACPI takes PIC and PIT out of the way.
		 */
		.boot_arch = ACPI_BOOT_NO_VGA | ACPI_BOOT_NO_CMOS_RTC,
		.flags = ACPI_FADT_WBINVD | ACPI_FADT_PROC_C1 | ACPI_FADT_PWR_BUTTON |
			 ACPI_FADT_SLP_BUTTON | ACPI_FADT_FIX_RTC | ACPI_FADT_HW_REDUCED_ACPI,
		.x_dsdt = dsdt,
	};

	if (pm) {
		fadt.flags |= ACPI_FADT_RESET_REG_SUP;
		fadt.reset_reg = byte_port(pm->base + ACPI_PM_RESET);
		fadt.reset_value = ACPI_PM_RESET_VALUE;
		fadt.sleep_control_reg = byte_port(pm->base + ACPI_PM_SLEEP_CONTROL);
		fadt.sleep_status_reg = byte_port(pm->base + ACPI_PM_SLEEP_STATUS);
	}
	memcpy(&fadt.hypervisor_vendor, "xvmm", 4);
	return end_table(b, begin_table(b, &fadt, sizeof(fadt)));
}

/*
 * Flags stay 0: PCAT_COMPAT would have a guest look for the two 8259. No interrupt source
 * overrides: GSI n is pin n, and _CRS says the rest.
 */
static uint64_t add_madt(struct acpi_builder *b)
{
	const struct acpi_madt madt = {
		.header = header("APIC", 5),
		.local_apic_address = (uint32_t)LAYOUT_LOCAL_APIC,
	};
	const struct acpi_madt_ioapic ioapic = {
		.type = ACPI_MADT_IOAPIC,
		.length = sizeof(ioapic),
		.ioapic_id = 0, /* what KVM's has in its ID register after a reset */
		.address = (uint32_t)LAYOUT_IOAPIC,
	};
	size_t at = begin_table(b, &madt, sizeof(madt));

	/* vCPU n has APIC ID n; the first one listed is the one that boots. */
	for (unsigned int id = 0; id < b->cpus && id < FIRST_WIDE_ID; id++) {
		struct acpi_madt_local_apic cpu = {
			.type = ACPI_MADT_LOCAL_APIC,
			.length = sizeof(cpu),
			.processor_uid = (uint8_t)id,
			.apic_id = (uint8_t)id,
			.flags = ACPI_MADT_ENABLED,
		};

		aml_bytes(&b->out, &cpu, sizeof(cpu));
	}
	for (unsigned int id = FIRST_WIDE_ID; id < b->cpus; id++) {
		struct acpi_madt_local_x2apic cpu = {
			.type = ACPI_MADT_LOCAL_X2APIC,
			.length = sizeof(cpu),
			.x2apic_id = id,
			.flags = ACPI_MADT_ENABLED,
			.processor_uid = id,
		};

		aml_bytes(&b->out, &cpu, sizeof(cpu));
	}
	aml_bytes(&b->out, &ioapic, sizeof(ioapic));
	return end_table(b, at);
}

static uint64_t add_mcfg(struct acpi_builder *b)
{
	const struct acpi_mcfg mcfg = {
		.header = header("MCFG", 1),
		.base = b->pci->places.ecam.base,
	};

	return end_table(b, begin_table(b, &mcfg, sizeof(mcfg)));
}

/* Section 5.2.8. */
static uint64_t add_xsdt(struct acpi_builder *b)
{
	const struct acpi_header head = header("XSDT", 1);
	size_t at = begin_table(b, &head, sizeof(head));

	aml_bytes(&b->out, b->entries, b->n_entries * sizeof(b->entries[0]));
	return end_table(b, at);
}

/* The RSDP has its place at the start already, but only now its contents. */
static void fill_rsdp(struct acpi_builder *b, uint64_t xsdt)
{
	struct acpi_rsdp rsdp = {
		.revision = 2,
		.length = sizeof(rsdp),
		.xsdt_address = xsdt,
	};

	if (b->out.overflow)
		return;
	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, OEM_ID, sizeof(rsdp.oem_id));
	rsdp.checksum = checksum(&rsdp, 20);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	memcpy(b->out.data, &rsdp, sizeof(rsdp));
}

static void build(struct acpi_builder *b)
{
	static const struct acpi_rsdp no_rsdp;
	uint64_t dsdt;

	aml_bytes(&b->out, &no_rsdp, sizeof(no_rsdp));
	dsdt = add_dsdt(b);
	b->entries[b->n_entries++] = add_fadt(b, dsdt);
	b->entries[b->n_entries++] = add_madt(b);
	if (b->pci)
		b->entries[b->n_entries++] = add_mcfg(b);
	fill_rsdp(b, add_xsdt(b));
}

int acpi_write_tables(const struct guest_memory *mem, struct memory_range area, unsigned int cpus,
		      const struct arch_device *devices, size_t n, const struct arch_pci *pci,
		      struct error *err)
{
	struct acpi_builder b = {
		.base = area.base,
		.cpus = cpus,
		.devices = devices,
		.n_devices = n,
		.pci = pci,
	};
	uint8_t *tables = memory_translate(mem, gpa(area.base), area.size);
	int ret;

	if (n > MAX_DEVICES)
		return error_set(err, -EINVAL, "ACPI: %zu devices: at most %d have names", n,
				 MAX_DEVICES);
	for (size_t i = 0; i < n; i++) {
		ret = check_device(&devices[i], err);
		if (ret)
			return ret;
	}
	if (!tables)
		return error_set(err, -EFAULT, "ACPI: no memory at %#llx for the tables",
				 (unsigned long long)area.base);
	aml_init(&b.out, tables, area.size);
	build(&b);
	if (b.out.overflow)
		return error_set(err, -ENOSPC,
				 "ACPI: the tables of %u CPUs and %zu devices take more than the "
				 "%llu bytes there are",
				 cpus, n, (unsigned long long)area.size);
	return 0;
}

int arch_write_tables(const struct guest_memory *mem, const struct arch_platform *platform,
		      const struct arch_handover *handover, gpa_t *tables, struct error *err)
{
	static const struct memory_range area = {
		.base = LAYOUT_TABLES,
		.size = LAYOUT_TABLES_END - LAYOUT_TABLES,
	};

	(void)handover;
	*tables = gpa(area.base);
	return acpi_write_tables(mem, area, platform->cpus, platform->devices, platform->n_devices,
				 platform->pci, err);
}
