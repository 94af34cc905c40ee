/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver and a device on two threads that kick and interrupt each other by eventfds, and only
 * where they were asked to. A barrier too few shows as a wrong byte, or as a wake-up that never
 * comes: then the test says where both stand.
 *
 * Takes a few seconds; XVMM_STRESS_SECONDS=N in the environment makes it N.
 */
#include "virtio/ring.h"

#include <check.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/driver.h"
#include "vmm/core/fd.h"

#define PACKED	  (1ULL << VIRTIO_F_RING_PACKED)
#define EVENT_IDX (1ULL << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT  (1ULL << VIRTIO_RING_F_INDIRECT_DESC)

enum {
	RING_AT = 0x1000,
	TABLES_AT = 0x10000, /* one a chain, at its number modulo the ring's size */
	DATA_AT = 0x20000,
	DATA_STEP = 128,
	SIZE_MAX_TESTED = 256,
	MEMORY = DATA_AT + SIZE_MAX_TESTED * DATA_STEP,
	PIECES = 3,
	CHAINS_MIN = 2000, /* of each kind of ring, however slow the machine is */
	SPIN_BITS = 16,	   /* about 200 us: longer than a wake-up takes */
	LOST_MS = 20000,   /* a wake-up that takes longer won't come */
	DEFAULT_MS = 3000,
};

/* The rings begin shortly before their indices wrap. */
static const struct kind {
	uint64_t features;
	uint16_t size;
	uint16_t start;
} kinds[] = {
	{0, 1, 65500},
	{0, 2, 65500},
	{0, 8, 65500},
	{0, 256, 65500},
	{EVENT_IDX, 1, 65500},
	{EVENT_IDX, 2, 65500},
	{EVENT_IDX, 8, 65500},
	{EVENT_IDX, 256, 65500},
	{PACKED, 1, 0x8000},
	{PACKED, 3, 2},
	{PACKED, 7, 0x8006},
	{PACKED, 255, 254},
	{PACKED | EVENT_IDX, 1, 0x8000},
	{PACKED | EVENT_IDX, 3, 2},
	{PACKED | EVENT_IDX, 7, 0x8006},
	{PACKED | EVENT_IDX, 255, 254},
};
enum {
	KINDS = sizeof(kinds) / sizeof(kinds[0])
};

/* What a thread alone touches, but for reports. */
struct end {
	const char *name;
	uint64_t seed;
	uint64_t count; /* chains that it has done with */
	uint64_t sleeps;
	uint64_t calls; /* of the other thread */
};

static struct guest_memory mem;
static const struct kind *kind;
static struct driver_ring driver;
static struct ring ring;
static struct end driving, serving;
static int kick_fd, call_fd;
static _Atomic bool finished;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static unsigned int dice(struct end *end, unsigned int n)
{
	end->seed = end->seed * 6364136223846793005 + 1442695040888963407;
	return (unsigned int)(end->seed >> 33) % n;
}

/* How often to look before sleeping: of all orders of magnitude, so that the two often meet. */
static unsigned int spins(struct end *end)
{
	return dice(end, 1u << dice(end, SPIN_BITS));
}

/* Neither thread can go on, so what the other one does is still. */
_Noreturn static void report(const struct end *end, const char *what)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const uint8_t *areas[] = {ring.driver, ring.device};

	pthread_mutex_lock(&lock); /* for good: one report is enough */
	fprintf(stderr, "%s: %s. %s ring of %u%s\n", end->name, what,
		kind->features & PACKED ? "packed" : "split", kind->size,
		kind->features & EVENT_IDX ? ", event idx" : "");
	fprintf(stderr, "driver: added %llu, exposed up to 0x%x, used up to 0x%x, %llu sleeps\n",
		(unsigned long long)driving.count, driver.exposed, driver.last_used,
		(unsigned long long)driving.sleeps);
	fprintf(stderr, "device: used %llu, next_avail 0x%x, next_used 0x%x, %llu sleeps%s%s\n",
		(unsigned long long)serving.count, ring.state.next_avail, ring.state.next_used,
		(unsigned long long)serving.sleeps, ring.broken ? ": " : "",
		ring.broken ? ring.broken : "");
	for (int i = 0; i < 2; i++) {
		fprintf(stderr, "%s area:", i ? "device" : "driver");
		for (int k = 0; k < 4; k++)
			fprintf(stderr, " %02x", areas[i][k]);
		if (!driver.packed)
			fprintf(stderr, ", event 0x%x",
				i ? (unsigned int)driver.used->ring[driver.size].id & 0xffff
				  : driver.avail->ring[driver.size]);
		fprintf(stderr, "\n");
	}
	abort();
}

