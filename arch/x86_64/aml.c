/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/x86_64/aml.h"

#include <assert.h>
#include <string.h>

/* Encodings that have a function (ACPI 6.4, section 20.3). */
enum {
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	OP_NAME = 0x08,
	OP_BYTE = 0x0a,
	OP_WORD = 0x0b,
	OP_DWORD = 0x0c,
	OP_STRING = 0x0d,
	OP_QWORD = 0x0e,
	OP_SCOPE = 0x10,
	OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12,
	OP_METHOD = 0x14,
	OP_DUAL_NAME = 0x2e,
	OP_MULTI_NAME = 0x2f,
	OP_EXTENDED = 0x5b, /* prefix of the three below */
	OP_EXT_REGION = 0x80,
	OP_EXT_FIELD = 0x81,
	OP_EXT_DEVICE = 0x82,
	OP_IF = 0xa0,
};

enum {
	NAME_SEG_SIZE = 4,
	METHOD_SERIALIZED = 1 << 3, /* MethodFlags, section 20.2.5.2 */
	FIELD_BYTE_ACCESS = 1,	    /* FieldFlags, section 20.2.5.2 */
	FIELD_WRITE_AS_ZEROS = 2 << 5,
};

void aml_init(struct aml *aml, void *data, size_t size)
{
	*aml = (struct aml){.data = data, .size = size};
}

/* Make room for @len bytes at offset @at, or note that there is none. */
static bool make_room(struct aml *aml, size_t at, size_t len)
{
	if (aml->overflow || len > aml->size - aml->used) {
		aml->overflow = true;
		return false;
	}
	memmove(aml->data + at + len, aml->data + at, aml->used - at);
	aml->used += len;
	return true;
}

static void insert(struct aml *aml, size_t at, const void *bytes, size_t len)
{
	if (make_room(aml, at, len))
		memcpy(aml->data + at, bytes, len);
}

void aml_bytes(struct aml *aml, const void *bytes, size_t len)
{
	insert(aml, aml->used, bytes, len);
}

static void byte(struct aml *aml, unsigned int value)
{
	uint8_t data = (uint8_t)value;

	aml_bytes(aml, &data, 1);
}

