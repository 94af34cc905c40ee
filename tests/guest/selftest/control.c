/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue of the network device (5.1.6.5). */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/string.h"

enum {
	NO_CLASS = 0x5a,
	NO_COMMAND = 0x7f,
	ETHERTYPE_VLAN = 0x8100,
	VLAN = 100,
	OTHER_VLAN = 200,
};

#define CTRL_VQ	      FEATURE(VIRTIO_NET_F_CTRL_VQ)
#define CTRL_RX	      (CTRL_VQ | FEATURE(VIRTIO_NET_F_CTRL_RX))
#define CTRL_RX_EXTRA (CTRL_RX | FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA))
#define CTRL_VLAN     (CTRL_VQ | FEATURE(VIRTIO_NET_F_CTRL_VLAN))
#define CTRL_MAC      (CTRL_VQ | FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR))
#define ANNOUNCE      (CTRL_VQ | FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) | FEATURE(VIRTIO_NET_F_STATUS))
#define MQ	      (CTRL_VQ | FEATURE(VIRTIO_NET_F_MQ))
#define OFFLOADS      (CTRL_VQ | FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))
#define COAL	      (CTRL_VQ | FEATURE(VIRTIO_NET_F_NOTF_COAL))
#define VQ_COAL	      (COAL | FEATURE(VIRTIO_NET_F_VQ_NOTF_COAL))
#define RSS	      (CTRL_VQ | FEATURE(VIRTIO_NET_F_RSS))
#define HASH	      (CTRL_VQ | FEATURE(VIRTIO_NET_F_HASH_REPORT))

static struct frame frame;

static const uint8_t other_station[6] = {0x02, 'o', 't', 'h', 'e', 'r'};
static const uint8_t group[6] = {0x01, 0x00, 0x5e, 1, 2, 3};
static const uint8_t other_group[6] = {0x01, 0x00, 0x5e, 4, 5, 6};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void start_control(uint64_t features)
{
	start(features);
	give_buffers(32, BUFFER_SIZE);
}

static const char *expect(uint8_t ack, uint8_t wanted)
{
	static const char *const names[] = {"OK", "ERR"};

	if (ack == wanted)
		return NULL;
	if (ack == NET_CTRL_SILENCE)
		return failed("the command isn't answered");
	return failed("the answer is %u, not %s", ack, names[wanted]);
}

static const char *command(unsigned int class, unsigned int number, const void *data, size_t len,
			   uint8_t wanted)
{
	return expect(net_control(&net.control, (enum net_control_class) class,
				  (enum net_control_command)number, data, len),
		      wanted);
}

/* --- commands as such --- */

static const char *unknown_class(void)
{
	uint8_t data = 0;

	start_control(CTRL_VQ);
	return command(NO_CLASS, 0, &data, sizeof(data), NET_CTRL_ERR);
}

static const char *unknown_command(void)
{
	uint8_t data = 0;

	start_control(CTRL_RX);
	return command(NET_CTRL_RX, NO_COMMAND, &data, sizeof(data), NET_CTRL_ERR);
}

static const char *no_data(void)
{
	start_control(CTRL_RX);
	return command(NET_CTRL_RX, NET_CTRL_RX_PROMISC, NULL, 0, NET_CTRL_ERR);
}

static const char *many_commands(void)
{
	const char *result = NULL;

	start_control(CTRL_RX);
	for (unsigned int i = 0; i < 300 && result == NULL; i++)
		result = expect(net_control_rx(&net.control, NET_CTRL_RX_PROMISC, i % 2),
				NET_CTRL_OK);
	return result;
}

static const char *command_without_ack(void)
{
	static uint8_t data[3] = {NET_CTRL_RX, NET_CTRL_RX_PROMISC, 1};
	struct segment segment = {data, sizeof(data)};

	/* Nowhere to put the answer: the device may break, but no more than that. */
	start_control(CTRL_RX);
	virtqueue_add(&net.control, &segment, 1, 0, data);
	virtqueue_publish(&net.control);
	stays_unused(&net.control);
	start_control(CTRL_RX);
	return expect(net_control_rx(&net.control, NET_CTRL_RX_PROMISC, true), NET_CTRL_OK);
}

