/* SPDX-License-Identifier: Apache-2.0 */
/* The network device (5.1), but for its control queue. */
#include "selftest/selftest.h"

#include "lib/guest.h"
#include "lib/string.h"

enum {
	TCP_HEADER = 20,
	TCP_CHECKSUM = 16, /* offset into the TCP header */
	CSUM_START = sizeof(struct ethernet_header) + sizeof(struct ipv4_header),
	HEADERS = CSUM_START + TCP_HEADER,
	MSS = 1000,
	SMALL_BUFFER = 128,
	LARGE = 9000,
};

#define CSUM	   FEATURE(VIRTIO_NET_F_CSUM)
#define GUEST_CSUM FEATURE(VIRTIO_NET_F_GUEST_CSUM)
#define MRG_RXBUF  FEATURE(VIRTIO_NET_F_MRG_RXBUF)
#define TSO	   (CSUM | GUEST_CSUM | FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO4))

static struct frame frame;
static struct echo echo;

/* --- 5.1.4.1 --- */

static const char *mac_unicast(void)
{
	uint8_t mac[6];

	device.transport->read_config(&device, VIRTIO_NET_CONFIG_MAC, mac, sizeof(mac));
	if (mac[0] & 1)
		return failed("it is multicast");
	return mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5] ? NULL : failed("it is 0");
}

static const char *link_up(void)
{
	uint16_t status = read_config16(VIRTIO_NET_CONFIG_STATUS);

	return status & VIRTIO_NET_LINK_UP ? NULL : failed("status is %#x", status);
}

static const char *max_pairs(void)
{
	uint16_t pairs = read_config16(VIRTIO_NET_CONFIG_MAX_PAIRS);

	return pairs >= 1 && pairs <= 0x8000 ? NULL : failed("it is %u", pairs);
}

static const char *all_queues(void)
{
	uint16_t pairs = read_config16(VIRTIO_NET_CONFIG_MAX_PAIRS);

	negotiate(FEATURE(VIRTIO_NET_F_MQ) | FEATURE(VIRTIO_NET_F_CTRL_VQ));
	for (uint32_t queue = 0; queue < 2u * pairs + 1; queue++)
		if (device.transport->queue_max(&device, (uint16_t)queue) == 0)
			return failed("queue %u isn't there, of %u pairs", queue, pairs);
	return NULL;
}

static const char *mtu_range(void)
{
	uint16_t mtu = read_config16(VIRTIO_NET_CONFIG_MTU);

	return mtu >= 68 ? NULL : failed("it is %u", mtu);
}

static const char *mtu_ipv6(void)
{
	uint16_t mtu = read_config16(VIRTIO_NET_CONFIG_MTU);

	return mtu >= 1280 ? NULL : failed("it is %u", mtu);
}

static const char *mtu_stays(void)
{
	uint16_t mtu = read_config16(VIRTIO_NET_CONFIG_MTU);

	start(FEATURE(VIRTIO_NET_F_MTU));
	virtio_reset(&device);
	return read_config16(VIRTIO_NET_CONFIG_MTU) == mtu ? NULL : failed("it changes");
}

static const char *mtu_passes(void)
{
	uint16_t mtu = read_config16(VIRTIO_NET_CONFIG_MTU);

	start(FEATURE(VIRTIO_NET_F_MTU));
	give_buffers(4, 65536);
	return exchange_new(mtu + (uint32_t)sizeof(struct ethernet_header));
}

static const char *rss_key(void)
{
	uint8_t size = read_config8(VIRTIO_NET_CONFIG_RSS_MAX_KEY_SIZE);

	if (!offers(VIRTIO_NET_F_RSS) && !offers(VIRTIO_NET_F_HASH_REPORT))
		return skip("neither RSS nor HASH_REPORT is offered");
	return size >= 40 ? NULL : failed("it is %u", size);
}

static const char *rss_table(void)
{
	uint16_t size = read_config16(VIRTIO_NET_CONFIG_RSS_MAX_TABLE);

	return size >= 128 ? NULL : failed("it is %u", size);
}