static void little_endian(uint8_t *to, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* Section 20.2.4: the length counts itself, and its own size depends on it. */
static size_t encode_package_length(size_t body, uint8_t out[4])
{
	size_t extra = 0; /* bytes after the lead byte */
	size_t total;

	if (body + 1 <= 0x3f) {
		out[0] = (uint8_t)(body + 1);
		return 1;
	}
	do {
		extra++;
		total = body + 1 + extra;
	} while (total >> (4 + 8 * extra));
	assert(extra <= 3);
	out[0] = (uint8_t)(extra << 6 | (total & 0xf));
	little_endian(out + 1, total >> 4, extra);
	return 1 + extra;
}

/* Section 20.2.3, ConstObj and ComputationalData. */
static size_t encode_integer(uint64_t value, uint8_t out[9])
{
	size_t len = 8;

	if (value <= 1) {
		out[0] = value ? OP_ONE : OP_ZERO;
		return 1;
	}
	out[0] = OP_QWORD;
	if (value <= UINT8_MAX) {
		out[0] = OP_BYTE;
		len = 1;
	} else if (value <= UINT16_MAX) {
		out[0] = OP_WORD;
		len = 2;
	} else if (value <= UINT32_MAX) {
		out[0] = OP_DWORD;
		len = 4;
	}
	little_endian(out + 1, value, len);
	return 1 + len;
}

void aml_op(struct aml *aml, enum aml_op op)
{
	byte(aml, op);
}

void aml_integer(struct aml *aml, uint64_t value)
{
	uint8_t out[9];

	aml_bytes(aml, out, encode_integer(value, out));
}

void aml_string(struct aml *aml, const char *string)
{
	byte(aml, OP_STRING);
	aml_bytes(aml, string, strlen(string) + 1);
}

/* Section 20.2.2: an optional root, a prefix that counts the segments, segments padded with _. */
void aml_path(struct aml *aml, const char *path)
{
	unsigned int segments = 1;

	if (*path == '\\')
		byte(aml, (uint8_t)*path++);
	for (const char *c = path; *c; c++)
		segments += *c == '.';
	assert(segments <= UINT8_MAX);
	if (segments == 2) {
		byte(aml, OP_DUAL_NAME);
	} else if (segments > 2) {
		byte(aml, OP_MULTI_NAME);
		byte(aml, segments);
	}
	for (;;) {
		char segment[NAME_SEG_SIZE] = {'_', '_', '_', '_'};
		size_t len = strcspn(path, ".");

		assert(len >= 1 && len <= sizeof(segment));
		memcpy(segment, path, len);
		aml_bytes(aml, segment, sizeof(segment));
		if (!path[len])
			break;
		path += len + 1;
	}
}

static unsigned int hex_digit(char c)
{
	assert((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return (unsigned int)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/*
 * Section 19.6, EISAID: three letters of five bits, four hexadecimal digits, most
 * significant byte first.
 */
void aml_hardware_id(struct aml *aml, const char *id)
{
	uint8_t eisa[1 + 4] = {OP_DWORD};
	unsigned int letters = 0;

	if (strlen(id) != 7) {
		aml_string(aml, id);
		return;
	}
	for (int i = 0; i < 3; i++)
		letters = letters << 5 | ((unsigned int)(id[i] - '@') & 0x1f);
	eisa[1] = (uint8_t)(letters >> 8);
	eisa[2] = (uint8_t)letters;
	eisa[3] = (uint8_t)(hex_digit(id[3]) << 4 | hex_digit(id[4]));
	eisa[4] = (uint8_t)(hex_digit(id[5]) << 4 | hex_digit(id[6]));
	aml_bytes(aml, eisa, sizeof(eisa));
}

void aml_name(struct aml *aml, const char *path)
{
	byte(aml, OP_NAME);
	aml_path(aml, path);
}

/* The package length goes in at the mark when the construct is closed. */
static aml_mark open_package(const struct aml *aml)
{
	return aml->used;
}

void aml_close(struct aml *aml, aml_mark mark)
{
	uint8_t out[4];

	insert(aml, mark, out, encode_package_length(aml->used - mark, out));
}

aml_mark aml_scope(struct aml *aml, const char *path)
{
	aml_mark mark;

	byte(aml, OP_SCOPE);
	mark = open_package(aml);
	aml_path(aml, path);
	return mark;
}

aml_mark aml_device(struct aml *aml, const char *path)
{
	aml_mark mark;

	byte(aml, OP_EXTENDED);
	byte(aml, OP_EXT_DEVICE);
	mark = open_package(aml);
	aml_path(aml, path);
	return mark;
}

aml_mark aml_method(struct aml *aml, const char *path, unsigned int args, bool serialized)
{
	aml_mark mark;

	assert(args <= 7);
	byte(aml, OP_METHOD);
	mark = open_package(aml);
	aml_path(aml, path);
	byte(aml, args | (serialized ? METHOD_SERIALIZED : 0));
	return mark;
}

void aml_region(struct aml *aml, const char *path, enum aml_space space, uint64_t base,
		uint64_t len)
{
	byte(aml, OP_EXTENDED);
	byte(aml, OP_EXT_REGION);
	aml_path(aml, path);
	byte(aml, space);
	aml_integer(aml, base);
	aml_integer(aml, len);
}

aml_mark aml_field(struct aml *aml, const char *region)
{
	aml_mark mark;

	byte(aml, OP_EXTENDED);
	byte(aml, OP_EXT_FIELD);
	mark = open_package(aml);
	aml_path(aml, region);
	byte(aml, FIELD_BYTE_ACCESS | FIELD_WRITE_AS_ZEROS);
	return mark;
}

void aml_field_unit(struct aml *aml, const char *name, unsigned int bits)
{
	/* NamedField: its width is coded like a package length, but doesn't count itself. */
	assert(bits <= 0x3f);
	aml_path(aml, name);
	byte(aml, bits);
}

aml_mark aml_if(struct aml *aml)
{
	byte(aml, OP_IF);
	return open_package(aml);
}

aml_mark aml_package(struct aml *aml, unsigned int elements)
{
	aml_mark mark;

	assert(elements <= UINT8_MAX);
	byte(aml, OP_PACKAGE);
	mark = open_package(aml);
	byte(aml, elements);
	return mark;
}

aml_mark aml_resources(struct aml *aml)
{
	byte(aml, OP_BUFFER);
	return open_package(aml);
}

void aml_close_resources(struct aml *aml, aml_mark mark)
{
	/* Section 6.4.2.9, End Tag: a checksum of 0 counts as right. */
	static const uint8_t end_tag[] = {0x79, 0x00};
	uint8_t size[9];

	aml_bytes(aml, end_tag, sizeof(end_tag));
	insert(aml, mark, size, encode_integer(aml->used - mark, size));
	aml_close(aml, mark);
}

/* Section 6.4.2.5, I/O Port Descriptor. */
void aml_io(struct aml *aml, uint16_t port, uint8_t len)
{
	uint8_t out[8] = {
		[0] = 0x47, /* small item 8, 7 bytes */
		[1] = 1,    /* Decode16 */
		[6] = 1,    /* alignment */
		[7] = len,
	};

	little_endian(out + 2, port, 2); /* minimum */
	little_endian(out + 4, port, 2); /* maximum */
	aml_bytes(aml, out, sizeof(out));
}

/* Section 6.4.3.4, 32-Bit Fixed Memory Range Descriptor. */
void aml_memory32_fixed(struct aml *aml, uint32_t base, uint32_t len)
{
	uint8_t out[12] = {
		[0] = 0x86, /* large item 6 */
		[1] = 9,
		[3] = 1, /* read and write */
	};

	little_endian(out + 4, base, 4);
	little_endian(out + 8, len, 4);
	aml_bytes(aml, out, sizeof(out));
}

/* Section 6.4.3.5, address space descriptors: all fields from the granularity on have one width. */
static void address_space(struct aml *aml, uint8_t item, uint8_t type, uint8_t specific,
			  uint64_t base, uint64_t len, size_t width)
{
	const uint64_t fields[] = {0, base, base + len - 1, 0, len};
	uint8_t out[6 + 5 * 8] = {
		[0] = item,	[1] = (uint8_t)(3 + 5 * width),
		[3] = type,	[4] = 1 << 2 | 1 << 3, /* minimum and maximum are fixed */
		[5] = specific,
	};

	for (size_t i = 0; i < 5; i++)
		little_endian(out + 6 + i * width, fields[i], width);
	aml_bytes(aml, out, 6 + 5 * width);
}

void aml_bus_numbers(struct aml *aml, uint16_t first, uint16_t last)
{
	address_space(aml, 0x88, 2, 0, first, (uint64_t)last - first + 1, 2);
}

void aml_memory_window(struct aml *aml, uint64_t base, uint64_t len)
{
	address_space(aml, 0x8a, 0, 1 << 0 /* read and write, not cacheable */, base, len, 8);
}

/* Section 6.4.3.6, Extended Interrupt Descriptor. */
void aml_interrupt(struct aml *aml, uint32_t gsi, bool level)
{
	uint8_t out[9] = {
		[0] = 0x89, /* large item 9 */
		[1] = 6,
		[3] = (uint8_t)(1 << 0 |
				!level << 1), /* consumer, edge; active high, exclusive: 0 */
		[4] = 1,		      /* one interrupt */
	};

	little_endian(out + 5, gsi, 4);
	aml_bytes(aml, out, sizeof(out));
}
