/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays the tricks. Each is a case, and once more one: with a reset of the device in the middle of
 * it. Parameters: those of virtio_find() and virtio_connect(), and
 *	packed=on	packed rings instead of split ones
 *	topic=NAME	only descriptors, rings, device, or registers
 *	case=N		only this one of them
 *	rings=elsewhere	not xvmm, but a back-end (vhost-net, vhost-user) has the first device's
 *			rings: what it makes of a trick is its own, what comes after is judged
 * Both devices need a peer that sends frames back: echo_peer, or a back-end that does.
 */
#include "hostile/hostile.h"

#include "lib/guest.h"
#include "lib/smp.h"
#include "lib/string.h"

enum {
	BUFFERS = 8,
	ANYTHING_MS = 2, /* for what a device may do */
	TRIES = 3,	 /* frames may be lost to what earlier ones left on their way */
};

/* By topics, so that no run takes long. */
static const struct {
	const char *topic;
	const struct trick_group *group;
} groups[] = {
	{"descriptors", &descriptors_tricks},
	{"descriptors", &areas_tricks},
	{"rings", &rings_split_tricks},
	{"rings", &rings_packed_tricks},
	{"rings", &scribble_tricks},
	{"rings", &net_tx_tricks},
	{"rings", &net_rx_tricks},
	{"rings", &large_tricks},
	{"device", &control_tricks},
	{"device", &features_tricks},
	{"device", &queues_tricks},
	{"registers", &registers_mmio_tricks},
	{"registers", &registers_pci_tricks},
	{"registers", &config_pci_tricks},
	{"registers", &msix_tricks},
};

/* enum place, behind what is there. */
static const char *const places[] = {
	" beyond memory",
	" at the last byte of memory",
	" right behind memory",
	" in the hole below 4 GiB",
	" in the device's registers",
	" in another device's registers",
	" in the interrupt controller",
	" in the CPU's interrupt controller",
	" in the high half",
	" that wraps around",
};
_Static_assert(sizeof(places) / sizeof(places[0]) == N_PLACES, "enum place");

static const char *const no_problem;

/* What is played now. */
static const struct trick *trick;
static enum place place;
static bool reset_in_the_middle;
static bool elsewhere; /* the parameter "rings" */

/* --- what must be true after each trick --- */

static const char *play(void)
{
	enum outcome outcome = elsewhere ? ANYTHING : trick->outcome;
	uint32_t seen;

	if (!(trick->only & BARE)) {
		start(trick->features);
		if (!(trick->only & NO_BUFFERS))
			give_buffers(BUFFERS, BUFFER_SIZE);
	}
	device.transport->take_causes(&device);
	seen = irq_count(device.irq);
	trick->play(trick->arg + (uint64_t)place);
	if (reset_in_the_middle)
		return no_problem;
	if (outcome == ANYTHING)
		pause_ms(ANYTHING_MS);
	if (outcome == GOES_ON)
		return exchange_new(FRAME_MIN);
	if (outcome == COMES_BACK)
		for (deadline_t d = deadline(PATIENCE_MS); !all_used(TRANSMIT);)
			if (is_broken() || deadline_passed(d))
				return failed(is_broken() ? "the device breaks"
							  : "a buffer doesn't come back");
	if (outcome == BREAKS) {
		uint32_t causes = 0;
		deadline_t d = deadline(PATIENCE_MS);

		while (!is_broken())
			if (deadline_passed(d))
				return failed("DEVICE_NEEDS_RESET is not set");
		while (!((causes |= device.transport->take_causes(&device)) & VIRTIO_CAUSE_CONFIG))
			if (deadline_passed(d))
				return failed("no configuration change notification");
		if (!interrupted(seen, PATIENCE_MS))
			return failed("no interrupt");
	}
	return no_problem;
}

/* A frame through the second device and back, told by an interrupt. */
static const char *witness_works(void)
{
	static struct frame frame;
	static struct net_packet packet;
	const struct test_frame *echo;
	uint8_t own[6];

	memcpy(own, net.mac, sizeof(own));
	memcpy(net.mac, witness.mac, sizeof(net.mac));
	make_frame(&frame, FRAME_MIN);
	memcpy(net.mac, own, sizeof(own));
	packet.header = (struct net_header){.flags = 0};
	packet.n_parts = 1;
	packet.parts[0] = (struct segment){frame.data, frame.len};
	expect(net_send(&witness, &packet), "the other device: no room to send");
	net_flush(&witness);
	for (bool sent = false, received = false; !sent || !received;) {
		struct net_packet in;

		if (!virtqueue_pending(&witness.receive) && !virtqueue_pending(&witness.transmit) &&
		    !net_wait(&witness, PATIENCE_MS))
			return failed("the other device has %s a frame",
				      sent ? "not received" : "not sent");
		sent = net_sent(&witness) != NULL || sent;
		if (!net_receive(&witness, &in))
			continue;
		echo = in.parts[0].data;
		received = in.len == frame.len && read_be32(echo->number) == frame.number &&
			   memcmp(echo->payload, frame.data + sizeof(*echo),
				  FRAME_MIN - sizeof(*echo)) == 0;
		net_release(&witness, &in);
	}
	return witness.device.transport->status(&witness.device) & VIRTIO_NEEDS_RESET
		       ? failed("the other device is broken")
		       : no_problem;
}

