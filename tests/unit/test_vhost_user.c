/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user front-end against a scripted back-end (vhost_user_peer.h): the test is the device,
 * the loop runs in a thread of its own, the back-end in another.
 */
#include "virtio/datapath_vhost_user.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "tests/unit/driver.h"
#include "tests/unit/vhost_user_peer.h"
#include "virtio/datapath.h"
#include "virtio/defs.h"
#include "virtio/net_features.h"
#include "vmm/core/error.h"
#include "vmm/core/log.h"
#include "vmm/core/loop.h"

/* Of what is under the peer's lock. */
#define assert_now(condition)                                   \
	do {                                                    \
		bool is_so;                                     \
                                                                \
		pthread_mutex_lock(&peer.lock);                 \
		is_so = (condition);                            \
		pthread_mutex_unlock(&peer.lock);               \
		ck_assert_msg(is_so, "not so: %s", #condition); \
	} while (0)

#define BIT(name)      (1ULL << (name))
#define PROTOCOL(name) (1ULL << VHOST_USER_PROTOCOL_F_##name)

enum {
	PAIRS = 2,
	RINGS = 2 * PAIRS,
	SIZE = 64,
	RING_AT = 0x10000, /* one every RING_STEP */
	RING_STEP = 0x10000,
	DATA_AT = 0x100000,
	LOGS = 64,
	MTU = 1400,
	SHORT_MS = 300, /* a back-end that is late all the same is but another one that is silent */
};

static const uint64_t virtio_features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_RING_PACKED) |
					BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_CSUM) |
					BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) |
					BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_RING_F_EVENT_IDX) |
					BIT(VIRTIO_RING_F_INDIRECT_DESC);
static const uint64_t bit_30 = BIT(VHOST_USER_F_PROTOCOL_FEATURES);
static const uint64_t all_protocol = PROTOCOL(MQ) | PROTOCOL(RARP) | PROTOCOL(REPLY_ACK) |
				     PROTOCOL(NET_MTU) | PROTOCOL(BACKEND_REQ) |
				     PROTOCOL(INFLIGHT_SHMFD) | PROTOCOL(RESET_DEVICE) |
				     PROTOCOL(CONFIGURE_MEM_SLOTS) | PROTOCOL(STATUS);
static const uint64_t split = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF);
static const uint64_t packed = split | BIT(VIRTIO_F_RING_PACKED) |
			       BIT(VIRTIO_RING_F_INDIRECT_DESC) /* recovered exactly */;

static struct guest_memory mem;
static struct loop *loop;
static pthread_t loop_thread;
static bool loop_runs;
static struct peer peer;
static struct datapath *dp;
static struct vhost_user_config config;
static struct error error;
static char directory[] = "/tmp/xvmm-vhost-user-XXXXXX", path[64];
static unsigned int fds_before;

static uint64_t features; /* accepted */
static struct driver_ring rings[RINGS];
static int kick_fd[RINGS], call_fd[RINGS];
static _Atomic uint32_t interrupt_status;

/* Under the peer's lock, whose change they are, too. */
static char logs[LOGS][256];
static unsigned int n_logs;
static bool carrier;
static unsigned int carrier_changes;
static const char *broken;

/* --- the fixture --- */

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void take_log(void *opaque, enum log_level level, const char *text)
{
	(void)opaque;
	(void)level;
	pthread_mutex_lock(&peer.lock);
	MUST(n_logs < LOGS);
	snprintf(logs[n_logs++], sizeof(logs[0]), "%s", text);
	pthread_cond_broadcast(&peer.changed);
	pthread_mutex_unlock(&peer.lock);
}

static const struct logger logger = {.write = take_log};

static void carrier_changed(void *opaque, bool up)
{
	MUST(opaque == &mem);
	MUST(dp->ops->carrier(dp) == up);
	pthread_mutex_lock(&peer.lock);
	MUST(carrier != up);
	carrier = up;
	carrier_changes++;
	pthread_cond_broadcast(&peer.changed);
	pthread_mutex_unlock(&peer.lock);
}

static void ring_broken(void *opaque, unsigned int index, const char *why)
{
	MUST(opaque == &mem && index < RINGS);
	broken = why;
}

static void setup(void)
{
	static const struct memory_range ranges[] = {{0, 0x200000}, {0x400000, 0x100000}};
	static const struct memory_config memory_config = {.shared = true};

	fds_before = count_fds();
	ck_assert_int_eq(memory_create(&mem, ranges, 2, &memory_config, NULL), 0);
	ck_assert_int_eq(loop_create(&loop, NULL), 0);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/socket", directory);
	peer_init(&peer, path);
	peer.script = (struct peer_script){
		.features = virtio_features | bit_30,
		.protocol = all_protocol,
		.queue_num = PAIRS,
		.mem_slots = 8,
	};
	config = (struct vhost_user_config){
		.name = "net0",
		.mem = &mem,
		.loop = loop,
		.log = &logger,
		.path = path,
		.queue_pairs = PAIRS,
		.queue_size = SIZE,
		.mtu = MTU,
	};
	for (int i = 0; i < RINGS; i++) {
		kick_fd[i] = fd_eventfd();
		call_fd[i] = fd_eventfd();
	}
}