static const char *speed(void)
{
	uint32_t value = read_config32(VIRTIO_NET_CONFIG_SPEED);

	return value <= 0x7fffffff || value == UINT32_MAX ? NULL : failed("it is %#x", value);
}

static const char *duplex(void)
{
	uint8_t value = read_config8(VIRTIO_NET_CONFIG_DUPLEX);

	return value <= 1 || value == 0xff ? NULL : failed("it is %#x", value);
}

static const char *needs_control_queue(unsigned int bit)
{
	return offers(bit) && !offers(VIRTIO_NET_F_CTRL_VQ) ? failed("it is") : NULL;
}

static const char *hash_report_with_control(void)
{
	return needs_control_queue(VIRTIO_NET_F_HASH_REPORT);
}

static const char *rx_extra_with_control(void)
{
	return needs_control_queue(VIRTIO_NET_F_CTRL_RX_EXTRA);
}

/* --- transmission --- */

static void start_net(uint64_t features)
{
	start(features);
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MAX);
}

static const char *unknown_flags(void)
{
	start_net(0);
	frame.header.flags = 0xf8;
	return exchange(&frame, &echo);
}

static const char *csum_fields_unused(void)
{
	start_net(0);
	frame.header.csum_start = 20;
	frame.header.csum_offset = 30;
	return exchange(&frame, &echo);
}

static const char *wild_csum_fields_unused(void)
{
	start_net(0);
	frame.header.csum_start = UINT16_MAX;
	frame.header.csum_offset = UINT16_MAX;
	return exchange(&frame, &echo);
}

static const char *hdr_len_unused(void)
{
	start_net(0);
	frame.header.hdr_len = UINT16_MAX;
	return exchange(&frame, &echo);
}

static const char *num_buffers_unused(void)
{
	start_net(0);
	frame.header.num_buffers = 77;
	return exchange(&frame, &echo);
}

static const char *wrong_checksum_passes(void)
{
	start_net(0);
	/* An IPv4 header whose checksum is wrong: nothing says that the device may look. */
	write_be16(((struct test_frame *)frame.data)->ethernet.type, ETHERTYPE_TEST);
	memset(frame.data + sizeof(struct test_frame), 0x45, 40);
	return exchange(&frame, &echo);
}

static const char *works_after(void)
{
	const char *result;

	result = exchange_new(FRAME_MIN);
	if (result == NULL && device.transport->status(&device) & VIRTIO_NEEDS_RESET)
		result = failed("DEVICE_NEEDS_RESET is set");
	return result;
}

static const char *bad_header(uint64_t features, struct net_header header)
{
	start_net(features);
	frame.header = header;
	if (!send(&frame))
		return failed("the buffer doesn't come back");
	return works_after();
}

static const char *bad_gso_type(void)
{
	return bad_header(0, (struct net_header){.gso_type = 0x7f, .gso_size = 100});
}

static const char *bad_csum_start(void)
{
	return bad_header(CSUM, (struct net_header){.flags = NET_NEEDS_CSUM,
						    .csum_start = 60000,
						    .csum_offset = 60000});
}

static const char *bad_gso_size(void)
{
	return bad_header(TSO, (struct net_header){.flags = NET_NEEDS_CSUM,
						   .gso_type = NET_GSO_TCPV4,
						   .csum_start = CSUM_START,
						   .csum_offset = TCP_CHECKSUM});
}

static const char *each_length(void)
{
	const char *result = NULL;

	start_net(0);
	for (uint32_t len = FRAME_MIN; len < FRAME_MIN + 64 && result == NULL; len++)
		result = exchange_new(len);
	return result;
}

/* --- checksums and segmentation --- */

