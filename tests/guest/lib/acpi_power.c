/* SPDX-License-Identifier: Apache-2.0 */
/* Power-off and reset on hardware-reduced ACPI. */
#include "lib/acpi.h"
#include "lib/guest.h"
#include "lib/string.h"

enum {
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116,
	FADT_RESET_VALUE = 128,
	FADT_SLEEP_CONTROL_REG = 244,
	FADT_END = 268,
	FADT_FLAG_RESET_REG_SUPPORTED = 1 << 10,
	FADT_FLAG_HW_REDUCED = 1 << 20,
};

enum {
	SLEEP_TYPE_SHIFT = 2, /* 4.8.3.7 */
	SLEEP_ENABLE = 1 << 5,
};

static const uint8_t *find_fadt(uint32_t flag)
{
	const struct acpi_header *fadt = acpi_find("FACP");
	uint32_t flags;

	if (fadt == NULL || fadt->length < FADT_END)
		fatal("ACPI: no FADT of %u bytes", FADT_END);
	memcpy(&flags, (const uint8_t *)fadt + FADT_FLAGS, sizeof(flags));
	if (!(flags & flag))
		fatal("ACPI: FADT flags %#x lack %#x", flags, flag);
	return (const uint8_t *)fadt;
}

static void write_register(const uint8_t *fadt, unsigned int offset, uint8_t value)
{
	struct acpi_address address;

	memcpy(&address, fadt + offset, sizeof(address));
	acpi_write8(&address, value);
	for (deadline_t d = deadline(1000); !deadline_passed(d);)
		;
}

/*
 * SLP_TYP of S5: the first element of Name (_S5, Package {...}), 7.4.2. In AML (20.2.5.4), the
 * name is followed by PackageOp, PkgLength, the number of elements, and the element.
 */
static uint8_t sleep_type_s5(void)
{
	const struct acpi_header *dsdt = acpi_find("DSDT");
	const uint8_t *aml = (const uint8_t *)dsdt;

	for (size_t i = 0; dsdt != NULL && i + 10 < dsdt->length; i++) {
		if (memcmp(aml + i, "_S5_\x12", 5) != 0)
			continue;
		i += 5;
		i += 1 + (aml[i] >> 6); /* PkgLength */
		i += 1;			/* number of elements */
		switch (aml[i]) {
		case 0x00: /* ZeroOp */
		case 0x01: /* OneOp */
			return aml[i];
		case 0x0a: /* BytePrefix */
			return aml[i + 1];
		}
	}
	fatal("ACPI: no _S5 in the DSDT");
}

void acpi_power_off(void)
{
	uint8_t type = sleep_type_s5();

	write_register(find_fadt(FADT_FLAG_HW_REDUCED), FADT_SLEEP_CONTROL_REG,
		       (uint8_t)(type << SLEEP_TYPE_SHIFT | SLEEP_ENABLE));
}

void acpi_reset(void)
{
	const uint8_t *fadt = find_fadt(FADT_FLAG_RESET_REG_SUPPORTED);

	write_register(fadt, FADT_RESET_REG, fadt[FADT_RESET_VALUE]);
}
