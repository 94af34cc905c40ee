/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of vhost-user (QEMU's docs/interop/vhost-user.rst, "Message Specification",
 * "Protocol features" and the two lists of message types), as far as a network device needs them.
 * All numbers are in the machine's byte order. The names are the specification's, old or new.
 */
#ifndef VIRTIO_VHOST_USER_PROTOCOL_H
#define VIRTIO_VHOST_USER_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

/* Front-end message types. */
enum {
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
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_N_REQUESTS,
};

/* Back-end message types, on the channel of SET_BACKEND_REQ_FD. */
enum {
	VHOST_USER_BACKEND_IOTLB_MSG = 1,
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
	VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG = 3,
	VHOST_USER_BACKEND_VRING_CALL = 4,
	VHOST_USER_BACKEND_VRING_ERR = 5,
};

/* Header: flags. */
enum {
	VHOST_USER_VERSION = 1, /* in the lowest two bits */
	VHOST_USER_REPLY = 1 << 2,
	VHOST_USER_NEED_REPLY = 1 << 3,
};

/* Among the virtio feature bits: there are protocol features. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

/* Bits of the protocol features. */
enum {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_RARP = 2,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_NET_MTU = 4,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
};

enum {
	VHOST_USER_MEMORY_MAX = 8, /* regions in a table, and descriptors with any message */
};

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t descriptor; /* the three as user addresses */
	uint64_t used;
	uint64_t available;
	uint64_t log;
};

struct vhost_user_region {
	uint64_t guest_address;
	uint64_t size;
	uint64_t user_address;
	uint64_t mmap_offset;
};

struct vhost_user_memory {
	uint32_t num_regions;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MEMORY_MAX];
};

struct vhost_user_single_region {
	uint64_t padding;
	struct vhost_user_region region;
};

/*
 * The fields have 20 bytes; but every back-end that is written in C has 24 of them, as this struct
 * has, and some insist on it.
 */
struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding;
};

struct vhost_user_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload, in bytes */
	union {
		uint64_t u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct vhost_user_memory memory;
		struct vhost_user_single_region single_region;
		struct vhost_user_inflight inflight;
	} payload;
} __attribute__((packed, aligned(4)));

enum {
	VHOST_USER_HEADER_SIZE = offsetof(struct vhost_user_message, payload),
};

_Static_assert(VHOST_USER_HEADER_SIZE == 12, "Header");
_Static_assert(sizeof(struct vhost_user_vring_state) == 8, "A vring state description");
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "A vring address description");
_Static_assert(offsetof(struct vhost_user_vring_addr, available) == 24,
	       "A vring address description");
_Static_assert(sizeof(struct vhost_user_region) == 32, "Memory regions description");
_Static_assert(offsetof(struct vhost_user_memory, regions) == 8, "Memory regions description");
_Static_assert(sizeof(struct vhost_user_single_region) == 40, "Single memory region description");
_Static_assert(offsetof(struct vhost_user_inflight, padding) == 20, "Inflight description");
_Static_assert(sizeof(struct vhost_user_message) == 12 + 8 + 8 * 32, "Message Specification");

#endif