static void *run_loop(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

static int try_create(unsigned int wait_ms)
{
	int ret;

	config.wait_ms = wait_ms;
	ret = vhost_user_create(&config, &dp, &error);
	ck_assert_int_eq(ret != 0, dp == NULL);
	return ret;
}

static void go(unsigned int wait_ms)
{
	int ret = try_create(wait_ms);

	ck_assert_msg(ret == 0, "%s", error.text);
	carrier = dp->ops->carrier(dp);
	dp->events = (struct datapath_events){.ring_broken = ring_broken, .opaque = &mem};
	dp->owner = (struct datapath_owner){.carrier_changed = carrier_changed, .opaque = &mem};
	ck_assert_int_eq(pthread_create(&loop_thread, NULL, run_loop, loop), 0);
	loop_runs = true;
}

/* With a back-end as the script has it. */
static void go_with_peer(void)
{
	peer_start(&peer);
	go(PEER_PATIENCE_S * 1000);
}

static void teardown(void)
{
	if (loop_runs) {
		loop_stop(loop);
		pthread_join(loop_thread, NULL);
	}
	if (dp)
		dp->ops->destroy(dp);
	if (peer.stop_fd >= 0)
		peer_stop(&peer);
	for (int i = 0; i < RINGS; i++) {
		close(kick_fd[i]);
		close(call_fd[i]);
	}
	loop_destroy(loop);
	memory_destroy(&mem);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
	ck_assert_uint_eq(count_fds(), fds_before);
}

/* --- the device's side --- */

static void accept_features(uint64_t accepted)
{
	features = accepted;
	ck_assert_int_eq(dp->ops->set_features(dp, accepted), 0);
	if (config.queue_pairs > 1)
		ck_assert_int_eq(dp->ops->set_queue_pairs(dp, config.queue_pairs), 0);
}

static void ring_init(unsigned int index, uint16_t start)
{
	gpa_t at = gpa(RING_AT + (uint64_t)index * RING_STEP);

	if (features & BIT(VIRTIO_F_RING_PACKED))
		driver_packed_init(&rings[index], &mem, at, SIZE, false, start);
	else
		driver_ring_init(&rings[index], &mem, at, SIZE, false, start);
}

static void start_ring_from(unsigned int index, const struct ring_state *state)
{
	const struct datapath_wires wires = {kick_fd[index], call_fd[index], &interrupt_status};

	ck_assert_int_eq(dp->ops->start_ring(dp, index, state, &wires), 0);
}

static void start_ring(unsigned int index, uint16_t start)
{
	struct ring_state state;

	ring_init(index, start);
	state = driver_ring_state(&rings[index]);
	start_ring_from(index, &state);
}

static struct ring_state stop_ring(unsigned int index)
{
	struct ring_state state = {0};

	dp->ops->stop_ring(dp, index, &state);
	return state;
}

static void stop_rings(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		stop_ring(i);
}

/* The driver makes @n chains available. */
static void make_available(unsigned int index, unsigned int n)
{
	const struct driver_piece piece = {DATA_AT, 64, index % 2 == 0};

	for (; n; n--)
		ck_assert_int_ge(driver_add_chain(&rings[index], &piece, 1), 0);
	driver_expose(&rings[index]);
}

/* A back-end that is at @position uses @n of them. */
static void use(unsigned int index, uint16_t position, unsigned int n)
{
	struct ring_state state = driver_ring_state(&rings[index]);
	struct ring_chain chain;
	struct iovec iov[SIZE];
	struct ring ring;

	state.next_avail = state.next_used = position;
	ck_assert_int_eq(ring_start(&ring, &mem, &state, features), 0);
	for (; n; n--) {
		ck_assert_int_eq(ring_pop(&ring, &chain, iov, SIZE), 1);
		ring_push(&ring, &chain, 0);
	}
	ring_publish(&ring);
}

static bool rings_are(unsigned int n, bool running, bool enabled)
{
	bool same = peer.is_connected;

	for (unsigned int i = 0; i < n; i++)
		same = same && peer.rings[i].running == running && peer.rings[i].enabled == enabled;
	return same;
}

/* Until the back-end serves @n rings, and the front-end knows that. */
static void wait_served(unsigned int n)
{
	peer_wait(&peer, rings_are(n, true, peer.got_protocol != 0) && carrier);
}

static bool was_logged(const char *text)
{
	for (unsigned int i = 0; i < n_logs; i++) {
		if (strstr(logs[i], text))
			return true;
	}
	return false;
}

static void wait_kicked(unsigned int index)
{
	struct pollfd poll_fd = {.fd = kick_fd[index], .events = POLLIN};

	ck_assert_int_eq(poll(&poll_fd, 1, PEER_PATIENCE_S * 1000), 1);
	fd_eventfd_drain(kick_fd[index]);
}

static void wait_interrupted(unsigned int index)
{
	struct pollfd poll_fd = {.fd = call_fd[index], .events = POLLIN};

	ck_assert_int_eq(poll(&poll_fd, 1, PEER_PATIENCE_S * 1000), 1);
	fd_eventfd_drain(call_fd[index]);
	ck_assert_uint_eq(atomic_exchange(&interrupt_status, 0), VIRTIO_MMIO_INT_VRING);
}

/* --- what was said --- */

static struct peer_seen seen(unsigned int n)
{
	struct peer_seen it;

	pthread_mutex_lock(&peer.lock);
	ck_assert_uint_lt(n, peer.n_seen);
	it = peer.seen[n];
	pthread_mutex_unlock(&peer.lock);
	return it;
}

static unsigned int n_seen(void)
{
	unsigned int n;

	pthread_mutex_lock(&peer.lock);
	n = peer.n_seen;
	pthread_mutex_unlock(&peer.lock);
	return n;
}

struct expected {
	uint32_t request;
	uint64_t value; /* u64, or a state's index and num */
	unsigned int n_fds;
	bool need_reply;
};

#define STATE(index, num) ((index) | (uint64_t)(num) << 32)

/* From the message @at on; all that came, if @all. */
static void expect(unsigned int at, const struct expected *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct peer_seen it;

		peer_wait(&peer, peer.n_seen > at + i);
		it = seen(at + (unsigned int)i);
		ck_assert_msg(it.message.request == list[i].request,
			      "message %zu is %u instead of %u", i, it.message.request,
			      list[i].request);
		ck_assert_uint_eq(it.n_fds, list[i].n_fds);
		ck_assert_uint_eq(it.message.flags,
				  1u | (list[i].need_reply ? VHOST_USER_NEED_REPLY : 0u));
		if (it.message.size == 8)
			ck_assert_uint_eq(it.message.payload.u64, list[i].value);
	}
}

#define EXPECT(at, list) expect(at, list, sizeof(list) / sizeof((list)[0]))

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_ino == sb.st_ino &&
	       sa.st_dev == sb.st_dev;
}

/* A signal into @from comes out of @to: they are one eventfd. */
static bool same_eventfd(int from, int to)
{
	fd_eventfd_drain(to);
	fd_eventfd_signal(from);
	return fd_eventfd_drain(to) == 1;
}

/* --- one back-end that is right --- */