static uint16_t sum_be16(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* A TCP segment with @size bytes, whose checksum is left to others. */
static void make_segment(uint32_t size)
{
	static uint16_t id;
	struct ipv4_header *ip = (void *)(frame.data + sizeof(struct ethernet_header));
	uint8_t *tcp = frame.data + CSUM_START;
	uint8_t pseudo[12] = {10, 0, 0, 2, 10, 0, 0, 3, 0, IP_TCP};

	make_frame(&frame, HEADERS + size);
	write_be16(((struct ethernet_header *)frame.data)->type, ETHERTYPE_IPV4);
	*ip = (struct ipv4_header){.version_length = 0x45, .ttl = 64, .protocol = IP_TCP};
	write_be16(ip->length, sizeof(*ip) + TCP_HEADER + size);
	write_be16(ip->id, ++id);
	memcpy(ip->from, pseudo, 4);
	memcpy(ip->to, pseudo + 4, 4);
	write_be16(ip->checksum, (uint16_t)~sum_be16((const uint8_t *)ip, sizeof(*ip), 0));
	/* It lies where test frames have their number. */
	frame.number = read_be32(((struct test_frame *)frame.data)->number);
	memset(tcp, 0, TCP_HEADER);
	write_be16(tcp, 1000);
	write_be16(tcp + 2, 1001);
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = 0x10; /* ACK */
	write_be16(pseudo + 10, TCP_HEADER + size);
	write_be16(tcp + TCP_CHECKSUM, sum_be16(pseudo, sizeof(pseudo), 0));
	frame.header = (struct net_header){
		.flags = NET_NEEDS_CSUM,
		.csum_start = CSUM_START,
		.csum_offset = TCP_CHECKSUM,
	};
}

static const char *checksum_left_to_device(void)
{
	start(CSUM | GUEST_CSUM);
	give_buffers(8, BUFFER_SIZE);
	make_segment(1000);
	if (!send(&frame))
		return failed("it isn't sent");
	if (!receive_echo(&frame, &echo))
		return failed("it doesn't come back");
	return NULL;
}

/* 5.1.6.4.1: however it comes, at the end the checksum is that of the TCP segment. */
static const char *checksum_received(void)
{
	const char *result = checksum_left_to_device();
	uint8_t pseudo[12] = {10, 0, 0, 2, 10, 0, 0, 3, 0, IP_TCP};
	uint16_t sum;

	if (result != NULL)
		return result;
	sum = sum_be16(echo.data + CSUM_START, echo.len - CSUM_START, 0);
	if (echo.header.flags & NET_NEEDS_CSUM) {
		if (echo.header.csum_start != CSUM_START || echo.header.csum_offset != TCP_CHECKSUM)
			return failed("csum_start is %u, csum_offset %u", echo.header.csum_start,
				      echo.header.csum_offset);
		write_be16(echo.data + CSUM_START + TCP_CHECKSUM, (uint16_t)~sum);
		sum = sum_be16(echo.data + CSUM_START, echo.len - CSUM_START, 0);
	}
	write_be16(pseudo + 10, echo.len - CSUM_START);
	sum = sum_be16(pseudo, sizeof(pseudo), sum);
	return sum == 0xffff ? NULL : failed("the sum is %#x, not 0xffff", sum);
}

static const char *known_flags(void)
{
	const char *result = checksum_left_to_device();

	if (result == NULL && echo.header.flags & ~(NET_NEEDS_CSUM | NET_DATA_VALID))
		result = failed("flags is %#x", echo.header.flags);
	return result;
}

static const char *segment(uint64_t features, uint16_t hdr_len, uint32_t buffer)
{
	start(features);
	give_buffers(buffer < 65536 ? 40 : 4, buffer);
	make_segment(LARGE);
	frame.header.gso_type = NET_GSO_TCPV4;
	frame.header.gso_size = MSS;
	frame.header.hdr_len = hdr_len;
	if (!send(&frame))
		return failed("it isn't sent");
	if (!receive_echo(&frame, &echo))
		return failed("it doesn't come back");
	if (echo.len != frame.len)
		return failed("%u bytes come back of %u", echo.len, frame.len);
	return NULL;
}

static const char *large_segment(void)
{
	return segment(TSO, HEADERS, 65536);
}

static const char *large_segment_merged(void)
{
	return segment(TSO | MRG_RXBUF, HEADERS, BUFFER_SIZE);
}

static const char *hdr_len_zero(void)
{
	return segment(TSO, 0, 65536);
}

static const char *hdr_len_wrong(void)
{
	return segment(TSO, 5000, 65536);
}

static const char *gso_needs_csum(void)
{
	const char *result = large_segment();

	if (result == NULL && echo.header.gso_type != NET_GSO_NONE &&
	    !(echo.header.flags & NET_NEEDS_CSUM))
		result = failed("flags is %#x", echo.header.flags);
	return result;
}

static const char *gso_size(void)
{
	const char *result = large_segment();

	if (result == NULL &&
	    (echo.header.gso_type != NET_GSO_TCPV4 || echo.header.gso_size != MSS))
		result = failed("gso_type is %u, gso_size is %u", echo.header.gso_type,
				echo.header.gso_size);
	return result;
}

static const char *hdr_len_received(void)
{
	const char *result = large_segment();

	if (result == NULL && echo.header.hdr_len < HEADERS)
		result = failed("it is %u, and the headers have %u bytes", echo.header.hdr_len,
				HEADERS);
	return result;
}

/* --- reception --- */

static const char *num_buffers_one(void)
{
	start_net(0);
	if (exchange(&frame, &echo) != NULL)
		return failed("a frame doesn't come back");
	return echo.header.num_buffers == 1 ? NULL : failed("it is %u", echo.header.num_buffers);
}

static const char *num_buffers_one_merged(void)
{
	start_net(MRG_RXBUF);
	if (exchange(&frame, &echo) != NULL)
		return failed("a frame doesn't come back");
	return echo.header.num_buffers == 1 ? NULL : failed("it is %u", echo.header.num_buffers);
}

static const char *merge(uint32_t len)
{
	start(MRG_RXBUF);
	give_buffers(32, SMALL_BUFFER);
	make_frame(&frame, len);
	return exchange(&frame, &echo);
}

static const char *num_buffers_many(void)
{
	const char *result = merge(FRAME_MAX);
	unsigned int wanted = (FRAME_MAX + net.header_size + SMALL_BUFFER - 1) / SMALL_BUFFER;

	if (result == NULL && echo.n_buffers != wanted)
		result = failed("it is %u, not %u", echo.n_buffers, wanted);
	return result;
}

static const char *buffers_full(void)
{
	const char *result = merge(FRAME_MAX);

	for (unsigned int i = 0; result == NULL && i + 1 < echo.n_buffers; i++)
		if (echo.used_len[i] != SMALL_BUFFER)
			result = failed("buffer %u of %u has %u bytes of %u", i + 1, echo.n_buffers,
					echo.used_len[i], SMALL_BUFFER);
	return result;
}

/* From @first to @last bytes, in the same memory each time. */
static const char *merge_range(uint32_t first, uint32_t last)
{
	size_t mark = alloc_mark();

	for (uint32_t len = first; len <= last; len++) {
		const char *result = merge(len);

		if (result != NULL)
			return result;
		if (!virtio_reset(&device))
			return failed("a reset doesn't end");
		alloc_release(mark);
	}
	return NULL;
}

/* Around the ends of the first and the second buffer. */
static const char *merge_edges(void)
{
	const char *result = merge_range(SMALL_BUFFER - 14, SMALL_BUFFER + 2);

	return result != NULL ? result : merge_range(2 * SMALL_BUFFER - 14, 2 * SMALL_BUFFER);
}

static const char *flags_zero(void)
{
	start_net(0);
	if (exchange(&frame, &echo) != NULL)
		return failed("a frame doesn't come back");
	return echo.header.flags == 0 ? NULL : failed("it is %#x", echo.header.flags);
}

static const char *gso_none(void)
{
	start_net(0);
	if (exchange(&frame, &echo) != NULL)
		return failed("a frame doesn't come back");
	return echo.header.gso_type == NET_GSO_NONE ? NULL
						    : failed("it is %#x", echo.header.gso_type);
}

static const char *gso_none_with_csum(void)
{
	start_net(GUEST_CSUM);
	if (exchange(&frame, &echo) != NULL)
		return failed("a frame doesn't come back");
	return echo.header.gso_type == NET_GSO_NONE ? NULL
						    : failed("it is %#x", echo.header.gso_type);
}

static const char *too_large_for_its_buffer(void)
{
	start(0);
	give_buffers(8, net.header_size + 200);
	make_frame(&frame, FRAME_MAX);
	send(&frame);
	return works_after();
}

static const char *no_buffers(void)
{
	start(0);
	for (unsigned int i = 0; i < 20; i++) {
		make_frame(&frame, FRAME_MIN);
		if (!send(&frame))
			return failed("without receive buffers, nothing is sent");
	}
	give_buffers(32, BUFFER_SIZE);
	return works_after();
}

static const char *packet_order(void)
{
	static struct frame frames[8];

	start(0);
	give_buffers(32, BUFFER_SIZE);
	for (size_t i = 0; i < 8; i++) {
		make_frame(&frames[i], FRAME_MIN + (uint32_t)i);
		if (!send(&frames[i]))
			return failed("frame %zu isn't sent", i);
	}
	/* receive_echo() passes over what comes before, so that one that came early is missing. */
	for (size_t i = 0; i < 8; i++)
		if (!receive_echo(&frames[i], &echo))
			return failed("frame %zu of 8 is not in its place", i);
	return NULL;
}

static const char *hash_none(void)
{
	start(FEATURE(VIRTIO_NET_F_HASH_REPORT) | FEATURE(VIRTIO_NET_F_CTRL_VQ));
	give_buffers(8, BUFFER_SIZE);
	make_frame(&frame, FRAME_MIN);
	if (exchange(&frame, &echo) != NULL)
		return failed("a frame with a header of 20 bytes doesn't come back");
	return echo.header.hash_report == 0 ? NULL : failed("it is %u", echo.header.hash_report);
}

static const struct test_case cases[] = {
	{"5.1.4", "mac is that of one station", mac_unicast, 0, FEATURE(VIRTIO_NET_F_MAC)},
	{"5.1.4", "status says that the link is up", link_up, 0, FEATURE(VIRTIO_NET_F_STATUS)},
	{"5.1.4.1", "max_virtqueue_pairs is between 1 and 0x8000", max_pairs, 0,
	 FEATURE(VIRTIO_NET_F_MQ)},
	{"5.1.2", "all queues are there that max_virtqueue_pairs promises", all_queues, 0,
	 FEATURE(VIRTIO_NET_F_MQ)},
	{"5.1.4.1", "mtu is at least 68", mtu_range, 0, FEATURE(VIRTIO_NET_F_MTU)},
	{"5.1.4.1", "mtu is at least 1280", mtu_ipv6, 0, FEATURE(VIRTIO_NET_F_MTU)},
	{"5.1.4.1", "mtu doesn't change", mtu_stays, 0, FEATURE(VIRTIO_NET_F_MTU)},
	{"5.1.4.1", "a frame of mtu bytes passes in one piece", mtu_passes, PEER,
	 FEATURE(VIRTIO_NET_F_MTU)},
	{"5.1.4.1", "rss_max_key_size is at least 40", rss_key, 0, 0},
	{"5.1.4.1", "rss_max_indirection_table_length is at least 128", rss_table, 0,
	 FEATURE(VIRTIO_NET_F_RSS)},
	{"5.1.4.1", "speed is at most 0x7fffffff, or unknown", speed, 0,
	 FEATURE(VIRTIO_NET_F_SPEED_DUPLEX)},
	{"5.1.4.1", "duplex is half, full or unknown", duplex, 0,
	 FEATURE(VIRTIO_NET_F_SPEED_DUPLEX)},
	{"5.1.4.1", "HASH_REPORT is not offered without CTRL_VQ", hash_report_with_control, 0, 0},
	{"5.1.4.1", "CTRL_RX_EXTRA is not offered without CTRL_VQ", rx_extra_with_control, 0, 0},
	{"5.1.6.2.2", "flags that are not defined are ignored", unknown_flags, PEER, 0},
	{"5.1.6.2.2", "csum_start and csum_offset are not used without NEEDS_CSUM",
	 csum_fields_unused, PEER, 0},
	{"5.1.6.2.2", "nor when they are beyond the frame", wild_csum_fields_unused, PEER, 0},
	{"5.1.6.2.2", "hdr_len is not relied on without segmentation", hdr_len_unused, PEER, 0},
	{"5.1.6.2", "num_buffers is not used in transmission", num_buffers_unused, PEER, 0},
	{"5.1.6.2.2", "a checksum need not be right without NEEDS_CSUM", wrong_checksum_passes,
	 PEER, 0},
	{"5.1.6.2", "frames of each length pass", each_length, PEER, 0},
	{"5.1.6.2", "a gso_type that isn't defined does no harm", bad_gso_type, PEER, 0},
	{"5.1.6.2", "a csum_start beyond the frame does no harm", bad_csum_start, PEER, CSUM},
	{"5.1.6.2", "a gso_size of 0 does no harm", bad_gso_size, PEER, TSO},
	{"5.1.6.2", "the checksum may be left to the device", checksum_left_to_device, PEER,
	 CSUM | GUEST_CSUM},
	{"5.1.6.2", "a large segment may be left to the device", large_segment, PEER, TSO},
	{"5.1.6.2.2", "hdr_len may be 0", hdr_len_zero, PEER, TSO},
	{"5.1.6.2.2", "hdr_len may be wrong", hdr_len_wrong, PEER, TSO},
	{"5.1.6.3.2", "without MRG_RXBUF, num_buffers is 1", num_buffers_one, PEER, 0},
	{"5.1.6.3.2", "with MRG_RXBUF, num_buffers of a small packet is 1", num_buffers_one_merged,
	 PEER, MRG_RXBUF},
	{"5.1.6.4.1", "with MRG_RXBUF, num_buffers counts the buffers of a packet",
	 num_buffers_many, PEER, MRG_RXBUF},
	{"5.1.6.4.1", "all buffers of a packet but the last are full", buffers_full, PEER,
	 MRG_RXBUF},
	{"5.1.6.4.1", "a packet may end anywhere in a buffer", merge_edges, PEER, MRG_RXBUF},
	{"5.1.6.4.1", "a large segment may be spread over buffers", large_segment_merged, PEER,
	 TSO | MRG_RXBUF},
	{"5.1.6.4.1", "without GUEST_CSUM, flags is 0", flags_zero, PEER, 0},
	{"5.1.6.4.1", "without offloads, gso_type is NONE", gso_none, PEER, 0},
	{"5.1.6.4.1", "with GUEST_CSUM alone, gso_type is NONE", gso_none_with_csum, PEER,
	 GUEST_CSUM},
	{"5.1.6.4.1", "with GUEST_CSUM, the checksum can be completed as the header says",
	 checksum_received, PEER, CSUM | GUEST_CSUM},
	{"5.1.6.4.1", "without RSC_EXT, RSC_INFO is not set", known_flags, PEER, CSUM | GUEST_CSUM},
	{"5.1.6.4.1", "a segment has NEEDS_CSUM set", gso_needs_csum, PEER, TSO},
	{"5.1.6.4.1", "a segment has gso_type and gso_size", gso_size, PEER, TSO},
	{"5.1.6.4.1", "a segment's hdr_len covers the headers", hdr_len_received, PEER, TSO},
	{"5.1.6.4", "a packet that is larger than its buffer does no harm",
	 too_large_for_its_buffer, PEER, 0},
	{"5.1.6.3", "packets without a buffer do no harm", no_buffers, PEER, 0},
	{"5.1.6.4", "packets arrive in order", packet_order, PEER, 0},
	{"5.1.6.4.4", "a hash that nobody configured is reported as NONE", hash_none, PEER,
	 FEATURE(VIRTIO_NET_F_HASH_REPORT) | FEATURE(VIRTIO_NET_F_CTRL_VQ)},
};

const struct test_group net_group = TEST_GROUP(cases);