static const char *command_in_pieces(void)
{
	static uint8_t data[4] = {NET_CTRL_RX, NET_CTRL_RX_PROMISC, 1, NET_CTRL_SILENCE};
	struct segment segments[4];
	void *token;
	uint32_t len;

	start_control(CTRL_RX);
	for (unsigned int i = 0; i < 4; i++)
		segments[i] = (struct segment){&data[i], 1};
	data[3] = NET_CTRL_SILENCE;
	virtqueue_add(&net.control, segments, 3, 1, data);
	virtqueue_publish(&net.control);
	for (deadline_t d = deadline(PATIENCE_MS); !virtqueue_take(&net.control, &token, &len);)
		if (deadline_passed(d))
			return failed("it isn't used");
	return expect(*(volatile uint8_t *)&data[3], NET_CTRL_OK);
}

/* --- receive filtering --- */

static const char *modes_accepted(uint64_t features, enum net_control_command from,
				  enum net_control_command to)
{
	start_control(features);
	for (unsigned int mode = from; mode <= to; mode++)
		for (unsigned int on = 2; on-- > 0;) {
			const char *result = expect(net_control_rx(&net.control, mode, on),
						    NET_CTRL_OK);

			if (result != NULL)
				return result;
		}
	return NULL;
}

static const char *rx_modes(void)
{
	return modes_accepted(CTRL_RX, NET_CTRL_RX_PROMISC, NET_CTRL_RX_ALLMULTI);
}

static const char *rx_extra_modes(void)
{
	return modes_accepted(CTRL_RX_EXTRA, NET_CTRL_RX_ALLUNI, NET_CTRL_RX_NOBCAST);
}

/* All modes off, no address in the tables. */
static void start_filtering(uint64_t features)
{
	start_control(features);
	if (net_control_rx(&net.control, NET_CTRL_RX_PROMISC, false) != NET_CTRL_OK ||
	    net_control_rx(&net.control, NET_CTRL_RX_ALLMULTI, false) != NET_CTRL_OK)
		fatal("a receive mode is refused");
}

static void set_mode(enum net_control_command mode, bool on)
{
	if (net_control_rx(&net.control, mode, on) != NET_CTRL_OK)
		fatal("receive mode %u is refused", mode);
}

/* Whether a frame to @station arrives: as it is the source of what is sent, the echo goes there. */
static bool arrives(const uint8_t station[6])
{
	make_frame(&frame, FRAME_MIN);
	memcpy(((struct ethernet_header *)frame.data)->from, station, 6);
	return comes_back(&frame);
}

static const char *expect_arrival(const uint8_t station[6], bool wanted)
{
	if (arrives(station) == wanted)
		return NULL;
	return wanted ? failed("it doesn't arrive") : failed("it arrives");
}

static const char *filters_unicast(void)
{
	start_filtering(CTRL_RX);
	return expect_arrival(other_station, false);
}

static const char *filters_multicast(void)
{
	start_filtering(CTRL_RX);
	return expect_arrival(group, false);
}

static const char *passes_broadcast(void)
{
	start_filtering(CTRL_RX);
	return expect_arrival(broadcast, true);
}

static const char *promiscuous(void)
{
	const char *result;

	start_filtering(CTRL_RX);
	set_mode(NET_CTRL_RX_PROMISC, true);
	result = expect_arrival(other_station, true);
	if (result == NULL)
		result = expect_arrival(group, true);
	set_mode(NET_CTRL_RX_PROMISC, false);
	return result != NULL ? result : expect_arrival(other_station, false);
}

static const char *all_multicast(void)
{
	const char *result;

	start_filtering(CTRL_RX);
	set_mode(NET_CTRL_RX_ALLMULTI, true);
	result = expect_arrival(group, true);
	return result != NULL ? result : expect_arrival(other_station, false);
}