static void require(const struct end *end, bool condition, const char *what)
{
	if (!condition)
		report(end, what);
}

static void sleep_on(struct end *end, int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	end->sleeps++;
	require(end, poll(&wait, 1, LOST_MS) == 1, "a wake-up was lost");
	fd_eventfd_drain(fd);
}

static void wake(struct end *end, int fd)
{
	end->calls++;
	fd_eventfd_signal(fd);
}

static void fill(void *at, size_t len, uint64_t number, unsigned int who)
{
	memset(at, (int)((number * 7 + who) & 0xff), len);
}

static bool is_filled(const void *at, size_t len, uint64_t number, unsigned int who)
{
	const uint8_t *byte = at;

	for (size_t i = 0; i < len; i++) {
		if (byte[i] != ((number * 7 + who) & 0xff))
			return false;
	}
	return true;
}

/* --- the device: chain n is the n-th that it takes --- */

static void serve_chain(const struct ring_chain *chain, const struct iovec *iov)
{
	uint32_t written = 0;

	for (unsigned int i = 0; i < chain->n_out; i++)
		require(&serving, is_filled(iov[i].iov_base, iov[i].iov_len, serving.count, i),
			"not what the driver wrote");
	for (unsigned int i = chain->n_out; i < chain->n_out + chain->n_in; i++) {
		fill(iov[i].iov_base, iov[i].iov_len, serving.count, 100 + i);
		written += (uint32_t)iov[i].iov_len;
	}
	ring_push(&ring, chain, written);
	serving.count++;
}

static void publish(void)
{
	if (ring_publish(&ring))
		wake(&serving, call_fd);
}

/* Serve until there is nothing more, and look again for a while. */
static void serve_all(void)
{
	unsigned int batch = dice(&serving, 4) ? 1 : dice(&serving, 64) + 1;
	unsigned int spin = spins(&serving);

	for (unsigned int idle = 0; idle <= spin;) {
		struct ring_chain chain;
		struct iovec iov[PIECES];
		int ret = ring_pop(&ring, &chain, iov, PIECES);

		require(&serving, ret >= 0, "the ring broke");
		if (!ret) {
			publish();
			idle++;
			continue;
		}
		idle = 0;
		if (!dice(&serving, 64)) {
			ring_rewind(&ring, chain.position);
			continue;
		}
		spin = spins(&serving);
		serve_chain(&chain, iov);
		if (ring.pushed >= batch)
			publish();
	}
}

/* Another datapath goes on. */
static void hand_over(void)
{
	struct ring_state state = ring.state;

	ring_start(&ring, &mem, &state, kind->features | INDIRECT);
}

static void *serve(void *opaque)
{
	(void)opaque;
	ring_disable_kicks(&ring);
	while (!finished) {
		serve_all();
		if (!dice(&serving, 100))
			hand_over();
		if (!ring_enable_kicks(&ring))
			sleep_on(&serving, kick_fd);
		ring_disable_kicks(&ring);
	}
	return NULL;
}

/* --- the driver --- */

static unsigned int make_pieces(uint64_t number, struct driver_piece *pieces)
{
	unsigned int most = kind->size < PIECES ? kind->size : PIECES;
	unsigned int n = dice(&driving, most) + 1;
	unsigned int n_out = dice(&driving, n + 1);
	uint64_t at = DATA_AT + number % kind->size * DATA_STEP;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = dice(&driving, DATA_STEP / PIECES) + 1;

		pieces[i] = (struct driver_piece){at, len, i >= n_out};
		if (i < n_out)
			fill(memory_translate(&mem, gpa(at), len), len, number, i);
		at += len;
	}
	return n;
}

/* What the driver knows of the chains that are under way, by number modulo the size. */
static struct {
	struct driver_piece pieces[PIECES];
	unsigned int n;
	int id;
} sent[SIZE_MAX_TESTED];

/* False if there is no room. */
static bool add_chain(uint64_t back)
{
	uint64_t number = driving.count;
	struct driver_piece *pieces = sent[number % kind->size].pieces;
	gpa_t table = gpa(TABLES_AT + number % kind->size * PIECES * 16);
	unsigned int n;
	int id;

	if (number - back == kind->size || !driver.n_free)
		return false;
	n = make_pieces(number, pieces);
	if (dice(&driving, 2) && n <= driver.n_free)
		id = driver_add_chain(&driver, pieces, n);
	else
		id = driver_add_indirect(&driver, pieces, n,
					 memory_translate(&mem, table, (uint64_t)PIECES * 16),
					 table);
	sent[number % kind->size].n = n;
	sent[number % kind->size].id = id;
	driving.count++;
	return true;
}