START_TEST(test_every_message)
{
	static const struct expected greeting[] = {
		{VHOST_USER_GET_FEATURES, 0, 0, false},
		{VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, false},
		{VHOST_USER_SET_PROTOCOL_FEATURES, 0, 0, false},
		{VHOST_USER_SET_OWNER, 0, 0, true},
		{VHOST_USER_GET_QUEUE_NUM, 0, 0, false},
		{VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, false},
		{VHOST_USER_SET_BACKEND_REQ_FD, 0, 1, true},
	};
	const uint64_t accepted = packed | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_MTU) |
				  BIT(VIRTIO_NET_F_GUEST_CSUM) /* the back-end lacks it */;
	const struct expected beginning[] = {
		{VHOST_USER_SET_STATUS, 3, 0, true},
		{VHOST_USER_SET_FEATURES, (accepted & virtio_features) | bit_30, 0, true},
		{VHOST_USER_SET_STATUS, 11, 0, true},
		{VHOST_USER_GET_STATUS, 0, 0, false},
		{VHOST_USER_NET_SET_MTU, MTU, 0, true},
		{VHOST_USER_ADD_MEM_REG, 0, 1, true},
		{VHOST_USER_ADD_MEM_REG, 0, 1, true},
		{VHOST_USER_GET_INFLIGHT_FD, 0, 0, false},
		{VHOST_USER_SET_INFLIGHT_FD, 0, 1, true},
	};
	const struct expected ring[] = {
		{VHOST_USER_SET_VRING_NUM, STATE(3, SIZE), 0, true},
		{VHOST_USER_SET_VRING_ADDR, 0, 0, true},
		{VHOST_USER_SET_VRING_BASE, STATE(3, 0x80058005), 0, true},
		{VHOST_USER_SET_VRING_CALL, 3, 1, true},
		{VHOST_USER_SET_VRING_ERR, 3, 1, true},
		/* Or it starts disabled, and what is transmitted is thrown away. */
		{VHOST_USER_SET_VRING_ENABLE, STATE(3, 1), 0, true},
		{VHOST_USER_SET_VRING_KICK, 3, 1, true},
		{VHOST_USER_SET_STATUS, 15, 0, true},
	};
	static const struct expected stop[] = {
		{VHOST_USER_GET_VRING_BASE, STATE(3, 0), 0, false},
	};
	struct vhost_user_region region;
	struct vhost_user_vring_addr addr;
	struct ring_state state;
	unsigned int at;

	/* What else it may offer is not taken. */
	peer.script.protocol = UINT64_MAX;
	go_with_peer();
	ck_assert(dp->ops->carrier(dp));
	ck_assert_uint_eq(dp->ops->features(dp) & ~bit_30, virtio_features);
	ck_assert_uint_eq(dp->ops->max_queue_pairs(dp), PAIRS);
	expect(0, greeting, 2);
	ck_assert_uint_eq(seen(2).message.payload.u64, all_protocol);
	expect(3, greeting + 3, 4);

	accept_features(accepted);
	EXPECT(7, beginning);
	for (unsigned int i = 0; i < 2; i++) {
		struct vhost_user_message message = seen(12 + i).message;

		region = message.payload.single_region.region;
		ck_assert_uint_eq(message.size, 40);
		ck_assert_uint_eq(region.guest_address, mem.regions[i].range.base);
		ck_assert_uint_eq(region.size, mem.regions[i].range.size);
		ck_assert_uint_eq(region.user_address, (uintptr_t)mem.regions[i].host);
		ck_assert_uint_eq(region.mmap_offset, mem.regions[i].fd_offset);
	}
	ck_assert_uint_eq(seen(14).message.payload.inflight.num_queues, RINGS);
	ck_assert_uint_eq(seen(14).message.payload.inflight.queue_size, SIZE);
	ck_assert_uint_eq(seen(15).message.payload.inflight.mmap_size, 4096);

	start_ring(3, 0x8005);
	EXPECT(16, ring);
	wait_kicked(3);
	pthread_mutex_lock(&peer.lock);
	ck_assert(same_file(peer.memory_fd, mem.fd));
	ck_assert(same_file(peer.inflight_fd, peer.kept_fd));
	ck_assert(same_eventfd(peer.rings[3].kick, kick_fd[3]));
	addr = peer.rings[3].addr;
	pthread_mutex_unlock(&peer.lock);
	state = driver_ring_state(&rings[3]);
	ck_assert_uint_eq(addr.flags, 0);
	ck_assert_uint_eq(addr.log, 0);
	ck_assert_uint_eq(addr.descriptor, (uintptr_t)memory_translate(&mem, state.desc, 1));
	ck_assert_uint_eq(addr.available, (uintptr_t)memory_translate(&mem, state.driver, 1));
	ck_assert_uint_eq(addr.used, (uintptr_t)memory_translate(&mem, state.device, 1));

	at = n_seen();
	state = stop_ring(3);
	EXPECT(at, stop);
	ck_assert_uint_eq(state.next_avail, 0x8005);
	ck_assert_uint_eq(state.next_used, 0x8005);

	/* A driver that comes after this one. */
	at = n_seen();
	accept_features(split);
	expect(at, &(struct expected){VHOST_USER_RESET_DEVICE, 0, 0, true}, 1);
	expect(at + 1, &(struct expected){VHOST_USER_SET_STATUS, 0, 0, true}, 1);
	start_ring(0, 7);
	wait_served(1);
	assert_now(n_logs == 0);
	stop_rings(1);
}
END_TEST