static const char *all_unicast(void)
{
	const char *result;

	start_filtering(CTRL_RX_EXTRA);
	set_mode(NET_CTRL_RX_ALLUNI, true);
	result = expect_arrival(other_station, true);
	return result != NULL ? result : expect_arrival(group, false);
}

static const char *no_multicast(void)
{
	const char *result;

	start_filtering(CTRL_RX_EXTRA);
	set_mode(NET_CTRL_RX_ALLMULTI, true);
	set_mode(NET_CTRL_RX_NOMULTI, true);
	result = expect_arrival(group, false);
	return result != NULL ? result : expect_arrival(broadcast, true);
}

/* The device's own address is suppressed as well, so that the broadcast is what must come. */
static const char *no_unicast(void)
{
	static struct frame last;
	struct echo echo;

	start_filtering(CTRL_RX_EXTRA);
	set_mode(NET_CTRL_RX_ALLUNI, true);
	set_mode(NET_CTRL_RX_NOUNI, true);
	make_frame(&frame, FRAME_MIN);
	make_frame(&last, FRAME_MIN);
	memcpy(((struct ethernet_header *)last.data)->from, broadcast, 6);
	if (!send(&frame) || !send(&last) || !receive_echo(&last, &echo))
		return failed("a broadcast doesn't arrive");
	set_mode(NET_CTRL_RX_NOUNI, false);
	/* Had it been kept until now, it would come before what is sent now. */
	return exchange_new(FRAME_MIN);
}

static const char *no_broadcast(void)
{
	start_filtering(CTRL_RX_EXTRA);
	set_mode(NET_CTRL_RX_NOBCAST, true);
	return expect_arrival(broadcast, false);
}

static const char *promiscuous_beats_others(void)
{
	start_filtering(CTRL_RX_EXTRA);
	set_mode(NET_CTRL_RX_ALLMULTI, true);
	set_mode(NET_CTRL_RX_ALLUNI, true);
	set_mode(NET_CTRL_RX_PROMISC, true);
	return expect_arrival(other_station, true);
}

/* --- addresses --- */

static const char *set_tables(unsigned int n_unicast, unsigned int n_multicast)
{
	return expect(
		net_control_mac_table(&net.control, &other_station, n_unicast, &group, n_multicast),
		NET_CTRL_OK);
}

static const char *table_unicast(void)
{
	const char *result;

	start_filtering(CTRL_RX);
	result = set_tables(1, 0);
	return result != NULL ? result : expect_arrival(other_station, true);
}

static const char *table_multicast(void)
{
	const char *result;

	start_filtering(CTRL_RX);
	result = set_tables(0, 1);
	if (result == NULL)
		result = expect_arrival(group, true);
	return result != NULL ? result : expect_arrival(other_group, false);
}

static const char *table_replaced(void)
{
	const char *result;

	start_filtering(CTRL_RX);
	result = set_tables(1, 1);
	if (result == NULL)
		result = set_tables(0, 0);
	if (result == NULL)
		result = expect_arrival(other_station, false);
	return result != NULL ? result : expect_arrival(group, false);
}

static const char *table_empty_after_reset(void)
{
	const char *result;

	start_filtering(CTRL_RX);
	result = set_tables(1, 1);
	if (result != NULL)
		return result;
	start_filtering(CTRL_RX);
	result = expect_arrival(other_station, false);
	return result != NULL ? result : expect_arrival(group, false);
}

static const char *table_malformed(void)
{
	static const uint32_t entries[2] = {1000000, 0};

	start_filtering(CTRL_RX);
	return command(NET_CTRL_MAC, NET_CTRL_MAC_TABLE_SET, entries, sizeof(entries),
		       NET_CTRL_ERR);
}

static const char *address_set(void)
{
	uint8_t mac[6];
	const char *result;

	start_control(CTRL_MAC | FEATURE(VIRTIO_NET_F_MAC));
	result = command(NET_CTRL_MAC, NET_CTRL_MAC_ADDR_SET, other_station, 6, NET_CTRL_OK);
	if (result != NULL)
		return result;
	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, mac, sizeof(mac));
	return memcmp(mac, other_station, 6) == 0 ? NULL : failed("mac is another one");
}