static void expose(void)
{
	if (driver_expose(&driver))
		wake(&driving, kick_fd);
}

static bool take_back(uint64_t *back)
{
	uint32_t id, len, expected = 0;

	if (!driver_used(&driver, &id, &len))
		return false;
	require(&driving, *back < driving.count && id == (uint32_t)sent[*back % kind->size].id,
		"another chain was due");
	for (unsigned int i = 0; i < sent[*back % kind->size].n; i++) {
		const struct driver_piece *piece = &sent[*back % kind->size].pieces[i];

		if (!piece->in)
			continue;
		expected += piece->len;
		require(&driving,
			is_filled(memory_translate(&mem, gpa(piece->addr), piece->len), piece->len,
				  *back, 100 + i),
			"not what the device wrote");
	}
	require(&driving, len == expected, "another length was due");
	++*back;
	return true;
}

/* Take back what comes, and look again for a while. */
static void take_back_all(uint64_t *back)
{
	unsigned int spin = spins(&driving);
	uint64_t before = *back;

	for (unsigned int idle = 0; idle <= spin; idle++) {
		while (take_back(back))
			idle = 0;
		if (*back != before && dice(&driving, 2))
			return;
	}
}

static void drive(uint64_t ms)
{
	uint64_t end = now_ms() + ms;
	uint64_t back = 0;
	bool ending = false;

	driver_disable_interrupts(&driver);
	while (!ending || back < driving.count) {
		unsigned int batch = dice(&driving, 4) ? 1 : dice(&driving, 64) + 1;
		unsigned int added = 0;

		while (!ending && add_chain(back)) {
			if (++added % batch == 0)
				expose();
			if (!dice(&driving, 16))
				break;
		}
		if (added % batch)
			expose();
		take_back_all(&back);
		/* Nothing is done before something comes back, which is the harder case. */
		if (back < driving.count && !driver_enable_interrupts(&driver))
			sleep_on(&driving, call_fd);
		driver_disable_interrupts(&driver);
		ending = ending || (driving.count >= CHAINS_MIN && now_ms() >= end);
	}
}

static uint64_t stress_ms(void)
{
	const char *seconds = getenv("XVMM_STRESS_SECONDS");

	return seconds ? strtoull(seconds, NULL, 10) * 1000 : DEFAULT_MS;
}

START_TEST(stress)
{
	static const struct memory_range range = {0, MEMORY};
	static const struct memory_config config;
	struct ring_state state;
	pthread_t thread;

	kind = &kinds[_i];
	driving = (struct end){.name = "driver", .seed = (uint64_t)_i};
	serving = (struct end){.name = "device", .seed = 99};
	finished = false;
	kick_fd = fd_eventfd();
	call_fd = fd_eventfd();
	ck_assert_int_eq(memory_create(&mem, &range, 1, &config, NULL), 0);
	if (kind->features & PACKED)
		driver_packed_init(&driver, &mem, gpa(RING_AT), kind->size,
				   kind->features & EVENT_IDX, kind->start);
	else
		driver_ring_init(&driver, &mem, gpa(RING_AT), kind->size,
				 kind->features & EVENT_IDX, kind->start);
	state = driver_ring_state(&driver);
	ck_assert_int_eq(ring_start(&ring, &mem, &state, kind->features | INDIRECT), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	drive(stress_ms() / KINDS);
	finished = true;
	fd_eventfd_signal(kick_fd);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(serving.count, driving.count);
	if (getenv("XVMM_STRESS_SECONDS"))
		printf("%s of %u%s: %llu chains, %llu kicks, %llu interrupts, sleeps: %llu and "
		       "%llu\n",
		       kind->features & PACKED ? "packed" : "split", kind->size,
		       kind->features & EVENT_IDX ? ", event idx" : "",
		       (unsigned long long)driving.count, (unsigned long long)driving.calls,
		       (unsigned long long)serving.calls, (unsigned long long)driving.sleeps,
		       (unsigned long long)serving.sleeps);
	memory_destroy(&mem);
	close(kick_fd);
	close(call_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_threads");
	TCase *tc = tcase_create("stress");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, (double)stress_ms() / 1000 + 120);
	tcase_add_loop_test(tc, stress, 0, KINDS);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