START_TEST(test_plain_back_end)
{
	static const struct expected all[] = {
		{VHOST_USER_GET_FEATURES, 0, 0, false},
		{VHOST_USER_SET_OWNER, 0, 0, false},
		{VHOST_USER_SET_FEATURES, BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF), 0,
		 false},
		{VHOST_USER_SET_MEM_TABLE, 0, 2, false},
		{VHOST_USER_SET_VRING_NUM, STATE(0, SIZE), 0, false},
		{VHOST_USER_SET_VRING_ADDR, 0, 0, false},
		{VHOST_USER_SET_VRING_BASE, STATE(0, 0xfff0), 0, false},
		{VHOST_USER_SET_VRING_CALL, 0, 1, false},
		{VHOST_USER_SET_VRING_ERR, 0, 1, false},
		{VHOST_USER_SET_VRING_KICK, 0, 1, false},
	};
	struct vhost_user_memory memory;
	struct ring_state state;

	config.queue_pairs = 1;
	peer.script.features = virtio_features & ~BIT(VIRTIO_NET_F_MQ);
	peer.script.protocol = 0;
	go_with_peer();
	ck_assert_uint_eq(dp->ops->features(dp), peer.script.features);
	accept_features(split);
	start_ring(0, 0xfff0);
	EXPECT(0, all);
	memory = seen(3).message.payload.memory;
	ck_assert_uint_eq(seen(3).message.size, 8 + 2 * 32);
	ck_assert_uint_eq(memory.num_regions, 2);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_uint_eq(memory.regions[i].guest_address, mem.regions[i].range.base);
		ck_assert_uint_eq(memory.regions[i].size, mem.regions[i].range.size);
		ck_assert_uint_eq(memory.regions[i].user_address, (uintptr_t)mem.regions[i].host);
		ck_assert_uint_eq(memory.regions[i].mmap_offset, mem.regions[i].fd_offset);
	}
	ck_assert_int_eq(dp->ops->announce(dp, (const uint8_t[6]){2}), -EOPNOTSUPP);

	/* It can't disable a ring: the link goes down by stopping them. */
	make_available(0, 20);
	use(0, 0xfff0, 18);
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	peer_wait(&peer, rings_are(1, false, false));
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	wait_served(1);
	assert_now(peer.rings[0].base == 2);
	use(0, 2, 2);
	state = stop_ring(0);
	ck_assert_uint_eq(state.next_avail, 4);
	ck_assert_uint_eq(state.next_used, 4);
	assert_now(n_logs == 0);
}
END_TEST

/* Where a ring stands when it stops, by the answer to GET_VRING_BASE: index of the test. */
static const struct {
	uint64_t accepted;
	uint16_t start, used; /* so many chains of 10 were used */
	uint32_t answer;
	uint16_t stands;
	bool right;
} bases[] = {
	{split, 0xfffc, 5, 1, 1, true},
	{split, 0xfffc, 5, 3, 1, true}, /* two were taken and not returned */
	{split, 0xfffc, 5, 0, 1, false},
	{split, 0xfffc, 5, 1 + SIZE, 1, true},
	{split, 0xfffc, 5, 2 + SIZE, 1, false},
	{split, 0xfffc, 5, 0x10001, 1, false},
	{packed, 0x803c, 5, 0x0001, 0x0001, true}, /* the upper half is not said */
	{packed, 0x803c, 5, 0x00010001, 0x0001, true},
	{packed, 0x803c, 5, 0x00030001, 0x0001, false}, /* available comes before used */
	{packed, 0x803c, 5, 0x00010003, 0x0001, true},
	{packed, 0x803c, 5, 0x80010001, 0x8001, true},
	{packed, 0x803c, 5, 0x80010002, 0x0001, false},
	{packed, 0x803c, 5, 0x00400040, 0x0001, false},
	{packed, 0x803c, 5, 0x80408001, 0x0001, false},
};

START_TEST(test_base)
{
	struct ring_state state;

	go_with_peer();
	accept_features(bases[_i].accepted);
	start_ring(1, bases[_i].start);
	wait_kicked(1);
	make_available(1, 10);
	use(1, bases[_i].start, bases[_i].used);
	pthread_mutex_lock(&peer.lock);
	peer.script.wrong_request = VHOST_USER_GET_VRING_BASE;
	peer.script.how = WRONG_VALUE;
	peer.script.wrong_times = 1;
	peer.script.value = STATE(1ULL, bases[_i].answer);
	pthread_mutex_unlock(&peer.lock);
	state = stop_ring(1);
	ck_assert_uint_eq(state.next_used, bases[_i].stands);
	ck_assert_uint_eq(state.next_avail, bases[_i].stands);
	assert_now(n_logs == !bases[_i].right);
	if (!bases[_i].right) {
		assert_now(was_logged("it gives the base"));
		peer_wait(&peer, carrier && carrier_changes == 2);
	}
}
END_TEST

START_TEST(test_link_and_pairs)
{
	go_with_peer();
	accept_features(split | BIT(VIRTIO_NET_F_MQ));
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 1), 0);
	for (unsigned int i = 0; i < RINGS; i++)
		start_ring(i, 0);
	wait_served(2);
	peer_wait(&peer, peer.rings[3].running && !peer.rings[2].enabled && !peer.rings[3].enabled);
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 2), 0);
	wait_served(4);
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	peer_wait(&peer, rings_are(4, true, false));
	ck_assert_int_eq(dp->ops->set_queue_pairs(dp, 1), 0);
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	peer_wait(&peer, rings_are(2, true, true) && !peer.rings[2].enabled);
	stop_rings(RINGS);
	assert_now(carrier_changes == 0);
}
END_TEST

START_TEST(test_announce)
{
	static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};
	struct vhost_user_message message;

	go(0);
	ck_assert_int_eq(dp->ops->announce(dp, mac), -EOPNOTSUPP);
	peer_start(&peer);
	peer_wait(&peer, carrier);
	accept_features(split);
	/* It waits until there is somebody to be found. */
	ck_assert_int_eq(dp->ops->announce(dp, mac), 0);
	start_ring(0, 0);
	for (int i = 0; i < 2; i++) {
		peer_wait(&peer,
			  peer.seen[peer.n_seen - 1].message.request == VHOST_USER_SEND_RARP);
		assert_now(peer.rings[0].enabled);
		message = seen(n_seen() - 1).message;
		ck_assert_mem_eq(&message.payload, mac, 6);
		stop_ring(0);
		start_ring(0, 0);
		peer_wait(&peer, peer.rings[0].enabled);
		ck_assert_int_eq(dp->ops->announce(dp, mac), 0);
	}
	stop_ring(0);
}
END_TEST