static const char *address_filters(void)
{
	const char *result;

	start_filtering(CTRL_MAC | CTRL_RX | FEATURE(VIRTIO_NET_F_MAC));
	result = command(NET_CTRL_MAC, NET_CTRL_MAC_ADDR_SET, other_station, 6, NET_CTRL_OK);
	memcpy(net.mac, other_station, 6);
	if (result == NULL)
		result = exchange_new(FRAME_MIN);
	return result;
}

static const char *address_short(void)
{
	start_control(CTRL_MAC);
	return command(NET_CTRL_MAC, NET_CTRL_MAC_ADDR_SET, other_station, 3, NET_CTRL_ERR);
}

/* --- VLANs --- */

static const char *set_vlan(enum net_control_command number, uint16_t id)
{
	return command(NET_CTRL_VLAN, number, &id, sizeof(id), NET_CTRL_OK);
}

static bool vlan_arrives(uint16_t id)
{
	enum {
		TAG = 12, /* offset, behind the addresses */
		TAG_SIZE = 4,
		REST = 8, /* type, operation, reserved, number */
	};
	uint8_t rest[REST];

	make_frame(&frame, FRAME_MIN);
	memcpy(rest, frame.data + TAG, REST);
	write_be16(frame.data + TAG, ETHERTYPE_VLAN);
	write_be16(frame.data + TAG + 2, id);
	memcpy(frame.data + TAG + TAG_SIZE, rest, REST);
	return comes_back(&frame);
}

static const char *expect_vlan(uint16_t id, bool wanted)
{
	if (vlan_arrives(id) == wanted)
		return NULL;
	return wanted ? failed("a frame of VLAN %u doesn't arrive", id)
		      : failed("a frame of VLAN %u arrives", id);
}

/* Promiscuous mode, in which a device may begin, would let everything pass. */
static void start_vlan(void)
{
	start_control(CTRL_VLAN | (offered & FEATURE(VIRTIO_NET_F_CTRL_RX)));
	if (offers(VIRTIO_NET_F_CTRL_RX))
		set_mode(NET_CTRL_RX_PROMISC, false);
}

static const char *vlan_all(void)
{
	start_control(0);
	return expect_vlan(VLAN, true);
}

static const char *vlan_added(void)
{
	const char *result;

	start_vlan();
	result = set_vlan(NET_CTRL_VLAN_ADD, VLAN);
	return result != NULL ? result : expect_vlan(VLAN, true);
}

static const char *vlan_absent(void)
{
	const char *result;

	start_vlan();
	result = set_vlan(NET_CTRL_VLAN_ADD, VLAN);
	return result != NULL ? result : expect_vlan(OTHER_VLAN, false);
}

static const char *vlan_deleted(void)
{
	const char *result;

	start_vlan();
	result = set_vlan(NET_CTRL_VLAN_ADD, VLAN);
	if (result == NULL)
		result = set_vlan(NET_CTRL_VLAN_DEL, VLAN);
	return result != NULL ? result : expect_vlan(VLAN, false);
}

static const char *vlan_after_reset(void)
{
	const char *result;

	start_vlan();
	result = set_vlan(NET_CTRL_VLAN_ADD, VLAN);
	start_vlan();
	return result != NULL ? result : expect_vlan(VLAN, false);
}

static const char *vlan_untagged(void)
{
	start_vlan();
	return exchange_new(FRAME_MIN);
}

static const char *vlan_out_of_range(void)
{
	uint16_t id = 4096;

	start_vlan();
	return command(NET_CTRL_VLAN, NET_CTRL_VLAN_ADD, &id, sizeof(id), NET_CTRL_ERR);
}

/* --- announcements, queue pairs, offloads --- */

