/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the vhost-user protocol (QEMU's docs/interop/vhost-user.rst), all numbers in the
 * machine's byte order. What a front-end sends is checked against the specification; the first
 * message that isn't as it says ends this program: one line "violation: ..." and exit status 3.
 */
#ifndef VHOST_USER_BACKEND_MESSAGE_H
#define VHOST_USER_BACKEND_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vhost_user_request { /* Front-end message types */
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_REQUESTS, /* one more than the last that is known */
};

enum { /* Header: flags */
	FLAG_VERSION = 1,
	FLAG_VERSION_MASK = 3,
	FLAG_REPLY = 4,
	FLAG_NEED_REPLY = 8,
};

enum { /* Protocol features */
	PROTOCOL_F_MQ = 0,
	PROTOCOL_F_RARP = 2,
	PROTOCOL_F_REPLY_ACK = 3,
	PROTOCOL_F_NET_MTU = 4,
	PROTOCOL_F_BACKEND_REQ = 5,
	PROTOCOL_F_INFLIGHT_SHMFD = 12,
	PROTOCOL_F_RESET_DEVICE = 13,
	PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	PROTOCOL_F_STATUS = 16,
};

enum {
	F_PROTOCOL_FEATURES = 30, /* VHOST_USER_F_PROTOCOL_FEATURES, among the virtio features */
	FDS_MAX = 8,
	NO_FD = 0x100, /* SET_VRING_KICK, CALL, ERR: there is no descriptor */
};

struct memory_area { /* one region of the memory regions description */
	uint64_t guest;
	uint64_t size;
	uint64_t user;
	uint64_t mmap_offset;
};

union payload {
	uint64_t u64;
	struct {
		uint32_t index, num;
	} state;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr;
	struct {
		uint32_t n, padding;
		struct memory_area areas[FDS_MAX];
	} memory;
	struct {
		uint64_t padding;
		struct memory_area area;
	} region;
	struct {
		uint64_t mmap_size, mmap_offset;
		uint16_t num_queues, queue_size;
	} inflight;
};

struct header {
	uint32_t request, flags, size;
};

_Static_assert(sizeof(struct header) == 12, "Header");

struct message {
	struct header header;
	union payload payload;
	int fds[FDS_MAX]; /* owned; -1 when taken */
	unsigned int n_fds;
};

/* Prints "violation: ..." and exits with status 3. */
_Noreturn void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints why the program can't go on, through no fault of the front-end's; status 1. */
_Noreturn void failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line on stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "SET_OWNER", or NULL if there is no such request for a net device. */
const char *message_name(uint32_t request);

/* Of a request by its name; 0: there is none. */
uint32_t message_request(const char *name);

/* Whether the specification demands an answer other than REPLY_ACK's. */
bool message_has_reply(uint32_t request);

/*
 * Read one message. Its header is checked, the size of the payload, how many descriptors there are,
 * and that @protocol (the features in force) has what it needs. False at the end of the connection.
 */
bool message_receive(int socket, uint64_t protocol, struct message *message);

void message_close_fds(struct message *message);

/* Send a header, @len bytes and descriptors as they are, right or wrong. */
void message_send(int socket, const struct header *header, const void *payload, size_t len,
		  const int *fds, unsigned int n_fds);

#endif