START_TEST(test_interrupts)
{
	go_with_peer();
	accept_features(split);
	start_ring(0, 0);
	wait_served(1);
	pthread_mutex_lock(&peer.lock);
	fd_eventfd_signal(peer.rings[0].call);
	pthread_mutex_unlock(&peer.lock);
	wait_interrupted(0);
	stop_rings(1);

	/* One that comes with the end is not lost. */
	start_ring(0, 0);
	wait_served(1);
	pthread_mutex_lock(&peer.lock);
	fd_eventfd_signal(peer.rings[0].call);
	pthread_mutex_unlock(&peer.lock);
	stop_rings(1);
	ck_assert_uint_eq(fd_eventfd_drain(call_fd[0]), 1);

	/* Nobody looks at the interrupt status: they go straight. */
	ring_init(0, 0);
	ck_assert_int_eq(
		dp->ops->start_ring(dp, 0, &(struct ring_state){.size = 0},
				    &(struct datapath_wires){kick_fd[0], call_fd[0], NULL}),
		0);
	ck_assert_ptr_nonnull(broken);
	stop_rings(1);
	{
		struct ring_state state = driver_ring_state(&rings[0]);
		const struct datapath_wires wires = {kick_fd[0], call_fd[0], NULL};

		ck_assert_int_eq(dp->ops->start_ring(dp, 0, &state, &wires), 0);
	}
	wait_served(1);
	pthread_mutex_lock(&peer.lock);
	ck_assert(same_eventfd(peer.rings[0].call, call_fd[0]));
	pthread_mutex_unlock(&peer.lock);
	stop_rings(1);
}
END_TEST

/* A ring that is wrong is never given away, and the others are. */
START_TEST(test_broken_ring)
{
	struct ring_state state;

	go_with_peer();
	accept_features(split);
	ring_init(0, 0);
	state = driver_ring_state(&rings[0]);
	state.desc = gpa(0xffffffff0000);
	start_ring_from(0, &state);
	ck_assert_ptr_nonnull(broken);
	start_ring(1, 0);
	peer_wait(&peer, peer.rings[1].enabled);
	for (unsigned int i = 0; i < n_seen(); i++) {
		struct vhost_user_message message = seen(i).message;

		ck_assert(message.request != VHOST_USER_SET_VRING_ADDR ||
			  message.payload.addr.index == 1);
	}
	ck_assert_uint_eq(stop_ring(0).next_used, 0);
	stop_ring(1);
	assert_now(n_logs == 0);
}
END_TEST

/* --- back-ends that come and go --- */

/* All that happens from the first message on until two rings are served. */
enum {
	MESSAGES = 30,
};

/* The back-end dies at message _i, and the next one at none. */
START_TEST(test_death)
{
	unsigned int n;

	peer.script.die_at = (unsigned int)_i;
	peer.script.protocol = _i % 2 ? all_protocol : all_protocol & ~PROTOCOL(REPLY_ACK);
	go_with_peer();
	accept_features(_i % 3 ? split : packed);
	start_ring(0, _i % 3 ? 0xfffe : 0x803e);
	start_ring(1, _i % 3 ? 0 : 0x8000);
	make_available(0, 10);
	peer_wait(&peer, peer.connections == 2);
	wait_served(2);
	n = n_seen();
	ck_assert_uint_gt(n, (unsigned int)_i);
	assert_now(peer.connections == 2);
	assert_now(peer.rings[0].base == (_i % 3 ? 0xfffe : 0x803e803e));
	assert_now(same_file(peer.inflight_fd, peer.kept_fd));
	/* One message for all: it is gone. */
	assert_now(n_logs == 2);
	assert_now(was_logged("it has closed the connection"));
	assert_now(was_logged("it is there"));

	/* It dies while it serves. */
	use(0, rings[0].last_used, 4);
	atomic_store(&interrupt_status, 0);
	fd_eventfd_drain(call_fd[0]);
	pthread_mutex_lock(&peer.lock);
	shutdown(peer.fd, SHUT_RDWR);
	pthread_mutex_unlock(&peer.lock);
	peer_wait(&peer, peer.connections == 3);
	wait_served(2);
	wait_interrupted(0);
	assert_now(peer.rings[0].base == (_i % 3 ? 2 : 0x00020002));
	stop_ring(1);
	ck_assert_uint_eq(stop_ring(0).next_used, 2);
	assert_now(n_logs == 2);
}
END_TEST

START_TEST(test_death_at_stop)
{
	struct ring_state state;

	go_with_peer();
	accept_features(split);
	start_ring(0, 100);
	start_ring(1, 0);
	wait_served(2);
	make_available(0, 10);
	use(0, 100, 3);
	pthread_mutex_lock(&peer.lock);
	peer.script.die_at = peer.n_seen + 1;
	pthread_mutex_unlock(&peer.lock);
	state = stop_ring(0);
	ck_assert_uint_eq(state.next_used, 103);
	ck_assert_uint_eq(state.next_avail, 103);
	peer_wait(&peer, peer.connections == 2 && carrier_changes == 2 && peer.rings[1].enabled);
	assert_now(!peer.rings[0].running);
	start_ring_from(0, &state);
	wait_served(2);
	assert_now(peer.rings[0].base == 103);
	stop_rings(2);
}
END_TEST

START_TEST(test_late_back_end)
{
	struct ring_state state;

	go(0);
	ck_assert(!dp->ops->carrier(dp));
	ck_assert_uint_eq(dp->ops->features(dp), net_features_common);
	accept_features(split);
	start_ring(0, 5);
	start_ring(1, 0);
	make_available(0, 3);
	/* Rings stop and start as ever. */
	state = stop_ring(0);
	ck_assert_uint_eq(state.next_avail, 5);
	start_ring_from(0, &state);
	ck_assert_int_eq(dp->ops->set_link(dp, false), 0);
	ck_assert_int_eq(dp->ops->set_link(dp, true), 0);
	peer_start(&peer);
	wait_served(2);
	assert_now(peer.rings[0].base == 5);
	wait_kicked(0);

	/* It goes away for good: the state is in the ring. */
	use(0, 5, 1);
	peer_stop(&peer);
	peer_wait(&peer, !carrier);
	use(0, 6, 1);
	state = stop_ring(0);
	ck_assert_uint_eq(state.next_used, 7);
	ck_assert_uint_eq(state.next_avail, 7);
	stop_ring(1);
	assert_now(n_logs == 1);
}
END_TEST