/* Whether it is OK to acknowledge what was not announced is nowhere said. */
static const char *announce_ack(void)
{
	uint8_t ack;

	start_control(ANNOUNCE);
	ack = net_control(&net.control, NET_CTRL_ANNOUNCE, NET_CTRL_ANNOUNCE_ACK, NULL, 0);
	if (ack == NET_CTRL_SILENCE)
		return failed("the command isn't answered");
	if (read_config16(VIRTIO_NET_CONFIG_STATUS) & VIRTIO_NET_ANNOUNCE)
		return failed("ANNOUNCE is set");
	return NULL;
}

static const char *set_pairs(uint32_t pairs, uint8_t wanted)
{
	uint16_t data = (uint16_t)pairs;

	return command(NET_CTRL_MQ, NET_CTRL_MQ_VQ_PAIRS_SET, &data, sizeof(data), wanted);
}

static const char *pairs_one(void)
{
	const char *result;

	start_control(MQ);
	result = set_pairs(1, NET_CTRL_OK);
	return result != NULL ? result : exchange_new(FRAME_MIN);
}

static const char *pairs_zero(void)
{
	start_control(MQ);
	return set_pairs(0, NET_CTRL_ERR);
}

static const char *pairs_too_many(void)
{
	start_control(MQ);
	return set_pairs(read_config16(VIRTIO_NET_CONFIG_MAX_PAIRS) + 1u, NET_CTRL_ERR);
}

static const char *pairs_first_after_reset(void)
{
	const char *result = NULL;

	start_control(MQ);
	for (unsigned int i = 0; i < 16 && result == NULL; i++)
		result = exchange_new(FRAME_MIN + i);
	return result;
}

/* With @pairs pairs of queues; only the first has receive buffers, and all transmit. */
static const char *pairs_back_to_one(void)
{
	uint16_t pairs = read_config16(VIRTIO_NET_CONFIG_MAX_PAIRS);
	static struct virtqueue others[2];
	const char *result = NULL;

	if (pairs < 2)
		return skip("there is one pair");
	negotiate(MQ);
	set_up_queue(RECEIVE, QUEUE_SIZE);
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	for (uint16_t i = 0; i < 2; i++)
		virtqueue_init(&others[i], &device, (uint16_t)(2 + i), QUEUE_SIZE);
	virtqueue_init(&net.control, &device, (uint16_t)(2 * pairs), 0);
	virtio_driver_ok(&device);
	give_buffers(32, BUFFER_SIZE);
	result = set_pairs(2, NET_CTRL_OK);
	if (result == NULL)
		result = set_pairs(1, NET_CTRL_OK);
	for (unsigned int i = 0; i < 16 && result == NULL; i++)
		result = exchange_new(FRAME_MIN + i);
	return result;
}

static const char *set_offloads(uint64_t offloads, uint8_t wanted)
{
	return command(NET_CTRL_GUEST_OFFLOADS, NET_CTRL_GUEST_OFFLOADS_SET, &offloads,
		       sizeof(offloads), wanted);
}

static const char *offloads_off_and_on(void)
{
	uint64_t guest_csum = FEATURE(VIRTIO_NET_F_GUEST_CSUM) & offered;
	const char *result;

	start_control(OFFLOADS | guest_csum);
	result = set_offloads(0, NET_CTRL_OK);
	if (result == NULL)
		result = exchange_new(FRAME_MIN);
	return result != NULL ? result : set_offloads(guest_csum, NET_CTRL_OK);
}

static const char *offloads_not_negotiated(void)
{
	start_control(OFFLOADS);
	return set_offloads(FEATURE(VIRTIO_NET_F_GUEST_CSUM), NET_CTRL_ERR);
}

/* --- coalescing --- */

static const struct net_coalesce some = {.max_packets = 8, .max_usecs = 50};

static const char *coalesce_set(void)
{
	const char *result;

	start_control(COAL);
	result = command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_TX_SET, &some, sizeof(some),
			 NET_CTRL_OK);
	if (result == NULL)
		result = command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_RX_SET, &some, sizeof(some),
				 NET_CTRL_OK);
	return result != NULL ? result : exchange_new(FRAME_MIN);
}

