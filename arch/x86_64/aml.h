/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI Machine Language, as far as our tables need it (ACPI 6.4, chapter 20; resource descriptors:
 * section 6.4).
 *
 * AML is a stream in prefix order: each function appends one operator or operand to the buffer, so
 * the calls stand in the order of the ASL that iasl -d shows for them. What encloses others
 * (devices, methods, If, packages, resource templates) is opened, returns a mark, and is closed
 * with that mark, innermost first.
 *
 * Names are written as in ASL: "_UID", "\\_SB", "\\_SB.PWRB". They are ours, not input: names that
 * can't be encoded are an assertion failure.
 */
#ifndef ARCH_X86_64_AML_H
#define ARCH_X86_64_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once something didn't fit, nothing more is appended: one look at overflow at the end is enough.
 */
struct aml {
	uint8_t *data; /* borrowed */
	size_t size;
	size_t used;
	bool overflow;
};

/* Where a construct began that isn't closed yet. */
typedef size_t aml_mark;

/* Operators and operands without a function of their own (section 20.3). */
enum aml_op {
	AML_NO_TARGET = 0x00, /* NullName: the result is not stored */
	AML_LOCAL0 = 0x60,
	AML_ARG0 = 0x68,
	AML_STORE = 0x70,  /* Store(value, target) */
	AML_AND = 0x7b,	   /* And(a, b, target) */
	AML_NOTIFY = 0x86, /* Notify(object, value) */
	AML_RETURN = 0xa4,
};

/* Address spaces of an operation region (section 5.5.2.4). */
enum aml_space {
	AML_SYSTEM_MEMORY = 0,
	AML_SYSTEM_IO = 1,
};

void aml_init(struct aml *aml, void *data, size_t size);

/* Bytes as they are; for table headers too. */
void aml_bytes(struct aml *aml, const void *bytes, size_t len);

/* --- data and names (sections 20.2.2 and 20.2.3) --- */
void aml_op(struct aml *aml, enum aml_op op);
void aml_integer(struct aml *aml, uint64_t value); /* in the shortest encoding */
void aml_string(struct aml *aml, const char *string);
void aml_path(struct aml *aml, const char *path); /* refer to a name */

/* A value for _HID or _CID: an EISA ID ("PNP0501") becomes a number, an ACPI ID stays a string. */
void aml_hardware_id(struct aml *aml, const char *id);

/* --- named objects (section 20.2.5) --- */
void aml_name(struct aml *aml, const char *path); /* Name(path, the object that follows) */
aml_mark aml_scope(struct aml *aml, const char *path);
aml_mark aml_device(struct aml *aml, const char *path);
aml_mark aml_method(struct aml *aml, const char *path, unsigned int args, bool serialized);
void aml_region(struct aml *aml, const char *path, enum aml_space space, uint64_t base,
		uint64_t len);

/* Field(region, ByteAcc, NoLock, WriteAsZeros), filled by aml_field_unit(). */
aml_mark aml_field(struct aml *aml, const char *region);
void aml_field_unit(struct aml *aml, const char *name, unsigned int bits);

/* --- what encloses others --- */
aml_mark aml_if(struct aml *aml); /* the predicate follows, then the body */
aml_mark aml_package(struct aml *aml, unsigned int elements);
void aml_close(struct aml *aml, aml_mark mark);

/* --- resource templates (section 6.4): a buffer of descriptors, closed by its own function --- */
aml_mark aml_resources(struct aml *aml);
void aml_close_resources(struct aml *aml, aml_mark mark);

void aml_io(struct aml *aml, uint16_t port, uint8_t len);
void aml_memory32_fixed(struct aml *aml, uint32_t base, uint32_t len);

/* What a bus bridge passes on: WordBusNumber and QWordMemory (ResourceProducer, MinFixed,
 * MaxFixed).
 */
void aml_bus_numbers(struct aml *aml, uint16_t first, uint16_t last);
void aml_memory_window(struct aml *aml, uint64_t base, uint64_t len);

/* Interrupt(ResourceConsumer, Level or Edge, ActiveHigh, Exclusive). */
void aml_interrupt(struct aml *aml, uint32_t gsi, bool level);

#endif