START_TEST(test_inflight)
{
	unsigned int at;

	peer.script.no_inflight = _i;
	go_with_peer();
	accept_features(split);
	start_ring(0, 0);
	wait_served(1);
	assert_now((peer.inflight_fd < 0) == _i);
	at = n_seen();
	pthread_mutex_lock(&peer.lock);
	shutdown(peer.fd, SHUT_RDWR);
	pthread_mutex_unlock(&peer.lock);
	peer_wait(&peer, peer.connections == 2);
	wait_served(1);
	/* It is the same, and was not asked for again; unless there was none. */
	assert_now((peer.inflight_fd < 0) == _i);
	for (; at < n_seen() && !_i; at++)
		ck_assert_uint_ne(seen(at).message.request, VHOST_USER_GET_INFLIGHT_FD);
	stop_ring(0);
	at = n_seen();
	accept_features(split);
	start_ring(0, 0);
	wait_served(1);
	while (seen(at).message.request != VHOST_USER_GET_INFLIGHT_FD)
		at++;
	stop_ring(0);
}
END_TEST

/* --- the server's role --- */

START_TEST(test_server)
{
	struct vhost_user_config second = config;
	struct sockaddr_un address = peer_address(path);
	struct datapath *other;
	int left, fd;
	char end;

	/* A socket that a dead process has left there. */
	left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(left, (struct sockaddr *)&address, sizeof(address)), 0);
	close(left);
	config.server = second.server = true;
	peer.client = true;
	go_with_peer();
	ck_assert(dp->ops->carrier(dp));
	ck_assert_uint_eq(dp->ops->features(dp) & ~bit_30, virtio_features);
	accept_features(split);
	start_ring(0, 0);
	wait_served(1);

	ck_assert_int_eq(vhost_user_create(&second, &other, &error), -EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(error.text, "another process listens there"));
	for (int i = 0; i < 2; i++) {
		fd = peer_connect(path);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(read(fd, &end, 1), 0);
		close(fd);
	}
	peer_wait(&peer, was_logged("a second one is turned away"));
	assert_now(n_logs == 1);

	pthread_mutex_lock(&peer.lock);
	shutdown(peer.fd, SHUT_RDWR);
	pthread_mutex_unlock(&peer.lock);
	peer_wait(&peer, peer.connections == 2);
	wait_served(1);
	stop_ring(0);
	loop_stop(loop);
	pthread_join(loop_thread, NULL);
	loop_runs = false;
	dp->ops->destroy(dp);
	dp = NULL;
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(test_errors)
{
	static const struct memory_range range = {0, 0x100000};
	static const struct memory_config private_memory;
	struct guest_memory other;
	char longer[200];
	int fd;

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	config.path = longer;
	ck_assert_int_eq(try_create(0), -EINVAL);
	ck_assert(error.usage);
	config.path = "";
	ck_assert_int_eq(try_create(0), -EINVAL);
	config.path = path;
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(fd);
	config.server = true;
	ck_assert_int_eq(try_create(0), -ENOTSOCK);
	config.server = false;
	ck_assert_int_eq(try_create(0), -ENOTSOCK);
	unlink(path);
	ck_assert_int_eq(memory_create(&other, &range, 1, &private_memory, NULL), 0);
	config.mem = &other;
	ck_assert_int_eq(try_create(0), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "shared=on"));
	memory_destroy(&other);
	assert_now(n_logs == 0);
}
END_TEST

static const char *const complaints[WRONGS] = {
	[WRONG_REQUEST] = "it answers SEND_RARP (19) where it has to answer",
	[WRONG_NO_REPLY_FLAG] = "has the flags 0x1, not 0x5",
	[WRONG_NEED_REPLY_FLAG] = "has the flags 0xd, not 0x5",
	[WRONG_VERSION] = "has the flags 0x6, not 0x5",
	[WRONG_SHORT] = " bytes instead of ",
	[WRONG_LONG] = " bytes instead of ",
	[WRONG_HUGE] = "has 4294967280 bytes instead of",
	[WRONG_FD] = "descriptors instead of",
	[WRONG_FDS] = "descriptors instead of",
	[WRONG_TWICE] = "it ", /* what it is depends on what comes next */
	[WRONG_HALF] = "in the middle of a message",
	[WRONG_VALUE] = "it refuses",
	[WRONG_LATE] = "",
	[WRONG_SILENCE] = "it has not ",
	[WRONG_CLOSE] = "it has closed the connection",
};

/* One has to be there. */
START_TEST(test_required)
{
	struct sockaddr_un address = peer_address(path);
	int left;

	config.required = true;
	ck_assert_int_eq(try_create(SHORT_MS), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, path));
	ck_assert_ptr_nonnull(strstr(error.text, "try: start the back-end"));
	left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(left, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(try_create(SHORT_MS), -ECONNREFUSED);
	ck_assert_int_eq(listen(left, 4), 0);
	ck_assert_int_eq(try_create(SHORT_MS), -ENOTCONN);
	ck_assert_msg(strstr(error.text, "doesn't answer within") != NULL, "%s", error.text);
	close(left);
	config.server = true;
	ck_assert_int_eq(try_create(SHORT_MS), -ENOTCONN);
	ck_assert_msg(strstr(error.text, "has connected") != NULL, "%s", error.text);
	config.server = false;
	assert_now(n_logs == 0);

	peer.script.wrong_request = VHOST_USER_GET_FEATURES;
	peer.script.how = WRONG_SHORT;
	peer.script.wrong_times = 1;
	peer_start(&peer);
	ck_assert_int_eq(try_create(PEER_PATIENCE_S * 1000), -EPROTO);
	ck_assert_msg(strstr(error.text, complaints[WRONG_SHORT]) != NULL, "%s", error.text);
	go(PEER_PATIENCE_S * 1000);
	ck_assert(dp->ops->carrier(dp));
	/* It may go, and comes back. */
	pthread_mutex_lock(&peer.lock);
	shutdown(peer.fd, SHUT_RDWR);
	pthread_mutex_unlock(&peer.lock);
	peer_wait(&peer, peer.connections == 3 && carrier_changes == 2);
}
END_TEST