static const char *get_coalesce(uint16_t queue, struct net_coalesce_queue *value, uint8_t wanted)
{
	struct {
		uint16_t queue;
		uint16_t reserved;
	} request = {queue, 0};
	uint8_t ack = net_control_get(&net.control, NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_GET,
				      &request, sizeof(request), &value->coalesce,
				      sizeof(value->coalesce));

	return expect(ack, wanted);
}

static const char *coalesce_queue(void)
{
	struct net_coalesce_queue value = {.queue = TRANSMIT, .coalesce = some};
	const char *result;

	start_control(VQ_COAL);
	result = command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_SET, &value, sizeof(value),
			 NET_CTRL_OK);
	value.coalesce = (struct net_coalesce){0};
	if (result == NULL)
		result = get_coalesce(TRANSMIT, &value, NET_CTRL_OK);
	if (result == NULL && memcmp(&value.coalesce, &some, sizeof(some)) != 0)
		result = failed("%u packets and %u us are read", value.coalesce.max_packets,
				value.coalesce.max_usecs);
	return result;
}

static const char *coalesce_reserved(void)
{
	struct net_coalesce_queue value = {.queue = 0, .reserved = 0xffff, .coalesce = some};

	start_control(VQ_COAL);
	return command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_SET, &value, sizeof(value),
		       NET_CTRL_OK);
}

static const char *coalesce_no_queue(void)
{
	struct net_coalesce_queue value = {.queue = 0xfff0, .coalesce = some};
	const char *result;

	start_control(VQ_COAL);
	result = command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_SET, &value, sizeof(value),
			 NET_CTRL_ERR);
	return result != NULL ? result : get_coalesce(0xfff0, &value, NET_CTRL_ERR);
}

static const char *coalesce_after_reset(void)
{
	struct net_coalesce_queue value = {.queue = 0};
	const char *result = coalesce_set();

	start_control(VQ_COAL);
	for (uint16_t queue = 0; queue < 2 && result == NULL; queue++) {
		result = get_coalesce(queue, &value, NET_CTRL_OK);
		if (result == NULL && (value.coalesce.max_packets | value.coalesce.max_usecs) != 0)
			result = failed("those of queue %u are %u and %u", queue,
					value.coalesce.max_packets, value.coalesce.max_usecs);
	}
	return result;
}

static const char *coalesce_after_queue_reset(void)
{
	struct net_coalesce_queue value = {.queue = TRANSMIT, .coalesce = {3, 7}};
	const char *result;

	start_control(VQ_COAL | FEATURE(VIRTIO_F_RING_RESET));
	result = command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_TX_SET, &some, sizeof(some),
			 NET_CTRL_OK);
	if (result == NULL)
		result = command(NET_CTRL_NOTF_COAL, NET_CTRL_NOTF_COAL_VQ_SET, &value,
				 sizeof(value), NET_CTRL_OK);
	if (result != NULL)
		return result;
	if (!virtio_reset_queue(&device, TRANSMIT))
		return failed("the queue's reset doesn't end");
	set_up_queue(TRANSMIT, QUEUE_SIZE);
	result = get_coalesce(TRANSMIT, &value, NET_CTRL_OK);
	if (result == NULL && memcmp(&value.coalesce, &some, sizeof(some)) != 0)
		result = failed("they are %u and %u, not what TX_SET said",
				value.coalesce.max_packets, value.coalesce.max_usecs);
	return result;
}

/* --- RSS and hashes --- */

static struct net_rss make_rss(void)
{
	struct net_rss rss = {
		.hash_types = read_config32(VIRTIO_NET_CONFIG_HASH_TYPES),
		.table_size = 1,
		.max_tx_queue = 1,
		.key_size = NET_RSS_KEY_MAX,
	};

	for (unsigned int i = 0; i < NET_RSS_KEY_MAX; i++)
		rss.key[i] = (uint8_t)(17 * i + 3);
	return rss;
}

static const char *rss_config(void)
{
	struct net_rss rss;
	const char *result;

	start_control(RSS);
	rss = make_rss();
	result = expect(net_control_rss(&net.control, NET_CTRL_MQ_RSS_CONFIG, &rss), NET_CTRL_OK);
	return result != NULL ? result : exchange_new(FRAME_MIN);
}