/* A frame through the device and back, and an interrupt. */
static const char *works_again(void)
{
	static struct frame frame;
	const char *result = NULL;
	uint32_t seen;

	start(0);
	give_buffers(BUFFERS, BUFFER_SIZE);
	for (int i = 0; i < TRIES; i++) {
		result = exchange_new(FRAME_MIN);
		if (result == NULL)
			break;
	}
	if (result != NULL)
		return failed("after a reset: %s", result);
	seen = irq_count(device.irq);
	virtqueue_enable_interrupts(&net.queues[TRANSMIT], true);
	make_frame(&frame, FRAME_MIN);
	if (!send(&frame) || !interrupted(seen, PATIENCE_MS))
		return failed("after a reset: no interrupt");
	return is_broken() ? failed("after a reset: it is broken") : no_problem;
}

static const char *reset(void)
{
	return virtio_reset(&device) ? no_problem : failed("a reset doesn't end");
}

static const char *run_trick(void)
{
	size_t mark = alloc_mark();
	const char *(*const after[])(void) = {reset, witness_works, works_again, reset};
	const char *result = run_caught(reset);

	if (result == NULL) {
		const char *played = run_caught(play);

		result = elsewhere ? no_problem : played;
	}
	if (reset_in_the_middle && result == NULL) {
		/* A PCI function whose registers are gone can't be reset. */
		if (device.transport->status(&device) == UINT8_MAX)
			restore_function();
		result = run_caught(reset);
	}
	scribbling_ends();
	restore_function();
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]) && result == NULL; i++)
		result = run_caught(after[i]);
	alloc_release(mark);
	return result;
}

/* --- cases --- */

static bool is_for(const struct trick *t, unsigned int run)
{
	unsigned int transports = t->only & (MMIO | PCI), rings = t->only & (SPLIT | PACKED);

	return (transports == 0 || transports & run) && (rings == 0 || rings & run);
}

/* Why it can't be run, or NULL. */
static const char *missing(void)
{
	if (arg_number("case", check_count() + 1) != check_count() + 1)
		return "not asked for";
	if (trick->features & ~offered)
		return "a feature is not offered";
	if (trick->only & TWO_CPUS && smp_cpus() < 2)
		return "there is one CPU";
	return NULL;
}

static void run_case(bool with_reset)
{
	const char *where = trick->only & EACH_PLACE ? places[place] : "";
	const char *way = with_reset ? ", and a reset" : "";
	const char *why = missing();
	const char *result;

	reset_in_the_middle = with_reset;
	if (why != NULL) {
		check_skipped(why, "%s %s%s%s", trick->section, trick->what, where, way);
		return;
	}
	result = run_trick();
	if (!check(result == NULL, "%s %s%s%s", trick->section, trick->what, where, way))
		print("# %s\n", result);
}

static void run_group(const struct trick_group *group, unsigned int run)
{
	for (size_t i = 0; i < group->n; i++) {
		int n = group->tricks[i].only & EACH_PLACE ? N_PLACES : 1;

		trick = &group->tricks[i];
		if (!is_for(trick, run))
			continue;
		for (int k = 0; k < n; k++) {
			place = (enum place)k;
			run_case(false);
			if (!(trick->only & ONCE))
				run_case(true);
		}
	}
}

int main(void)
{
	bool packed = arg_switch("packed", false);
	unsigned int run = packed ? PACKED : SPLIT;

	elsewhere = arg_is("rings", "elsewhere");
	net_init_index(&witness, 1);
	if (!virtio_find(VIRTIO_ID_NET, 0, &device) || !virtio_reset(&device))
		fatal("no network device, or its reset does not end");
	offered = device.transport->offered(&device);
	ring_features = packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0;
	run |= device.pci != NULL ? PCI : MMIO;
	virtio_connect(&device);
	restore_function();
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (arg_is("topic", groups[i].topic) || arg_string("topic", NULL) == NULL)
			run_group(groups[i].group, run);
	return check_done();
}