/* A back-end that is there, and can't serve a device at all. */
START_TEST(test_useless)
{
	static const char *const why[] = {"version_1", "memory slots", "pairs of queues",
					  "pairs of queues"};

	if (_i == 0)
		peer.script.features &= ~BIT(VIRTIO_F_VERSION_1);
	else if (_i == 1)
		peer.script.mem_slots = 1;
	else if (_i == 2)
		peer.script.queue_num = 1;
	else
		peer.script.protocol &= ~PROTOCOL(MQ);
	peer_start(&peer);
	ck_assert_int_eq(try_create(PEER_PATIENCE_S * 1000), -EOPNOTSUPP);
	ck_assert_msg(strstr(error.text, why[_i]) != NULL, "%s", error.text);
	assert_now(n_logs == 0);
}
END_TEST

/* One that comes later, and lacks what the driver uses: the next one may have it. */
START_TEST(test_useless_later)
{
	static const char *const why[] = {"it lacks packed, which the guest's driver uses",
					  "pairs of queues",
					  "does not accept the driver's features"};
	const struct peer_script good = peer.script;

	if (_i == 0)
		peer.script.features &= ~BIT(VIRTIO_F_RING_PACKED);
	else if (_i == 1)
		peer.script.queue_num = 1;
	else
		peer.script.status = VIRTIO_CONFIG_S_FEATURES_OK;
	go(0);
	accept_features(packed | BIT(VIRTIO_NET_F_MQ));
	start_ring(0, 0x8000);
	peer_start(&peer);
	peer_wait(&peer, was_logged(why[_i]));
	assert_now(carrier_changes == 0);
	peer_wait(&peer, peer.connections >= 3);
	pthread_mutex_lock(&peer.lock);
	ck_assert_uint_eq(n_logs, 1);
	peer.script = good;
	pthread_mutex_unlock(&peer.lock);
	wait_served(1);
	stop_ring(0);
}
END_TEST

/* --- back-ends that do wrong --- */

/* Of these one with an answer of its own, and one with an acknowledgement, at each stage. */
static const uint32_t answered[] = {
	VHOST_USER_GET_FEATURES, VHOST_USER_SET_OWNER,	     VHOST_USER_GET_QUEUE_NUM,
	VHOST_USER_SET_FEATURES, VHOST_USER_GET_INFLIGHT_FD, VHOST_USER_SET_VRING_KICK,
};

enum {
	ANSWERED = sizeof(answered) / sizeof(answered[0]),
};

START_TEST(test_wrong)
{
	uint32_t request = answered[_i % ANSWERED];
	enum peer_wrong how = (enum peer_wrong)(_i / ANSWERED);

	/* Other values of these are right. */
	if (how == WRONG_NOTHING || how == WRONG_LATE ||
	    (how == WRONG_VALUE && _i % ANSWERED % 2 == 0))
		return;
	config.reply_ms = how == WRONG_SILENCE ? SHORT_MS : 0;
	peer.script.wrong_request = request;
	peer.script.how = how;
	peer.script.wrong_times = 1;
	peer.script.value = 1;
	peer_start(&peer);
	go(PEER_PATIENCE_S * 1000);
	accept_features(split);
	start_ring(0, 0);
	start_ring(1, 0);
	peer_wait(&peer, was_logged(complaints[how]) && peer.connections >= 2);
	wait_served(2);
	make_available(0, 2);
	use(0, 0, 1);
	ck_assert_uint_eq(stop_ring(0).next_used, 1);
	stop_ring(1);
	assert_now(n_logs == 2 || how == WRONG_SILENCE);
}
END_TEST

/* For all rings together. What was not given back is found in the ring. */
START_TEST(test_late_at_stop)
{
	config.reply_ms = SHORT_MS;
	go_with_peer();
	accept_features(split | BIT(VIRTIO_NET_F_MQ));
	for (unsigned int i = 0; i < RINGS; i++)
		start_ring(i, 0);
	wait_served(RINGS);
	pthread_mutex_lock(&peer.lock);
	peer.script.wrong_request = VHOST_USER_GET_VRING_BASE;
	peer.script.how = WRONG_LATE;
	peer.script.wrong_times = RINGS;
	peer.script.value = 2 * SHORT_MS / 3;
	pthread_mutex_unlock(&peer.lock);
	make_available(RINGS - 1, 3);
	use(RINGS - 1, 0, 2);
	for (unsigned int i = 0; i < RINGS - 1; i++)
		stop_ring(i);
	ck_assert_uint_eq(stop_ring(RINGS - 1).next_used, 2);
	peer_wait(&peer, was_logged("it has not stopped its rings within 300 ms"));
	/* Asked no more than twice. */
	assert_now(peer.script.wrong_times >= RINGS - 2);
}
END_TEST

/* The guest's thread waits for that answer: not for ever. */
START_TEST(test_wrong_at_stop)
{
	enum peer_wrong how = (enum peer_wrong)_i;
	struct ring_state state;

	if (how == WRONG_NOTHING || how == WRONG_LATE)
		return;
	config.reply_ms = how == WRONG_SILENCE ? SHORT_MS : 0;
	go_with_peer();
	accept_features(split);
	start_ring(0, 10);
	start_ring(1, 0);
	wait_served(2);
	make_available(0, 3);
	use(0, 10, 2);
	pthread_mutex_lock(&peer.lock);
	peer.script.wrong_request = VHOST_USER_GET_VRING_BASE;
	peer.script.how = how;
	peer.script.wrong_times = 1;
	peer.script.value = STATE(1ULL, 12); /* another ring's */
	pthread_mutex_unlock(&peer.lock);
	state = stop_ring(0);
	ck_assert_uint_eq(state.next_used, 12);
	ck_assert_uint_eq(state.next_avail, 12);
	peer_wait(&peer, was_logged(how == WRONG_VALUE ? "the base of ring 1 instead of 0"
						       : complaints[how]));
	peer_wait(&peer, peer.connections >= 2 && peer.rings[1].enabled && carrier);
	stop_ring(1);
}
END_TEST

/* The inflight region is not what it should be. */
START_TEST(test_wrong_inflight)
{
	peer.script.wrong_request = VHOST_USER_GET_INFLIGHT_FD;
	peer.script.how = WRONG_VALUE;
	peer.script.wrong_times = 1;
	peer.script.value = _i ? 4097 : 0;
	go_with_peer();
	accept_features(split);
	start_ring(0, 0);
	peer_wait(&peer, was_logged("is not in its file"));
	wait_served(1);
	stop_ring(0);
}
END_TEST