static const char *rss_unsupported_hash(void)
{
	struct net_rss rss;

	start_control(RSS);
	rss = make_rss();
	rss.hash_types = ~rss.hash_types;
	return expect(net_control_rss(&net.control, NET_CTRL_MQ_RSS_CONFIG, &rss), NET_CTRL_ERR);
}

static const char *rss_no_queue(void)
{
	struct net_rss rss;

	start_control(RSS);
	rss = make_rss();
	rss.table[0] = 0x4000;
	return expect(net_control_rss(&net.control, NET_CTRL_MQ_RSS_CONFIG, &rss), NET_CTRL_ERR);
}

static const char *hash_config(void)
{
	struct net_rss rss;
	const char *result;

	start_control(HASH);
	rss = make_rss();
	result = expect(net_control_rss(&net.control, NET_CTRL_MQ_HASH_CONFIG, &rss), NET_CTRL_OK);
	return result != NULL ? result : exchange_new(FRAME_MIN);
}

static const struct test_case cases[] = {
	{"5.1.6.5", "a class that doesn't exist is answered with ERR", unknown_class, 0, CTRL_VQ},
	{"5.1.6.5", "a command that doesn't exist is answered with ERR", unknown_command, 0,
	 CTRL_RX},
	{"5.1.6.5", "a command without its data is answered with ERR", no_data, 0, CTRL_RX},
	{"5.1.6.5", "each of many commands is answered", many_commands, 0, CTRL_RX},
	{"5.1.6.5", "a command may be in pieces of one byte", command_in_pieces, 0, CTRL_RX},
	{"5.1.6.5", "a command without room for the answer breaks nothing beyond a reset",
	 command_without_ack, 0, CTRL_RX},
	{"5.1.6.5.1.1", "PROMISC and ALLMULTI are supported", rx_modes, 0, CTRL_RX},
	{"5.1.6.5.1.1", "ALLUNI, NOMULTI, NOUNI and NOBCAST are supported", rx_extra_modes, 0,
	 CTRL_RX_EXTRA},
	{"5.1.6.5.2.1", "unicast to others is dropped", filters_unicast, PEER, CTRL_RX},
	{"5.1.6.5.2.1", "multicast that isn't in the table is dropped", filters_multicast, PEER,
	 CTRL_RX},
	{"5.1.6.5.1", "broadcast is received", passes_broadcast, PEER, CTRL_RX},
	{"5.1.6.5.1.1", "in promiscuous mode everything is received", promiscuous, PEER, CTRL_RX},
	{"5.1.6.5.1.1", "with ALLMULTI, multicast is received", all_multicast, PEER, CTRL_RX},
	{"5.1.6.5.1.1", "with ALLUNI, unicast is received", all_unicast, PEER, CTRL_RX_EXTRA},
	{"5.1.6.5.1.1", "NOMULTI suppresses multicast, not broadcast", no_multicast, PEER,
	 CTRL_RX_EXTRA},
	{"5.1.6.5.1.1", "NOUNI suppresses unicast", no_unicast, PEER, CTRL_RX_EXTRA},
	{"5.1.6.5.1.1", "NOBCAST suppresses broadcast", no_broadcast, PEER, CTRL_RX_EXTRA},
	{"5.1.6.5.1.1", "promiscuous mode works with other modes on", promiscuous_beats_others,
	 PEER, CTRL_RX_EXTRA},
	{"5.1.6.5.2.1", "a unicast address in the table is received", table_unicast, PEER, CTRL_RX},
	{"5.1.6.5.2.1", "a multicast address in the table is received", table_multicast, PEER,
	 CTRL_RX},
	{"5.1.6.5.2.1", "the table is replaced when it is set again", table_replaced, PEER,
	 CTRL_RX},
	{"5.1.6.5.2.1", "the table is empty after a reset", table_empty_after_reset, PEER, CTRL_RX},
	{"5.1.6.5.2", "a table that ends early is answered with ERR", table_malformed, 0, CTRL_RX},
	{"5.1.6.5.2.1", "mac is what MAC_ADDR_SET set when the command is used", address_set, 0,
	 CTRL_MAC | FEATURE(VIRTIO_NET_F_MAC)},
	{"5.1.6.5.2.1", "the address of MAC_ADDR_SET is received", address_filters, PEER,
	 CTRL_MAC | CTRL_RX | FEATURE(VIRTIO_NET_F_MAC)},
	{"5.1.6.5.2", "an address of 3 bytes is answered with ERR", address_short, 0, CTRL_MAC},
	{"5.1.6.5.3.1", "without CTRL_VLAN, tagged packets are received", vlan_all, PEER, 0},
	{"5.1.6.5.3.1", "a VLAN in the table is received", vlan_added, PEER, CTRL_VLAN},
	{"5.1.6.5.3.1", "a VLAN that isn't in the table is dropped", vlan_absent, PEER, CTRL_VLAN},
	{"5.1.6.5.3.1", "a VLAN that was deleted is dropped", vlan_deleted, PEER, CTRL_VLAN},
	{"5.1.6.5.3.1", "the table of VLANs is empty after a reset", vlan_after_reset, PEER,
	 CTRL_VLAN},
	{"5.1.6.5.3", "untagged packets are received with CTRL_VLAN", vlan_untagged, PEER,
	 CTRL_VLAN},
	{"5.1.6.5.3", "a VLAN beyond 4095 is answered with ERR", vlan_out_of_range, 0, CTRL_VLAN},
	{"5.1.6.5.4.2", "ANNOUNCE is not set in status after ANNOUNCE_ACK", announce_ack, 0,
	 ANNOUNCE},
	{"5.1.6.5.6", "one pair of queues may be set", pairs_one, PEER, MQ},
	{"5.1.6.5.6", "no pair of queues is answered with ERR", pairs_zero, 0, MQ},
	{"5.1.6.5.6", "more pairs than there are is answered with ERR", pairs_too_many, 0, MQ},
	{"5.1.6.5.6.2", "after a reset, packets arrive on receiveq1 only", pairs_first_after_reset,
	 PEER, MQ},
	{"5.1.6.5.6.2", "with one pair of two, packets arrive on receiveq1 only", pairs_back_to_one,
	 PEER, MQ},
	{"5.1.6.5.7.3", "RSS with one queue receives there", rss_config, PEER, RSS},
	{"5.1.6.5.7", "RSS with a hash that isn't supported is answered with ERR",
	 rss_unsupported_hash, 0, RSS},
	{"5.1.6.5.7", "RSS with a queue that doesn't exist is answered with ERR", rss_no_queue, 0,
	 RSS},
	{"5.1.6.5.6.4", "HASH_CONFIG is supported", hash_config, PEER, HASH},
	{"5.1.6.5.8", "offloads can be switched off and on", offloads_off_and_on, PEER, OFFLOADS},
	{"5.1.6.5.8", "an offload that wasn't negotiated is answered with ERR",
	 offloads_not_negotiated, 0, OFFLOADS},
	{"5.1.6.5.9", "TX_SET and RX_SET are supported", coalesce_set, PEER, COAL},
	{"5.1.6.5.9", "VQ_GET says what VQ_SET has set", coalesce_queue, 0, VQ_COAL},
	{"5.1.6.5.9.6", "reserved is ignored", coalesce_reserved, 0, VQ_COAL},
	{"5.1.6.5.9.6", "VQ_SET and VQ_GET of a queue that doesn't exist are answered with ERR",
	 coalesce_no_queue, 0, VQ_COAL},
	{"5.1.6.5.9.6", "all parameters are 0 after a reset", coalesce_after_reset, PEER, VQ_COAL},
	{"5.1.6.5.9.6", "a transmit queue that was reset has the parameters of TX_SET",
	 coalesce_after_queue_reset, 0, VQ_COAL | FEATURE(VIRTIO_F_RING_RESET)},
};

const struct test_group control_group = TEST_GROUP(cases);