START_TEST(test_unasked)
{
	const struct vhost_user_message message = {
		.request = VHOST_USER_GET_FEATURES,
		.flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
		.size = 8,
	};

	go_with_peer();
	accept_features(split);
	start_ring(0, 0);
	start_ring(1, 0);
	wait_served(2);
	stop_ring(1); /* now it owes no answer */
	pthread_mutex_lock(&peer.lock);
	peer_send(peer.fd, &message, _i ? 20 : 12, _i ? &peer.stop_fd : NULL, _i ? 1 : 0);
	pthread_mutex_unlock(&peer.lock);
	peer_wait(&peer, was_logged("it sends a message (1) that answers nothing"));
	wait_served(1);
	stop_ring(0);
}
END_TEST

START_TEST(test_ring_error)
{
	go_with_peer();
	accept_features(split);
	start_ring(0, 0);
	wait_served(1);
	pthread_mutex_lock(&peer.lock);
	fd_eventfd_signal(peer.rings[0].err);
	pthread_mutex_unlock(&peer.lock);
	peer_wait(&peer, was_logged("it reports an error of ring 0") && peer.connections == 2);
	wait_served(1);
	stop_ring(0);
	ck_assert_ptr_null(broken);
}
END_TEST

/* A back-end that does wrong each time is let in ever more rarely, and told of once. */
START_TEST(test_wrong_again)
{
	peer.script.wrong_request = VHOST_USER_SET_OWNER;
	peer.script.how = WRONG_VALUE;
	peer.script.wrong_times = 4;
	peer.script.value = 1;
	config.server = _i;
	peer.client = _i;
	go_with_peer();
	wait_served(0);
	assert_now(peer.connections == 5);
	assert_now(n_logs == 2);
}
END_TEST

/* --- the back-end's requests --- */

static const struct {
	uint32_t request, flags, size;
	unsigned int n_fds;
	bool right;
} requests[] = {
	{VHOST_USER_BACKEND_IOTLB_MSG, 9, 32, 0, true},
	{VHOST_USER_BACKEND_IOTLB_MSG, 9, 26, 0, true},
	{VHOST_USER_BACKEND_IOTLB_MSG, 9, 16, 0, false},
	{VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 9, 0, 0, true},
	{VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 9, 8, 0, false},
	{VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG, 9, 24, 0, true},
	{VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG, 9, 24, 1, false},
	{77, 9, 100, 0, true},
	{77, 9, 1000, 0, false},
	{77, 5, 0, 0, false},
	{77, 10, 0, 0, false},
};

START_TEST(test_requests)
{
	struct {
		struct vhost_user_message message;
		char more[1024];
	} request = {.message = {
			     .request = requests[_i].request,
			     .flags = requests[_i].flags,
			     .size = requests[_i].size,
		     }};
	struct vhost_user_message reply;
	int fd;

	go_with_peer();
	accept_features(split);
	start_ring(0, 0);
	wait_served(1);
	pthread_mutex_lock(&peer.lock);
	fd = fcntl(peer.request_fd, F_DUPFD_CLOEXEC, 0);
	fcntl(fd, F_SETFL, 0);
	peer_send(fd, &request, VHOST_USER_HEADER_SIZE + request.message.size, &peer.stop_fd,
		  requests[_i].n_fds);
	pthread_mutex_unlock(&peer.lock);
	if (requests[_i].right) {
		ck_assert_int_eq(read(fd, &reply, sizeof(reply)), 20);
		ck_assert_uint_eq(reply.request, requests[_i].request);
		ck_assert_uint_eq(reply.flags, 5);
		ck_assert_uint_eq(reply.payload.u64, 1);
		/* One that wants no reply gets none. */
		request.message.flags = 1;
		peer_send(fd, &request, VHOST_USER_HEADER_SIZE + request.message.size, NULL, 0);
		request.message.flags = 9;
		request.message.request = 66;
		request.message.size = 0;
		peer_send(fd, &request, VHOST_USER_HEADER_SIZE, NULL, 0);
		ck_assert_int_eq(read(fd, &reply, sizeof(reply)), 20);
		ck_assert_uint_eq(reply.request, 66);
	} else {
		ck_assert_int_le(read(fd, &reply, sizeof(reply)), 0);
		peer_wait(&peer, was_logged("its request") || was_logged("descriptors"));
		peer_wait(&peer, peer.connections == 2);
		wait_served(1);
	}
	close(fd);
	stop_ring(0);
}
END_TEST

static Suite *suite(void)
{
	Suite *result = suite_create("vhost_user");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_every_message);
	tcase_add_test(tcase, test_plain_back_end);
	tcase_add_loop_test(tcase, test_base, 0, sizeof(bases) / sizeof(bases[0]));
	tcase_add_test(tcase, test_link_and_pairs);
	tcase_add_test(tcase, test_announce);
	tcase_add_test(tcase, test_interrupts);
	tcase_add_test(tcase, test_broken_ring);
	tcase_add_loop_test(tcase, test_death, 1, MESSAGES + 1);
	tcase_add_test(tcase, test_death_at_stop);
	tcase_add_test(tcase, test_late_back_end);
	tcase_add_loop_test(tcase, test_inflight, 0, 2);
	tcase_add_test(tcase, test_server);
	tcase_add_test(tcase, test_errors);
	tcase_add_test(tcase, test_required);
	tcase_add_loop_test(tcase, test_useless, 0, 4);
	tcase_add_loop_test(tcase, test_useless_later, 0, 3);
	tcase_add_loop_test(tcase, test_wrong, 0, ANSWERED * WRONGS);
	tcase_add_test(tcase, test_late_at_stop);
	tcase_add_loop_test(tcase, test_wrong_at_stop, 0, WRONGS);
	tcase_add_loop_test(tcase, test_wrong_inflight, 0, 2);
	tcase_add_loop_test(tcase, test_unasked, 0, 2);
	tcase_add_test(tcase, test_ring_error);
	tcase_add_loop_test(tcase, test_wrong_again, 0, 2);
	tcase_add_loop_test(tcase, test_requests, 0, sizeof(requests) / sizeof(requests[0]));
	suite_add_tcase(result, tcase);
	return result;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
